//! Live delivery (H5): how long a message takes to the sockets of those who hear it, what an open socket costs, and what resuming costs
//! in a log that has grown meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use parlor_client::Availability;
use parlor_load::{Kind, Listening, Mix, Pace, Person, Socket, millis};

use crate::Live;
use crate::load::{Bench, usual};
use crate::results::{Check, Part, Row, grouped};
use crate::server::Server;

/// Connections that send.
const SENDERS: usize = 64;
/// What was missed by who resumes, and how often they do.
const MISSED: usize = 50;
const RESUMES: usize = 50;
/// What is aimed at, by how many messages are sent a second: p99 in milliseconds.
const BOUNDS: [(u64, f64); 2] = [(500, 5.0), (3_000, 30.0)];
/// What is aimed at for a resume, in milliseconds, whatever was logged meanwhile.
const RESUMING: f64 = 50.0;
/// How many statuses are changed at the same time.
const AT_ONCE: usize = 16;
/// How long what is on its way may take after the load.
const ARRIVING: Duration = Duration::from_secs(30);

/// Measures and prints.
pub(crate) async fn run(options: Live) -> anyhow::Result<()> {
    let common = &options.common;
    let mut part = Part::new("live", common)?;
    let mut bench = Bench::on(Server::parlor(&common.parlor, None)?, usual(common)).await?;
    for &rate in &options.rates {
        bench.world.sign_in().await?;
        deliver(&mut bench, &mut part, ("H5", "SQLite"), rate, common.duration()).await?;
    }
    bench.world.sign_in().await?;
    let (each, before) = idle(&bench, options.sockets).await?;
    part.check(Check::at_most(
        "Growth",
        &format!("{} idle sockets", grouped(options.sockets as i64)),
        "KiB each",
        each,
        20.0,
    ));
    part.note(format!(
        "{} idle sockets: {each:.1} KiB resident each, beside {} MiB before.",
        grouped(options.sockets as i64),
        before / 1024
    ));
    let resumes = resume(&mut bench, options.messages, options.statuses).await?;
    let (messages, statuses) = (grouped(options.messages as i64), grouped(options.statuses as i64));
    let work = format!("resuming after {messages} messages and {statuses} changes of status of strangers");
    part.check(Check::at_most("H5", &work, "ms longest", millis(&resumes, 1.0), RESUMING));
    part.note(format!(
        "Resuming after {messages} messages and {statuses} changes of status of others, and {MISSED} messages and {MISSED} changes of \
         those whom one knows: p50 {:.1} ms, longest {:.1} ms, to `caught-up`.",
        millis(&resumes, 0.5),
        millis(&resumes, 1.0),
    ));
    part.note(format!("SQLite: {}", bench.verify().await?));
    part.finish(common)
}

/// Sends at a rate with everybody's socket open, and checks that each socket hears each message once; the 99th percentile, in
/// milliseconds.
pub(crate) async fn deliver(
    bench: &mut Bench,
    part: &mut Part,
    (target, store): (&str, &str),
    rate: u64,
    duration: Duration,
) -> anyhow::Result<f64> {
    let (address, world) = (bench.server.address, bench.world.clone());
    let everybody = world.people.len();
    let sockets = tokio::task::spawn_blocking(move || {
        (0..everybody)
            .map(|person| Ok(Socket::open(address, &world, person, None)?.0))
            .collect::<anyhow::Result<Vec<_>>>()
    });
    let sockets = sockets.await??;
    let began = Instant::now();
    let listening = Listening::start(sockets, began)?;
    let mut load = bench.closed(Mix::only(Kind::Send), SENDERS, duration);
    load.pace = Pace::Open { rate: rate as f64 };
    load.stamped = Some(began);
    let before = bench.server.cpu();
    let outcome = parlor_load::run(&bench.world, load, |_| {}).await?;
    let (world, acknowledged) = (bench.world.clone(), outcome.acknowledged.clone());
    let (heard, wrong) = tokio::task::spawn_blocking(move || {
        let heard = listening.stop(&world, &acknowledged, ARRIVING)?;
        let wrong = heard.wrong(&world, &acknowledged);
        anyhow::Ok((heard, wrong))
    })
    .await??;
    bench.caught_up(ARRIVING).await?;
    let cpu = before.zip(bench.server.cpu()).map(|(before, after)| after.since(before));
    ensure!(wrong.is_empty(), "what was delivered isn't what was acknowledged:\n{}", wrong.join("\n"));
    part.add(Row::new(&format!("SendMessage at {rate} a second, open loop"), store, SENDERS, &outcome, cpu));
    let p99 = millis(&heard.latencies, 0.99);
    if let Some((_, bound)) = BOUNDS.iter().find(|(of, _)| *of == rate) {
        let work = format!("sent → on the sockets of 9 others, {} messages/s, {store}", grouped(rate as i64));
        part.check(Check::at_most(target, &work, "ms p99", p99, *bound));
    }
    part.note(format!(
        "From when each of {} messages a second was due to the sockets of the 9 others, for {} s: p50 {:.2} ms, p99 {p99:.2} ms, \
         longest {:.2} ms; {} deliveries, each once; {} messages were sent more than 1 ms late.",
        grouped(rate as i64),
        duration.as_secs(),
        millis(&heard.latencies, 0.5),
        millis(&heard.latencies, 1.0),
        grouped(heard.deliveries as i64),
        grouped(outcome.late as i64),
    ));
    bench.all.add(outcome, true);
    Ok(p99)
}

/// Opens so many sockets; gives the KiB that the server holds for each, and those that it held before.
async fn idle(bench: &Bench, sockets: usize) -> anyhow::Result<(f64, u64)> {
    // What the load before left behind is given back.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = bench.server.resident_kib().context("the server's memory can't be seen")?;
    let (address, world) = (bench.server.address, bench.world.clone());
    let open = tokio::task::spawn_blocking(move || {
        let people = world.people.len();
        (0..sockets)
            .map(|n| Ok(Socket::open(address, &world, n % people, None)?.0))
            .collect::<anyhow::Result<Vec<_>>>()
    });
    let open = open.await??;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = bench.server.resident_kib().context("the server's memory can't be seen")?;
    Ok((after.saturating_sub(before) as f64 / open.len().max(1) as f64, before))
}

/// Lets others talk, come and go while somebody is away, who then resumes; gives how long that takes.
async fn resume(
    bench: &mut Bench,
    messages: u64,
    statuses: u64,
) -> anyhow::Result<hdrhistogram::Histogram<u64>> {
    // Somebody who is in one conversation only, and hears nothing of what the others do meanwhile.
    let address = bench.server.address;
    let away = parlor_load::World::make(
        &bench.server.url(),
        &bench.server.service_key()?,
        &format!("{}-away", bench.run),
        parlor_load::Size { people: 2, rooms: 1, members: 2 },
    )
    .await?;
    let (socket, cursor) = Socket::open(address, &away, 0, None)?;
    drop(socket);
    bench.fill(messages).await?;
    bench.world.sign_in().await?;
    let strangers = &bench.world.people;
    stream::iter(0..statuses)
        .map(|n| change_status(&strangers[n as usize % strangers.len()], n))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    away.sign_in().await?;
    for n in 0..MISSED {
        away.people[1].parlor.send(away.rooms[0].id, format!("missed {n}").as_str()).await?;
        change_status(&away.people[1], n as u64).await?;
    }
    bench.caught_up(ARRIVING).await?;
    let mut resumes = parlor_load::histogram();
    for n in 0..=RESUMES {
        let started = Instant::now();
        Socket::open(address, &away, 0, Some(&cursor))?;
        // The first finds the server's caches cold.
        if n > 0 {
            resumes.saturating_record(started.elapsed().as_micros() as u64);
        }
    }
    Ok(resumes)
}

async fn change_status(person: &Person, n: u64) -> anyhow::Result<()> {
    person.parlor.change_status(Availability::Away, Some(&format!("away {n}"))).await?;
    Ok(())
}
