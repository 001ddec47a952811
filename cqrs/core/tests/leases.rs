//! Of several processes one runs what must run once; another takes over when it stops, dies or is held up.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use common::{Deposit, Spy, account, cx, executor};
use cqrs_core::testing::keyring;
use cqrs_core::{
    Batch, EventBus, EventSource, Executor, Failure, Fence, Incoming, LeaseStore, Log as _, LogSource,
    MemoryLog, Place, PlaceError, PlaceStore, Position, Reactor, RunMode, StoreError,
};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

/// What all processes share: a log, and the store of places and leases.
struct World {
    spy: Arc<Spy>,
    executor: Executor,
    places: Arc<MemoryLog>,
    /// Which process reacted to which event.
    seen: Arc<Mutex<Vec<(u8, u64)>>>,
}

/// Notes what it sees, once its gate is open.
struct Noting {
    process: u8,
    seen: Arc<Mutex<Vec<(u8, u64)>>>,
    gate: watch::Receiver<bool>,
}

#[async_trait]
impl Reactor for Noting {
    fn name(&self) -> &'static str {
        "noting"
    }
    fn sources(&self) -> &'static [&'static str] {
        &["bank"]
    }
    async fn react(&self, event: &Incoming<'_>) -> Result<(), Failure> {
        let _ = self.gate.clone().wait_for(|open| *open).await;
        self.seen.lock().push((self.process, event.meta.position.0));
        Ok(())
    }
}

/// A process with its bus at work.
struct Process {
    bus: EventBus,
    gate: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    /// Its way to the store of leases; one that is cut doesn't answer.
    line: Arc<Line>,
}

/// A process's connection to the store of places.
struct Line {
    places: Arc<MemoryLog>,
    cut: AtomicBool,
    /// What became of the places that it moved.
    refused: Mutex<Vec<Position>>,
}

impl Line {
    async fn whole(&self) {
        if self.cut.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl LeaseStore for Line {
    async fn acquire(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<Fence>, StoreError> {
        self.whole().await;
        self.places.acquire(name, holder, ttl).await
    }
    async fn renew(&self, name: &str, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        self.whole().await;
        self.places.renew(name, fence, ttl).await
    }
    async fn release(&self, name: &str, fence: Fence) -> Result<(), StoreError> {
        self.places.release(name, fence).await
    }
}

#[async_trait]
impl PlaceStore for Line {
    async fn load(&self, consumer: &str, source: &str) -> Result<Option<Place>, StoreError> {
        self.places.load(consumer, source).await
    }
    async fn save(
        &self,
        consumer: &str,
        source: &str,
        place: Place,
        fence: Option<Fence>,
    ) -> Result<(), PlaceError> {
        let saved = self.places.save(consumer, source, place, fence).await;
        if matches!(saved, Err(PlaceError::LeaseLost)) {
            self.refused.lock().push(place.position);
        }
        saved
    }
    async fn forget(&self, consumer: &str) -> Result<(), StoreError> {
        self.places.forget(consumer).await
    }
}

impl World {
    fn new() -> Self {
        let spy = Spy::new();
        let executor = executor(spy.clone());
        Self { executor, places: Arc::new(MemoryLog::new("places")), spy, seen: Arc::default() }
    }

    /// Starts process `n`.
    fn start(&self, n: u8, mode: RunMode) -> Process {
        let (gate, open) = watch::channel(true);
        let places = self.places.clone();
        let line = Arc::new(Line { places, cut: AtomicBool::new(false), refused: Mutex::default() });
        let noting = Noting { process: n, seen: self.seen.clone(), gate: open };
        let bus = EventBus::builder()
            .react(noting, line.clone(), keyring())
            .source(Arc::new(LogSource(self.spy.clone())))
            .holder(Uuid::from_u128(n.into()))
            .build()
            .unwrap();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn({
            let bus = bus.clone();
            async move { bus.run(stopped, mode).await }
        });
        Process { bus, gate, stop, running, line }
    }

    async fn deposit(&self, times: u64) {
        for _ in 0..times {
            self.executor.run(&cx(&self.executor), &Deposit { account: account(1), cents: 1 }).await.unwrap();
        }
    }

    /// Which process reacted to each event, in order; each event has to be there once.
    fn reacted(&self) -> Vec<u8> {
        let seen = self.seen.lock();
        assert!(seen.iter().map(|(_, position)| *position).eq(1..=seen.len() as u64), "{seen:?}");
        seen.iter().map(|(process, _)| *process).collect()
    }
}

impl Process {
    /// Waits until what is to be seen in this process has come so far; how long that took.
    async fn reaches(&self, position: u64) -> Duration {
        let begun = Instant::now();
        let mut at = self.bus.position("noting", "bank").unwrap();
        let reached = at.wait_for(|at| at.0 >= position);
        tokio::time::timeout(Duration::from_mins(1), reached).await.expect("it comes so far").unwrap();
        begun.elapsed()
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.running.await.unwrap();
    }
}

// Time is the test's own in all of these: it moves on only when everybody waits.

#[tokio::test(start_paused = true)]
async fn of_two_processes_one_reacts_and_the_other_knows_how_far_it_is() {
    let world = World::new();
    let (one, two) = (world.start(1, RunMode::Follow), world.start(2, RunMode::Follow));
    world.deposit(20).await;
    let waited = one.reaches(20).await.max(two.reaches(20).await);
    assert!(waited < Duration::from_millis(100), "{waited:?}");
    let reacted = world.reacted();
    assert_eq!(reacted.len(), 20);
    assert!(reacted.iter().all(|process| *process == reacted[0]), "{reacted:?}");
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_stops_gives_its_lease_back_and_who_dies_loses_it_within_five_seconds() {
    let world = World::new();
    let one = world.start(1, RunMode::Follow);
    world.deposit(1).await;
    one.reaches(1).await;
    let (two, three) = (world.start(2, RunMode::Follow), world.start(3, RunMode::Follow));
    one.stop().await;
    world.deposit(1).await;
    let stopped = two.reaches(2).await;
    assert!(stopped <= Duration::from_secs(1), "{stopped:?}");

    let next = world.reacted()[1];
    let (holder, other) = if next == 2 { (two, three) } else { (three, two) };
    holder.running.abort();
    let _ = holder.running.await;
    world.deposit(1).await;
    let died = other.reaches(3).await;
    assert!(died > Duration::from_millis(1500) && died <= Duration::from_secs(5), "{died:?}");
    assert_ne!(world.reacted()[2], next);
    other.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_only_observes_takes_nothing_in() {
    let world = World::new();
    let observer = world.start(1, RunMode::Observe);
    world.deposit(3).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(world.reacted().is_empty());
    let follower = world.start(2, RunMode::Follow);
    observer.reaches(3).await;
    assert_eq!(world.reacted(), [2, 2, 2]);
    follower.stop().await;
    observer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_was_held_up_past_its_time_does_nothing_more() {
    let world = World::new();
    let one = world.start(1, RunMode::Follow);
    world.deposit(1).await;
    one.reaches(1).await;
    // In the middle of the second event it loses the store of leases, and then everything stands still for it.
    one.gate.send_replace(false);
    world.deposit(2).await;
    one.line.cut.store(true, Ordering::SeqCst);
    let two = world.start(2, RunMode::Follow);
    two.reaches(3).await;
    assert_eq!(world.reacted(), [1, 2, 2]);
    one.gate.send_replace(true);
    one.line.cut.store(false, Ordering::SeqCst);
    world.deposit(2).await;
    two.reaches(5).await;
    one.reaches(5).await;
    assert_eq!(world.reacted(), [1, 2, 2, 2, 2]);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_taken_away_keeps_its_holder_from_moving_its_place() {
    let world = World::new();
    let one = world.start(1, RunMode::Follow);
    world.deposit(1).await;
    one.reaches(1).await;
    one.gate.send_replace(false);
    world.deposit(1).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    // By its own clock it has time left; the store knows better.
    let fence = (1..10).map(Fence).find(|fence| {
        let renewing = world.places.renew("noting", *fence, Duration::ZERO);
        futures::FutureExt::now_or_never(renewing).unwrap().unwrap()
    });
    let taken = world.places.acquire("noting", Uuid::max(), Duration::from_secs(2)).await.unwrap();
    assert!(taken > fence, "{taken:?} after {fence:?}");
    one.gate.send_replace(true);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(*one.line.refused.lock(), [Position(2)]);
    let place = world.places.load("noting", "bank").await.unwrap();
    assert_eq!(place.map(|place| place.position), Some(Position(1)));
    // Once it is free again, it is the same process that goes on: the event a second time, for its effect is one.
    one.reaches(2).await;
    assert_eq!(*world.seen.lock(), [(1, 1), (1, 2), (1, 2)]);
    one.stop().await;
}

/// The same events as of another epoch, or of one that isn't known yet.
struct Elsewhere(LogSource, watch::Receiver<Uuid>);

#[async_trait]
impl EventSource for Elsewhere {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn epoch(&self) -> Uuid {
        *self.1.borrow()
    }
    async fn read(&self, after: Position, limit: usize) -> Result<Batch, StoreError> {
        let mut known = self.1.clone();
        let _ = known.wait_for(|epoch| !epoch.is_nil()).await;
        self.0.read(after, limit).await
    }
    fn head(&self) -> watch::Receiver<Position> {
        self.0.head()
    }
}

#[tokio::test(start_paused = true)]
async fn a_reactor_whose_source_was_restored_stands_still_and_says_what_to_do() {
    let world = World::new();
    let one = world.start(1, RunMode::Follow);
    world.deposit(2).await;
    one.reaches(2).await;
    one.stop().await;
    world.deposit(1).await;
    // Its epoch is learnt late, as that of a source far away.
    let (epoch, known) = watch::channel(Uuid::nil());
    let noting = Noting { process: 2, seen: world.seen.clone(), gate: watch::channel(true).1 };
    let bus = EventBus::builder()
        .react(noting, world.places.clone(), keyring())
        .source(Arc::new(Elsewhere(LogSource(world.spy.clone()), known)))
        .build()
        .unwrap();
    let (_stop, stopped) = watch::channel(false);
    let running = tokio::spawn({
        let bus = bus.clone();
        async move { bus.run(stopped, RunMode::Follow).await }
    });
    let mut place = bus.position("noting", "bank").unwrap();
    place.wait_for(|place| *place == Position(2)).await.unwrap();
    epoch.send_replace(Uuid::from_u128(99));
    let error = loop {
        if let Some(error) = bus.progress()[0].error.clone() {
            break error;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(error.contains("noting has come to 2 in another epoch of bank"), "{error}");
    assert!(error.contains("rebuild it, and it begins anew"), "{error}");
    assert_eq!(world.places.load("noting", "bank").await.unwrap().unwrap().epoch, world.spy.epoch());
    assert_eq!(world.reacted(), [1, 1], "what came of the other epoch isn't reacted to");
    world.places.forget("noting").await.unwrap();
    place.wait_for(|place| *place == Position(3)).await.unwrap();
    running.abort();
}
