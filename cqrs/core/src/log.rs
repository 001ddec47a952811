//! The log: the write side's store. What commits here is the truth; everything else follows.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use crate::context::Actor;
use crate::event::{NewEvent, Position, RecordedEvent, StreamId};
use crate::failure::StoreError;
use crate::value::Value;

/// Events for one stream.
#[derive(Debug, Clone)]
pub struct Append {
    /// Where they go.
    pub stream: StreamId,
    /// The version the stream must have; 0 for a stream that must not exist.
    pub expected: u64,
    /// What happened, in order.
    pub events: Vec<NewEvent>,
}

/// A stream that the decision relied on without appending to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Which stream.
    pub stream: StreamId,
    /// The version it must still have.
    pub expected: u64,
}

/// Something that must be unique in a set, taken or given back with the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The set, as `email`.
    pub set: &'static str,
    /// Keyed hash of the normalised value.
    pub value: [u8; 32],
    /// Who holds it.
    pub owner: Uuid,
    /// When it lapses by itself, if it does: from then on others may take it.
    pub until: Option<Timestamp>,
    /// Taken or given back.
    pub change: ClaimChange,
}

/// What happens to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimChange {
    /// Taken; refused if another owner holds it.
    Take,
    /// Given back, if this owner holds it.
    Release,
}

/// A row of a state-stored aggregate, written with the events.
#[derive(Debug, Clone)]
pub struct RowWrite {
    /// The table, with a `version` column.
    pub table: &'static str,
    /// The name of its key column.
    pub key_column: &'static str,
    /// The row's key.
    pub key: Value,
    /// The version the row must have; 0 for one that must not exist. `None` accepts any.
    pub expected: Option<u64>,
    /// The columns with their values (key and version not among them); `None` deletes the row.
    pub columns: Option<Vec<(&'static str, Value)>>,
}

/// What a commit gave, handed to whoever composes the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Place of the commit's first event; the log's head if it had none.
    pub first: Position,
    /// Place of its last event; the log's head if it had none.
    pub last: Position,
    /// The time of its events; never before that of an earlier commit.
    pub at: Timestamp,
}

/// Composes the stored answer once positions are known. Runs inside the commit, short and without fail (a panic fails
/// the commit), and again if the commit has to be tried again.
pub type Render = Box<dyn Fn(&Committed) -> Vec<u8> + Send + Sync>;

/// The record that makes a command idempotent.
pub struct LedgerEntry {
    /// Keyed hash of actor, route and key.
    pub key: [u8; 32],
    /// Keyed hash of the content.
    pub content: [u8; 32],
    /// The answer to keep, sealed.
    pub answer: Render,
}

impl LedgerEntry {
    /// The record to keep. A store asks for it before it changes anything: composing the answer is a command's own code,
    /// and a panic there must fail that command and nothing else.
    pub fn record(&self, committed: &Committed) -> Result<LedgerRecord, StoreError> {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (self.answer)(committed)))
            .map(|answer| LedgerRecord { content: self.content, answer })
            .map_err(|_| StoreError::Other("composing an answer panicked".to_owned()))
    }
}

/// One command's changes: all of them or none.
pub struct Commit {
    /// What happened.
    pub appends: Vec<Append>,
    /// What was relied on.
    pub guards: Vec<Guard>,
    /// What must be unique.
    pub claims: Vec<Claim>,
    /// Rows of state-stored aggregates.
    pub rows: Vec<RowWrite>,
    /// The idempotency record, if the command has a key.
    pub ledger: Option<LedgerEntry>,
    /// Who caused it.
    pub actor: Actor,
    /// Shared by all that one request set off.
    pub correlation: Uuid,
    /// The event that caused it, if one did.
    pub causation: Option<Uuid>,
    /// The time of the request; the events' time is this or the log's last time, whichever is later.
    pub now: Timestamp,
}

impl Commit {
    /// What committing it gives in a log at `head` whose time has come to `last`.
    pub fn outcome(&self, head: Position, last: Timestamp) -> Committed {
        let events = self.appends.iter().map(|append| append.events.len() as u64).sum::<u64>();
        let at = Timestamp::from_millisecond(self.now.max(last).as_millisecond()).unwrap_or(last);
        Committed { first: Position(head.0 + events.min(1)), last: Position(head.0 + events), at }
    }

    /// An empty commit by `actor`.
    pub fn new(actor: Actor, correlation: Uuid, now: Timestamp) -> Self {
        Self {
            appends: Vec::new(),
            guards: Vec::new(),
            claims: Vec::new(),
            rows: Vec::new(),
            ledger: None,
            actor,
            correlation,
            causation: None,
            now,
        }
    }
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A stream or row isn't at the version expected.
    #[error("{what} is at version {actual}, not {expected}")]
    Conflict {
        /// Which stream (category and id) or row.
        what: String,
        /// The stream's id, or nil for a row.
        id: Uuid,
        /// What was expected.
        expected: u64,
        /// What it is.
        actual: u64,
    },
    /// Somebody else holds the claim.
    #[error("the {set} is taken")]
    ClaimTaken {
        /// In which set.
        set: &'static str,
    },
    /// The ledger has this key: the stored answer, sealed as it was.
    #[error("answered before")]
    Replayed(Vec<u8>),
    /// The ledger has this key with another content.
    #[error("the idempotency key was used before with another content")]
    KeyReused,
    /// Whether it was committed isn't known; the caller drops what it cached and lets the client repeat.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// The store failed before committing.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A stored answer found in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRecord {
    /// Keyed hash of the content.
    pub content: [u8; 32],
    /// The answer, sealed.
    pub answer: Vec<u8>,
}

/// A log with its ledger, claims, snapshots and state-stored rows: one store, one order.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// The log's name, as tokens and cursors carry it.
    fn name(&self) -> &'static str;

    /// The epoch: changes when the log is restored from a backup.
    fn epoch(&self) -> Uuid;

    /// Commits one command's changes, durably, together with whatever else is under way.
    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError>;

    /// The events of a stream after `after`, oldest first.
    async fn read_stream(&self, stream: StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError>;

    /// Up to `limit` events after `after`, oldest first, without gaps.
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<RecordedEvent>>, StoreError>;

    /// The events at `positions`, in that order; positions beyond the head are left out.
    async fn read_at(&self, positions: &[Position]) -> Result<Vec<Arc<RecordedEvent>>, StoreError>;

    /// Whether the streams are still at these versions; otherwise the first that isn't, with the version it has.
    async fn verify(&self, guards: &[Guard]) -> Result<Option<Guard>, StoreError>;

    /// What the ledger has for this key.
    async fn ledger(&self, key: [u8; 32]) -> Result<Option<LedgerRecord>, StoreError>;

    /// Who took a claim last and hasn't given it back; it may have lapsed since.
    async fn claim_owner(&self, set: &'static str, value: [u8; 32]) -> Result<Option<Uuid>, StoreError>;

    /// The newest snapshot of a stream: version and bytes.
    async fn snapshot(&self, stream: StreamId) -> Result<Option<(u64, Vec<u8>)>, StoreError>;

    /// The newest snapshot of a stream, and the events after it, oldest first: all of them where there is none.
    async fn read_from_snapshot(
        &self,
        stream: StreamId,
    ) -> Result<(Option<(u64, Vec<u8>)>, Vec<RecordedEvent>), StoreError> {
        let snapshot = self.snapshot(stream).await?;
        let after = snapshot.as_ref().map_or(0, |(version, _)| *version);
        Ok((snapshot, self.read_stream(stream, after).await?))
    }

    /// Keeps a snapshot, unless a newer one is there. Losing one costs time, nothing else.
    async fn save_snapshot(&self, stream: StreamId, version: u64, bytes: Vec<u8>) -> Result<(), StoreError>;

    /// How many streams of this category there are.
    async fn count_streams(&self, category: &str) -> Result<u64, StoreError>;

    /// The position of the newest event known here; follows commits of this process at once, those of others soon.
    fn head(&self) -> watch::Receiver<Position>;

    /// The position of the newest event, asked for in the store: nothing that was committed anywhere before the call is
    /// beyond it.
    async fn newest(&self) -> Result<Position, StoreError> {
        Ok(*self.head().borrow())
    }
}
