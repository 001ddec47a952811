//! Another service's public events, read from Kafka.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{Batch, Covered, EventSource, ForeignRecord, Park, Position, StoreError};
use parking_lot::{Mutex, RwLock};
use rdkafka::message::{Headers as _, Message};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::far::Far;
use crate::mark::{Mark, Marks};
use crate::merge::Merged;
use crate::record::{Malformed, Names};
use crate::tail;
use crate::window::Window;

/// How many foreign records wait to be parked at most; then reading waits, too.
const PARKING: usize = 256;
/// The pause between two tries to park a record.
const PARK_AGAIN: Duration = Duration::from_secs(1);

/// How a [`KafkaSource`] works.
#[derive(Clone)]
pub struct SourceOptions {
    /// The consumer group `PREFIX.GROUP`, whose offsets follow what was read, for Kafka's own tools to show: the service that
    /// reads. Nothing depends on them. Without one, none are kept.
    pub group: Option<String>,
    /// The logs whose events the service behind the source turns into events of its own; see [`EventSource::covered`].
    pub covers: Vec<&'static str>,
    /// Keeps what is no event; without it, that is only counted and logged.
    pub park: Option<Arc<dyn Park>>,
    /// How many bytes of the newest events stay in memory for those who follow.
    pub window_bytes: usize,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self { group: None, covers: Vec::new(), park: None, window_bytes: 8 * 1024 * 1024 }
    }
}

/// Another service's public events in its log's order, with its log's positions.
///
/// One thread reads the newest for everybody in the process; who is further behind is served from where the watermarks say
/// his events are. Dropped, it stops reading.
pub struct KafkaSource {
    shared: Arc<Shared>,
    far: Far,
    parking: OnceLock<JoinHandle<()>>,
}

/// What the reading thread and those who ask have in common.
pub(crate) struct Shared {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) name: &'static str,
    pub(crate) names: Names,
    pub(crate) topic: String,
    pub(crate) marks_topic: String,
    pub(crate) group: Option<String>,
    pub(crate) marks: RwLock<Marks>,
    pub(crate) stop: AtomicBool,
    window: RwLock<Window>,
    head: watch::Sender<Position>,
    epoch: RwLock<Uuid>,
    covered: BTreeMap<&'static str, watch::Sender<Covered>>,
    trouble: Mutex<Option<String>>,
    /// Set when the epoch changed under those who follow: they have to begin anew.
    changed: Mutex<Option<String>>,
    /// Epochs of others who wrote here.
    others: Mutex<HashSet<Uuid>>,
    /// Sessions that were over and spoke again.
    doubted: Mutex<HashSet<i64>>,
    foreign: Mutex<u64>,
    park: OnceLock<mpsc::Sender<ForeignRecord>>,
}

impl KafkaSource {
    /// Reads the source called `name` (`SERVICE.public`). Neither brokers nor topic need be there: they are waited for, in a
    /// thread of its own. Must be called in a tokio runtime if records are to be parked.
    pub fn open(cluster: &Arc<Cluster>, name: &'static str, options: SourceOptions) -> Arc<Self> {
        let service = name.strip_suffix(".public").unwrap_or(name);
        let settings = &cluster.settings;
        let covered = |log: &&'static str| (*log, watch::Sender::new(Covered::default()));
        let shared = Arc::new(Shared {
            cluster: cluster.clone(),
            name,
            names: Names::of(&settings.namespace, service),
            topic: settings.topic(service),
            marks_topic: settings.watermark_topic(service),
            group: options.group,
            marks: RwLock::default(),
            stop: AtomicBool::new(false),
            window: RwLock::new(Window::new(options.window_bytes)),
            head: watch::Sender::new(Position(0)),
            epoch: RwLock::new(Uuid::nil()),
            covered: options.covers.iter().map(covered).collect(),
            trouble: Mutex::new(None),
            changed: Mutex::new(None),
            others: Mutex::default(),
            doubted: Mutex::default(),
            foreign: Mutex::new(0),
            park: OnceLock::new(),
        });
        let read = shared.clone();
        let thread = std::thread::Builder::new().name(format!("kafka-{service}"));
        if let Err(error) = thread.spawn(move || tail::run(&read)) {
            shared.say(format!("there is no thread to read it with: {error}"));
        }
        let far = Far::new(shared.clone());
        let source = Arc::new(Self { shared, far, parking: OnceLock::new() });
        if let Some(park) = options.park {
            source.park_in(park);
        }
        source
    }

    /// Keeps in `park`, from now on, what is no event; only the first call counts. Must be called in a tokio runtime.
    pub fn park_in(&self, park: Arc<dyn Park>) {
        let (sender, receiver) = mpsc::channel(PARKING);
        if self.shared.park.set(sender).is_ok() {
            let _ = self.parking.set(tokio::spawn(keep(park, receiver)));
        }
    }

    /// What keeps events from being read, for people; `None` while they are.
    pub fn trouble(&self) -> Option<String> {
        let known = self.shared.changed.lock().clone().or_else(|| self.shared.trouble.lock().clone());
        let trouble = known.map(|trouble| format!("kafka: {}: {trouble}", self.shared.name));
        trouble.or_else(|| self.shared.cluster.trouble())
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(parking) = self.parking.get() {
            parking.abort();
        }
    }
}

#[async_trait]
impl EventSource for KafkaSource {
    fn name(&self) -> &'static str {
        self.shared.name
    }

    fn epoch(&self) -> Uuid {
        *self.shared.epoch.read()
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Batch, StoreError> {
        if let Some(changed) = self.shared.changed.lock().clone() {
            return Err(StoreError::Corrupt(changed));
        }
        let near = self.shared.window.read().read(after, limit);
        match near {
            Some(batch) => Ok(batch),
            None => self.far.read(after, limit).await,
        }
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.shared.head.subscribe()
    }

    fn covered(&self, log: &str) -> Option<watch::Receiver<Covered>> {
        self.shared.covered.get(log).map(watch::Sender::subscribe)
    }
}

impl Shared {
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Notes what keeps events from being read, and says so if it is news.
    pub(crate) fn say(&self, trouble: String) {
        let mut known = self.trouble.lock();
        if known.as_ref() != Some(&trouble) {
            tracing::warn!(source = self.name, "{trouble}");
            *known = Some(trouble);
        }
    }

    /// Events are read from behind `position` on.
    pub(crate) fn begin(&self, epoch: Uuid, position: Position) {
        let before = std::mem::replace(&mut *self.epoch.write(), epoch);
        self.window.write().restart(position);
        if before.is_nil() || before == epoch {
            self.trouble.lock().take();
            self.head.send_replace(position);
            return;
        }
        let changed = format!(
            "the epoch of {} changed from {before} to {epoch}: its log was restored or replaced. Rebuild what follows it \
             (parlor rebuild) and start anew",
            self.name
        );
        tracing::error!(source = self.name, "{changed}");
        *self.changed.lock() = Some(changed);
        // Who follows asks for more, and is told.
        self.head.send_modify(|head| head.0 += 1);
    }

    /// More events are known to be complete.
    pub(crate) fn publish(&self, merged: Merged) {
        let upto = merged.upto;
        self.window.write().push(merged);
        if self.changed.lock().is_none() {
            self.head.send_replace(upto);
        }
    }

    /// A relay said how far it has come.
    pub(crate) fn heard(&self, mark: &Mark) {
        let behind = mark.position.0.saturating_sub(self.head.borrow().0);
        metrics::gauge!("cqrs_kafka_source_lag_events", "source" => self.name).set(behind as f64);
        for upstream in &mark.upstream {
            let Some(covered) = self.covered.get(upstream.log.as_str()) else { continue };
            let said = Covered { epoch: upstream.epoch, upstream: upstream.position, at: mark.position };
            covered.send_if_modified(|known| {
                let news = (known.epoch, known.upstream) != (said.epoch, said.upstream);
                if news {
                    *known = said;
                }
                news
            });
        }
    }

    /// Somebody with another log writes here, too. Whether that is news.
    pub(crate) fn another(&self, epoch: Uuid) -> bool {
        let news = self.others.lock().insert(epoch);
        if news {
            tracing::error!(
                source = self.name, topic = self.marks_topic, %epoch,
                "another log's relay writes to this topic; what it says is ignored"
            );
        }
        news
    }

    /// A session that should be over has spoken. Whether that is the first time.
    pub(crate) fn doubt(&self, session: i64) -> bool {
        self.doubted.lock().insert(session)
    }

    /// A record that is none of ours.
    pub(crate) fn foreign(&self, message: &impl Message, reason: &Malformed) {
        metrics::counter!("cqrs_kafka_foreign_records_total", "source" => self.name).increment(1);
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        {
            let mut count = self.foreign.lock();
            *count += 1;
            if *count == 1 {
                tracing::warn!(
                    source = self.name, topic, partition, offset, %reason,
                    "a record is no event of ours; it is set aside, and so are others like it"
                );
            }
        }
        let Some(park) = self.park.get() else { return };
        let owned = |bytes: &[u8]| bytes.to_vec();
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(owned))).collect()
        });
        let record = ForeignRecord {
            topic: topic.to_owned(),
            partition,
            offset,
            key: message.key().map(owned),
            headers,
            value: message.payload().map(owned),
            reason: reason.to_string(),
        };
        // It fails when the source is being closed.
        let _ = park.blocking_send(record);
    }
}

/// Parks records as they come; one that can't be parked is tried again until it can.
async fn keep(park: Arc<dyn Park>, mut records: mpsc::Receiver<ForeignRecord>) {
    while let Some(record) = records.recv().await {
        while let Err(error) = park.park(&record).await {
            tracing::warn!(topic = record.topic, offset = record.offset, %error, "a foreign record can't be parked yet");
            tokio::time::sleep(PARK_AGAIN).await;
        }
    }
}
