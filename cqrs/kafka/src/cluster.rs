//! The brokers as a whole: whether they answer, and which topics there are.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use cqrs_core::StoreError;
use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::settings::{KafkaSettings, SettingsError};

/// How long one question to the brokers may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);
/// How often it is looked whether they answer.
const PROBE: Duration = Duration::from_secs(2);
/// How often it is said that they don't.
const SAY: Duration = Duration::from_secs(5);

/// Hears what librdkafka says: its complaints are for debugging, since what follows from them is said elsewhere, once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "rdkafka", ?level, facility, "{message}");
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "rdkafka", %error, "{reason}");
    }
}

impl ConsumerContext for Quiet {}

pub(crate) type Consumer = BaseConsumer<Quiet>;

/// The brokers that relays and sources of one process share.
pub struct Cluster {
    pub(crate) settings: KafkaSettings,
    admin: AdminClient<Quiet>,
    state: Mutex<State>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Nobody has answered yet, nor failed to.
    Unknown,
    Up,
    /// What was the matter.
    Down(String),
}

impl Cluster {
    /// The brokers that `settings` name. They needn't be there: from here on it is looked for them, in a thread that ends
    /// with this.
    pub fn new(settings: KafkaSettings) -> Result<Arc<Self>, SettingsError> {
        settings.check()?;
        let failed = |error: KafkaError| SettingsError::Client(error.to_string());
        let admin = settings.client().create_with_context(Quiet).map_err(failed)?;
        let prober = settings.client().create_with_context(Quiet).map_err(failed)?;
        let cluster = Arc::new(Self { settings, admin, state: Mutex::new(State::Unknown) });
        let watched = Arc::downgrade(&cluster);
        std::thread::Builder::new()
            .name("kafka-probe".to_owned())
            .spawn(move || probe(&watched, &prober))
            .map_err(|error| {
                SettingsError::Client(format!("no thread for looking at the brokers: {error}"))
            })?;
        Ok(cluster)
    }

    /// What keeps the brokers from being used, for people; `None` while they answer.
    pub fn trouble(&self) -> Option<String> {
        match &*self.state.lock() {
            State::Up => None,
            State::Unknown => Some(format!("kafka: no broker of {} has answered yet", self.settings.brokers)),
            State::Down(_) => Some(format!("kafka: no broker of {} answers", self.settings.brokers)),
        }
    }

    pub(crate) fn consumer(&self, group: &str) -> Result<Consumer, StoreError> {
        self.settings.consumer(group).create_with_context(Quiet).map_err(|error| store_error(&error))
    }

    pub(crate) fn reader(&self) -> Result<Consumer, StoreError> {
        self.settings.reader().create_with_context(Quiet).map_err(|error| store_error(&error))
    }

    pub(crate) fn listener(&self) -> Result<Consumer, StoreError> {
        self.settings.listener().create_with_context(Quiet).map_err(|error| store_error(&error))
    }

    /// Makes a topic of notes, which are worth nothing after minutes.
    pub(crate) async fn ensure_notes(&self, name: &str) -> Result<(), StoreError> {
        let replication = TopicReplication::Fixed(i32::from(self.settings.replication));
        let topic = NewTopic::new(name, 1, replication)
            .set("cleanup.policy", "delete")
            .set("retention.ms", "120000")
            .set("segment.ms", "120000")
            .set("retention.bytes", "67108864");
        self.make(&[topic]).await
    }

    /// Makes a service's topics unless they are there.
    pub(crate) async fn ensure_topics(self: &Arc<Self>, service: &str) -> Result<(), StoreError> {
        let (events, marks) = (self.settings.topic(service), self.settings.watermark_topic(service));
        let mut missing = Vec::new();
        for (topic, partitions) in [(&events, i32::from(self.settings.partitions)), (&marks, 1)] {
            let (cluster, name) = (self.clone(), topic.clone());
            let known = blocking(move || partitions_of(cluster.admin.inner(), &name)).await?;
            if known.is_none() {
                missing.push((topic, partitions));
            }
        }
        let in_step = self.settings.replication.min(2).to_string();
        let topics: Vec<NewTopic<'_>> = missing
            .iter()
            .map(|(topic, partitions)| {
                let replication = TopicReplication::Fixed(i32::from(self.settings.replication));
                let topic_ = NewTopic::new(topic, *partitions, replication);
                let topic_ = if self.settings.replication > 2 {
                    topic_.set("min.insync.replicas", &in_step)
                } else {
                    topic_
                };
                if **topic == events {
                    // Whoever comes later reads everything from the beginning.
                    topic_
                        .set("cleanup.policy", "delete")
                        .set("retention.ms", "-1")
                        .set("retention.bytes", "-1")
                } else {
                    topic_
                        .set("cleanup.policy", "compact")
                        .set("segment.ms", "600000")
                        .set("segment.bytes", "16777216")
                        .set("min.cleanable.dirty.ratio", "0.1")
                }
            })
            .collect();
        if topics.is_empty() { Ok(()) } else { self.make(&topics).await }
    }

    /// Makes topics, unless somebody else just did.
    async fn make(&self, topics: &[NewTopic<'_>]) -> Result<(), StoreError> {
        let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
        let made = self.admin.create_topics(topics, &options).await.map_err(|error| store_error(&error))?;
        for outcome in made {
            match outcome {
                Ok(topic) => tracing::info!(topic, "made a Kafka topic"),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    return Err(StoreError::Unavailable(format!("the topic {topic} can't be made: {code}")));
                }
            }
        }
        Ok(())
    }
}

fn probe(watched: &Weak<Cluster>, prober: &Consumer) {
    let mut said: Option<Instant> = None;
    loop {
        // Asked while nobody is kept alive by it.
        let answer = prober.fetch_metadata(None, ANSWER);
        let Some(cluster) = watched.upgrade() else { return };
        let brokers = &cluster.settings.brokers;
        metrics::gauge!("cqrs_kafka_up").set(if answer.is_ok() { 1.0 } else { 0.0 });
        let before = match answer {
            Ok(_) => {
                said = None;
                std::mem::replace(&mut *cluster.state.lock(), State::Up)
            }
            Err(error) => {
                if said.is_none_or(|said| said.elapsed() >= SAY) {
                    tracing::warn!(%brokers, %error, "no Kafka broker answers; trying on");
                    said = Some(Instant::now());
                }
                std::mem::replace(&mut *cluster.state.lock(), State::Down(error.to_string()))
            }
        };
        if matches!(before, State::Down(_)) && cluster.trouble().is_none() {
            tracing::info!(%brokers, "Kafka answers again");
        }
        drop(cluster);
        std::thread::sleep(PROBE);
    }
}

/// How many partitions a topic has; `None` if it isn't there.
pub(crate) fn partitions_of<C: ClientContext>(
    client: &rdkafka::client::Client<C>,
    topic: &str,
) -> Result<Option<usize>, StoreError> {
    let metadata = client.fetch_metadata(Some(topic), ANSWER).map_err(|error| store_error(&error))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    match found.and_then(|found| found.error().map(RDKafkaErrorCode::from)) {
        None => {}
        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => return Ok(None),
        Some(code) => return Err(StoreError::Unavailable(format!("the topic {topic}: {code}"))),
    }
    Ok(found.map(|found| found.partitions().len()).filter(|partitions| *partitions > 0))
}

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(ask).await {
        Ok(answer) => answer,
        Err(error) => Err(StoreError::Unavailable(format!("interrupted: {error}"))),
    }
}

/// What Kafka said, as a store's error. Nearly all of it passes: brokers come back, leaders are elected, rights are given.
pub(crate) fn store_error(error: &KafkaError) -> StoreError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize) => {
            StoreError::Other(format!("kafka: {error}"))
        }
        _ => StoreError::Unavailable(format!("kafka: {error}")),
    }
}
