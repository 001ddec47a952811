use uuid::Uuid;

use super::{Fixture, after_noon, ask, event, position, save, stream, whole};
use crate::context::Actor;
use crate::event::{Position, StreamId};
use crate::log::{Append, Commit, Guard, Log};
use crate::projection::PlaceStore;

/// Every field of the envelope, and the data byte for byte, by each way of reading.
pub async fn events_read_back_as_they_were_written<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let actors = [
        Actor::Anonymous,
        Actor::System,
        Actor::User(Uuid::from_u128(5)),
        Actor::Service(Uuid::from_u128(6)),
    ];
    let mut written = Vec::new();
    for (n, actor) in (1..).zip(actors) {
        let mut commit = Commit::new(actor, Uuid::from_u128(40 + u128::from(n)), after_noon(n as i64));
        commit.causation = (n % 2 == 0).then(|| Uuid::from_u128(50));
        let events = vec![event(), event()];
        written.extend(events.iter().cloned().map(|event| (n, actor, event)));
        commit.appends.push(Append { stream: stream(n), expected: 0, events });
        log.commit(commit).await.unwrap();
    }
    let read = log.read(Position(0), 100).await.unwrap();
    let places: Vec<_> = (1..=8).map(Position).collect();
    let picked = log.read_at(&places).await.unwrap();
    let mut by_stream = Vec::new();
    for n in 1..=4 {
        by_stream.extend(log.read_stream(stream(n), 0).await.unwrap());
    }
    for (i, (n, actor, new)) in written.iter().enumerate() {
        for event in [&*read[i], &*picked[i], &by_stream[i]] {
            assert_eq!(event.position.0, i as u64 + 1);
            assert_eq!((event.id, &event.name, event.schema), (new.id, &new.name, 3));
            assert_eq!(event.data, new.data);
            assert_eq!((&*event.category, event.stream), ("thing", stream(*n).id));
            assert_eq!(event.version, i as u64 % 2 + 1);
            assert_eq!(event.at, after_noon(*n as i64));
            assert_eq!(event.actor, *actor);
            assert_eq!(event.correlation, Uuid::from_u128(40 + u128::from(*n)));
            assert_eq!(event.causation, (n % 2 == 0).then(|| Uuid::from_u128(50)));
        }
    }
}

/// In pages of any size, within a stream, and at chosen positions.
pub async fn reading_gives_every_event_once_from_any_place<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    assert!(log.read(Position(0), 10).await.unwrap().is_empty());
    for n in 0..40 {
        ask().append(stream(n % 4), n / 4, 1).of(&*log).await.unwrap();
    }
    for limit in [1, 7, 40, 1000] {
        let mut place = Position(0);
        loop {
            let page = log.read(place, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            let positions: Vec<_> = page.iter().map(|event| event.position.0).collect();
            assert_eq!(positions, (place.0 + 1..=last.position.0).collect::<Vec<_>>());
            place = last.position;
        }
        assert_eq!(place, Position(40));
    }
    assert!(log.read(Position(41), 10).await.unwrap().is_empty());

    let tail = log.read_stream(stream(2), 7).await.unwrap();
    assert_eq!(tail.iter().map(|event| event.version).collect::<Vec<_>>(), [8, 9, 10]);
    assert!(log.read_stream(stream(2), 10).await.unwrap().is_empty());
    let elsewhere = StreamId { category: "other", ..stream(2) };
    assert!(log.read_stream(elsewhere, 0).await.unwrap().is_empty());

    let picked = log.read_at(&[30, 2, 99, 2].map(Position)).await.unwrap();
    assert_eq!(picked.iter().map(|event| event.position.0).collect::<Vec<_>>(), [30, 2, 2]);
}

/// With the version it has.
pub async fn verify_names_the_first_stream_that_moved<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    ask().append(stream(1), 0, 2).append(stream(2), 0, 1).of(&*log).await.unwrap();
    let guard = |n, expected| Guard { stream: stream(n), expected };
    assert_eq!(log.verify(&[]).await.unwrap(), None);
    assert_eq!(log.verify(&[guard(1, 2), guard(2, 1), guard(3, 0)]).await.unwrap(), None);
    let moved = log.verify(&[guard(1, 2), guard(2, 0), guard(3, 7)]).await.unwrap();
    assert_eq!(moved, Some(guard(2, 1)));
}

/// Not their events, and not those of other categories.
pub async fn streams_are_counted_by_category<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    let elsewhere = StreamId { category: "other", ..stream(1) };
    ask().append(stream(1), 0, 3).append(stream(2), 0, 1).append(elsewhere, 0, 1).of(&*log).await.unwrap();
    assert_eq!(log.count_streams("thing").await.unwrap(), 2);
    assert_eq!(log.count_streams("other").await.unwrap(), 1);
    assert_eq!(log.count_streams("none").await.unwrap(), 0);
    assert_eq!(whole(&*log).await.len(), 5);
}

/// Whatever the order in which they are kept.
pub async fn an_older_snapshot_does_not_replace_a_newer_one<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    assert_eq!(log.snapshot(stream(1)).await.unwrap(), None);
    log.save_snapshot(stream(1), 20, b"twenty".to_vec()).await.unwrap();
    log.save_snapshot(stream(1), 10, b"ten".to_vec()).await.unwrap();
    assert_eq!(log.snapshot(stream(1)).await.unwrap(), Some((20, b"twenty".to_vec())));
    log.save_snapshot(stream(1), 30, b"thirty".to_vec()).await.unwrap();
    assert_eq!(log.snapshot(stream(1)).await.unwrap(), Some((30, b"thirty".to_vec())));
    assert_eq!(log.snapshot(stream(2)).await.unwrap(), None);
}

/// Each consumer's in each source, on its own.
pub async fn a_place_only_moves_forward<F: Fixture>(fixture: &F) {
    let log = fixture.open().await.unwrap();
    assert_eq!(log.load("reactor", "chat").await.unwrap(), None);
    for place in [5, 5, 3] {
        save(&*log, "reactor", "chat", place).await;
        assert_eq!(position(&*log, "reactor", "chat").await, 5);
    }
    save(&*log, "reactor", "chat", 6).await;
    save(&*log, "reactor", "user", 1).await;
    assert_eq!(position(&*log, "reactor", "chat").await, 6);
    assert_eq!(position(&*log, "reactor", "user").await, 1);
    assert_eq!(position(&*log, "another", "chat").await, 0);
}
