//! Growth in other ways than messages: many who join at once, a room of ten thousand, and somebody in ten thousand conversations.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use parlor_client::{NewConversation, NewUser};
use parlor_load::{Kind, Mix, Outcome, Pace, Person, Room, World};

use crate::Rooms;
use crate::load::{Bench, usual};
use crate::results::{Check, Part, Row, grouped};
use crate::server::Server;

/// Connections of each load.
const CLIENTS: usize = 32;
/// Messages a second while many join: what the senders of one room may say.
const TALKING: f64 = 100.0;
/// How many are made, or join, at the same time.
const AT_ONCE: usize = 16;

/// Measures and prints.
pub(crate) async fn run(options: Rooms) -> anyhow::Result<()> {
    let common = &options.common;
    let mut part = Part::new("rooms", common)?;
    let mut bench = Bench::on(Server::parlor(&common.parlor, None)?, usual(common)).await?;
    bench.fill(common.rooms as u64 * 5).await?;
    let strangers = strangers(&bench, options.members.max(options.joins_per_second * common.seconds)).await?;
    let joins = joins(&mut bench, &mut part, &options, &strangers).await?;
    large_room(&mut bench, &mut part, &options, &strangers, joins).await?;
    many_rooms(&mut bench, &mut part, &options).await?;
    part.note(format!("SQLite: {}", bench.verify().await?));
    part.finish(common)
}

/// People who are in no conversation yet.
async fn strangers(bench: &Bench, count: u64) -> anyhow::Result<Vec<uuid::Uuid>> {
    let application = &bench.world.application;
    stream::iter(0..count)
        .map(|n| async move {
            let user =
                NewUser::new(format!("Stranger {n}")).external_id(format!("stranger-{}-{n}", bench.run));
            anyhow::Ok(application.create_user(&user).await?.id)
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

/// A world of one conversation, in which these of everybody take part.
async fn world_of(bench: &Bench, room: uuid::Uuid, members: &[usize]) -> anyhow::Result<World> {
    let mut people = Vec::new();
    for &member in members {
        people.push(Person::again(&bench.world.application, bench.world.people[member].id).await?);
    }
    let mut world = World::of(bench.world.application.clone(), people);
    world.add(Room { id: room, members: (0..members.len()).collect() });
    Ok(world)
}

/// Strangers join a room at a rate while its members talk; gives the room, and how many joined.
async fn joins(
    bench: &mut Bench,
    part: &mut Part,
    options: &Rooms,
    strangers: &[uuid::Uuid],
) -> anyhow::Result<(uuid::Uuid, usize)> {
    let members: Vec<usize> = (0..10.min(bench.world.people.len())).collect();
    let owner = &bench.world.people[0].parlor;
    let others = members[1..].iter().map(|&member| bench.world.people[member].id);
    let room = owner.create_conversation(&NewConversation::group(others).title("Everybody")).await?.id;
    let world = Arc::new(world_of(bench, room, &members).await?);
    let duration = options.common.duration();
    let mut load = bench.closed(Mix::only(Kind::Send), CLIENTS, duration);
    load.pace = Pace::Open { rate: TALKING };
    let began = Instant::now();
    let joining = async {
        let due = |n: usize| Duration::from_secs_f64(n as f64 / options.joins_per_second as f64);
        let joined: Vec<bool> = stream::iter(strangers.iter().enumerate())
            .take_while(|(n, _)| std::future::ready(due(*n) < duration))
            .map(|(n, stranger)| async move {
                tokio::time::sleep_until((began + due(n)).into()).await;
                owner.add_participant(room, *stranger, None).await.is_ok()
            })
            .buffered(AT_ONCE * 4)
            .collect()
            .await;
        (joined.iter().filter(|joined| **joined).count(), joined.len(), began.elapsed())
    };
    let (talked, (joined, tried, took)) = tokio::join!(parlor_load::run(&world, load, |_| {}), joining);
    let talked = talked?;
    part.add(Row::new("SendMessage while others join the room", "SQLite", CLIENTS, &talked, None));
    let rate = joined as f64 / took.as_secs_f64();
    let work = format!("{rate:.0} joins a second in a room, its senders");
    part.check(Check::at_most("Growth", &work, "refusals", talked.failed() as f64, 0.0));
    part.check(Check::at_least("Growth", "joins in one room", "per second", rate, 500.0 * 0.95));
    part.note(format!(
        "{} of {} joined within {:.1} s while {} messages were sent to the room.",
        grouped(joined as i64),
        grouped(tried as i64),
        took.as_secs_f64(),
        grouped(talked.done() as i64)
    ));
    verify_room(&world, &talked).await?;
    Ok((room, joined))
}

async fn verify_room(world: &World, outcome: &Outcome) -> anyhow::Result<()> {
    let verified = parlor_load::verify(world, outcome, Duration::from_mins(2)).await?;
    ensure!(verified.holds(), "what was acknowledged isn't what is there:\n{}", verified.wrong.join("\n"));
    Ok(())
}

/// What a message to very many costs, beside one to ten.
async fn large_room(
    bench: &mut Bench,
    part: &mut Part,
    options: &Rooms,
    strangers: &[uuid::Uuid],
    (room, joined): (uuid::Uuid, usize),
) -> anyhow::Result<()> {
    let owner = &bench.world.people[0].parlor;
    stream::iter(&strangers[joined.min(strangers.len())..])
        .map(|stranger| async move { owner.add_participant(room, *stranger, None).await })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    bench.caught_up(Duration::from_mins(10)).await?;
    let members: Vec<usize> = (0..10.min(bench.world.people.len())).collect();
    let others = members[1..].iter().map(|&member| bench.world.people[member].id);
    let small = bench.world.people[0].parlor.create_conversation(&NewConversation::group(others)).await?.id;
    let mut costs = Vec::new();
    let large = grouped(strangers.len() as i64 + 10);
    for (size, room) in [("10", small), (large.as_str(), room)] {
        let world = Arc::new(world_of(bench, room, &members).await?);
        let load = bench.closed(Mix::only(Kind::Send), CLIENTS, options.common.duration());
        let before = bench.server.cpu();
        let outcome = parlor_load::run(&world, load, |_| {}).await?;
        bench.caught_up(Duration::from_mins(10)).await?;
        let cpu = before.zip(bench.server.cpu()).map(|(before, after)| after.since(before));
        let row = Row::new(&format!("SendMessage to a room of {size}"), "SQLite", CLIENTS, &outcome, cpu);
        costs.push((row.per_second, row.server_cpu_us_per_request.context("processor time can't be seen")?));
        part.add(row);
    }
    let ((small_rate, small_cpu), (large_rate, large_cpu)) = (costs[0], costs[1]);
    let work = format!("a send to a room of {large}, beside one to a room of 10");
    part.check(Check::at_most("Growth", &format!("{work}: processor time"), "×", large_cpu / small_cpu, 1.5));
    part.check(Check::at_most(
        "Growth",
        &format!("{work}: time, 32 clients"),
        "×",
        small_rate / large_rate,
        1.5,
    ));
    Ok(())
}

/// Somebody's list of very many conversations, beside everybody's.
async fn many_rooms(bench: &mut Bench, part: &mut Part, options: &Rooms) -> anyhow::Result<()> {
    let mut usual = bench.closed(Mix::only(Kind::List), CLIENTS, options.common.duration());
    usual.filled = true;
    let (few, cpu) = bench.load(usual.clone()).await?;
    let work = format!("GetConversations, 20 of {}", bench.world.people[0].rooms.len());
    part.add(Row::new(&work, "SQLite", CLIENTS, &few, cpu));
    let user = NewUser::new("Somebody").external_id(format!("somebody-{}", bench.run));
    let made = bench.world.application.create_user(&user).answer().await?;
    let busy = Person::again(&bench.world.application, made.body.id).await?;
    let (parlor, other) = (busy.parlor.clone(), bench.world.people[0].id);
    let first = parlor.create_conversation(&NewConversation::group([other]));
    let first = made.position.into_iter().fold(first, parlor_client::Call::after).await?;
    let parlor = &parlor;
    stream::iter(1..options.many)
        .map(|n| async move {
            let room = parlor
                .create_conversation(&NewConversation::group([other]).title(format!("One of many {n}")))
                .await?;
            // Every twentieth is talked in, so that the first page has messages.
            if n % 20 == 0 {
                parlor.send(room.id, "hello").await?;
            }
            anyhow::Ok(())
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    bench.caught_up(Duration::from_mins(10)).await?;
    let mut world = World::of(bench.world.application.clone(), vec![busy]);
    world.add(Room { id: first.id, members: vec![0] });
    let before = bench.server.cpu();
    let many = parlor_load::run(&Arc::new(world), usual, |_| {}).await?;
    let cpu = before.zip(bench.server.cpu()).map(|(before, after)| after.since(before));
    let count = grouped(options.many as i64);
    part.add(Row::new(&format!("GetConversations, 20 of {count}"), "SQLite", CLIENTS, &many, cpu));
    let ratio = few.per_second() / many.per_second();
    part.check(Check::at_most(
        "Growth",
        &format!("H3 with {count} conversations of one user"),
        "× as long",
        ratio,
        1.5,
    ));
    Ok(())
}
