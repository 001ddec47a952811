//! Event handlers: each follows on its own, stands where it fails, and resumes where it was.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use common::{AccountEvent, Deposit, Spy, account, cx, executor};
use cqrs_core::testing::keyring;
use cqrs_core::{
    Batch, EventBus, EventBusError, EventHandler, EventSource, Failure, Fence, Gather, HandlerError,
    Incoming, LogSource, MemoryLog, PlaceStore as _, Position, Reactor, RunMode, StoreError,
};
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

#[derive(Clone, Copy, PartialEq)]
enum Habit {
    Works,
    Fails,
    Panics,
}

/// Sums deposits; what it does at the event at position 3 is up to its habit, until it is mended.
struct Summing {
    name: &'static str,
    habit: Habit,
    mended: AtomicBool,
    place: AtomicU64,
    sum: AtomicU64,
}

impl Summing {
    fn new(name: &'static str, habit: Habit) -> Arc<Self> {
        let (mended, place, sum) = Default::default();
        Arc::new(Self { name, habit, mended, place, sum })
    }
}

#[async_trait]
impl EventHandler for Summing {
    fn name(&self) -> &'static str {
        self.name
    }
    fn sources(&self) -> &'static [&'static str] {
        &["bank"]
    }
    async fn place(&self, _: &'static str) -> Result<Position, StoreError> {
        Ok(Position(self.place.load(Ordering::SeqCst)))
    }
    async fn handle(&self, _: &'static str, batch: &Batch, _: Option<Fence>) -> Result<(), HandlerError> {
        for event in &batch.events {
            if event.position == Position(3) && !self.mended.load(Ordering::SeqCst) {
                match self.habit {
                    Habit::Works => {}
                    Habit::Fails => return Err(HandlerError::new(event.position, "no", false)),
                    Habit::Panics => panic!("on purpose"),
                }
            }
            match keyring().decode(event).await {
                Ok(AccountEvent::Deposited { cents }) => self.sum.fetch_add(cents, Ordering::SeqCst),
                other => panic!("{other:?}"),
            };
            self.place.store(event.position.0, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// Can't read its place until it is mended.
struct Forgetful(AtomicBool);

#[async_trait]
impl EventHandler for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }
    fn sources(&self) -> &'static [&'static str] {
        &["bank"]
    }
    async fn place(&self, _: &'static str) -> Result<Position, StoreError> {
        if self.0.load(Ordering::SeqCst) {
            return Ok(Position(0));
        }
        Err(StoreError::Unavailable("for now".to_owned()))
    }
    async fn handle(&self, _: &'static str, _: &Batch, _: Option<Fence>) -> Result<(), HandlerError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_standstill_is_over_once_its_cause_is_even_if_no_event_comes() {
    let handler = Arc::new(Forgetful(AtomicBool::new(false)));
    let bus = EventBus::builder()
        .subscribe(handler.clone())
        .source(Arc::new(LogSource(Spy::new())))
        .build()
        .unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn({
        let bus = bus.clone();
        async move { bus.run(stopped, RunMode::Follow).await }
    });
    let stands = async |expected: bool| {
        while bus.progress()[0].error.is_some() != expected {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    stands(true).await;
    handler.0.store(true, Ordering::SeqCst);
    stands(false).await;
    stop.send_replace(true);
    running.await.unwrap();
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_harms_no_other_and_goes_on_once_mended() {
    let spy = Spy::new();
    let executor = executor(spy.clone());
    let (fine, failing, panicking) = (
        Summing::new("fine", Habit::Works),
        Summing::new("failing", Habit::Fails),
        Summing::new("panicking", Habit::Panics),
    );
    let bus = EventBus::builder()
        .subscribe(failing.clone())
        .subscribe(panicking.clone())
        .subscribe(fine.clone())
        .source(Arc::new(LogSource(spy.clone())))
        .build()
        .unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn({
        let bus = bus.clone();
        async move { bus.run(stopped, RunMode::Follow).await }
    });
    for n in 0..6 {
        executor.run(&cx(&executor), &Deposit { account: account(n), cents: 1 << n }).await.unwrap();
    }
    let reaches = async |handler: &str, place| {
        bus.position(handler, "bank").unwrap().wait_for(|position| *position >= place).await.unwrap();
    };
    reaches("fine", Position(6)).await;
    for broken in ["failing", "panicking"] {
        reaches(broken, Position(2)).await;
        let progress = || bus.progress().into_iter().find(|progress| progress.handler == broken).unwrap();
        while progress().error.is_none() {
            tokio::task::yield_now().await;
        }
        let stands = progress();
        assert_eq!((stands.position, stands.head), (Position(2), Position(6)));
        assert!(stands.error.unwrap().starts_with("at 3"), "{broken}");
    }
    for broken in [&failing, &panicking] {
        broken.mended.store(true, Ordering::SeqCst);
    }
    reaches("failing", Position(6)).await;
    reaches("panicking", Position(6)).await;
    for handler in [&fine, &failing, &panicking] {
        assert_eq!(handler.sum.load(Ordering::SeqCst), 63, "each event once");
    }
    assert!(bus.progress().iter().all(|progress| progress.error.is_none()));
    stop.send(true).unwrap();
    running.await.unwrap();
}

#[test]
fn a_list_of_event_handlers_that_is_wrong_is_an_error_that_names_the_handler() {
    let one = || Summing::new("one", Habit::Works);
    let twice =
        EventBus::builder().subscribe(one()).subscribe(one()).source(Arc::new(LogSource(Spy::new()))).build();
    assert_eq!(twice.err(), Some(EventBusError::SameName("one")));
    let astray = EventBus::builder().subscribe(one()).build();
    assert_eq!(astray.err(), Some(EventBusError::NoSource { handler: "one", source_name: "bank" }));
}

/// Runs the bus until a handler has come so far, and stops it.
async fn run_to(bus: &EventBus, handler: &str, position: u64) {
    let (stop, stopped) = watch::channel(false);
    let mut reached = bus.position(handler, "bank").expect("it follows the bank");
    let arriving = async {
        reached.wait_for(|reached| reached.0 == position).await.expect("the bus runs");
        stop.send(true).expect("the bus listens");
    };
    tokio::join!(bus.run(stopped, RunMode::Follow), arriving);
}

/// Notes which events it saw; may be told to be unavailable for some.
#[derive(Clone, Default)]
struct Noting {
    seen: Arc<Mutex<Vec<u64>>>,
    stumbles: Arc<Mutex<Vec<u64>>>,
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
        let position = event.meta.position.0;
        let mut stumbles = self.stumbles.lock();
        if let Some(found) = stumbles.iter().position(|stumble| *stumble == position) {
            stumbles.remove(found);
            return Err(Failure::Unavailable("for a moment".to_owned()));
        }
        self.seen.lock().push(position);
        Ok(())
    }
}

#[tokio::test]
async fn a_reactor_resumes_where_it_was_and_tries_again_what_may_pass() {
    let spy = Spy::new();
    let places = Arc::new(MemoryLog::new("places"));
    let executor = executor(spy.clone());
    let noting = Noting::default();
    noting.stumbles.lock().extend([2, 2, 5]);
    let mut deposited = 0;
    for round in [3, 6] {
        while deposited < round {
            deposited += 1;
            executor.run(&cx(&executor), &Deposit { account: account(1), cents: 1 }).await.unwrap();
        }
        let bus = EventBus::builder()
            .react(noting.clone(), places.clone(), keyring())
            .source(Arc::new(LogSource(spy.clone())))
            .build()
            .unwrap();
        run_to(&bus, "noting", round).await;
        let place = places.load("noting", "bank").await.unwrap();
        assert_eq!(place.map(|place| place.position), Some(Position(round)));
    }
    assert_eq!(*noting.seen.lock(), [1, 2, 3, 4, 5, 6]);
}

/// Reacts in two streams at once. The first event waits for one of another stream behind it; the fourth is refused for a moment.
struct Crossing {
    places: Arc<MemoryLog>,
    crossed: tokio::sync::Notify,
    seen: Arc<Mutex<Vec<u64>>>,
    /// Where the place was whenever the fourth event was tried.
    place_then: Arc<Mutex<Vec<u64>>>,
}

#[async_trait]
impl Reactor for Crossing {
    fn name(&self) -> &'static str {
        "crossing"
    }
    fn sources(&self) -> &'static [&'static str] {
        &["bank"]
    }
    fn concurrency(&self) -> usize {
        2
    }
    async fn react(&self, event: &Incoming<'_>) -> Result<(), Failure> {
        let position = event.meta.position.0;
        match position {
            1 => self.crossed.notified().await,
            3 => self.crossed.notify_one(),
            4 => {
                let place = self.places.load("crossing", "bank").await?.map_or(0, |place| place.position.0);
                let tries = {
                    let mut places = self.place_then.lock();
                    places.push(place);
                    places.len()
                };
                if tries == 1 {
                    return Err(Failure::Unavailable("for a moment".to_owned()));
                }
            }
            _ => {}
        }
        self.seen.lock().push(position);
        Ok(())
    }
}

#[tokio::test]
async fn a_reactor_may_react_in_several_streams_at_once_and_its_place_waits_for_all_of_them() {
    let spy = Spy::new();
    let executor = executor(spy.clone());
    for owner in [1, 1, 2, 2, 1] {
        executor.run(&cx(&executor), &Deposit { account: account(owner), cents: 1 }).await.unwrap();
    }
    let places = Arc::new(MemoryLog::new("places"));
    let (seen, place_then) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let crossing = Crossing {
        places: places.clone(),
        crossed: tokio::sync::Notify::new(),
        seen: seen.clone(),
        place_then: place_then.clone(),
    };
    let bus = EventBus::builder()
        .react(crossing, places.clone(), keyring())
        .source(Arc::new(LogSource(spy)))
        .build()
        .unwrap();
    run_to(&bus, "crossing", 5).await;
    let seen = seen.lock().clone();
    let of = |stream: [u64; 2]| -> Vec<u64> {
        seen.iter().copied().filter(|position| stream.contains(position)).collect()
    };
    assert_eq!((seen[0], of([1, 2]), of([3, 4])), (3, vec![1, 2], vec![3, 4]), "{seen:?}");
    // However far the other stream was: what is before the refused event was behind the place, and nothing after.
    assert_eq!(*place_then.lock(), [0, 3]);
    assert_eq!(places.load("crossing", "bank").await.unwrap().map(|place| place.position), Some(Position(5)));
}

/// A source that can't be read at one place the first time.
struct Rough {
    log: LogSource,
    at: Position,
    stumbled: AtomicBool,
}

#[async_trait]
impl EventSource for Rough {
    fn name(&self) -> &'static str {
        self.log.name()
    }
    fn epoch(&self) -> Uuid {
        self.log.epoch()
    }
    async fn read(&self, after: Position, limit: usize) -> Result<Batch, StoreError> {
        if after == self.at && !self.stumbled.swap(true, Ordering::SeqCst) {
            return Err(StoreError::Unavailable("for now".to_owned()));
        }
        self.log.read(after, limit).await
    }
    fn head(&self) -> watch::Receiver<Position> {
        self.log.head()
    }
}

/// Notes what it takes in: two events at a time, three while it is behind. It fails once, at position 9.
#[derive(Default)]
struct Behind {
    batches: Arc<Mutex<Vec<Vec<u64>>>>,
    failed: AtomicBool,
}

#[async_trait]
impl EventHandler for Behind {
    fn name(&self) -> &'static str {
        "behind"
    }
    fn sources(&self) -> &'static [&'static str] {
        &["bank"]
    }
    async fn place(&self, _: &'static str) -> Result<Position, StoreError> {
        Ok(Position(self.batches.lock().iter().flatten().last().copied().unwrap_or(0)))
    }
    fn gathers(&self) -> Gather {
        Gather { time: std::time::Duration::ZERO, events: 2 }
    }
    fn batch_when_behind(&self) -> usize {
        3
    }
    async fn handle(&self, _: &'static str, batch: &Batch, _: Option<Fence>) -> Result<(), HandlerError> {
        let positions: Vec<u64> = batch.events.iter().map(|event| event.position.0).collect();
        if positions.contains(&9) && !self.failed.swap(true, Ordering::SeqCst) {
            return Err(HandlerError::new(Position(9), "for now", false));
        }
        self.batches.lock().push(positions);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_far_behind_is_handed_more_each_event_once_and_in_order_whatever_fails() {
    let spy = Spy::new();
    let executor = executor(spy.clone());
    for _ in 0..15 {
        executor.run(&cx(&executor), &Deposit { account: account(1), cents: 1 }).await.unwrap();
    }
    let handler = Behind::default();
    let batches = handler.batches.clone();
    let source = Rough { log: LogSource(spy), at: Position(5), stumbled: AtomicBool::new(false) };
    let bus = EventBus::builder().subscribe(Arc::new(handler)).source(Arc::new(source)).build().unwrap();
    run_to(&bus, "behind", 15).await;
    // 6 was to be read ahead and couldn't be; at 9 what had been read ahead is forgotten.
    assert_eq!(
        *batches.lock(),
        [vec![1, 2], vec![3, 4, 5], vec![6, 7], vec![8, 9], vec![10, 11, 12], vec![13, 14, 15],]
    );
}

/// Notes how many events came together.
struct Batches {
    sizes: Arc<Mutex<Vec<usize>>>,
    place: Mutex<Position>,
}

#[async_trait]
impl EventHandler for Batches {
    fn name(&self) -> &'static str {
        "batches"
    }
    fn sources(&self) -> &'static [&'static str] {
        &["bank"]
    }
    async fn place(&self, _: &'static str) -> Result<Position, StoreError> {
        Ok(*self.place.lock())
    }
    fn gathers(&self) -> Gather {
        Gather { time: std::time::Duration::from_millis(5), events: 3 }
    }
    async fn handle(&self, _: &'static str, batch: &Batch, _: Option<Fence>) -> Result<(), HandlerError> {
        self.sizes.lock().push(batch.events.len());
        *self.place.lock() = batch.upto;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_close_together_is_taken_in_together_unless_somebody_waits() {
    let spy = Spy::new();
    let executor = executor(spy.clone());
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let bus = EventBus::builder()
        .subscribe(Arc::new(Batches { sizes: sizes.clone(), place: Mutex::default() }))
        .source(Arc::new(LogSource(spy)))
        .build()
        .unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn({
        let bus = bus.clone();
        async move { bus.run(stopped, RunMode::Follow).await }
    });
    let deposit = async || {
        executor.run(&cx(&executor), &Deposit { account: account(1), cents: 1 }).await.unwrap();
    };
    let reached = bus.reached("batches", "bank").unwrap();
    // The clock stands until all tasks rest: two that nobody waits for come a millisecond apart.
    deposit().await;
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    deposit().await;
    while reached.now() < Position(2) {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(*sizes.lock(), [2]);
    let began = tokio::time::Instant::now();
    for _ in 0..3 {
        deposit().await;
    }
    while reached.now() < Position(5) {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        (&sizes.lock()[1..], began.elapsed()),
        (&[3][..], std::time::Duration::ZERO),
        "they are enough"
    );
    let mut position = bus.position("batches", "bank").unwrap();
    deposit().await;
    position.wait_for(|position| position.0 == 6).await.unwrap();
    assert_eq!((sizes.lock().last(), began.elapsed()), (Some(&1), std::time::Duration::ZERO));
    stop.send(true).unwrap();
    running.await.unwrap();
}
