use std::collections::HashMap;
use std::sync::Arc;

use futures::future::join_all;

use super::{Fixture, after_noon, ask, stream, whole};
use crate::event::Position;
use crate::log::{CommitError, Committed, Log};

const WRITERS: u64 = 64;
const COMMITS: u64 = 25;

/// What one writer did: its acknowledged commits in order, each with its number of events.
type Journal = Vec<(Committed, u64)>;

/// Writes to a stream of its own; every twentieth command of all expects the wrong version and must lose.
async fn write(log: Arc<impl Log>, writer: u64) -> Journal {
    let mut journal = Journal::new();
    let mut version = 0;
    for n in 0..COMMITS {
        let events = 1 + (writer + n) % 3;
        let doomed = (writer + n).is_multiple_of(20);
        let expected = if doomed { version + 5 } else { version };
        let result = ask().append(stream(writer), expected, events as usize).of(&*log).await;
        if doomed {
            assert!(matches!(result, Err(CommitError::Conflict { .. })), "{result:?}");
        } else {
            journal.push((result.unwrap(), events));
            version += events;
        }
    }
    journal
}

/// Follows the head from the beginning until `events` were seen; none may be skipped or repeated.
async fn follow(log: Arc<impl Log>, events: u64) {
    let mut head = log.head();
    let mut place = Position(0);
    while place.0 < events {
        head.wait_for(|head| *head > place).await.unwrap();
        for event in log.read(place, 17).await.unwrap() {
            assert_eq!(event.position.0, place.0 + 1, "a follower skips nothing");
            place = event.position;
        }
    }
}

fn events_of(writers: std::ops::Range<u64>) -> u64 {
    let of = |writer: u64| {
        (0..COMMITS).filter(move |n| !(writer + n).is_multiple_of(20)).map(move |n| 1 + (writer + n) % 3)
    };
    writers.flat_map(of).sum()
}

/// What the writers were told is what the log holds, no more and no less.
async fn assert_holds(log: &impl Log, journals: Vec<(u64, Journal)>) {
    let events = whole(log).await;
    let acknowledged: u64 = journals.iter().flat_map(|(_, journal)| journal).map(|(_, events)| events).sum();
    assert_eq!(events.len() as u64, acknowledged);
    assert!(events.is_sorted_by_key(|event| event.at));
    let mut versions = HashMap::new();
    for event in &events {
        let version = versions.entry(event.stream).or_insert(0);
        *version += 1;
        assert_eq!(event.version, *version, "versions have no gap");
    }
    for (writer, journal) in journals {
        let mut before = 0;
        for (committed, count) in journal {
            assert_eq!(committed.last.0 - committed.first.0 + 1, count);
            assert!(committed.first.0 > before, "in the order in which they were acknowledged");
            before = committed.last.0;
            for position in committed.first.0..=committed.last.0 {
                assert_eq!(events[position as usize - 1].stream, stream(writer).id);
            }
        }
    }
}

/// 64 writers, a twentieth of whose commands lose, and a reader that follows them.
pub async fn positions_are_gapless_and_in_commit_order_under_concurrent_writers<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let follower = tokio::spawn(follow(log.clone(), events_of(0..WRITERS)));
    let writers = (0..WRITERS).map(|writer| {
        let writing = tokio::spawn(write(log.clone(), writer));
        async move { (writer, writing.await.unwrap()) }
    });
    let journals = join_all(writers).await;
    follower.await.unwrap();
    assert_holds(&*log, journals).await;
    assert_eq!(log.head().borrow().0, events_of(0..WRITERS));
}

/// Two logs on one store: one order, and each learns of the other's commits by its head.
pub async fn two_logs_on_one_store_share_one_order<F: Fixture>(fixture: &F) {
    if !F::SHARED {
        return;
    }
    let logs = [fixture.open().await.unwrap(), fixture.open().await.unwrap()];
    assert_eq!(logs[0].epoch(), logs[1].epoch());
    let all = events_of(0..WRITERS);
    let followers = logs.iter().map(|log| tokio::spawn(follow(log.clone(), all))).collect::<Vec<_>>();
    let writers = (0..WRITERS).map(|writer| {
        let writing = tokio::spawn(write(logs[writer as usize % 2].clone(), writer));
        async move { (writer, writing.await.unwrap()) }
    });
    let journals = join_all(writers).await;
    for follower in followers {
        follower.await.unwrap();
    }
    assert_holds(&*logs[0], journals).await;
    let (ours, others) = (whole(&*logs[0]).await, whole(&*logs[1]).await);
    assert!(ours.iter().zip(&others).all(|(ours, others)| ours.id == others.id));
}

/// Whatever the clocks of those who commit say.
pub async fn time_never_goes_back<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let mut told = Vec::new();
    for (n, millis) in [0, 5000, 1000, -86_400_000, 5001, 4000].into_iter().enumerate() {
        let committed = ask().append(stream(n as u64), 0, 1).now(after_noon(millis)).of(&*log).await.unwrap();
        told.push(committed.at);
    }
    let expected = [0, 5000, 5000, 5000, 5001, 5001].map(after_noon);
    assert_eq!(told, expected);
    let stored: Vec<_> = whole(&*log).await.iter().map(|event| event.at).collect();
    assert_eq!(stored, expected);
}
