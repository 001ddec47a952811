//! What the size of a store costs: a million messages are sent, the server is started anew, and then looked at.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::Grow;
use crate::report::{Report, header};
use crate::scenario::{Work, World, load};
use crate::server::{Database, Server};

/// How many connections send; how many read.
const SENDERS: usize = 256;
const READERS: usize = 8;
/// How long one round of sending lasts; then everybody signs in anew.
const ROUND: Duration = Duration::from_mins(1);
/// How long each kind of reading lasts.
const READ: Duration = Duration::from_secs(10);

/// Fills, restarts, measures and prints.
pub(crate) async fn run(options: Grow) -> anyhow::Result<()> {
    let database = match &options.postgres {
        Some(url) => Some(Database::create(url).await?),
        None => None,
    };
    let server = Server::parlor(&options.parlor, database).await?;
    let mut world = World::make(&server.address, 100, 1000).await?;
    let mut rates = Vec::new();
    let mut sent = 0;
    while sent < options.messages {
        world.sign_in().await?;
        let round = Arc::new(world);
        let outcome = load(&server.address, Some(&round), Work::SendWords, SENDERS, ROUND).await?;
        sent += outcome.done;
        rates.push(outcome.per_second);
        eprintln!("{sent} messages, {:.0}/s, {} errors", outcome.per_second, outcome.errors);
        world = Arc::into_inner(round).ok_or_else(|| anyhow::anyhow!("a client still runs"))?;
    }
    let behind = Instant::now();
    world.sign_in().await?;
    catch_up(&world).await?;
    let behind = behind.elapsed();
    let loaded = server.resident_kib().unwrap_or(0) / 1024;
    let (data, database) = server.stop()?;
    let Some(data) = data else { bail!("the server had no data folder") };

    let started = Instant::now();
    let server = Server::parlor_on(&options.parlor, data, database).await?;
    let ready = started.elapsed();
    // Long enough for what a start leaves behind to be given back.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle = server.resident_kib().unwrap_or(0) / 1024;
    world.sign_in().await?;
    let world = Arc::new(world);

    let mut text = header();
    let (first, last) = (rates.first().copied().unwrap_or(0.0), rates.last().copied().unwrap_or(0.0));
    let store = if options.postgres.is_some() { "PostgreSQL" } else { "SQLite" };
    let _ = writeln!(
        text,
        "{store}: {sent} messages sent, {first:.0} per second in the first minute and {last:.0} in the last; all views had them \
         {:.1} s later. Resident then {loaded} MiB. Started anew: ready after {} ms, resident {idle} MiB.\n",
        behind.as_secs_f64(),
        ready.as_millis(),
    );
    text.push_str("| work, 8 clients | per second | p50 ms | p99 ms | errors |\n|---|---:|---:|---:|---:|\n");
    for (name, work) in [
        ("GetConversationMessages, 50", Work::Page),
        ("GetConversations, 20", Work::List),
        ("SearchMessages, a frequent word", Work::Search("momomo")),
        ("SearchMessages, a rare word", Work::Search("dafiti")),
        ("SearchMessages, two rare words", Work::Search("dafiti zuluti")),
        ("SearchMessages, a part of a word", Work::Search("koda")),
        ("SearchMessages, a Chinese character", Work::Search("二")),
        ("SearchMessages, two Chinese characters", Work::Search("二优")),
    ] {
        let outcome = load(&server.address, Some(&world), work, READERS, READ).await?;
        let quantile = |q: f64| outcome.latencies.value_at_quantile(q) as f64 / 1000.0;
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {:.2} | {:.2} | {} |",
            outcome.per_second,
            quantile(0.5),
            quantile(0.99),
            outcome.errors
        );
    }
    println!("{text}");
    if let Some(path) = &options.write {
        Report::write(path, "grown", &text)?;
    }
    Ok(())
}

/// Waits until the views hold everything that was sent.
async fn catch_up(world: &World) -> anyhow::Result<()> {
    let user = &world.users[0];
    let Some(&conversation) = user.conversations.first() else { return Ok(()) };
    let marker = format!("the last one {}", std::process::id());
    user.parlor.send(conversation, marker.as_str()).await?;
    let until = Instant::now() + Duration::from_mins(10);
    while Instant::now() < until {
        match user.parlor.search_messages(&marker).limit(1).await {
            Ok(found) if !found.items.is_empty() => return Ok(()),
            // The query itself waits for the message, though not as long.
            Err(error) if !error.is_passing() => return Err(error.into()),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    bail!("the search index didn't hold the last message within ten minutes")
}
