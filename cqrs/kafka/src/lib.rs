//! A log's public events through Apache Kafka.
//!
//! A [`Relay`] follows a service's public events and publishes them, keyed by their stream, to the topic `PREFIX.SERVICE.v1`.
//! A [`KafkaSource`] in another process reads that topic and gives the events back as the service's log has them: the same
//! order, the same positions, none missing and none twice. Views, reactors and position tokens work with it as they do in one
//! process, and know nothing of Kafka.
//!
//! What makes that possible are watermarks (`PREFIX.SERVICE.v1.watermarks`): after each batch the relay says up to which
//! position all events are out, and at which offsets. Consumers hand events out up to there, find any position again, and
//! see it when a topic has lost records.
//!
//! Beside that, [`KafkaNotes`] lets the processes of a service tell each other what is worth nothing a moment later.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use cqrs_core::{Clock, EventBus, EventSource, PlaceStore};
//! use cqrs_kafka::{Cluster, KafkaSettings, KafkaSource, Relay, SourceOptions};
//!
//! # fn example(clock: Arc<dyn Clock>, public: Arc<dyn EventSource>, places: Arc<dyn PlaceStore>) -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::new(KafkaSettings::new("127.0.0.1:9092"))?;
//!
//! // In the process that has the log: publish `chat.public`.
//! let relay = Relay::new(cluster.clone(), clock, &["chat.public"], public.clone(), places, Vec::new());
//! let bus = EventBus::builder().source(public).subscribe(Arc::new(relay)).build()?;
//!
//! // In another: read it.
//! let chat = KafkaSource::open(&cluster, "chat.public", SourceOptions::default());
//! # Ok(()) }
//! ```

mod cluster;
mod far;
mod history;
mod mark;
mod marks;
mod merge;
mod notes;
mod partition;
mod record;
mod relay;
mod session;
mod settings;
mod source;
mod tail;
mod window;

pub use cluster::Cluster;
pub use history::{OtherHistory, other_history};
pub use notes::KafkaNotes;
pub use relay::{NAME as RELAY, Relay, Upstream};
pub use settings::{KafkaSettings, SecurityProtocol, SettingsError};
pub use source::{KafkaSource, SourceOptions};
