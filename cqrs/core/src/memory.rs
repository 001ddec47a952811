//! A log in memory: the whole contract of [`Log`], without a disk. For tests, and as the plainest statement of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use crate::event::{Position, RecordedEvent, StreamId};
use crate::failure::StoreError;
use crate::lease::{Fence, LeaseStore, MemoryLeases};
use crate::log::{ClaimChange, Commit, CommitError, Committed, Guard, LedgerRecord, Log};
use crate::projection::{Place, PlaceError, PlaceStore};
use crate::value::Value;

/// Who holds a claim, and until when.
type Holder = (Uuid, Option<Timestamp>);

/// A row's version and columns.
type StoredRow = (u64, Vec<(&'static str, Value)>);

#[derive(Default)]
struct Inner {
    events: Vec<Arc<RecordedEvent>>,
    versions: HashMap<(String, Uuid), u64>,
    claims: HashMap<(&'static str, [u8; 32]), Holder>,
    ledger: HashMap<[u8; 32], LedgerRecord>,
    snapshots: HashMap<(String, Uuid), (u64, Vec<u8>)>,
    rows: HashMap<(&'static str, String), StoredRow>,
    places: HashMap<(String, String), Place>,
    last: Timestamp,
}

/// A log in memory.
pub struct MemoryLog {
    name: &'static str,
    epoch: Uuid,
    inner: Mutex<Inner>,
    leases: MemoryLeases,
    head: watch::Sender<Position>,
}

impl MemoryLog {
    /// An empty log called `name`, of an epoch that its name stands for.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            epoch: crate::context::derived_id("memory log", &[name.as_bytes()]),
            inner: Mutex::default(),
            leases: MemoryLeases::default(),
            head: watch::Sender::new(Position(0)),
        }
    }

    /// A row as it was last written, with its version.
    pub fn row(&self, table: &'static str, key: &Value) -> Option<StoredRow> {
        self.inner.lock().rows.get(&(table, format!("{key:?}"))).cloned()
    }
}

fn stream_key(stream: StreamId) -> (String, Uuid) {
    (stream.category.to_owned(), stream.id)
}

impl Inner {
    fn version(&self, stream: StreamId) -> u64 {
        self.versions.get(&stream_key(stream)).copied().unwrap_or(0)
    }

    fn check(&self, commit: &Commit) -> Result<(), CommitError> {
        if let Some(entry) = &commit.ledger
            && let Some(held) = self.ledger.get(&entry.key)
        {
            return Err(if held.content == entry.content {
                CommitError::Replayed(held.answer.clone())
            } else {
                CommitError::KeyReused
            });
        }
        let appends = commit.appends.iter().map(|append| (append.stream, append.expected));
        let guards = commit.guards.iter().map(|guard| (guard.stream, guard.expected));
        for (stream, expected) in appends.chain(guards) {
            let actual = self.version(stream);
            if actual != expected {
                return Err(CommitError::Conflict {
                    what: stream.to_string(),
                    id: stream.id,
                    expected,
                    actual,
                });
            }
        }
        for row in &commit.rows {
            let actual =
                self.rows.get(&(row.table, format!("{:?}", row.key))).map_or(0, |(version, _)| *version);
            if let Some(expected) = row.expected
                && expected != actual
            {
                let what = format!("{} {:?}", row.table, row.key);
                return Err(CommitError::Conflict { what, id: Uuid::nil(), expected, actual });
            }
        }
        for claim in &commit.claims {
            let held = self.claims.get(&(claim.set, claim.value));
            if claim.change == ClaimChange::Take
                && held.is_some_and(|(owner, until)| {
                    // In milliseconds, as every store keeps times.
                    let lapsed = |until: Timestamp| until.as_millisecond() <= commit.now.as_millisecond();
                    *owner != claim.owner && !until.is_some_and(lapsed)
                })
            {
                return Err(CommitError::ClaimTaken { set: claim.set });
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Log for MemoryLog {
    fn name(&self) -> &'static str {
        self.name
    }

    fn epoch(&self) -> Uuid {
        self.epoch
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        let mut inner = self.inner.lock();
        inner.check(&commit)?;
        let committed = commit.outcome(Position(inner.events.len() as u64), inner.last);
        let record = commit.ledger.as_ref().map(|entry| entry.record(&committed)).transpose()?;
        inner.last = committed.at;
        for append in commit.appends {
            for (version, event) in (append.expected + 1..).zip(append.events) {
                let position = Position(inner.events.len() as u64 + 1);
                inner.versions.insert(stream_key(append.stream), version);
                inner.events.push(Arc::new(RecordedEvent {
                    position,
                    id: event.id,
                    category: append.stream.category.into(),
                    stream: append.stream.id,
                    version,
                    name: event.name,
                    schema: event.schema,
                    at: committed.at,
                    actor: commit.actor,
                    correlation: commit.correlation,
                    causation: commit.causation,
                    data: event.data,
                }));
            }
        }
        for claim in commit.claims {
            match claim.change {
                ClaimChange::Take => {
                    inner.claims.insert((claim.set, claim.value), (claim.owner, claim.until));
                }
                ClaimChange::Release => {
                    if inner
                        .claims
                        .get(&(claim.set, claim.value))
                        .is_some_and(|(owner, _)| *owner == claim.owner)
                    {
                        inner.claims.remove(&(claim.set, claim.value));
                    }
                }
            }
        }
        for row in commit.rows {
            let key = (row.table, format!("{:?}", row.key));
            match row.columns {
                Some(columns) => {
                    let version = inner.rows.get(&key).map_or(0, |(version, _)| *version);
                    inner.rows.insert(key, (version + 1, columns));
                }
                None => {
                    inner.rows.remove(&key);
                }
            }
        }
        inner.ledger.extend(commit.ledger.map(|entry| entry.key).zip(record));
        // Still under the lock: heads are announced in the order of their commits.
        self.head.send_replace(committed.last);
        drop(inner);
        Ok(committed)
    }

    async fn read_stream(&self, stream: StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let inner = self.inner.lock();
        let of_stream = |event: &&Arc<RecordedEvent>| {
            event.stream == stream.id && event.category == stream.category && event.version > after
        };
        Ok(inner.events.iter().filter(of_stream).map(|event| (**event).clone()).collect())
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        Ok(self.inner.lock().events.iter().skip(after.0 as usize).take(limit).cloned().collect())
    }

    async fn read_at(&self, positions: &[Position]) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        let inner = self.inner.lock();
        let at = |position: &Position| inner.events.get((position.0 as usize).checked_sub(1)?).cloned();
        Ok(positions.iter().filter_map(at).collect())
    }

    async fn verify(&self, guards: &[Guard]) -> Result<Option<Guard>, StoreError> {
        let inner = self.inner.lock();
        Ok(guards.iter().find_map(|guard| {
            let actual = inner.version(guard.stream);
            (actual != guard.expected).then_some(Guard { stream: guard.stream, expected: actual })
        }))
    }

    async fn ledger(&self, key: [u8; 32]) -> Result<Option<LedgerRecord>, StoreError> {
        Ok(self.inner.lock().ledger.get(&key).cloned())
    }

    async fn claim_owner(&self, set: &'static str, value: [u8; 32]) -> Result<Option<Uuid>, StoreError> {
        Ok(self.inner.lock().claims.get(&(set, value)).map(|(owner, _)| *owner))
    }

    async fn snapshot(&self, stream: StreamId) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        Ok(self.inner.lock().snapshots.get(&stream_key(stream)).cloned())
    }

    async fn save_snapshot(&self, stream: StreamId, version: u64, bytes: Vec<u8>) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        let held = inner.snapshots.entry(stream_key(stream)).or_default();
        if held.0 < version {
            *held = (version, bytes);
        }
        Ok(())
    }

    async fn count_streams(&self, category: &str) -> Result<u64, StoreError> {
        Ok(self.inner.lock().versions.keys().filter(|(of, _)| of == category).count() as u64)
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }
}

#[async_trait]
impl LeaseStore for MemoryLog {
    async fn acquire(&self, name: &str, _: Uuid, ttl: Duration) -> Result<Option<Fence>, StoreError> {
        Ok(self.leases.acquire(name, ttl))
    }

    async fn renew(&self, name: &str, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        Ok(self.leases.renew(name, fence, ttl))
    }

    async fn release(&self, name: &str, fence: Fence) -> Result<(), StoreError> {
        self.leases.release(name, fence);
        Ok(())
    }
}

#[async_trait]
impl PlaceStore for MemoryLog {
    async fn load(&self, consumer: &str, source: &str) -> Result<Option<Place>, StoreError> {
        let key = (consumer.to_owned(), source.to_owned());
        Ok(self.inner.lock().places.get(&key).copied())
    }

    async fn save(
        &self,
        consumer: &str,
        source: &str,
        place: Place,
        fence: Option<Fence>,
    ) -> Result<(), PlaceError> {
        let mut inner = self.inner.lock();
        if fence.is_some_and(|fence| !self.leases.is_current(consumer, fence)) {
            return Err(PlaceError::LeaseLost);
        }
        let held = inner.places.entry((consumer.to_owned(), source.to_owned())).or_insert(place);
        let position = held.within(place.epoch, consumer, source)?.max(place.position);
        *held = Place { position, epoch: if place.epoch.is_nil() { held.epoch } else { place.epoch } };
        Ok(())
    }

    async fn forget(&self, consumer: &str) -> Result<(), StoreError> {
        self.inner.lock().places.retain(|(kept, _), _| kept != consumer);
        Ok(())
    }
}
