//! The whole measurement, in the order of the table.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::Http;
use crate::report::{Report, Row};
use crate::scenario::{Outcome, Work, World, count_messages, load};
use crate::server::{Database, Server};

/// Measures everything that was asked for and prints the table.
pub(crate) async fn run(options: Http) -> anyhow::Result<()> {
    let mut report = Report::default();
    let echo = Server::echo().await?;
    let mut echoes = Vec::new();
    for &clients in &options.clients {
        let outcome = load(&echo.address, None, Work::Echo, clients, options.duration() / 2).await?;
        echoes.push((clients, outcome.per_second));
        report.add(row("bare echo", "none", clients, &outcome, None));
    }
    drop(echo);
    let echo_of = |clients: usize| echoes.iter().find(|(of, _)| *of == clients).map(|(_, rate)| *rate);

    measure(&options, "SQLite", None, &mut report, echo_of).await?;
    if let Some(url) = &options.postgres {
        let database = Database::create(url).await?;
        measure(&options, "PostgreSQL", Some(database), &mut report, echo_of).await?;
    }
    let text = report.render(&options);
    println!("{text}");
    if let Some(path) = &options.write {
        Report::write(path, "measured", &text)?;
    }
    Ok(())
}

fn row(work: &str, store: &str, clients: usize, outcome: &Outcome, echo: Option<f64>) -> Row {
    Row {
        work: work.to_owned(),
        store: store.to_owned(),
        clients,
        per_second: outcome.per_second,
        share: echo.map(|echo| outcome.per_second / echo),
        p50: outcome.latencies.value_at_quantile(0.5),
        p99: outcome.latencies.value_at_quantile(0.99),
        errors: outcome.errors,
    }
}

async fn measure(
    options: &Http,
    store: &str,
    database: Option<Database>,
    report: &mut Report,
    echo_of: impl Fn(usize) -> Option<f64>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let server = Server::parlor(&options.parlor, database).await?;
    let ready = started.elapsed();
    let idle = server.resident_kib().unwrap_or(0);
    let world = Arc::new(World::make(&server.address, options.users, options.conversations).await?);
    let mut acknowledged = 0;
    for &clients in &options.clients {
        let outcome = load(&server.address, Some(&world), Work::Send, clients, options.duration()).await?;
        acknowledged += outcome.done;
        report.add(row("SendMessage", store, clients, &outcome, echo_of(clients)));
    }
    // A fast wrong answer must fail: everything acknowledged is there, once.
    let caught_up = Instant::now();
    let until = caught_up + Duration::from_mins(1);
    let mut stored = count_messages(&world).await?;
    while stored < acknowledged && Instant::now() < until {
        stored = count_messages(&world).await?;
    }
    if stored != acknowledged {
        bail!("{acknowledged} messages were acknowledged and {stored} are there");
    }
    report.note(format!(
        "{store}: ready after {} ms with {} MiB resident; {acknowledged} messages acknowledged, the same number read \
         back, page by page, within {:.1} s after the load; {} MiB resident then.",
        ready.as_millis(),
        idle / 1024,
        caught_up.elapsed().as_secs_f64(),
        server.resident_kib().unwrap_or(0) / 1024
    ));
    let clients = options.clients.first().copied().unwrap_or(32);
    for (name, work) in [("GetConversationMessages, 50", Work::Page), ("GetConversations, 20", Work::List)] {
        let outcome = load(&server.address, Some(&world), work, clients, options.duration()).await?;
        report.add(row(name, store, clients, &outcome, echo_of(clients)));
    }
    let (data, database) = server.stop()?;
    if let Some(data) = data {
        let mut command = std::process::Command::new(&options.parlor);
        command.args(["views", "rebuild", "timeline"]).env("PARLOR_DATA_DIR", data.path());
        if let Some(database) = &database {
            command.env("PARLOR_STORE_URL", &database.url);
        }
        let started = Instant::now();
        let status = command.stdout(std::process::Stdio::null()).status()?;
        if !status.success() {
            bail!("parlor views rebuild timeline: {status}");
        }
        let seconds = started.elapsed().as_secs_f64();
        report.note(format!(
            "{store}: rebuilding the view `timeline` from {acknowledged} messages, start of the process included, took \
             {seconds:.1} s: {:.0} events per second.",
            acknowledged as f64 / seconds
        ));
    }
    Ok(())
}
