//! A relay's session: from the record that opens it on, this relay is the one whose watermarks count.

use std::sync::Arc;

use cqrs_core::{Clock, EventSource, HandlerError, Position, RecordedEvent, SpanId, StoreError};
use futures::future::try_join_all;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::cluster::{Cluster, Consumer, Quiet, blocking, store_error};
use crate::history::compare;
use crate::mark::{Mark, MarkRecord, Marks, Opening, Upstream};
use crate::marks::{bounds, partitions, read_marks};
use crate::partition::partition_of;
use crate::record::{Names, mark_value};
use crate::tail::lost;

/// Where a relay publishes.
pub(crate) struct Target {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) service: &'static str,
    pub(crate) names: Names,
    pub(crate) topic: String,
    pub(crate) marks_topic: String,
}

pub(crate) struct Session {
    target: Arc<Target>,
    producer: FutureProducer<Quiet>,
    reader: Arc<Consumer>,
    epoch: Uuid,
    number: i64,
    /// The offset of the last record of ours among the watermarks.
    last_mark: i64,
    ends: Vec<i64>,
    /// Everything up to here is out.
    position: Position,
    /// The id of the log's event there.
    last: Option<Uuid>,
    /// What has been said: how far, and of which other logs.
    said: Option<(Position, Vec<Upstream>)>,
}

impl Session {
    /// Opens a session for the log behind `source`, unless the topic holds the events of another one.
    pub(crate) async fn open(target: &Arc<Target>, source: &dyn EventSource) -> Result<Self, HandlerError> {
        let epoch = source.epoch();
        let failed = |error: StoreError| HandlerError::store(Position(0), &error);
        let cluster = &target.cluster;
        cluster.ensure_topics(target.service).await.map_err(failed)?;
        let reader = Arc::new(cluster.reader().map_err(failed)?);
        let producer: FutureProducer<Quiet> = cluster
            .settings
            .producer()
            .create_with_context(Quiet)
            .map_err(|error| failed(store_error(&error)))?;

        let mut marks = Marks::default();
        let next = learn(target, &reader, &mut marks, epoch, 0).await?;
        if let Some(mark) = marks.newest()
            && let Some(other) = compare(source, mark, &target.topic).await.map_err(failed)?
        {
            return Err(refusal(format!(
                "{other}: the log is an older copy of itself, or went on from one. Restore it with `parlor restore`, which gives it \
                 a new epoch, or from a newer backup"
            )));
        }
        let opening = MarkRecord::Opening(Opening { epoch });
        let number = write_mark(target, &producer, &opening).await.map_err(failed)?;
        // Whatever was written in between, another relay's last words perhaps, counts for the last time.
        learn(target, &reader, &mut marks, epoch, next).await?;

        let ends = measure(target, &reader, &marks).await.map_err(failed)?;
        let position = marks.newest().map_or(Position(0), |mark| mark.position);
        let said = marks.newest().and_then(|mark| mark.last);
        let last = match said {
            None => source.event_id(position).await.map_err(failed)?,
            said => said,
        };
        let mut session = Self {
            target: target.clone(),
            producer,
            reader,
            epoch,
            number,
            last_mark: number,
            ends,
            position,
            last,
            said: None,
        };
        let upstream = marks.newest().map_or_else(Vec::new, |mark| mark.upstream.clone());
        session.mark(&upstream).await?;
        tracing::info!(topic = target.topic, %position, session = number, "the relay publishes");
        Ok(session)
    }

    /// Everything up to here is out.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Takes note that everything up to `position` is out, where the log's event is `last`.
    pub(crate) fn moved_to(&mut self, position: Position, last: Option<Uuid>) {
        (self.position, self.last) = (position, last);
    }

    /// Publishes events and waits until every one of them is kept.
    pub(crate) async fn publish(&mut self, events: &[Arc<RecordedEvent>]) -> Result<(), StoreError> {
        let sent = events.iter().filter(|event| event.position > self.position).map(|event| {
            let target = &self.target;
            let headers = target.names.headers(event, self.epoch);
            let key = event.stream.to_string();
            let partition = partition_of(key.as_bytes(), self.ends.len());
            let producer = &self.producer;
            async move {
                let record = FutureRecord::to(&target.topic)
                    .key(&key)
                    .payload(event.data.as_ref())
                    .partition(partition as i32)
                    .timestamp(event.at.as_millisecond())
                    .headers(headers);
                let span = tracing::debug_span!(
                    "publish", topic = target.topic, event = &*event.name,
                    correlation = %event.correlation, parent = %SpanId::of(event),
                );
                match producer.send(record, Timeout::Never).instrument(span).await {
                    Ok(delivered) => Ok((partition, delivered.offset)),
                    Err((error, _)) => Err(store_error(&error)),
                }
            }
        });
        let kept = try_join_all(sent).await?;
        metrics::counter!("cqrs_kafka_relayed_events_total", "topic" => self.target.topic.clone())
            .increment(kept.len() as u64);
        for (partition, offset) in kept {
            self.ends[partition] = self.ends[partition].max(offset + 1);
        }
        Ok(())
    }

    /// Says how far the relay has come and what that covers, unless it has said so.
    pub(crate) async fn mark(&mut self, upstream: &[Upstream]) -> Result<(), HandlerError> {
        if self.said.as_ref().is_some_and(|(position, said)| *position == self.position && said == upstream) {
            return Ok(());
        }
        let failed = |error: StoreError| HandlerError::store(Position(self.position.0 + 1), &error);
        let mark = MarkRecord::Mark(Mark {
            epoch: self.epoch,
            session: self.number,
            position: self.position,
            last: self.last,
            ends: self.ends.clone(),
            upstream: upstream.to_vec(),
        });
        let offset = write_mark(&self.target, &self.producer, &mark).await.map_err(failed)?;
        let between = self.last_mark + 1;
        if offset > between {
            // Somebody else wrote: another relay that has taken over, or one that doesn't know it was relieved.
            let (target, reader, number) = (self.target.clone(), self.reader.clone(), self.number);
            let read = blocking(move || read_marks(&reader, &target.names, &target.marks_topic, between));
            let (others, _) = read.await.map_err(failed)?;
            let opened = |(offset, record): &(i64, MarkRecord)| {
                *offset > number
                    && matches!(record, MarkRecord::Opening(opening) if opening.epoch == self.epoch)
            };
            if others.iter().any(opened) {
                return Err(HandlerError::moved(self.position));
            }
        }
        self.last_mark = offset;
        self.said = Some((self.position, upstream.to_vec()));
        Ok(())
    }
}

/// Takes in the watermarks from offset `from` on, all of which must be of our own epoch; gives the offset behind them.
async fn learn(
    target: &Arc<Target>,
    reader: &Arc<Consumer>,
    marks: &mut Marks,
    epoch: Uuid,
    from: i64,
) -> Result<i64, HandlerError> {
    let (asked, client) = (target.clone(), reader.clone());
    let (records, next) = blocking(move || read_marks(&client, &asked.names, &asked.marks_topic, from))
        .await
        .map_err(|error| HandlerError::store(Position(0), &error))?;
    for (offset, record) in records {
        if record.epoch() != epoch {
            let service = target.service;
            return Err(refusal(format!(
                "the topic {} holds the events of {service}'s log in the epoch {}, and this log is of the epoch {epoch}: it was \
                 restored, or another installation uses the same topics. If it was restored, delete {0} and {}, and rebuild \
                 what other services made of its events; otherwise choose another kafka.prefix. Nothing was written",
                target.topic,
                record.epoch(),
                target.marks_topic
            )));
        }
        marks.take(offset, record);
    }
    Ok(next)
}

/// Where each partition ends now.
async fn measure(
    target: &Arc<Target>,
    reader: &Arc<Consumer>,
    marks: &Marks,
) -> Result<Vec<i64>, StoreError> {
    let (target, reader) = (target.clone(), reader.clone());
    let known = marks.newest().map_or_else(Vec::new, |mark| mark.ends.clone());
    blocking(move || {
        let there = partitions(&reader, &target.topic)?.ok_or_else(|| {
            StoreError::Unavailable(format!("kafka: the topic {} isn't there yet", target.topic))
        })?;
        if there < known.len() {
            return Err(lost(&target.topic, there, 0, known[there]));
        }
        let mut ends = Vec::with_capacity(there);
        for partition in 0..there {
            let (_, high) = bounds(&reader, &target.topic, partition)?;
            if let Some(end) = known.get(partition).filter(|end| **end > high) {
                return Err(lost(&target.topic, partition, high, *end));
            }
            ends.push(high);
        }
        Ok(ends)
    })
    .await
}

/// Writes a record of the watermarks' topic; gives its offset.
async fn write_mark(
    target: &Target,
    producer: &FutureProducer<Quiet>,
    record: &MarkRecord,
) -> Result<i64, StoreError> {
    let (key, value) = mark_value(record).map_err(|error| StoreError::Other(error.to_string()))?;
    let headers = target.names.mark_headers(record, target.clock.fresh_id(), target.clock.now());
    let record =
        FutureRecord::to(&target.marks_topic).key(&key).payload(&value).partition(0).headers(headers);
    match producer.send(record, Timeout::Never).await {
        Ok(delivered) => Ok(delivered.offset),
        Err((error, _)) => Err(store_error(&error)),
    }
}

/// What needs somebody's doing.
fn refusal(detail: String) -> HandlerError {
    HandlerError::new(Position(0), detail, false)
}
