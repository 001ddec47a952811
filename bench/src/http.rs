//! H1 to H3: sending, reading and listing over HTTP.

use std::time::Duration;

use parlor_load::{Kind, Mix};

use crate::load::{Bench, usual};
use crate::results::{Check, Part, Row};
use crate::server::{Database, Server};
use crate::{Http, Scenario};

/// Measures everything that was asked for.
pub(crate) async fn run(options: Http) -> anyhow::Result<()> {
    let common = &options.common;
    let store = if options.postgres.is_some() { "PostgreSQL" } else { "SQLite" };
    let mut part =
        Part::new(if options.postgres.is_some() { "http-postgres" } else { "http-sqlite" }, common)?;
    let database = match &options.postgres {
        Some(url) => Some(Database::create(url).await?),
        None => None,
    };
    let mut bench = Bench::on(Server::parlor(&common.parlor, database)?, usual(common)).await?;
    let seconds = Duration::from_secs(common.seconds);
    if options.wants(Scenario::Sends) {
        for &clients in &options.clients {
            sends(&mut bench, &mut part, store, clients, seconds).await?;
        }
    }
    let wanted = common.rooms as u64 * options.fill;
    let there = bench.all.acknowledged.len() as u64;
    if options.reads() && there < wanted {
        bench.fill(wanted - there).await?;
    }
    let clients = options.clients.first().copied().unwrap_or(32);
    let bounds = if options.postgres.is_some() { [0.10, 0.08, 0.03] } else { [0.20, 0.15, 0.03] };
    for ((scenario, row, work, kind), bound) in [
        (Scenario::Pages, "H2", "GetConversationMessages, 50", Kind::Read),
        (Scenario::Lists, "H3", "GetConversations, 20", Kind::List),
        (Scenario::Searches, "H4", "SearchMessages, words and Chinese", Kind::Search),
    ]
    .into_iter()
    .zip(bounds)
    {
        if options.wants(scenario) {
            let mut load = bench.closed(Mix::only(kind), clients, seconds);
            load.filled = true;
            let (outcome, cpu) = bench.load(load).await?;
            part.add(Row::new(work, store, clients, &outcome, cpu));
            // Searching is judged where there are a million messages.
            if scenario != Scenario::Searches {
                part.check_share(row, &format!("{work}, {store}"), outcome.per_second(), bound);
            }
        }
    }
    part.note(format!("{store}: {}", bench.verify().await?));
    part.finish(common)
}

async fn sends(
    bench: &mut Bench,
    part: &mut Part,
    store: &str,
    clients: usize,
    duration: Duration,
) -> anyhow::Result<()> {
    let work = format!("SendMessage, {clients} clients, {store}");
    let before = bench.server.cpu();
    let outcome =
        parlor_load::run(&bench.world, bench.closed(Mix::only(Kind::Send), clients, duration), |_| {})
            .await?;
    let behind = bench.catching_up().await?;
    let cpu = before.zip(bench.server.cpu()).map(|(before, after)| after.since(before));
    part.add(Row::new("SendMessage", store, clients, &outcome, cpu));
    part.check_share("H1", &work, outcome.per_second(), if clients > 32 { 0.15 } else { 0.10 });
    let (views, all) = (behind.views.as_secs_f64(), behind.all.max(behind.search).as_secs_f64());
    if clients == 32 {
        let p99 = parlor_load::millis(&outcome.all().latencies, 0.99);
        part.check(Check::at_most("H1", &work, "ms p99", p99, 15.0));
        part.check(Check::at_most(
            "H1",
            &format!("{work}: messages, lists, counts caught up"),
            "s",
            views,
            1.0,
        ));
        part.check(Check::at_most("H1", &format!("{work}: search, notifications caught up"), "s", all, 30.0));
    } else {
        part.check(Check::at_most("H1", &work, "errors", outcome.failed() as f64, 0.0));
    }
    part.note(format!(
        "{store}, {clients} clients: after the load messages, lists and counts were caught up within {views:.2} s, search within \
         {:.2} s, everything with notifications within {all:.2} s; {} MiB resident then.",
        behind.search.as_secs_f64(),
        bench.server.resident_kib().unwrap_or(0) / 1024
    ));
    bench.all.add(outcome, true);
    Ok(())
}
