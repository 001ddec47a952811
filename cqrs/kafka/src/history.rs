//! Whether a log is the one whose events a topic holds, as far as they were published.

use std::sync::Arc;

use cqrs_core::{EventSource, Position, StoreError};

use crate::cluster::{Cluster, blocking};
use crate::mark::{Mark, MarkRecord};
use crate::marks::{bounds, partitions, read_marks};
use crate::record::Names;

/// How many records of the watermarks' topic are looked at, from its end; the newest of them says enough.
const LOOKED_AT: i64 = 64;

/// A log isn't what was published of it: an older copy of it was put in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtherHistory {
    /// It ends before what was published.
    #[error("the log {log} ends at {ends_at}, but {published} was published to {topic}")]
    Behind {
        /// The log.
        log: String,
        /// Where it ends.
        ends_at: Position,
        /// How far it was published.
        published: Position,
        /// To where.
        topic: String,
    },
    /// It has come as far, with other events: it went on from the older copy.
    #[error("the log {log} has another event at {position} than the one that was published to {topic}")]
    Diverged {
        /// The log.
        log: String,
        /// Where the two differ, perhaps not for the first time.
        position: Position,
        /// Where the other one went.
        topic: String,
    },
}

/// Compares the log behind `source`, a service's public events, with what Kafka has of it; nothing where it has none, or only of
/// another epoch, which the relay refuses. Meant for before anything is recorded, which would make an older copy longer.
pub async fn other_history(
    cluster: &Arc<Cluster>,
    source: &dyn EventSource,
) -> Result<Option<OtherHistory>, StoreError> {
    let service = log_of(source);
    let (names, topic) =
        (Names::of(&cluster.settings.namespace, service), cluster.settings.watermark_topic(service));
    let reader = cluster.reader()?;
    let read = blocking(move || {
        if partitions(&reader, &topic)?.is_none() {
            return Ok(Vec::new());
        }
        let (_, end) = bounds(&reader, &topic, 0)?;
        Ok(read_marks(&reader, &names, &topic, end - LOOKED_AT)?.0)
    });
    let marks = read.await?.into_iter().filter_map(|(_, record)| match record {
        // Whichever relay said it: it was out.
        MarkRecord::Mark(mark) => Some(mark).filter(|mark| mark.epoch == source.epoch()),
        MarkRecord::Opening(_) => None,
    });
    match marks.max_by_key(|mark| mark.position) {
        Some(mark) => compare(source, &mark, &cluster.settings.topic(service)).await,
        None => Ok(None),
    }
}

/// Compares a log with what a watermark of its epoch, read before, says was published.
pub(crate) async fn compare(
    source: &dyn EventSource,
    mark: &Mark,
    topic: &str,
) -> Result<Option<OtherHistory>, StoreError> {
    let (log, topic) = (log_of(source).to_owned(), topic.to_owned());
    let ends_at = source.newest().await?;
    if mark.position > ends_at {
        return Ok(Some(OtherHistory::Behind { log, ends_at, published: mark.position, topic }));
    }
    // An older relay's watermark says nothing of the event.
    let Some(published) = mark.last else { return Ok(None) };
    let there = source.event_id(mark.position).await?;
    let other = there.is_some_and(|there| there != published);
    Ok(other.then_some(OtherHistory::Diverged { log, position: mark.position, topic }))
}

fn log_of(source: &dyn EventSource) -> &'static str {
    let name = source.name();
    name.strip_suffix(".public").unwrap_or(name)
}
