//! What a reactor can't handle is set aside with what follows in its stream, and the rest goes on.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::{bank, deposit};
use cqrs_core::testing::keyring;
use cqrs_core::{
    EventBus, Failure, Fence, ForeignRecord, Incoming, LeaseStore as _, Log as _, Park as _, ParkStore as _,
    Parked, Place, PlaceError, PlaceStore, Position, Reactor, RunMode,
};
use cqrs_sql::ServiceStore;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

on_both_stores![
    an_event_that_cannot_be_handled_waits_with_its_stream_and_others_go_on,
    what_is_tried_again_comes_in_order_and_what_still_fails_stays,
    who_asks_while_it_is_being_tried_has_it_tried_once_more,
    what_is_parked_after_somebody_asked_is_tried_with_it,
    giving_up_an_event_lets_those_behind_it_through,
    a_holder_past_its_time_parks_nothing,
    a_foreign_record_is_kept_once_and_can_be_let_go_of,
];

/// What the reactor made of which deposit, and which it can't handle.
#[derive(Default)]
struct Paid {
    done: Mutex<Vec<u64>>,
    refused: Mutex<Vec<u64>>,
    /// Where it stands still before it refuses: it tells that it got there, and goes on when told to.
    held: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
}

struct Paying(Arc<Paid>);

#[async_trait]
impl Reactor for Paying {
    fn name(&self) -> &'static str {
        "paying"
    }
    fn sources(&self) -> &'static [&'static str] {
        &["bank"]
    }
    async fn react(&self, event: &Incoming<'_>) -> Result<(), Failure> {
        let position = event.meta.position.0;
        if self.0.refused.lock().contains(&position) {
            let held = self.0.held.lock().take();
            if let Some((there, go_on)) = held {
                let _ = there.send(());
                let _ = go_on.await;
            }
            return Err(Failure::Internal(format!("no idea what to make of {position}\0")));
        }
        self.0.done.lock().push(position);
        Ok(())
    }
}

struct Running {
    paid: Arc<Paid>,
    _stop: watch::Sender<bool>,
}

/// Runs a reactor that can't handle the events at these positions.
fn run(store: &ServiceStore, refused: &[u64]) -> Running {
    let paid = Arc::new(Paid { refused: Mutex::new(refused.to_vec()), ..Paid::default() });
    let places: Arc<dyn PlaceStore> = store.log.clone();
    let bus = EventBus::builder()
        .source(store.source())
        .react(Paying(paid.clone()), places, keyring())
        .build()
        .unwrap();
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move { bus.run(stopped, RunMode::Follow).await });
    Running { paid, _stop: stop }
}

impl Running {
    fn done(&self) -> Vec<u64> {
        self.paid.done.lock().clone()
    }
}

/// The positions of what is parked, in the order in which it was, once there are as many.
async fn parked(store: &ServiceStore, count: usize) -> Vec<Parked> {
    let wait = async {
        loop {
            let found = store.log.parked().await.unwrap();
            if found.len() == count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("as many are parked")
}

fn positions(parked: &[Parked]) -> Vec<u64> {
    parked.iter().map(|parked| parked.position.0).collect()
}

/// Six deposits, by turns to two accounts: the odd positions are the first one's.
async fn six(store: &ServiceStore) {
    for n in 0..6 {
        deposit(store, 1 + n % 2, 10).await;
    }
}

async fn an_event_that_cannot_be_handled_waits_with_its_stream_and_others_go_on(postgres: bool) {
    let Some(bank) = bank(postgres, vec![]).await else { return };
    six(&bank.store).await;
    let first = run(&bank.store, &[3]);
    let waiting = parked(&bank.store, 2).await;
    assert_eq!(positions(&waiting), [3, 5]);
    assert_eq!(first.done(), [1, 2, 4, 6]);
    assert_eq!(waiting[0].consumer.as_deref(), Some("paying"));
    assert_eq!(waiting[0].stream, Some(Uuid::from_u128(1)));
    assert_eq!((waiting[0].source.as_str(), waiting[0].name.as_str()), ("bank", "account.deposited"));
    assert_eq!(waiting[0].reason, "internal error: no idea what to make of 3");
    assert!(waiting[1].reason.contains("earlier event of its stream"), "{}", waiting[1].reason);
    drop(first);

    // Another process knows which streams wait.
    let second = run(&bank.store, &[]);
    deposit(&bank.store, 1, 10).await;
    deposit(&bank.store, 2, 10).await;
    assert_eq!(positions(&parked(&bank.store, 3).await), [3, 5, 7]);
    let wait = async {
        while second.done() != [8] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the other stream goes on");
}

async fn what_is_tried_again_comes_in_order_and_what_still_fails_stays(postgres: bool) {
    let Some(bank) = bank(postgres, vec![]).await else { return };
    six(&bank.store).await;
    let running = run(&bank.store, &[1, 3]);
    let waiting = parked(&bank.store, 3).await;
    assert_eq!(positions(&waiting), [1, 3, 5]);

    // The first is mended, the second isn't.
    *running.paid.refused.lock() = vec![3];
    assert!(bank.store.log.retry(waiting[0].id).await.unwrap());
    let waiting = parked(&bank.store, 2).await;
    assert_eq!(positions(&waiting), [3, 5]);
    assert_eq!(running.done(), [2, 4, 6, 1]);

    running.paid.refused.lock().clear();
    // Whichever of the stream is named, all of it is tried, from its beginning.
    assert!(bank.store.log.retry(waiting[1].id).await.unwrap());
    parked(&bank.store, 0).await;
    assert_eq!(running.done(), [2, 4, 6, 1, 3, 5]);
    assert!(!bank.store.log.retry(waiting[1].id).await.unwrap());
}

async fn who_asks_while_it_is_being_tried_has_it_tried_once_more(postgres: bool) {
    let Some(bank) = bank(postgres, vec![]).await else { return };
    six(&bank.store).await;
    let running = run(&bank.store, &[3]);
    let waiting = parked(&bank.store, 2).await;

    let (there, is_there) = oneshot::channel();
    let (go_on, goes_on) = oneshot::channel();
    *running.paid.held.lock() = Some((there, goes_on));
    assert!(bank.store.log.retry(waiting[0].id).await.unwrap());
    is_there.await.unwrap();
    // It will fail for a cause that is gone by now.
    running.paid.refused.lock().clear();
    assert!(bank.store.log.retry(waiting[0].id).await.unwrap());
    go_on.send(()).unwrap();
    parked(&bank.store, 0).await;
    assert_eq!(running.done(), [1, 2, 4, 6, 3, 5]);
}

async fn what_is_parked_after_somebody_asked_is_tried_with_it(postgres: bool) {
    let Some(bank) = bank(postgres, vec![]).await else { return };
    six(&bank.store).await;
    let running = run(&bank.store, &[3]);
    let waiting = parked(&bank.store, 2).await;
    drop(running);
    assert!(bank.store.log.retry(waiting[0].id).await.unwrap());
    // Nobody runs the reactor; another of the stream is parked behind it, as by a holder that hasn't looked yet.
    deposit(&bank.store, 1, 10).await;
    let log = &bank.store.log;
    let event = log.read(Position(6), 1).await.unwrap().remove(0);
    let place = Place { position: Position(7), epoch: log.epoch() };
    log.park_event("paying", "bank", &event, "behind it", place, None).await.unwrap();
    let asked: Vec<_> = log.to_retry("paying", "bank").await.unwrap();
    assert_eq!(positions(&asked), [3, 5, 7]);
}

async fn giving_up_an_event_lets_those_behind_it_through(postgres: bool) {
    let Some(bank) = bank(postgres, vec![]).await else { return };
    six(&bank.store).await;
    let running = run(&bank.store, &[1]);
    let waiting = parked(&bank.store, 3).await;
    assert!(bank.store.log.give_up(waiting[0].id).await.unwrap());
    parked(&bank.store, 0).await;
    assert_eq!(running.done(), [2, 4, 6, 3, 5]);
    assert!(!bank.store.log.give_up(waiting[0].id).await.unwrap());
}

async fn a_holder_past_its_time_parks_nothing(postgres: bool) {
    let Some(bank) = bank(postgres, vec![]).await else { return };
    if !postgres {
        // One process has the store, and nobody takes its leases over.
        return;
    }
    deposit(&bank.store, 1, 10).await;
    let log = &bank.store.log;
    let event = log.read(Position(0), 1).await.unwrap().remove(0);
    let fence = log.acquire("paying", Uuid::from_u128(1), Duration::from_mins(1)).await.unwrap().unwrap();
    let place = Place { position: Position(1), epoch: log.epoch() };
    let late = log.park_event("paying", "bank", &event, "late", place, Some(Fence(fence.0 + 1))).await;
    assert!(matches!(late, Err(PlaceError::LeaseLost)), "{late:?}");
    assert_eq!(log.load("paying", "bank").await.unwrap(), None);
    assert_eq!(log.parked().await.unwrap(), []);

    log.park_event("paying", "bank", &event, "in time", place, Some(fence)).await.unwrap();
    assert_eq!(log.load("paying", "bank").await.unwrap(), Some(place));
    // After an answer that was lost on its way.
    log.park_event("paying", "bank", &event, "again", place, Some(fence)).await.unwrap();
    assert_eq!(log.parked().await.unwrap().len(), 1);
}

async fn a_foreign_record_is_kept_once_and_can_be_let_go_of(postgres: bool) {
    let Some(bank) = bank(postgres, vec![]).await else { return };
    let log = &bank.store.log;
    let record = ForeignRecord {
        topic: "parlor.chat.v1".to_owned(),
        partition: 3,
        offset: 77,
        key: Some(vec![0, 255]),
        headers: vec![("ce_type".to_owned(), Some(b"who.knows\0".to_vec())), ("empty".to_owned(), None)],
        value: Some(vec![0xff, 0]),
        reason: "the type \"who.knows\" is none of ours".to_owned(),
    };
    log.park(&record).await.unwrap();
    log.park(&record).await.unwrap();
    let kept = log.parked().await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].consumer.as_deref(), kept[0].position), (None, Position(77)));
    assert_eq!(kept[0].source, "parlor.chat.v1/3");
    assert!(!log.retry(kept[0].id).await.unwrap(), "there is nobody to try it");
    assert!(log.give_up(kept[0].id).await.unwrap());
    assert_eq!(log.parked().await.unwrap(), []);
}
