//! What a group commit decides, the same on every store: which of the batch's commands go in, and as which rows.

use std::collections::HashMap;
use std::sync::Arc;

use cqrs_core::{
    Claim, ClaimChange, Commit, CommitError, Committed, LedgerRecord, Position, RecordedEvent, RowWrite,
    StreamId, Value,
};
use jiff::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

/// A commit with whoever waits for it.
pub(crate) struct Waiting {
    pub(crate) commit: Commit,
    pub(crate) reply: oneshot::Sender<Result<Committed, CommitError>>,
}

/// A claim's value in its set.
pub(crate) type ClaimKey = (&'static str, [u8; 32]);

/// A row of a state-stored aggregate.
pub(crate) type RowKey = (&'static str, RowId);

/// A row's key, comparable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum RowId {
    Uuid(Uuid),
    Int(i64),
    Text(String),
}

impl RowId {
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Uuid(id) => Self::Uuid(*id),
            Value::Int(n) => Self::Int(*n),
            Value::Text(text) => Self::Text(text.clone()),
            other => Self::Text(format!("{other:?}")),
        }
    }
}

/// What the store holds of everything the batch touches, read after the head was locked.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) versions: HashMap<StreamId, u64>,
    pub(crate) ledger: HashMap<[u8; 32], LedgerRecord>,
    pub(crate) claims: HashMap<ClaimKey, (Uuid, Option<i64>)>,
    pub(crate) rows: HashMap<RowKey, u64>,
}

impl Facts {
    /// What the batch's commands expect of their streams, and no answers under their keys; nothing where there is more to be
    /// known than that.
    pub(crate) fn taken_for_granted(batch: &[Waiting]) -> Option<Self> {
        let mut versions = HashMap::with_capacity(2 * batch.len());
        for Waiting { commit, .. } in batch {
            if !commit.claims.is_empty() || !commit.rows.is_empty() {
                return None;
            }
            for (stream, expected) in expected(commit) {
                versions.entry(stream).or_insert(expected);
            }
        }
        Some(Self { versions, ..Self::default() })
    }
}

/// The versions that a command's streams must have.
fn expected(commit: &Commit) -> impl Iterator<Item = (StreamId, u64)> {
    let appends = commit.appends.iter().map(|append| (append.stream, append.expected));
    appends.chain(commit.guards.iter().map(|guard| (guard.stream, guard.expected)))
}

/// What the batch touches, without repetition.
#[derive(Default)]
pub(crate) struct Touched {
    pub(crate) streams: Vec<StreamId>,
    pub(crate) ledger: Vec<[u8; 32]>,
    pub(crate) claims: Vec<ClaimKey>,
    /// Table, key column and key of each row.
    pub(crate) rows: Vec<(&'static str, &'static str, Value)>,
}

impl Touched {
    pub(crate) fn by(batch: &[Waiting]) -> Self {
        let mut touched = Self::default();
        for Waiting { commit, .. } in batch {
            touched.streams.extend(expected(commit).map(|(stream, _)| stream));
            touched.ledger.extend(commit.ledger.as_ref().map(|entry| entry.key));
            touched.claims.extend(commit.claims.iter().map(|claim| (claim.set, claim.value)));
            touched.rows.extend(commit.rows.iter().map(|row| (row.table, row.key_column, row.key.clone())));
        }
        touched.streams.sort_unstable();
        touched.streams.dedup();
        touched.claims.sort_unstable();
        touched.claims.dedup();
        touched.ledger.sort_unstable();
        touched.ledger.dedup();
        touched
    }
}

/// The rows to write, and each command's result.
pub(crate) struct Plan {
    pub(crate) results: Vec<Result<Committed, CommitError>>,
    pub(crate) events: Vec<Arc<RecordedEvent>>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) ledger: Vec<([u8; 32], LedgerRecord)>,
    /// Each with the version the row will have.
    pub(crate) rows: Vec<(RowWrite, u64)>,
    pub(crate) head: Position,
    pub(crate) at: i64,
}

impl Plan {
    /// Goes through the batch in order; each command sees those before it. One that loses takes none along.
    pub(crate) fn make(batch: &mut [Waiting], facts: &mut Facts, head: Position, last_at: i64) -> Self {
        let mut plan = Self {
            results: Vec::with_capacity(batch.len()),
            events: Vec::with_capacity(batch.len()),
            claims: Vec::new(),
            ledger: Vec::new(),
            rows: Vec::new(),
            head,
            at: last_at,
        };
        for Waiting { commit, .. } in batch {
            let result = check(commit, facts).and_then(|()| plan.take(commit, facts));
            plan.results.push(result);
        }
        plan
    }

    fn take(&mut self, commit: &Commit, facts: &mut Facts) -> Result<Committed, CommitError> {
        // Time never goes back, so that it follows the order of positions whatever clocks do.
        let last = Timestamp::from_millisecond(self.at).unwrap_or_default();
        let committed = commit.outcome(self.head, last);
        if let Some(entry) = &commit.ledger {
            let record = entry.record(&committed)?;
            facts.ledger.insert(entry.key, record.clone());
            self.ledger.push((entry.key, record));
        }
        let at = committed.at;
        self.at = at.as_millisecond();
        for append in &commit.appends {
            for (version, event) in (append.expected + 1..).zip(&append.events) {
                self.head.0 += 1;
                self.events.push(Arc::new(RecordedEvent {
                    position: self.head,
                    id: event.id,
                    category: append.stream.category.into(),
                    stream: append.stream.id,
                    version,
                    name: event.name.clone(),
                    schema: event.schema,
                    at,
                    actor: commit.actor,
                    correlation: commit.correlation,
                    causation: commit.causation,
                    data: event.data.clone(),
                }));
            }
            facts.versions.insert(append.stream, append.expected + append.events.len() as u64);
        }
        for claim in &commit.claims {
            let key = (claim.set, claim.value);
            match claim.change {
                ClaimChange::Take => {
                    let until = claim.until.map(Timestamp::as_millisecond);
                    facts.claims.insert(key, (claim.owner, until));
                    self.claims.push(claim.clone());
                }
                ClaimChange::Release => {
                    if facts.claims.get(&key).is_some_and(|(owner, _)| *owner == claim.owner) {
                        facts.claims.remove(&key);
                        self.claims.push(claim.clone());
                    }
                }
            }
        }
        for row in &commit.rows {
            let key = (row.table, RowId::of(&row.key));
            let version = facts.rows.get(&key).map_or(1, |version| version + 1);
            if row.columns.is_some() {
                facts.rows.insert(key, version);
            } else {
                facts.rows.remove(&key);
            }
            self.rows.push((row.clone(), version));
        }
        Ok(committed)
    }

    /// Whether there is anything to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.claims.is_empty() && self.ledger.is_empty() && self.rows.is_empty()
    }
}

fn check(commit: &Commit, facts: &Facts) -> Result<(), CommitError> {
    if let Some(entry) = &commit.ledger
        && let Some(held) = facts.ledger.get(&entry.key)
    {
        return Err(if held.content == entry.content {
            CommitError::Replayed(held.answer.clone())
        } else {
            CommitError::KeyReused
        });
    }
    for (stream, expected) in expected(commit) {
        let actual = facts.versions.get(&stream).copied().unwrap_or(0);
        if actual != expected {
            return Err(CommitError::Conflict { what: stream.to_string(), id: stream.id, expected, actual });
        }
    }
    for row in &commit.rows {
        let actual = facts.rows.get(&(row.table, RowId::of(&row.key))).copied().unwrap_or(0);
        if let Some(expected) = row.expected
            && expected != actual
        {
            let what = format!("a row of {}", row.table);
            return Err(CommitError::Conflict { what, id: Uuid::nil(), expected, actual });
        }
    }
    let now = commit.now.as_millisecond();
    for claim in &commit.claims {
        let held = facts.claims.get(&(claim.set, claim.value));
        let by_another =
            held.is_some_and(|(owner, until)| *owner != claim.owner && until.is_none_or(|until| until > now));
        if claim.change == ClaimChange::Take && by_another {
            return Err(CommitError::ClaimTaken { set: claim.set });
        }
    }
    Ok(())
}

/// Answers everyone who waits.
pub(crate) fn answer(batch: Vec<Waiting>, results: Vec<Result<Committed, CommitError>>) {
    for (waiting, result) in batch.into_iter().zip(results) {
        // Who stopped waiting settles the outcome by the command's key.
        let _ = waiting.reply.send(result);
    }
}

/// Tells everyone who waits that the batch as a whole failed.
pub(crate) fn fail(batch: Vec<Waiting>, error: impl Fn() -> CommitError) {
    for waiting in batch {
        let _ = waiting.reply.send(Err(error()));
    }
}
