//! What processes tell each other beside their logs, through a topic that keeps it for minutes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use cqrs_core::{Broadcast, StoreError};
use rdkafka::consumer::Consumer as _;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::broadcast;

use crate::cluster::{Cluster, Quiet, partitions_of, store_error};

/// How long one wait for records is at most, and so how long ending takes.
const WAIT: Duration = Duration::from_millis(100);
/// The pause before what failed is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// How many notes wait for a slow listener.
const WAITING: usize = 4_096;

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    /// What wasn't delivered is lost, as it may be.
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// A [`Broadcast`] through the topic `PREFIX.SERVICE.v1.notes`: one partition, read from its end, without a group.
///
/// While the brokers are away, nothing is heard of the other processes; what is told meanwhile is lost.
pub struct KafkaNotes {
    topic: String,
    producer: ThreadedProducer<Quiet>,
    heard: broadcast::Sender<Arc<[u8]>>,
}

impl KafkaNotes {
    /// Of a service. The topic is made if it isn't there; from here on it is listened to, in a thread that ends with this.
    pub fn open(cluster: &Arc<Cluster>, service: &str) -> Result<Arc<Self>, StoreError> {
        let topic = cluster.settings.notes_topic(service);
        let producer =
            cluster.settings.teller().create_with_context(Quiet).map_err(|error| store_error(&error))?;
        let notes = Arc::new(Self { topic, producer, heard: broadcast::Sender::new(WAITING) });
        let (cluster, weak) = (cluster.clone(), Arc::downgrade(&notes));
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("kafka-notes".to_owned())
            .spawn(move || {
                while weak.strong_count() > 0 {
                    if let Err(error) = listen(&cluster, &weak, &runtime) {
                        tracing::debug!(%error, "other processes aren't heard of at the moment");
                        std::thread::sleep(AGAIN);
                    }
                }
            })
            .map_err(|error| StoreError::Unavailable(format!("no thread for hearing notes: {error}")))?;
        Ok(notes)
    }
}

impl Broadcast for KafkaNotes {
    fn tell(&self, note: Vec<u8>) {
        let record = BaseRecord::<(), _>::to(&self.topic).payload(&note).partition(0);
        if let Err((error, _)) = self.producer.send(record) {
            tracing::debug!(%error, "other processes can't be told of something that passes");
        }
    }

    fn listen(&self) -> broadcast::Receiver<Arc<[u8]>> {
        self.heard.subscribe()
    }
}

impl Drop for KafkaNotes {
    fn drop(&mut self) {
        // What was told last is on its way already, or isn't worth waiting for.
        let _ = self.producer.flush(WAIT);
    }
}

/// Hands on what comes from now on, until nobody listens any more.
fn listen(
    cluster: &Arc<Cluster>,
    notes: &Weak<KafkaNotes>,
    runtime: &tokio::runtime::Handle,
) -> Result<(), StoreError> {
    let Some(topic) = notes.upgrade().map(|notes| notes.topic.clone()) else { return Ok(()) };
    let consumer = cluster.listener()?;
    if partitions_of(consumer.client(), &topic)?.is_none() {
        runtime.block_on(cluster.ensure_notes(&topic))?;
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::End).map_err(|error| store_error(&error))?;
    consumer.assign(&list).map_err(|error| store_error(&error))?;
    loop {
        let record = consumer.poll(WAIT);
        let Some(notes) = notes.upgrade() else { return Ok(()) };
        match record {
            Some(Ok(record)) => {
                if let Some(note) = record.payload() {
                    // Nobody may be listening.
                    let _ = notes.heard.send(note.into());
                }
            }
            // The topic was deleted, say: what was missed doesn't matter, a new beginning does.
            Some(Err(error)) if crate::marks::is_final(&error) => return Err(store_error(&error)),
            Some(Err(_)) | None => {}
        }
    }
}
