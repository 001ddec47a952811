//! Reads the watermarks' topic.

use std::time::Instant;

use cqrs_core::StoreError;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::cluster::{ANSWER, Consumer, partitions_of, store_error};
use crate::mark::MarkRecord;
use crate::record::{Names, Raw};

/// The offsets between which there are records: the oldest, and the one behind the newest.
pub(crate) fn bounds(consumer: &Consumer, topic: &str, partition: usize) -> Result<(i64, i64), StoreError> {
    consumer.fetch_watermarks(topic, partition as i32, ANSWER).map_err(|error| store_error(&error))
}

/// The watermarks from offset `from` on that are there now, each with its offset, and the offset behind them. What isn't a
/// watermark is passed over.
pub(crate) fn read_marks(
    consumer: &Consumer,
    names: &Names,
    topic: &str,
    from: i64,
) -> Result<(Vec<(i64, MarkRecord)>, i64), StoreError> {
    let (low, high) = bounds(consumer, topic, 0)?;
    let mut next = from.max(low);
    let mut found = Vec::new();
    if next >= high {
        return Ok((found, next));
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(next)).map_err(|error| store_error(&error))?;
    consumer.assign(&list).map_err(|error| store_error(&error))?;
    let mut heard = Instant::now();
    while next < high {
        match consumer.poll(ANSWER / 10) {
            Some(Ok(message)) => {
                heard = Instant::now();
                next = message.offset() + 1;
                if let Ok(record) = names.mark(&Raw::of(&message)) {
                    found.push((message.offset(), record));
                }
            }
            Some(Err(error)) if is_final(&error) => return Err(store_error(&error)),
            _ if heard.elapsed() > 2 * ANSWER => {
                return Err(StoreError::Unavailable(format!("kafka: {topic} can't be read now")));
            }
            _ => {}
        }
    }
    consumer.unassign().map_err(|error| store_error(&error))?;
    Ok((found, next))
}

/// Whether the topic isn't what it was; everything else librdkafka gets over by itself.
pub(crate) fn is_final(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::AutoOffsetReset
                | Code::OffsetOutOfRange
                | Code::UnknownTopic
                | Code::UnknownTopicOrPartition
                | Code::UnknownPartition
                | Code::Fatal
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
        )
    )
}

/// How many partitions a topic has, if it is there.
pub(crate) fn partitions(consumer: &Consumer, topic: &str) -> Result<Option<usize>, StoreError> {
    partitions_of(consumer.client(), topic)
}
