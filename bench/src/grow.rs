//! Growth: the same work on a small store and on a large one; searching in the large one (H4), its size on disk, and starting anew.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use parlor_client::Method;
use parlor_load::{Kind, Mix, millis};

use crate::Grow;
use crate::load::{Bench, usual};
use crate::results::{Check, Part, Row, grouped};
use crate::server::{Database, Server};

/// Connections.
const CLIENTS: usize = 32;
/// Messages a second while delivery is measured.
const DELIVERED: u64 = 500;
/// Messages sent at a time while the store is filled.
const STEP: u64 = 50_000;
/// How long a server that was started rests before its memory is looked at: what a start leaves behind is given back by then.
const REST: Duration = Duration::from_secs(5);
/// Searches, from a word in most messages to what is nowhere.
const SEARCHES: [(&str, &str); 6] = [
    ("a frequent word", "momomo"),
    ("a rare word", "dafiti"),
    ("two rare words", "dafiti zuluti"),
    ("a part of a word", "koda"),
    ("a Chinese character", "二"),
    ("two Chinese characters", "丕个"),
];

/// Fills, measures, fills more, measures again, restarts and prints.
pub(crate) async fn run(options: Grow) -> anyhow::Result<()> {
    let common = &options.common;
    let mut part = Part::new(&options.name, common)?;
    let store = if options.postgres.is_some() { "PostgreSQL" } else { "SQLite" };
    let database = match &options.postgres {
        Some(url) => Some(Database::create(url).await?),
        None => None,
    };
    let mut bench = Bench::on(Server::parlor(&common.parlor, database)?, usual(common)).await?;
    bench.fill(options.from).await?;
    let small = measure(&mut bench, &mut part, store, options.from, common.duration()).await?;
    let small_p99 = delivered(&mut bench, &mut part, store, options.from, common.duration()).await?;
    let mut rates = Vec::new();
    while (bench.all.acknowledged.len() as u64) < options.messages {
        let left = options.messages - bench.all.acknowledged.len() as u64;
        rates.push(bench.fill(left.min(STEP)).await?);
        eprintln!(
            "{} messages, {:.0}/s",
            bench.all.acknowledged.len(),
            rates.last().copied().unwrap_or_default()
        );
    }
    let large = measure(&mut bench, &mut part, store, options.messages, common.duration()).await?;
    let large_p99 = delivered(&mut bench, &mut part, store, options.messages, common.duration()).await?;
    let size = grouped(options.messages as i64);
    for ((work, before), (_, after)) in small.iter().zip(&large) {
        let work = format!("{work}, {} → {size} messages, {store}", grouped(options.from as i64));
        part.check(Check::at_least("Growth", &work, "of what it was", after / before, 0.70));
    }
    let work = format!("delivery to sockets, {} → {size} messages, {store}", grouped(options.from as i64));
    part.check(Check::at_most("Growth", &work, "× the p99 it had", large_p99 / small_p99, 1.0 / 0.70));
    searches(&mut bench, &mut part, store, &size, common.duration()).await?;
    let json = json_bytes(&bench).await?;
    part.note(format!("{store}: {}", bench.verify().await?));
    let loaded = bench.server.resident_kib().unwrap_or(0) / 1024;
    let Bench { server, world, all, .. } = bench;
    let sent = all.acknowledged.len() as u64;
    drop((world, all));
    restart(&options, &mut part, store, server, (sent, json), loaded).await?;
    if !rates.is_empty() {
        let points: Vec<_> = rates
            .iter()
            .enumerate()
            .map(|(n, rate)| ((options.from + (n as u64 + 1) * STEP) as f64, *rate))
            .collect();
        let svg = parlor_load::plot::Plot::new(
            "messages sent per second, while the store grows",
            "messages stored",
            "per second",
        )
        .line("SendMessage", points)
        .svg();
        part.plot(
            common,
            &options.name,
            &format!("Messages sent per second while the store grows, {store}"),
            &svg,
        )?;
    }
    part.finish(common)
}

/// What is compared between sizes: per second.
async fn measure(
    bench: &mut Bench,
    part: &mut Part,
    store: &str,
    messages: u64,
    duration: Duration,
) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let size = grouped(messages as i64);
    let mut rates = Vec::new();
    for (work, mix) in [
        ("SendMessage", Mix::only(Kind::Send)),
        ("GetConversationMessages, 50", Mix::only(Kind::Read)),
        ("GetConversations, 20", Mix::only(Kind::List)),
        ("SearchMessages, words and Chinese", Mix::only(Kind::Search)),
    ] {
        let (outcome, cpu) = bench.load(bench.closed(mix, CLIENTS, duration)).await?;
        part.add(Row::new(&format!("{work}, {size} messages"), store, CLIENTS, &outcome, cpu));
        rates.push((work, outcome.per_second()));
    }
    Ok(rates)
}

/// How long messages take to sockets, at a rate at which no queue builds up: the 99th percentile, in milliseconds.
async fn delivered(
    bench: &mut Bench,
    part: &mut Part,
    store: &str,
    messages: u64,
    duration: Duration,
) -> anyhow::Result<f64> {
    bench.world.sign_in().await?;
    let target = format!("H5 of {} messages", grouped(messages as i64));
    crate::live::deliver(bench, part, (&target, store), DELIVERED, duration).await
}

/// Each kind of search alone.
async fn searches(
    bench: &mut Bench,
    part: &mut Part,
    store: &str,
    size: &str,
    duration: Duration,
) -> anyhow::Result<()> {
    let mut worst: Option<(f64, f64)> = None;
    let mut latencies = Histogram::<u64>::new(3)?;
    for (what, text) in SEARCHES {
        let (outcome, cpu) = bench.load(bench.closed(Mix::search(text), CLIENTS, duration)).await?;
        let all = outcome.all();
        latencies.add(&all.latencies)?;
        let (rate, p99) = (outcome.per_second(), millis(&all.latencies, 0.99));
        let (slowest, longest) = worst.unwrap_or((rate, p99));
        worst = Some((slowest.min(rate), longest.max(p99)));
        part.add(Row::new(
            &format!("SearchMessages, {what}, {size} messages"),
            store,
            CLIENTS,
            &outcome,
            cpu,
        ));
    }
    if let Some((slowest, longest)) = worst {
        let work =
            format!("SearchMessages in {size} messages, the slowest of {} kinds, {store}", SEARCHES.len());
        part.check(Check::at_most("H4", &work, "ms p99", longest, 20.0));
        part.check_share("H4", &work, slowest, 0.03);
    }
    Ok(())
}

/// How long a message is as the API gives it, on average, over pages of a hundred conversations.
async fn json_bytes(bench: &Bench) -> anyhow::Result<f64> {
    let (mut bytes, mut messages) = (0_usize, 0_usize);
    for room in bench.world.rooms.iter().take(100) {
        let reader = &bench.world.people[room.members[0]].parlor;
        let page: serde_json::Value = reader
            .call(Method::GET, format!("/v1/conversations/{}/messages", room.id))
            .query("limit", 100)
            .await?;
        for item in page["items"].as_array().into_iter().flatten() {
            bytes += item.to_string().len();
            messages += 1;
        }
    }
    Ok(bytes as f64 / messages.max(1) as f64)
}

/// Stops the server, weighs what it left, and starts it anew.
async fn restart(
    options: &Grow,
    part: &mut Part,
    store: &str,
    server: Server,
    (sent, json): (u64, f64),
    loaded: u64,
) -> anyhow::Result<()> {
    let (data, database) = server.stop()?;
    let weighed = crate::disk::weigh(data.path(), database.as_ref()).await?;
    let started = Instant::now();
    let server = Server::parlor_on(&options.common.parlor, data, database)?;
    let ready = started.elapsed();
    tokio::time::sleep(REST).await;
    let idle = server.resident_kib().unwrap_or(0) as f64 / 1024.0;
    let size = grouped(sent as i64);
    let bound = if options.postgres.is_some() { 6.0 } else { 4.0 };
    let each = (weighed.total - weighed.ledger) as f64 / sent.max(1) as f64;
    part.check(Check::at_most(
        "Growth",
        &format!("bytes on disk per message but for the ledger, {size} messages, {store}"),
        "× its JSON",
        each / json,
        bound,
    ));
    part.check(Check::at_most(
        "Growth",
        &format!("start, {size} messages, {store}"),
        "s",
        ready.as_secs_f64(),
        1.0,
    ));
    part.check(Check::at_most(
        "Growth",
        &format!("idle memory, {size} messages, {store}"),
        "MiB",
        idle,
        100.0,
    ));
    part.note(format!(
        "{store}: {size} messages of {json:.0} bytes of JSON each take {each:.0} bytes each on disk, and {:.0} in the ledger. The \
         largest: {}.",
        weighed.ledger as f64 / sent.max(1) as f64,
        weighed.largest.join(", ")
    ));
    part.note(format!(
        "{store}: {loaded} MiB resident after all of this; started anew it was ready after {} ms, with {idle:.0} MiB after {} s.",
        ready.as_millis(),
        REST.as_secs()
    ));
    Ok(())
}
