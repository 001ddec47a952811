//! Public events are made once, however many follow them.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{AccountEvent, Deposit, account, cx, executor};
use cqrs_core::testing::keyring;
use cqrs_core::{
    CodecError, EventSource, Keys, MemoryLog, Position, PublicEvent, PublicSource, Publisher, RecordedEvent,
    decode,
};

/// Tells of every other deposit, and counts how often it is asked.
struct Counting(Arc<AtomicUsize>);

impl Publisher for Counting {
    type Public = AccountEvent;
    fn publish(
        &self,
        event: &Arc<RecordedEvent>,
        keys: &Keys,
    ) -> Result<Option<PublicEvent<AccountEvent>>, CodecError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let happened: AccountEvent = decode(event, keys)?;
        let told = event.position.0.is_multiple_of(2);
        Ok(told.then_some(PublicEvent { key: event.stream, event: happened }))
    }
}

#[tokio::test]
async fn each_event_is_made_public_once_for_those_who_keep_up_and_again_for_whoever_is_far_behind() {
    let log = Arc::new(MemoryLog::new("bank"));
    let executor = executor(log.clone());
    let made = Arc::new(AtomicUsize::new(0));
    let source = PublicSource::new("bank.public", log, keyring(), Counting(made.clone()));
    let deposit = async |cents| {
        executor.run(&cx(&executor), &Deposit { account: account(1), cents }).await.unwrap();
    };
    let read = async |after: u64, limit| {
        let batch = source.read(Position(after), limit).await.unwrap();
        (batch.events.iter().map(|event| event.position.0).collect::<Vec<_>>(), batch.upto.0)
    };
    for cents in 1..=5 {
        deposit(cents).await;
    }
    // One that begins in the middle, and others that come to the same places in steps of their own.
    assert_eq!(read(2, 100).await, (vec![4], 5));
    assert_eq!(made.load(Ordering::Relaxed), 3);
    assert_eq!(read(3, 1).await, (vec![4], 5));
    assert_eq!(read(4, 100).await, (vec![], 5));
    assert_eq!(read(5, 100).await, (vec![], 5));
    assert_eq!(made.load(Ordering::Relaxed), 3);
    for cents in 6..=9 {
        deposit(cents).await;
    }
    for _ in 0..2 {
        assert_eq!(read(5, 100).await, (vec![6, 8], 9));
        assert_eq!(read(3, 2).await, (vec![4, 6], 6));
        assert_eq!(read(6, 100).await, (vec![8], 9));
    }
    assert_eq!(made.load(Ordering::Relaxed), 7);
    // Somebody who reads everything anew disturbs nobody.
    assert_eq!(read(0, 4).await, (vec![2, 4], 4));
    assert_eq!(made.load(Ordering::Relaxed), 11);
    deposit(10).await;
    assert_eq!(read(7, 100).await, (vec![8], 9));
    assert_eq!(read(9, 100).await, (vec![10], 10));
    assert_eq!(read(9, 100).await, (vec![10], 10));
    assert_eq!(made.load(Ordering::Relaxed), 12);
}
