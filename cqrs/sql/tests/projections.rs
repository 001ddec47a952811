//! Views are functions of the log: in batches, past crashes, beside the live one, under load.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{AccountEvent, Balances, Poison, balances, bank, deposit, expected, happen, reopened};
use cqrs_core::testing::keyring;
use cqrs_core::{
    Batch, Clock as _, EventHandler as _, EventSource, LogSource, Position, Projection, RecordedEvent,
    RowExt as _, RunMode, StoreError, SystemClock, params,
};
use cqrs_sql::{Location, Projecting, RebuildError, ServiceStore};
use tokio::sync::watch;
use uuid::Uuid;

on_both_stores![
    a_view_is_the_fold_of_its_log,
    a_batch_and_its_place_are_one_transaction,
    before_an_event_that_cannot_be_taken_in_the_view_stands_and_holds_everything_up_to_there,
    a_view_of_another_version_starts_anew,
    a_view_filled_from_another_epoch_is_an_error_until_it_is_rebuilt,
    a_rebuild_under_writes_equals_the_live_view,
    a_rebuild_that_was_interrupted_goes_on,
    another_process_notices_that_a_view_was_swapped,
    two_processes_that_keep_one_view_take_each_event_in_once,
    the_event_bus_keeps_the_views_up_to_date,
];

fn projecting(store: &ServiceStore) -> Projecting {
    let projection = store.views.projections()[0].clone();
    Projecting::new(projection, store.views.clone(), keyring(), &[store.source()])
}

async fn a_view_is_the_fold_of_its_log(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared()]).await else { return };
    // More statements than one batch of the driver's, whose order shows in the view.
    for n in 0..700 {
        deposit(&bank.store, n % 7, n as i64).await;
    }
    bank.project(&[]).await.unwrap();
    assert_eq!(balances(&bank.store.views).await, expected(&bank.store).await);
    let handler = projecting(&bank.store);
    assert_eq!(handler.place("bank").await.unwrap(), Position(700));
    // Again from where it is: nothing changes.
    bank.project(&[]).await.unwrap();
    assert_eq!(balances(&bank.store.views).await, expected(&bank.store).await);
}

async fn a_batch_and_its_place_are_one_transaction(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared()]).await else { return };
    for n in 1..=10 {
        deposit(&bank.store, 1, n).await;
    }
    let source = bank.store.source();
    let batch = source.read(Position(0), 10).await.unwrap();
    let (one, other) = (projecting(&bank.store), projecting(&bank.store));
    // Both believe to be at the beginning and take the batch in at once, as two processes might.
    let (a, b) = tokio::join!(one.handle("bank", &batch, None), other.handle("bank", &batch, None));
    for result in [a, b] {
        assert!(result.is_ok() || result.as_ref().is_err_and(|error| error.moved), "{result:?}");
    }
    assert_eq!(balances(&bank.store.views).await, expected(&bank.store).await);
    assert_eq!(one.place("bank").await.unwrap(), Position(10));
}

async fn before_an_event_that_cannot_be_taken_in_the_view_stands_and_holds_everything_up_to_there(
    postgres: bool,
) {
    for poison in [Poison::Panic, Poison::BadSql, Poison::NoSuchTable] {
        let projection: Arc<dyn Projection> = Arc::new(Balances { version: 1, poison });
        let Some(bank) = bank(postgres, vec![projection]).await else { return };
        for n in 1..=20 {
            deposit(&bank.store, n % 3, n as i64).await;
        }
        let good = expected(&bank.store).await;
        happen(&bank.store, 1, AccountEvent::Poisoned {}).await;
        for n in 1..=20 {
            deposit(&bank.store, n % 3, n as i64).await;
        }
        for _ in 0..2 {
            let error = bank.project(&[]).await.unwrap_err();
            assert_eq!((error.at, error.passing, error.moved), (Position(21), false, false), "{error}");
            assert_eq!(projecting(&bank.store).place("bank").await.unwrap(), Position(20));
            assert_eq!(balances(&bank.store.views).await, good, "{poison:?}");
        }
        // With a projection that can take it in, it goes on from there.
        let mended = reopened(&bank, vec![Balances::shared()]).await;
        mended.project(&[]).await.unwrap();
        assert_eq!(balances(&mended.store.views).await, expected(&bank.store).await);
    }
}

async fn a_view_of_another_version_starts_anew(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared()]).await else { return };
    deposit(&bank.store, 1, 5).await;
    deposit(&bank.store, 2, 6).await;
    bank.project(&[]).await.unwrap();
    assert_eq!(balances(&bank.store.views).await.len(), 2);
    let next: Arc<dyn Projection> = Arc::new(Balances { version: 2, poison: Poison::PassOver });
    let upgraded = reopened(&bank, vec![next]).await;
    assert_eq!(balances(&upgraded.store.views).await, []);
    assert_eq!(projecting(&upgraded.store).place("bank").await.unwrap(), Position(0));
    upgraded.project(&[]).await.unwrap();
    assert_eq!(balances(&upgraded.store.views).await, expected(&bank.store).await);
    // The process of the version before doesn't write into tables that it doesn't know.
    deposit(&bank.store, 3, 7).await;
    assert!(bank.project(&[]).await.is_err());
    upgraded.project(&[]).await.unwrap();
    assert_eq!(balances(&upgraded.store.views).await, expected(&bank.store).await);
}

/// A source with another epoch, as after the log was restored from a backup.
struct Restored(Arc<dyn EventSource>);

#[async_trait::async_trait]
impl EventSource for Restored {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn epoch(&self) -> Uuid {
        Uuid::from_u128(99)
    }
    async fn read(&self, after: Position, limit: usize) -> Result<Batch, StoreError> {
        // The backup was taken after the second event.
        let mut batch = self.0.read(after, limit).await?;
        batch.events.retain(|event: &Arc<RecordedEvent>| event.position <= Position(2));
        batch.upto = batch.events.last().map_or(after, |last| last.position);
        Ok(batch)
    }
    fn head(&self) -> watch::Receiver<Position> {
        watch::channel(Position(2)).1
    }
}

async fn a_view_filled_from_another_epoch_is_an_error_until_it_is_rebuilt(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared()]).await else { return };
    for n in 1..=4 {
        deposit(&bank.store, n, 5).await;
    }
    bank.project(&[]).await.unwrap();
    let restored: Arc<dyn EventSource> = Arc::new(Restored(bank.store.source()));
    let projection = bank.store.views.projections()[0].clone();
    let handler =
        Projecting::new(projection, bank.store.views.clone(), keyring(), std::slice::from_ref(&restored));
    let error = handler.place("bank").await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(detail) if detail.contains("epoch")), "{error}");
    assert_eq!(balances(&bank.store.views).await.len(), 4, "nothing was changed");

    // It ends, although the view before had come further in the log of the other epoch.
    bank.store.views.rebuild("balances", &[restored], &keyring(), |_| {}).await.unwrap();
    assert_eq!(handler.place("bank").await.unwrap(), Position(2));
    assert_eq!(balances(&bank.store.views).await.len(), 2);
}

/// Keeps the views until told to stop.
fn keep(store: &ServiceStore) -> (watch::Sender<bool>, tokio::task::JoinHandle<()>, cqrs_core::EventBus) {
    let bus = store.subscribe_projections(&[]).build().unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn({
        let bus = bus.clone();
        async move { bus.run(stopped, RunMode::Follow).await }
    });
    (stop, running, bus)
}

async fn caught_up(bus: &cqrs_core::EventBus, place: u64) {
    let mut position = bus.position("balances", "bank").unwrap();
    position.wait_for(|position| position.0 >= place).await.unwrap();
}

/// What a rebuilt view's swap and a query do to each other on PostgreSQL, each holding what the other waits for.
#[tokio::test]
async fn a_query_that_a_swap_crosses_is_asked_again() {
    let Some(bank) = bank(true, vec![Balances::shared()]).await else { return };
    let [_, views] = bank.schemas() else { unreachable!("a schema for the log, one for the views") };
    let Ok(Location::Postgres { schema, .. }) = views.from_another_process(1) else {
        unreachable!("it lies there")
    };
    deposit(&bank.store, 1, 5).await;
    bank.project(&[]).await.unwrap();

    // The lock's number belongs to the database, which other tests share.
    let number = i64::from_be_bytes(SystemClock.fresh_id().as_bytes()[8..].try_into().unwrap());
    let (swap, watching) = (common::postgres().await, common::postgres().await);
    // The query notices first that the two wait for each other.
    swap.batch_execute("SET deadlock_timeout = '1min'; BEGIN").await.unwrap();
    swap.execute("SELECT pg_advisory_xact_lock($1)", &[&number]).await.unwrap();
    let query = tokio::spawn({
        let views = bank.store.views.clone();
        async move {
            let sql = "SELECT deposits FROM {p}balances WHERE pg_advisory_xact_lock(?1) IS NOT NULL";
            views.query("balances", sql, params![number], |row| row.get::<i64>(0)).await
        }
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                   AND (classid::bigint << 32) | objid::bigint = $1";
    let waiting = async {
        while watching.query_one(waits, &[&number]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the query waits");
    swap.batch_execute(&format!("LOCK TABLE {schema}.g1_balances; COMMIT")).await.unwrap();
    assert_eq!(query.await.unwrap().unwrap(), [1]);
}

async fn a_rebuild_under_writes_equals_the_live_view(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared()]).await else { return };
    let (stop, running, bus) = keep(&bank.store);
    let rebuilt = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, rebuilt) = (bank.store.clone(), rebuilt.clone());
            tokio::spawn(async move {
                let mut written = 0;
                while written < 150 || !rebuilt.load(Ordering::SeqCst) {
                    written += 1;
                    deposit(&store, writer * 2 + u128::from(written % 2 == 0), written).await;
                }
                written as u64
            })
        })
        .collect();
    // A reader that must never see a view go back or away.
    let reader = tokio::spawn({
        let (views, rebuilt) = (bank.store.views.clone(), rebuilt.clone());
        async move {
            let mut before = 0;
            while !rebuilt.load(Ordering::SeqCst) {
                let deposits = balances(&views).await.iter().map(|balance| balance.deposits).sum();
                assert!(deposits >= before, "{deposits} after {before}");
                before = deposits;
            }
        }
    });
    caught_up(&bus, 100).await;
    for _ in 0..3 {
        let mut last = None;
        bank.store
            .views
            .rebuild("balances", &[bank.store.source()], &keyring(), |progress| last = Some(progress))
            .await
            .unwrap();
        let progress = last.unwrap();
        assert!(progress.done >= 100 && progress.total >= 100, "{progress:?}");
    }
    rebuilt.store(true, Ordering::SeqCst);
    reader.await.unwrap();
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    caught_up(&bus, written).await;
    assert_eq!(balances(&bank.store.views).await, expected(&bank.store).await);
    stop.send(true).unwrap();
    running.await.unwrap();
}

/// A source that fails once so many events were read from it.
struct Failing(LogSource, u64);

#[async_trait::async_trait]
impl EventSource for Failing {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn epoch(&self) -> Uuid {
        self.0.epoch()
    }
    async fn read(&self, after: Position, _: usize) -> Result<Batch, StoreError> {
        if after.0 >= self.1 {
            return Err(StoreError::Unavailable("killed".to_owned()));
        }
        self.0.read(after, 10).await
    }
    fn head(&self) -> watch::Receiver<Position> {
        self.0.head()
    }
}

async fn a_rebuild_that_was_interrupted_goes_on(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared()]).await else { return };
    for n in 0..60 {
        deposit(&bank.store, n % 4, n as i64).await;
    }
    bank.project(&[]).await.unwrap();
    let live = balances(&bank.store.views).await;
    let failing: Arc<dyn EventSource> = Arc::new(Failing(LogSource(bank.store.log.clone()), 30));
    let killed = bank.store.views.rebuild("balances", &[failing], &keyring(), |_| {}).await;
    assert!(matches!(killed, Err(RebuildError::Store(StoreError::Unavailable(_)))), "{killed:?}");
    assert_eq!(balances(&bank.store.views).await, live, "the live view stays");

    // Another process goes on with it.
    let other = reopened(&bank, vec![Balances::shared()]).await;
    let mut first = None;
    other
        .store
        .views
        .rebuild("balances", &[other.store.source()], &keyring(), |progress| {
            first.get_or_insert(progress);
        })
        .await
        .unwrap();
    assert_eq!(first.unwrap().done, 60, "30 were there, the other 30 came in one step");
    assert_eq!(balances(&other.store.views).await, live);
    let unknown = other.store.views.rebuild("nothing", &[], &keyring(), |_| {}).await;
    assert!(matches!(unknown, Err(RebuildError::NoSuchView(name)) if name == "nothing"));
}

async fn another_process_notices_that_a_view_was_swapped(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared()]).await else { return };
    deposit(&bank.store, 1, 5).await;
    bank.project(&[]).await.unwrap();
    let other = reopened(&bank, vec![Balances::shared()]).await;
    other.store.views.rebuild("balances", &[other.store.source()], &keyring(), |_| {}).await.unwrap();
    assert_eq!(balances(&bank.store.views).await, expected(&bank.store).await);
    deposit(&bank.store, 2, 6).await;
    bank.project(&[]).await.unwrap();
    assert_eq!(balances(&other.store.views).await, expected(&bank.store).await);
}

async fn two_processes_that_keep_one_view_take_each_event_in_once(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared()]).await else { return };
    if !postgres {
        return; // One process has a SQLite store.
    }
    let other = reopened(&bank, vec![Balances::shared()]).await;
    let (keeping, keeping_too) = (keep(&bank.store), keep(&other.store));
    for n in 0..200 {
        let store = if n % 2 == 0 { &bank.store } else { &other.store };
        deposit(store, n % 5, n as i64).await;
    }
    caught_up(&keeping.2, 200).await;
    caught_up(&keeping_too.2, 200).await;
    assert_eq!(balances(&bank.store.views).await, expected(&bank.store).await);
    for (stop, running, _) in [keeping, keeping_too] {
        stop.send(true).unwrap();
        running.await.unwrap();
    }
}

async fn the_event_bus_keeps_the_views_up_to_date(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared()]).await else { return };
    for round in 1..=3 {
        let (stop, running, bus) = keep(&bank.store);
        for n in 0..30 {
            deposit(&bank.store, n % 5, n as i64).await;
        }
        caught_up(&bus, round * 30).await;
        assert_eq!(balances(&bank.store.views).await, expected(&bank.store).await);
        stop.send(true).unwrap();
        running.await.unwrap();
    }
}
