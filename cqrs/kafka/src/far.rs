//! Events that aren't among the newest any more, read between two watermarks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cqrs_core::{Batch, Position, RecordedEvent, StoreError};
use rdkafka::consumer::Consumer as _;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::{ANSWER, Consumer, blocking, store_error};
use crate::mark::Cut;
use crate::marks::is_final;
use crate::merge::Merge;
use crate::record::{Malformed, Raw};
use crate::source::Shared;
use crate::window::batch;

/// How many positions are read at once.
const REACH: u64 = 4096;
/// How many such stretches stay in memory: those who catch up often follow each other closely.
const KEPT: usize = 2;
/// How long brokers may say nothing while a stretch is read.
const SILENCE: Duration = Duration::from_secs(10);

/// All events after `from` and up to `to`.
struct Stretch {
    from: Position,
    to: Position,
    events: Vec<Arc<RecordedEvent>>,
}

/// Reads stretches, one at a time.
pub(crate) struct Far {
    shared: Arc<Shared>,
    inner: tokio::sync::Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    consumer: Option<Consumer>,
    kept: VecDeque<Stretch>,
}

impl Far {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, inner: tokio::sync::Mutex::default() }
    }

    pub(crate) async fn read(&self, after: Position, limit: usize) -> Result<Batch, StoreError> {
        let mut inner = self.inner.lock().await;
        if !inner.kept.iter().any(|stretch| stretch.holds(after)) {
            let (epoch, from, to) = {
                let marks = self.shared.marks.read();
                (marks.epoch(), marks.before(after), marks.after(after, REACH))
            };
            let (Some(epoch), Some(to)) = (epoch, to) else {
                return Err(StoreError::Unavailable(format!(
                    "kafka: {}: the watermarks are being read anew",
                    self.shared.name
                )));
            };
            let consumer = inner.consumer.take();
            let shared = self.shared.clone();
            let (consumer, stretch) = blocking(move || {
                let consumer = match consumer {
                    Some(consumer) => consumer,
                    None => shared.cluster.reader()?,
                };
                let stretch = fetch(&consumer, &shared, epoch, &from, &to)?;
                Ok((consumer, stretch))
            })
            .await?;
            inner.consumer = Some(consumer);
            inner.kept.truncate(KEPT - 1);
            inner.kept.push_front(stretch);
        }
        let stretch = inner.kept.iter().find(|stretch| stretch.holds(after));
        let Some(Stretch { to, events, .. }) = stretch else {
            return Err(StoreError::Other(
                "kafka: a stretch holds nothing of what it was read for".to_owned(),
            ));
        };
        let skip = events.partition_point(|event| event.position <= after);
        Ok(batch(events[skip..].iter(), after, limit, *to))
    }
}

impl Stretch {
    fn holds(&self, after: Position) -> bool {
        self.from <= after && after < self.to
    }
}

/// The events between two watermarks.
fn fetch(
    consumer: &Consumer,
    shared: &Shared,
    epoch: uuid::Uuid,
    from: &Cut,
    to: &Cut,
) -> Result<Stretch, StoreError> {
    let mut stretch = Stretch { from: from.position, to: to.position, events: Vec::new() };
    let partitions = to.ends.len();
    let mut list = TopicPartitionList::new();
    let mut begin = Cut { position: from.position, ends: (0..partitions).map(|n| from.end(n)).collect() };
    for partition in 0..partitions {
        if from.end(partition) < to.end(partition) {
            list.add_partition_offset(&shared.topic, partition as i32, Offset::Offset(from.end(partition)))
                .map_err(|error| store_error(&error))?;
        } else {
            // Nothing of it lies between them.
            Arc::make_mut(&mut begin.ends)[partition] = to.end(partition);
        }
    }
    let mut merge = Merge::at(&begin);
    merge.cut(to.clone());
    consumer.assign(&list).map_err(|error| store_error(&error))?;
    let mut heard = Instant::now();
    loop {
        if let Some(merged) = merge.advance() {
            stretch.events = merged.events;
            break;
        }
        match consumer.poll(ANSWER / 10) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let (partition, offset) = (message.partition() as usize, message.offset());
                let event = match shared.names.event(&Raw::of(&message), epoch) {
                    Ok(event) => merge.record(partition, offset, Some(Arc::new(event))),
                    Err(malformed) => {
                        shared.foreign(&message, &malformed);
                        merge.record(partition, offset, None)
                    }
                };
                if let Err(event) = event {
                    shared.foreign(&message, &Malformed::Contradicts(event.position));
                }
            }
            Some(Err(error)) if is_final(&error) => {
                return Err(StoreError::Corrupt(format!(
                    "kafka: the events of {} after {} aren't in {} any more ({error}). Rebuild what needs them once the \
                     topic holds them again",
                    shared.name, from.position, shared.topic
                )));
            }
            _ if heard.elapsed() > SILENCE || shared.stopped() => {
                return Err(StoreError::Unavailable(format!("kafka: {} can't be read now", shared.topic)));
            }
            _ => {}
        }
    }
    consumer.unassign().map_err(|error| store_error(&error))?;
    Ok(stretch)
}
