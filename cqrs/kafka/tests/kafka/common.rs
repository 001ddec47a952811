//! A log in memory with what follows it, and a broker to lead it through.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{
    Actor, Batch, EventBus, EventSource, Fence, LeaseStore, PUBLIC, Place, PlaceError, PlaceStore, Position,
    RecordedEvent, RunMode, StoreError, SystemClock, derived_id,
};
use cqrs_kafka::{Cluster, KafkaSettings, KafkaSource, Relay, SourceOptions, Upstream};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// How many events are led through where there are to be many; `PARLOR_TEST_EVENTS` sets another number.
pub fn events() -> u64 {
    std::env::var("PARLOR_TEST_EVENTS").ok().map_or(20_000, |set| set.parse().expect("a number"))
}

/// How long anything may take here.
pub fn limit() -> Duration {
    Duration::from_mins(1) + Duration::from_millis(events())
}

/// The broker that the tests share; without one, a test says so and passes.
pub fn broker() -> Option<String> {
    let named = std::env::var("PARLOR_TEST_KAFKA").ok().filter(|named| !named.is_empty());
    if named.is_none() {
        eprintln!("skipped: PARLOR_TEST_KAFKA names no broker; `cargo xtask test` starts one");
    }
    named
}

/// Settings of which no other test's topics are the same.
pub fn settings(broker: &str, partitions: u16) -> KafkaSettings {
    let mut settings = KafkaSettings::new(broker);
    #[expect(clippy::disallowed_methods, reason = "tests that run at once need names of their own")]
    let own = Uuid::now_v7().simple();
    settings.prefix = format!("test-{own}");
    settings.partitions = partitions;
    settings
}

pub fn cluster(broker: &str, partitions: u16) -> Arc<Cluster> {
    Cluster::new(settings(broker, partitions)).unwrap()
}

/// A service's public events as it has them: every third position is of an event that isn't public.
pub struct Public {
    name: &'static str,
    pub epoch: Uuid,
    /// From here on, its events are others than in every other log.
    forked: Option<Position>,
    events: Mutex<Vec<Arc<RecordedEvent>>>,
    head: watch::Sender<Position>,
}

impl Public {
    pub fn new(name: &'static str, epoch: u128) -> Arc<Self> {
        Self::forked(name, epoch, None)
    }

    /// One that goes on from `position` on its own.
    pub fn forked(name: &'static str, epoch: u128, position: Option<u64>) -> Arc<Self> {
        let (epoch, forked) = (Uuid::from_u128(epoch), position.map(Position));
        Arc::new(Self {
            name,
            epoch,
            forked,
            events: Mutex::default(),
            head: watch::Sender::new(Position(0)),
        })
    }

    fn id(&self, position: Position) -> Uuid {
        match self.forked {
            Some(forked) if position > forked => derived_id("forked event", &[&position.0.to_be_bytes()]),
            _ => event(position.0, 0).id,
        }
    }

    /// What happens in `count` positions, in streams of which there are `streams`.
    pub fn happen(&self, count: u64, streams: u64) {
        let mut events = self.events.lock();
        let from = self.head.borrow().0;
        for position in from + 1..=from + count {
            if !position.is_multiple_of(3) {
                let event = event(position, position * position % streams);
                events.push(Arc::new(RecordedEvent { id: self.id(Position(position)), ..event }));
            }
        }
        self.head.send_replace(Position(from + count));
    }

    pub fn events(&self) -> Vec<Arc<RecordedEvent>> {
        self.events.lock().clone()
    }
}

pub fn event(position: u64, stream: u64) -> RecordedEvent {
    RecordedEvent {
        position: Position(position),
        id: derived_id("test event", &[&position.to_be_bytes()]),
        category: PUBLIC.into(),
        stream: Uuid::from_u128(u128::from(stream)),
        version: position / 2 + 1,
        name: "thing-happened.v1".into(),
        schema: 2,
        at: Timestamp::from_millisecond(1_767_268_800_000 + position as i64).unwrap(),
        actor: match position % 4 {
            0 => Actor::Anonymous,
            1 => Actor::System,
            2 => Actor::User(Uuid::from_u128(9)),
            _ => Actor::Service(Uuid::from_u128(8)),
        },
        correlation: Uuid::from_u128(7),
        causation: position.is_multiple_of(2).then_some(Uuid::from_u128(6)),
        data: format!("{{\"at\":{position},\"name\":\"Zoë\"}}").into_bytes().into(),
    }
}

#[async_trait]
impl EventSource for Public {
    fn name(&self) -> &'static str {
        self.name
    }
    fn epoch(&self) -> Uuid {
        self.epoch
    }
    async fn read(&self, after: Position, limit: usize) -> Result<Batch, StoreError> {
        let all = self.events.lock();
        let skip = all.partition_point(|event| event.position <= after);
        let events: Vec<_> = all[skip..].iter().take(limit).cloned().collect();
        let upto = match events.last() {
            Some(last) if skip + events.len() < all.len() => last.position,
            _ => *self.head.borrow(),
        };
        Ok(Batch { events, upto })
    }
    fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }
    async fn event_id(&self, position: Position) -> Result<Option<Uuid>, StoreError> {
        Ok(Some(position).filter(|at| (1..=self.head.borrow().0).contains(&at.0)).map(|at| self.id(at)))
    }
}

/// Places in memory, with leases that whoever comes last gets at once, as if those before had died long ago.
#[derive(Default)]
pub struct Places {
    places: Mutex<HashMap<(String, String), Place>>,
    fence: AtomicU64,
}

#[async_trait]
impl LeaseStore for Places {
    async fn acquire(&self, _: &str, _: Uuid, _: Duration) -> Result<Option<Fence>, StoreError> {
        Ok(Some(Fence(self.fence.fetch_add(1, Ordering::SeqCst) + 1)))
    }
    async fn renew(&self, _: &str, fence: Fence, _: Duration) -> Result<bool, StoreError> {
        Ok(self.fence.load(Ordering::SeqCst) == fence.0)
    }
    async fn release(&self, _: &str, _: Fence) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl PlaceStore for Places {
    async fn load(&self, consumer: &str, source: &str) -> Result<Option<Place>, StoreError> {
        Ok(self.places.lock().get(&(consumer.to_owned(), source.to_owned())).copied())
    }
    async fn save(
        &self,
        consumer: &str,
        source: &str,
        place: Place,
        fence: Option<Fence>,
    ) -> Result<(), PlaceError> {
        if fence.is_some_and(|fence| fence.0 != self.fence.load(Ordering::SeqCst)) {
            return Err(PlaceError::LeaseLost);
        }
        let mut places = self.places.lock();
        let kept = places.entry((consumer.to_owned(), source.to_owned())).or_insert(place);
        kept.within(place.epoch, consumer, source)?;
        kept.position = kept.position.max(place.position);
        Ok(())
    }
    async fn forget(&self, consumer: &str) -> Result<(), StoreError> {
        self.places.lock().retain(|(of, _), _| of != consumer);
        Ok(())
    }
}

/// A relay that runs until it is dropped, as suddenly as a process that is killed.
pub struct Running {
    pub bus: EventBus,
    task: JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn relay(cluster: &Arc<Cluster>, log: &Arc<Public>, places: &Arc<Places>) -> Running {
    relay_after(cluster, log, places, Vec::new())
}

pub fn relay_after(
    cluster: &Arc<Cluster>,
    log: &Arc<Public>,
    places: &Arc<Places>,
    upstream: Vec<Upstream>,
) -> Running {
    let sources = match log.name {
        "user.public" => &["user.public"],
        _ => &["chat.public"],
    };
    let relay = Relay::new(
        cluster.clone(),
        Arc::new(SystemClock),
        sources,
        log.clone() as Arc<dyn EventSource>,
        places.clone() as Arc<dyn PlaceStore>,
        upstream,
    );
    let bus = EventBus::builder().source(log.clone()).subscribe(Arc::new(relay)).build().unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = bus.clone();
    let task = tokio::spawn(async move { running.run(stopped, RunMode::Follow).await });
    Running { bus, task, _stop: stop }
}

pub fn open(cluster: &Arc<Cluster>) -> Arc<KafkaSource> {
    KafkaSource::open(cluster, "chat.public", SourceOptions::default())
}

impl Running {
    /// What keeps the relay from going on.
    pub fn error(&self) -> Option<String> {
        self.bus.progress().into_iter().find_map(|progress| progress.error)
    }
}

/// Follows a source from `after` until it has come to `upto`.
pub async fn follow(source: &dyn EventSource, after: Position, upto: Position) -> Vec<Arc<RecordedEvent>> {
    let mut place = after;
    let mut all = Vec::new();
    let read = async {
        let mut head = source.head();
        while place < upto {
            head.wait_for(|head| *head > place).await.unwrap();
            let batch = source.read(place, 100).await.unwrap();
            all.extend(batch.events);
            place = batch.upto;
        }
    };
    tokio::time::timeout(limit(), read).await.unwrap_or_else(|_| panic!("stands at {place}, wants {upto}"));
    all
}

/// Whether these are the same events in the same order, everything in them alike.
pub fn assert_same(found: &[Arc<RecordedEvent>], expected: &[Arc<RecordedEvent>]) {
    let positions = |events: &[Arc<RecordedEvent>]| events.iter().map(|e| e.position.0).collect::<Vec<_>>();
    assert_eq!(positions(found), positions(expected));
    assert_eq!(format!("{found:?}"), format!("{expected:?}"));
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(limit(), wait).await.unwrap_or_else(|_| panic!("{what}: not within {:?}", limit()));
}
