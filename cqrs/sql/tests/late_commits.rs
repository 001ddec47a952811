//! Several processes write one log at once; commits take a random time, and some are rolled back at the last moment. No
//! reader, in whichever process, skips an event that comes late, and nothing is there twice.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cqrs_core::{
    Actor, Append, Clock as _, Commit, CommitError, LedgerEntry, Log as _, NewEvent, Position, RecordedEvent,
    StreamId, SystemClock, derived_id,
};
use cqrs_sql::testing::{POSTGRES_URL, TestSchema};
use cqrs_sql::{Location, LogOptions, Pool, SqlLog};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use uuid::Uuid;

/// Names the schema, this process's number and the seed for the process that [`writers`] is.
const TOLD: &str = "PARLOR_TEST_LATE_COMMITS";
/// Another seed, for the writers' choices; the server's chance is its own.
const SEED: &str = "PARLOR_TEST_SEED";

const PROCESSES: u64 = 4;
/// In each process.
const WRITERS: u64 = 16;
/// Of each writer's.
const EVENTS: u64 = 800;
/// At most, in one commit.
const TOGETHER: u64 = 16;

/// A commit takes up to 10 ms more, and one of twenty comes to nothing after all else was done.
fn faults(schema: &str) -> String {
    format!(
        "CREATE FUNCTION {schema}.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           PERFORM pg_sleep(random() * 0.01);
           IF random() < 0.05 THEN RAISE EXCEPTION 'rolled back on purpose'; END IF;
           RETURN NULL;
         END $$;
         CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON {schema}.head DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW WHEN (NEW.position > OLD.position) EXECUTE FUNCTION {schema}.late()"
    )
}

async fn open(schema: &str) -> Arc<SqlLog> {
    let pool = Pool::new(&std::env::var(POSTGRES_URL).unwrap(), 4).unwrap();
    let location = Location::Postgres { pool, schema: schema.to_owned() };
    // Most of what is read comes from the store, not from memory.
    let options = LogOptions { tail_bytes: 64 * 1024, ..LogOptions::default() };
    SqlLog::open("log", &location, SystemClock.fresh_id(), None, options).await.unwrap()
}

/// The writer's stream, and the id of its nth event: an attempt that is repeated repeats them.
fn stream(writer: u64) -> StreamId {
    StreamId { category: "thing", id: Uuid::from_u128(u128::from(writer) + 1) }
}

fn event_id(writer: u64, n: u64) -> Uuid {
    derived_id("late commits", &[&writer.to_be_bytes(), &n.to_be_bytes()])
}

/// Writes events, a few at a time, each few under a key until they are acknowledged.
async fn write(log: &SqlLog, writer: u64, seed: u64) {
    let mut dice = StdRng::seed_from_u64(seed.wrapping_add(writer));
    let mut written = 0;
    while written < EVENTS {
        let together = dice.random_range(1..=TOGETHER).min(EVENTS - written);
        let key = key_of(event_id(writer, written));
        loop {
            let events = (written..written + together).map(|n| NewEvent {
                id: event_id(writer, n),
                name: "thing.happened".into(),
                schema: 1,
                data: Bytes::from(format!(r#"{{"writer":{writer},"n":{n}}}"#)),
            });
            let mut commit = Commit::new(Actor::System, SystemClock.fresh_id(), SystemClock.now());
            commit.appends.push(Append {
                stream: stream(writer),
                expected: written,
                events: events.collect(),
            });
            commit.ledger = Some(LedgerEntry { key, content: key, answer: Box::new(|_| Vec::new()) });
            match log.commit(commit).await {
                Ok(_) | Err(CommitError::Replayed(_)) => break,
                // Rolled back, or perhaps not: the repeat under the same key finds out.
                Err(CommitError::Unknown(_) | CommitError::Store(_)) => {}
                Err(other) => panic!("writer {writer} at {written}: {other}"),
            }
        }
        written += together;
        if dice.random_ratio(1, 4) {
            tokio::time::sleep(Duration::from_millis(dice.random_range(0..20))).await;
        }
    }
}

/// 32 bytes that an id stands for.
fn key_of(id: Uuid) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(id.as_bytes());
    key
}

/// Not a test: what the processes do that the next one starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let mut told = told.split(' ');
    let schema = told.next().unwrap();
    let (process, seed): (u64, u64) =
        (told.next().unwrap().parse().unwrap(), told.next().unwrap().parse().unwrap());
    let log = open(schema).await;
    let writing = (0..WRITERS).map(|n| {
        let log = log.clone();
        tokio::spawn(async move { write(&log, process * WRITERS + n, seed).await })
    });
    for writer in futures::future::join_all(writing).await {
        writer.unwrap();
    }
}

/// Follows the log as its followers do, from `place` on, until it has seen `total` events.
async fn follow(log: Arc<SqlLog>, at_once: usize, total: u64) -> Vec<Arc<RecordedEvent>> {
    let mut head = log.head();
    let mut seen: Vec<Arc<RecordedEvent>> = Vec::new();
    while (seen.len() as u64) < total {
        let place = Position(seen.len() as u64);
        head.wait_for(|head| *head > place).await.unwrap();
        let events = log.read(place, at_once).await.unwrap();
        for event in events {
            assert_eq!(event.position.0, seen.len() as u64 + 1, "an event was skipped");
            seen.push(event);
        }
    }
    seen
}

/// Ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_skips_what_commits_late_and_nothing_is_there_twice() {
    let Some(schema) = TestSchema::new(2).unwrap() else { return };
    let seed: u64 = match std::env::var(SEED) {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => rand::random(),
    };
    eprintln!("{SEED}={seed}");
    let Location::Postgres { schema: name, .. } = &schema.location else { unreachable!() };
    let reading = open(name).await;
    let (client, connection) =
        tokio_postgres::connect(&std::env::var(POSTGRES_URL).unwrap(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&faults(name)).await.unwrap();

    let total = PROCESSES * WRITERS * EVENTS;
    let readers: Vec<_> = [16, 100, 512]
        .into_iter()
        .map(|at_once| tokio::spawn(follow(reading.clone(), at_once, total)))
        .chain([tokio::spawn(follow(open(name).await, 100, total))])
        .collect();
    let mut processes: Vec<Running> = (0..PROCESSES)
        .map(|process| {
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "writers", "--nocapture"])
                .env(TOLD, format!("{name} {process} {seed}"))
                .stdout(Stdio::null())
                .spawn();
            Running(child.unwrap())
        })
        .collect();
    let mut logs = Vec::new();
    for reader in readers {
        let within = tokio::time::timeout(Duration::from_mins(5), reader).await;
        logs.push(within.expect("every event comes to every reader").unwrap());
    }
    for process in &mut processes {
        assert!(process.0.wait().unwrap().success(), "everything was acknowledged to every writer");
    }
    // The head is looked for now and then only; what was read may lie beyond it.
    assert_eq!(reading.newest().await.unwrap(), Position(total), "nothing was written twice");
    // All saw the same, and of each writer everything, in its order.
    let of = |events: &[Arc<RecordedEvent>]| events.iter().map(|event| event.id).collect::<Vec<_>>();
    let first = of(&logs[0]);
    for others in &logs[1..] {
        assert!(of(others) == first, "two readers saw different logs");
    }
    for writer in 0..PROCESSES * WRITERS {
        let theirs = logs[0].iter().filter(|event| event.stream == stream(writer).id);
        let expected = (0..EVENTS).map(|n| (n + 1, event_id(writer, n)));
        assert!(theirs.map(|event| (event.version, event.id)).eq(expected), "writer {writer}");
    }
}
