//! What a message costs in a large room: by what is connected, not by how many are in.

use cqrs_core::{Actor, Aggregate as _, Append, Clock as _, Commit, Log as _, StreamId, SystemClock};
use parlor_chat::membership::{Membership, MembershipEvent};
use parlor_chat::values::{History, Kind, Role};
use rusqlite::Connection;
use uuid::Uuid;

use super::World;

/// How many are in the room, and how many of them connected.
const MEMBERS: usize = 10_000;
const CONNECTED: usize = 50;

/// How many rows the stores hold in all.
fn rows(world: &World) -> u64 {
    let dir = world.chat.store.dir().unwrap();
    let of = |file: &str| -> u64 {
        let store = Connection::open(dir.join(file)).unwrap();
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let mut tables = store.prepare(tables).unwrap();
        let names: Vec<String> =
            tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let count = |name: &String| {
            let sql = format!("SELECT count(*) FROM \"{name}\"");
            store.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64
        };
        names.iter().map(count).sum()
    };
    of("log.db") + of("views.db")
}

/// Puts them into the room, by the log itself.
async fn join(world: &World, room: Uuid, people: &[Uuid]) {
    let store = &world.chat.store.store;
    for some in people.chunks(500) {
        let mut commit = Commit::new(Actor::System, SystemClock.fresh_id(), SystemClock.now());
        for user in some {
            let event = MembershipEvent::Added {
                conversation: room,
                user: *user,
                role: Role::Member,
                kind: Kind::Group,
                title: None,
                history: History::SinceJoining,
            };
            let events = vec![store.executor.keyring().encode(SystemClock.fresh_id(), &event).await.unwrap()];
            let stream = StreamId { category: Membership::CATEGORY, id: Membership::id(room, *user) };
            commit.appends.push(Append { stream, expected: 0, events });
        }
        store.log.commit(commit).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_to_a_room_of_ten_thousand_writes_as_much_as_to_one_of_two_and_wakes_who_is_connected() {
    let world = World::start().await;
    let ann = world.user("Ann").await;
    let room = world.chat.group(ann, &[], History::SinceJoining).await.id;
    world.settle().await;
    let message = async |text: &str| {
        let (rows_before, handed) = (rows(&world), world.live.handed());
        world.chat.say(ann, room, text).await;
        world.settle().await;
        (rows(&world) - rows_before, world.live.handed() - handed)
    };
    message("the first").await;
    let (small, nobody) = message("to myself").await;
    assert_eq!(nobody, 0);
    let people: Vec<Uuid> = (0..MEMBERS).map(|_| SystemClock.fresh_id()).collect();
    join(&world, room, &people).await;
    world.settle().await;
    let mut readers: Vec<_> =
        people.iter().step_by(MEMBERS / CONNECTED).map(|who| world.reader(*who)).collect();
    for reader in &mut readers {
        reader.catch_up().await;
    }
    let (large, woken) = message("to all of you").await;
    assert_eq!((large, woken), (small, CONNECTED as u64));
    for reader in &mut readers {
        reader.hear(1).await;
        assert_eq!(reader.kinds(), ["chat.message-sent"]);
    }
}
