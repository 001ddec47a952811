//! The thread that reads a topic's newest records.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cqrs_core::StoreError;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::{Consumer, store_error};
use crate::mark::{Cut, Marks, Taken};
use crate::marks::{bounds, is_final, partitions};
use crate::merge::Merge;
use crate::record::{Malformed, Raw};
use crate::source::Shared;

/// How long one wait for records is at most, and so how long closing takes.
const WAIT: Duration = Duration::from_millis(100);
/// The pause before what failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a consumer group's offsets are kept.
const KEEP_OFFSETS: Duration = Duration::from_secs(5);

/// Reads until the source is closed.
pub(crate) fn run(shared: &Shared) {
    while !shared.stopped() {
        match Tail::open(shared).and_then(|mut tail| tail.read()) {
            Ok(()) => {}
            Err(
                StoreError::Unavailable(detail) | StoreError::Corrupt(detail) | StoreError::Other(detail),
            ) => {
                shared.say(detail);
                std::thread::sleep(AGAIN);
            }
            Err(error @ StoreError::Full) => {
                shared.say(error.to_string());
                std::thread::sleep(AGAIN);
            }
        }
    }
}

struct Tail<'a> {
    shared: &'a Shared,
    consumer: Consumer,
    /// The offset of the next watermark, and the one behind those that were there at first.
    next_mark: i64,
    marks_there: i64,
    merge: Option<Merge>,
    /// How many partitions are being read.
    reading: usize,
    offsets_kept: Instant,
}

impl<'a> Tail<'a> {
    fn open(shared: &'a Shared) -> Result<Self, StoreError> {
        let consumer = shared.cluster.consumer(shared.group.as_deref().unwrap_or("reader"))?;
        if partitions(&consumer, &shared.marks_topic)?.is_none() {
            return Err(StoreError::Unavailable(format!(
                "the topic {} isn't there yet; its service's relay makes it",
                shared.marks_topic
            )));
        }
        let (low, high) = bounds(&consumer, &shared.marks_topic, 0)?;
        *shared.marks.write() = Marks::default();
        let tail = Self {
            shared,
            consumer,
            next_mark: low,
            marks_there: high,
            merge: None,
            reading: 0,
            offsets_kept: Instant::now(),
        };
        tail.assign(&[])?;
        Ok(tail)
    }

    /// Reads the watermarks from the next on, and the events' partitions from these offsets on.
    fn assign(&self, offsets: &[i64]) -> Result<(), StoreError> {
        let mut list = TopicPartitionList::new();
        let mut add = |topic: &str, partition, offset| {
            list.add_partition_offset(topic, partition, Offset::Offset(offset))
                .map_err(|error| store_error(&error))
        };
        add(&self.shared.marks_topic, 0, self.next_mark)?;
        for (partition, offset) in (0..).zip(offsets) {
            add(&self.shared.topic, partition, *offset)?;
        }
        self.consumer.assign(&list).map_err(|error| store_error(&error))
    }

    fn read(&mut self) -> Result<(), StoreError> {
        // Messages borrow the consumer, which must be free for changes of what is read.
        while !self.shared.stopped() {
            if self.merge.is_none() && self.next_mark >= self.marks_there {
                self.begin()?;
            }
            match self.consumer.poll(WAIT) {
                Some(Ok(message)) => {
                    let message = message.detach();
                    if message.topic() == self.shared.marks_topic {
                        self.take_mark(&message)?;
                    } else {
                        self.take_event(&message);
                    }
                }
                Some(Err(error)) if is_final(&error) => {
                    return Err(StoreError::Unavailable(format!(
                        "it is not what it was, beginning anew: {error}"
                    )));
                }
                None if self.merge.is_none() && self.next_mark < self.marks_there => self.look_again()?,
                Some(Err(_)) | None => {}
            }
            if let Some(merged) = self.merge.as_mut().and_then(Merge::advance) {
                self.shared.publish(merged);
            }
            self.keep_offsets();
        }
        Ok(())
    }

    /// Whether as many watermarks are there as were at first. A topic that was deleted and made anew right then has fewer, and
    /// whoever waited for the others would wait until the relay had said as much again.
    fn look_again(&self) -> Result<(), StoreError> {
        let topic = &self.shared.marks_topic;
        let (_, high) = bounds(&self.consumer, topic, 0)?;
        if high < self.marks_there {
            return Err(StoreError::Unavailable(format!("the topic {topic} was made anew, beginning anew")));
        }
        Ok(())
    }

    /// Begins reading events at the newest watermark.
    fn begin(&mut self) -> Result<(), StoreError> {
        let Some(newest) = self.shared.marks.read().newest().cloned() else {
            // The topic is there, and its relay hasn't said anything yet.
            return Ok(());
        };
        // By a connection of its own: brokers answer a connection's requests one after the other, and on this one each of these
        // would wait for watermarks that don't come, half a second.
        let reader = self.shared.cluster.reader()?;
        let mut cut = Cut { position: newest.position, ends: newest.ends.as_slice().into() };
        let ends = Arc::make_mut(&mut cut.ends);
        for (partition, end) in ends.iter_mut().enumerate() {
            let (low, high) = bounds(&reader, &self.shared.topic, partition)?;
            if *end > high {
                return Err(lost(&self.shared.topic, partition, high, *end));
            }
            *end = low.max(*end);
        }
        self.assign(&cut.ends)?;
        self.reading = cut.ends.len();
        self.merge = Some(Merge::at(&cut));
        self.shared.begin(newest.epoch, newest.position);
        self.shared.heard(&newest);
        Ok(())
    }

    fn take_mark(&mut self, message: &impl Message) -> Result<(), StoreError> {
        self.next_mark = message.offset() + 1;
        let record = match self.shared.names.mark(&Raw::of(message)) {
            Ok(record) => record,
            Err(malformed) => {
                self.shared.foreign(message, &malformed);
                return Ok(());
            }
        };
        let taken = self.shared.marks.write().take(message.offset(), record);
        let mark = match taken {
            Taken::Further(mark) => mark,
            // It may be that the topics were made anew: a second look at their beginning shows it.
            Taken::OtherEpoch(epoch) if self.shared.another(epoch) && self.merge.is_some() => {
                return Err(StoreError::Unavailable(format!(
                    "a relay of the epoch {epoch} writes to {}; looking whose topic it is",
                    self.shared.marks_topic
                )));
            }
            Taken::Past(session) if self.merge.is_some() && self.shared.doubt(session) => {
                return Err(StoreError::Unavailable(format!(
                    "a relay that should be over writes to {}; looking whether the topic is still the same",
                    self.shared.marks_topic
                )));
            }
            Taken::Nothing | Taken::Past(_) | Taken::OtherEpoch(_) => return Ok(()),
        };
        let Some(merge) = &mut self.merge else { return Ok(()) };
        merge.cut(Cut { position: mark.position, ends: mark.ends.as_slice().into() });
        self.shared.heard(&mark);
        if merge.next().len() > self.reading {
            // The topic has more partitions than before, and the relay has begun to use them.
            let offsets = merge.next().to_vec();
            self.assign(&offsets)?;
            self.reading = offsets.len();
        }
        Ok(())
    }

    fn take_event(&mut self, message: &impl Message) {
        let Some(merge) = &mut self.merge else { return };
        let epoch = self.shared.marks.read().epoch().unwrap_or_default();
        let (partition, offset) = (message.partition() as usize, message.offset());
        let malformed = match self.shared.names.event(&Raw::of(message), epoch) {
            Ok(event) => match merge.record(partition, offset, Some(Arc::new(event))) {
                Ok(()) => return,
                Err(event) => Malformed::Contradicts(event.position),
            },
            Err(malformed) => malformed,
        };
        self.shared.foreign(message, &malformed);
        let _ = merge.record(partition, offset, None);
    }

    /// Tells the brokers how far the group has read, for people to look at.
    fn keep_offsets(&mut self) {
        if self.shared.group.is_none() || self.offsets_kept.elapsed() < KEEP_OFFSETS {
            return;
        }
        self.offsets_kept = Instant::now();
        let Some(merge) = &self.merge else { return };
        let mut list = TopicPartitionList::new();
        for (partition, offset) in (0..).zip(merge.next()) {
            let _ = list.add_partition_offset(&self.shared.topic, partition, Offset::Offset(*offset));
        }
        if let Err(error) = self.consumer.commit(&list, CommitMode::Async) {
            tracing::debug!(source = self.shared.name, %error, "the group's offsets aren't kept");
        }
    }
}

/// A topic that holds less than a relay has put there.
pub(crate) fn lost(topic: &str, partition: usize, high: i64, end: i64) -> StoreError {
    StoreError::Corrupt(format!(
        "the topic {topic} has lost records: partition {partition} ends at offset {high}, and {end} were published. Delete it \
         and {topic}.watermarks; the relay then publishes everything again"
    ))
}
