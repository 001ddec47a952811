//! What can't be handled is set aside, so that what comes after it goes on.

use async_trait::async_trait;
use uuid::Uuid;

use crate::event::{Position, RecordedEvent};
use crate::failure::StoreError;
use crate::lease::Fence;
use crate::projection::{Place, PlaceError};

/// A record that somebody else wrote where only events should be, or that can't be read as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRecord {
    /// The topic it came in.
    pub topic: String,
    /// The topic's partition.
    pub partition: i32,
    /// Its offset there; with topic and partition, it names the record.
    pub offset: i64,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Its value, if it has one.
    pub value: Option<Vec<u8>>,
    /// Why it is none of ours.
    pub reason: String,
}

/// Keeps foreign records for operators to look at.
#[async_trait]
pub trait Park: Send + Sync + 'static {
    /// Keeps a record; one that is kept already stays as it is.
    async fn park(&self, record: &ForeignRecord) -> Result<(), StoreError>;
}

/// Something that was set aside, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Its number in its store.
    pub id: i64,
    /// The reactor that couldn't handle it; `None` for a [`ForeignRecord`].
    pub consumer: Option<String>,
    /// The source it came from, or a foreign record's topic and partition.
    pub source: String,
    /// Its position there, or a foreign record's offset.
    pub position: Position,
    /// What it must stay in order with: the event's stream.
    pub stream: Option<Uuid>,
    /// What it is called.
    pub name: String,
    /// Why it was set aside.
    pub reason: String,
    /// Whether it is to be tried again.
    pub retry: bool,
}

/// Keeps events that a reactor couldn't handle, beside the reactor's place.
///
/// An event is parked together with all later ones of its stream, so that whatever is tried again comes in order.
#[async_trait]
pub trait ParkStore: Send + Sync + 'static {
    /// The streams of which something is parked.
    async fn parked_streams(&self, consumer: &str, source: &str) -> Result<Vec<Uuid>, StoreError>;

    /// Parks an event and moves the place behind it, both or neither; with `fence`, only if that still is the number of the
    /// consumer's lease.
    async fn park_event(
        &self,
        consumer: &str,
        source: &str,
        event: &RecordedEvent,
        reason: &str,
        place: Place,
        fence: Option<Fence>,
    ) -> Result<(), PlaceError>;

    /// What is to be tried again, oldest first: of each stream that somebody asked for, all that is parked by now.
    async fn to_retry(&self, consumer: &str, source: &str) -> Result<Vec<Parked>, StoreError>;

    /// It was handled, and is parked no more.
    async fn handled(&self, id: i64) -> Result<(), StoreError>;

    /// It couldn't be handled again: it stays, and so do the others of its stream, unless somebody asked once more since
    /// [`to_retry`](Self::to_retry).
    async fn failed(&self, id: i64, reason: &str) -> Result<(), StoreError>;

    /// Everything that is parked, in the order in which it was, foreign records among it.
    async fn parked(&self) -> Result<Vec<Parked>, StoreError>;

    /// Has an event tried again, with all others of its stream, in order, by whatever process runs the reactor; `false` if no
    /// such event is parked.
    async fn retry(&self, id: i64) -> Result<bool, StoreError>;

    /// Gives something up for good, and has the others of its stream tried again; `false` if nothing of this number is
    /// parked.
    async fn give_up(&self, id: i64) -> Result<bool, StoreError>;
}
