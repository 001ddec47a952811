//! Where events are read from: a service's own log, or another service's public events.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;
use uuid::Uuid;

use crate::context::derived_id;
use crate::event::{Position, RecordedEvent};
use crate::failure::StoreError;
use crate::log::Log;
use crate::privacy::{CodecError, Keyring, Keys};

/// Events read in one go, and the position up to which there are no others.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Oldest first.
    pub events: Vec<Arc<RecordedEvent>>,
    /// Everything up to here has been read, even if the last events weren't for the reader.
    pub upto: Position,
}

/// A readable order of events.
#[async_trait]
pub trait EventSource: Send + Sync + 'static {
    /// Its name: a service's for its log, `SERVICE.public` for its public events.
    fn name(&self) -> &'static str;
    /// The epoch of the log behind it; nil while a source that is far away hasn't told it. No batch comes before it.
    fn epoch(&self) -> Uuid;
    /// Up to about `limit` events after `after`.
    async fn read(&self, after: Position, limit: usize) -> Result<Batch, StoreError>;
    /// The position of the newest event.
    fn head(&self) -> watch::Receiver<Position>;
    /// The position of the newest event, asked for where it is known: nothing that was committed anywhere before the call is
    /// beyond it, while [`EventSource::head`] hears of other processes' commits a moment later.
    async fn newest(&self) -> Result<Position, StoreError> {
        Ok(*self.head().borrow())
    }
    /// The id of the event at `position` of the log behind it, as it is made public or would be: two copies of a log that have
    /// the same one there have the same history up to it. `None` if nothing stands there, or only what isn't told here.
    async fn event_id(&self, position: Position) -> Result<Option<Uuid>, StoreError> {
        let Some(before) = position.0.checked_sub(1) else { return Ok(None) };
        let batch = self.read(Position(before), 1).await?;
        Ok(batch.events.first().filter(|event| event.position == position).map(|event| event.id))
    }
    /// What is known of `log`, a log whose events the service behind this source turns into events of its own; `None` if it
    /// doesn't, or if that is known in this process anyway.
    fn covered(&self, log: &str) -> Option<watch::Receiver<Covered>> {
        let _ = log;
        None
    }
}

/// A statement about two logs: everything that came of the upstream log's events up to one position stands in this source
/// up to another. Relays send such statements along (watermarks), so that a token of one service can be waited for in the
/// views of a third.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Covered {
    /// The upstream log's epoch; nil while nothing is known.
    pub epoch: Uuid,
    /// The position in the upstream log.
    pub upstream: Position,
    /// The position in this source.
    pub at: Position,
}

/// A log as a source of its private events.
pub struct LogSource(pub Arc<dyn Log>);

#[async_trait]
impl EventSource for LogSource {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn epoch(&self) -> Uuid {
        self.0.epoch()
    }
    async fn read(&self, after: Position, limit: usize) -> Result<Batch, StoreError> {
        let events = self.0.read(after, limit).await?;
        let upto = events.last().map_or(after, |last| last.position);
        Ok(Batch { events, upto })
    }
    fn head(&self) -> watch::Receiver<Position> {
        self.0.head()
    }
    async fn newest(&self) -> Result<Position, StoreError> {
        self.0.newest().await
    }
}

/// An event as other services hear of it.
#[derive(Debug, Clone)]
pub struct PublicEvent<E> {
    /// Events with the same key stay in order wherever they travel: a conversation, a user.
    pub key: Uuid,
    /// What happened; an adjacently tagged enum whose tags are names with a version, as `message-sent.v1`.
    pub event: E,
}

/// Makes a service's private events public: one exhaustive `match`, in which not publishing is a visible choice.
pub trait Publisher: Send + Sync + 'static {
    /// The service's public events.
    type Public: Serialize + Send + Sync;
    /// What others get to hear of an event, if anything.
    fn publish(
        &self,
        event: &Arc<RecordedEvent>,
        keys: &Keys,
    ) -> Result<Option<PublicEvent<Self::Public>>, CodecError>;
}

/// The category of public events, which belong to no stream.
pub const PUBLIC: &str = "public";

/// The id of what becomes public of a private event. Derived, so that a repeat is recognised, and another one, for sealed
/// fields are sealed under it.
pub fn public_id(private: Uuid) -> Uuid {
    derived_id("parlor cqrs public event v1", &[private.as_bytes()])
}

/// What is kept of the newest public events, so that each is made once and not once for each who follows.
const RECENT_BYTES: usize = 4 << 20;

/// The newest public events: all of those after one position up to another.
#[derive(Default)]
struct Recent {
    after: Position,
    upto: Position,
    events: VecDeque<Arc<RecordedEvent>>,
    bytes: usize,
}

impl Recent {
    /// Up to `limit` events after `after`, if what comes next there is at hand.
    fn read(&self, after: Position, limit: usize) -> Option<Batch> {
        if after < self.after || after >= self.upto {
            return None;
        }
        let skip = self.events.partition_point(|event| event.position <= after);
        let events: Vec<_> = self.events.range(skip..).take(limit).cloned().collect();
        let all = skip + events.len() == self.events.len();
        let upto = events.last().filter(|_| !all).map_or(self.upto, |last| last.position);
        Some(Batch { events, upto })
    }

    /// Keeps what was read after `after`, unless something newer is kept already that it doesn't continue.
    fn keep(&mut self, after: Position, batch: &Batch) {
        if after > self.upto || self.upto == Position(0) {
            *self = Self { after, upto: after, ..Self::default() };
        }
        if after != self.upto {
            return;
        }
        self.upto = batch.upto;
        for event in &batch.events {
            self.bytes += event.weight();
            self.events.push_back(event.clone());
        }
        while self.bytes > RECENT_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.weight();
            self.after = oldest.position;
        }
    }
}

/// A service's public events, read from its log in the same process.
pub struct PublicSource<P> {
    name: &'static str,
    log: Arc<dyn Log>,
    keyring: Keyring,
    publisher: P,
    /// Held while events are made public: who follows as closely finds them made.
    recent: tokio::sync::Mutex<Recent>,
}

impl<P: Publisher> PublicSource<P> {
    /// The public events of the service whose log this is, under `name` (`SERVICE.public`).
    pub fn new(name: &'static str, log: Arc<dyn Log>, keyring: Keyring, publisher: P) -> Self {
        Self { name, log, keyring, publisher, recent: tokio::sync::Mutex::default() }
    }

    async fn publish(&self, event: &Arc<RecordedEvent>) -> Result<Option<Arc<RecordedEvent>>, CodecError> {
        let Some(public) = self.keyring.with_keys(|keys| self.publisher.publish(event, keys)).await? else {
            return Ok(None);
        };
        let id = public_id(event.id);
        let (name, data): (String, Bytes) = self.keyring.encode_parts(id, &public.event).await?;
        Ok(Some(Arc::new(RecordedEvent {
            id,
            category: PUBLIC.into(),
            stream: public.key,
            name: name.into(),
            schema: 1,
            data,
            causation: Some(event.id),
            ..(**event).clone()
        })))
    }

    async fn read_log(&self, after: Position, limit: usize) -> Result<Batch, StoreError> {
        let private = self.log.read(after, limit).await?;
        let mut upto = after;
        let mut events = Vec::new();
        for event in &private {
            match self.publish(event).await {
                Ok(public) => events.extend(public),
                // Those before it go out; the next read begins, and fails, with the one that can't be published.
                Err(_) if upto > after => break,
                Err(CodecError::Store(error)) => return Err(error),
                Err(error) => {
                    let detail = format!("{} at {}: {error}", self.name, event.position);
                    return Err(StoreError::Corrupt(detail));
                }
            }
            upto = event.position;
        }
        Ok(Batch { events, upto })
    }
}

#[async_trait]
impl<P: Publisher> EventSource for PublicSource<P> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn epoch(&self) -> Uuid {
        self.log.epoch()
    }
    async fn read(&self, after: Position, limit: usize) -> Result<Batch, StoreError> {
        let mut recent = self.recent.lock().await;
        if let Some(batch) = recent.read(after, limit) {
            return Ok(batch);
        }
        if after < recent.upto {
            // Whoever is far behind keeps nobody else waiting.
            drop(recent);
            return self.read_log(after, limit).await;
        }
        let batch = self.read_log(after, limit).await?;
        recent.keep(after, &batch);
        Ok(batch)
    }
    fn head(&self) -> watch::Receiver<Position> {
        self.log.head()
    }
    async fn newest(&self) -> Result<Position, StoreError> {
        self.log.newest().await
    }
    async fn event_id(&self, position: Position) -> Result<Option<Uuid>, StoreError> {
        let found = self.log.read_at(&[position]).await?;
        Ok(found.first().map(|event| public_id(event.id)))
    }
}
