//! Carries decisions out: load, decide, commit; and again from the tail when somebody else was faster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use uuid::Uuid;

use crate::aggregate::Versioned;
use crate::context::{Clock, Context};
use crate::decision::{Decide, Decision, Outcome, PendingAppend, Read, State};
use crate::event::{Position, RecordedEvent, StreamId};
use crate::failure::{Failure, StoreError};
use crate::log::{Append, Claim, Commit, CommitError, Committed, Guard, LedgerEntry, Log, Render};
use crate::privacy::{InstanceKey, Keyring};
use crate::trace::Recording;

/// A command's answer, as it goes to the caller and, under an idempotency key, into the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// How it ended.
    pub outcome: Outcome,
    /// The answer as JSON; empty where there is none.
    #[serde(with = "text")]
    pub body: Vec<u8>,
    /// The target's version afterwards.
    pub version: Option<u64>,
    /// What was written, or the log's head where nothing was.
    pub position: Position,
    /// Whether this is the answer to an earlier command with the same key.
    #[serde(skip)]
    pub replayed: bool,
}

mod text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(bytes).unwrap_or_default())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        String::deserialize(deserializer).map(String::into_bytes)
    }
}

impl Reply {
    /// The answer, typed.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, Failure> {
        let body: &[u8] = if self.body.is_empty() { b"null" } else { &self.body };
        serde_json::from_slice(body).map_err(Failure::internal)
    }
}

fn to_body<T: Serialize>(answer: &T) -> Vec<u8> {
    match serde_json::to_vec(answer) {
        Ok(body) if body == b"null" => Vec::new(),
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            Vec::new()
        }
    }
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<StreamId, Versioned> for ByWeight {
    fn weight(&self, _: &StreamId, state: &Versioned) -> u64 {
        // The map's own entry costs about as much as a small state.
        (state.weight + size_of::<(StreamId, Versioned)>() + 64) as u64
    }
}

/// How an [`Executor`] works.
#[derive(Debug, Clone)]
pub struct ExecutorOptions {
    /// Bound of the aggregate cache, in bytes. 0 switches it off.
    pub cache_bytes: u64,
    /// How often a decision that lost a race is taken again.
    pub retries: u32,
}

impl Default for ExecutorOptions {
    fn default() -> Self {
        Self { cache_bytes: 16 * 1024 * 1024, retries: 16 }
    }
}

/// Where decisions that lost a race queue, by the stream they lost it on: the rivals of one process go one after the
/// other then, instead of meeting again and again.
type Queues = [tokio::sync::Mutex<()>; 64];

/// Carries out decisions on one log. Cheap to clone.
#[derive(Clone)]
pub struct Executor {
    log: Arc<dyn Log>,
    keyring: Keyring,
    instance: InstanceKey,
    cache: Option<Arc<Cache<StreamId, Versioned, ByWeight>>>,
    clock: Arc<dyn Clock>,
    retries: u32,
    queues: Arc<Queues>,
}

type Loaded = SmallVec<[(StreamId, Versioned); 4]>;

impl Executor {
    /// An executor on `log`.
    pub fn new(
        log: Arc<dyn Log>,
        keyring: Keyring,
        instance: InstanceKey,
        clock: Arc<dyn Clock>,
        options: &ExecutorOptions,
    ) -> Self {
        let cache = (options.cache_bytes > 0).then(|| {
            let items = (options.cache_bytes / 512).max(16) as usize;
            Arc::new(Cache::with_weighter(items, options.cache_bytes, ByWeight))
        });
        let queues = Arc::new(std::array::from_fn(|_| tokio::sync::Mutex::default()));
        Self { log, keyring, instance, cache, clock, retries: options.retries, queues }
    }

    /// The log it works on.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// What seals and opens personal fields.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The clock and id source.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Decides and commits, and does so again from the tail while others are faster, within the context's deadline.
    pub async fn run<D: Decide>(&self, cx: &Context, decide: &D) -> Result<Reply, Failure> {
        let reads = decide.reads(cx);
        let mut attempt = 0;
        let mut trust_cache = true;
        let mut turn = None;
        loop {
            let (state, from_cache) = self.load(&reads.0, trust_cache).await?;
            if let (Some(expected), Some((_, target))) = (cx.if_match, state.first())
                && target.version != expected
            {
                if from_cache {
                    trust_cache = false;
                    continue;
                }
                let current = target.version;
                return self.refused(cx, Failure::VersionMismatch { expected, current }).await;
            }
            let decision = match decide.decide(cx, &State(&state)) {
                Ok(decision) => decision,
                // Refused on what may be old: another process may have moved on. Look again before saying no.
                Err(_) if from_cache => {
                    trust_cache = false;
                    continue;
                }
                Err(refusal) => return self.refused(cx, refusal.into()).await,
            };
            // Past a queue, newcomers would win every race against those who wait in it: they go to its end, and decide on
            // what those before them left.
            if turn.is_none()
                && let Some(queue) = self.queue_of(&decision, &state)
            {
                turn = Some(queue.lock().await);
                continue;
            }
            match self.commit(cx, &state, decision).await {
                // Whoever has lost access since gets no answer, and another process may have taken it: look again.
                Ok(reply) if reply.replayed && from_cache => trust_cache = false,
                Ok(reply) => return Ok(reply),
                Err(CommitFailure::Commit(CommitError::Conflict { id, .. })) => {
                    trust_cache = false;
                    if attempt >= self.retries || expired(cx) {
                        return Err(Failure::Contended);
                    }
                    pause(attempt).await;
                    attempt += 1;
                    // One queue at a time: whoever holds a place in one and waited for another could wait for ever.
                    drop(turn.take());
                    turn = Some(self.queue(id).lock().await);
                }
                Err(CommitFailure::Commit(CommitError::ClaimTaken { set })) => {
                    let failure = decide
                        .claim_taken(set)
                        .map_or_else(|| Failure::internal(format!("the {set} is taken")), Failure::from);
                    return self.refused(cx, failure).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn queue(&self, id: Uuid) -> &tokio::sync::Mutex<()> {
        &self.queues[id.as_u128() as usize % self.queues.len()]
    }

    /// Where others wait who lost a race on a stream that the decision goes on with. One that it begins, or only guards, is
    /// hardly raced for.
    fn queue_of<T>(&self, decision: &Decision<T>, state: &Loaded) -> Option<&tokio::sync::Mutex<()>> {
        let goes_on =
            |stream: &StreamId| state.iter().any(|(named, loaded)| named == stream && loaded.version > 0);
        let streams = decision.appends.iter().map(|append| &append.stream).filter(|stream| goes_on(stream));
        streams.map(|stream| self.queue(stream.id)).find(|queue| queue.try_lock().is_err())
    }

    /// Commits a decision that was prepared outside, as those of state-stored aggregates are. A conflict comes
    /// back as `None`: load again and decide again.
    pub async fn run_prepared<T: Serialize + 'static>(
        &self,
        cx: &Context,
        decision: Decision<T>,
    ) -> Result<Option<Reply>, Failure> {
        match self.commit(cx, &SmallVec::new(), decision).await {
            Ok(reply) => Ok(Some(reply)),
            Err(CommitFailure::Commit(CommitError::Conflict { .. })) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The state of an aggregate as last committed, with its version; for what must be looked up before deciding.
    pub async fn state<A: crate::aggregate::Aggregate>(&self, id: Uuid) -> Result<(u64, A), Failure> {
        let reads = crate::decision::Reads::of::<A>(id);
        let (state, _) = self.load(&reads.0, false).await?;
        let (_, loaded) = &state[0];
        Ok((loaded.version, loaded.state::<A>().cloned().unwrap_or_default()))
    }

    /// The keyed hash under which a claim on `value` is stored.
    pub fn claim_hash(&self, set: &str, value: &str) -> [u8; 32] {
        self.instance.hash(&[b"claim", set.as_bytes(), value.as_bytes()])
    }

    /// Who holds the claim on `value` in `set`.
    pub async fn claim_owner(&self, set: &'static str, value: &str) -> Result<Option<Uuid>, Failure> {
        Ok(self.log.claim_owner(set, self.claim_hash(set, value)).await?)
    }

    /// A refused repeat of a command that took effect the first time gets the first answer, unless the refusal says
    /// that the caller has lost access since.
    pub async fn refused(&self, cx: &Context, failure: Failure) -> Result<Reply, Failure> {
        let permits_replay = match &failure {
            Failure::Refused(refused) => refused.permits_replay,
            // The first one itself moved the version on.
            Failure::VersionMismatch { .. } => true,
            _ => false,
        };
        if permits_replay
            && let Some((key, content)) = self.ledger_keys(cx)
            && let Some(record) = self.log.ledger(key).await?
        {
            if record.content != content {
                return Err(Failure::KeyReused);
            }
            return self.replay(key, &record.answer);
        }
        Err(failure)
    }

    fn ledger_keys(&self, cx: &Context) -> Option<([u8; 32], [u8; 32])> {
        let idempotency = cx.idempotency.as_ref()?;
        let (kind, id) = cx.actor.parts();
        let id = id.unwrap_or_default();
        let key = self.instance.hash(&[
            b"ledger key",
            &kind.to_be_bytes(),
            id.as_bytes(),
            idempotency.route.as_bytes(),
            idempotency.key.as_bytes(),
        ]);
        Some((key, self.instance.hash(&[b"ledger content", &idempotency.content])))
    }

    fn replay(&self, key: [u8; 32], sealed: &[u8]) -> Result<Reply, Failure> {
        let plain = self.instance.open(&key, sealed).ok_or_else(|| {
            Failure::internal("a stored answer can't be opened: was the instance key changed?")
        })?;
        let reply: Reply = serde_json::from_slice(&plain).map_err(Failure::internal)?;
        Ok(Reply { replayed: true, ..reply })
    }

    async fn load(&self, reads: &[Read], trust_cache: bool) -> Result<(Loaded, bool), Failure> {
        let mut from_cache = false;
        let mut loaded = Loaded::with_capacity(reads.len());
        let mut pending: SmallVec<[usize; 4]> = SmallVec::new();
        for (i, read) in reads.iter().enumerate() {
            let cached = self.cache.as_ref().and_then(|cache| cache.get(&read.stream));
            if cached.is_some() && trust_cache {
                from_cache = true;
            } else {
                pending.push(i);
            }
            loaded.push((read.stream, cached.unwrap_or_else(|| read.kind.empty())));
        }
        let tails = pending.iter().map(|&i| {
            let (_, cached) = &loaded[i];
            self.load_stream(&reads[i], cached.clone())
        });
        for (fresh, &i) in try_join_all(tails).await?.into_iter().zip(&pending) {
            if fresh.version > 0 {
                self.remember(reads[i].stream, &fresh);
            }
            loaded[i].1 = fresh;
        }
        Ok((loaded, from_cache))
    }

    async fn load_stream(&self, read: &Read, cached: Versioned) -> Result<Versioned, Failure> {
        let (from, events) = if cached.version == 0 && read.kind.snapshot_every().is_some() {
            self.restored(read, cached).await?
        } else {
            let events = self.log.read_stream(read.stream, cached.version).await?;
            (cached, events)
        };
        Ok(self.keyring.with_keys(|keys| read.kind.fold(&from, &events, keys)).await?)
    }

    /// The state to begin with, and the events after it.
    async fn restored(
        &self,
        read: &Read,
        empty: Versioned,
    ) -> Result<(Versioned, Vec<RecordedEvent>), Failure> {
        let (snapshot, events) = self.log.read_from_snapshot(read.stream).await?;
        let Some((version, sealed)) = snapshot else { return Ok((empty, events)) };
        let opened = self.instance.open(b"snapshot", &sealed);
        if let Some(restored) = opened.and_then(|bytes| read.kind.restore(version, &bytes)) {
            return Ok((restored, events));
        }
        // Of another version of the aggregate, or sealed with another key: the events have it all.
        Ok((empty, self.log.read_stream(read.stream, 0).await?))
    }

    fn remember(&self, stream: StreamId, state: &Versioned) {
        let Some(cache) = &self.cache else { return };
        // Two commits may finish in either order here; the cache keeps the later one.
        if cache.peek(&stream).is_none_or(|held| held.version < state.version) {
            cache.insert(stream, state.clone());
        }
    }

    fn forget(&self, state: &Loaded) {
        if let Some(cache) = &self.cache {
            for (stream, _) in state {
                cache.remove(stream);
            }
        }
    }

    async fn commit<T: Serialize + 'static>(
        &self,
        cx: &Context,
        state: &Loaded,
        decision: Decision<T>,
    ) -> Result<Reply, CommitFailure> {
        let Decision { appends: pending, claims, rows, outcome, answer } = decision;
        let nothing_to_write = pending.is_empty() && claims.is_empty() && rows.is_empty();
        let mut commit = Commit::new(cx.actor, cx.correlation, cx.now);
        commit.causation = cx.causation;
        let mut after: SmallVec<[(StreamId, Option<Versioned>); 4]> = SmallVec::new();
        for PendingAppend { stream, expected, event } in pending {
            let id = self.clock.fresh_id();
            let new = loop {
                match event.encode(id, self.keyring.keys()) {
                    Err(crate::privacy::CodecError::MissingKeys(persons)) => {
                        self.keyring.ensure(&persons).await.map_err(Failure::from)?;
                    }
                    result => break result.map_err(Failure::from)?,
                }
            };
            let known = after.iter().position(|(named, _)| *named == stream);
            let slot = known.unwrap_or(after.len());
            if known.is_none() {
                let loaded = state.iter().find(|(named, _)| *named == stream).map(|(_, state)| state.clone());
                let expected =
                    expected.or(loaded.as_ref().map(|loaded| loaded.version)).ok_or_else(|| {
                        Failure::internal(format!("{stream} is appended to without having been read"))
                    })?;
                commit.appends.push(Append { stream, expected, events: Vec::new() });
                after.push((stream, loaded));
            }
            event.apply(&mut after[slot].1);
            commit.appends[slot].events.push(new);
        }
        for (stream, loaded) in state {
            if !after.iter().any(|(named, _)| named == stream) {
                commit.guards.push(Guard { stream: *stream, expected: loaded.version });
            }
        }
        commit.claims = claims
            .into_iter()
            .map(|claim| Claim {
                set: claim.set,
                value: self.claim_hash(claim.set, &claim.value),
                owner: claim.owner,
                until: claim.until,
                change: claim.change,
            })
            .collect();
        commit.rows = rows;
        let unread = |stream: StreamId| !state.iter().any(|(named, _)| *named == stream);
        let version = match commit.appends.first() {
            Some(new) if unread(new.stream) && (new.expected == 0 || state.is_empty()) => {
                Some(new.expected + new.events.len() as u64)
            }
            _ => state.first().map(|(target, loaded)| {
                let slot = after.iter().position(|(named, _)| named == target);
                slot.and_then(|slot| after[slot].1.as_ref()).map_or(loaded.version, |after| after.version)
            }),
        };

        let compose = Arc::new(move |committed: &Committed| Reply {
            outcome,
            body: to_body(&answer(committed)),
            version,
            position: committed.last,
            replayed: false,
        });
        let ledger_key = self.ledger_keys(cx).map(|(key, content)| {
            let (compose, instance) = (compose.clone(), self.instance.clone());
            let answer: Render = Box::new(move |committed| {
                instance.seal(&key, &serde_json::to_vec(&compose(committed)).unwrap_or_default())
            });
            commit.ledger = Some(LedgerEntry { key, content, answer });
            key
        });
        if nothing_to_write && ledger_key.is_none() {
            return self.answer_unchanged(&commit, state, &*compose).await;
        }
        let recording = Recording::of(&commit.appends);
        let committed = match (self.log.commit(commit).await, ledger_key) {
            (Ok(committed), _) => committed,
            (Err(CommitError::Replayed(sealed)), Some(key)) => return Ok(self.replay(key, &sealed)?),
            (Err(error), _) => {
                if matches!(error, CommitError::Unknown(_)) {
                    self.forget(state);
                }
                return Err(CommitFailure::Commit(error));
            }
        };
        recording.done();
        for (stream, after) in after {
            if let Some(after) = after {
                self.remember(stream, &after);
                let before = state.iter().find(|(named, _)| *named == stream);
                self.snapshot_if_due(stream, &after, before.map_or(0, |(_, before)| before.version));
            }
        }
        Ok(compose(&committed))
    }

    /// Nothing is to be written: it's enough that what was decided on still holds.
    async fn answer_unchanged(
        &self,
        commit: &Commit,
        state: &Loaded,
        compose: &(dyn Fn(&Committed) -> Reply + Send + Sync),
    ) -> Result<Reply, CommitFailure> {
        if let Some(moved) = self.log.verify(&commit.guards).await? {
            let known = state.iter().find(|(stream, _)| *stream == moved.stream);
            return Err(CommitFailure::Commit(CommitError::Conflict {
                what: moved.stream.to_string(),
                id: moved.stream.id,
                expected: known.map_or(0, |(_, state)| state.version),
                actual: moved.expected,
            }));
        }
        let head = *self.log.head().borrow();
        Ok(compose(&Committed { first: head, last: head, at: commit.now }))
    }

    fn snapshot_if_due(&self, stream: StreamId, state: &Versioned, since: u64) {
        let Some(bytes) = state.snapshot_due(since) else { return };
        let (log, sealed) = (self.log.clone(), self.instance.seal(b"snapshot", &bytes));
        let version = state.version;
        tokio::spawn(async move {
            if let Err(error) = log.save_snapshot(stream, version, sealed).await {
                tracing::warn!(%error, %stream, "a snapshot was not kept");
            }
        });
    }
}

/// Between two tries: nothing at first, for the queue parts those of this process; then up to some milliseconds, at
/// random, so that those of several processes part as well.
async fn pause(attempt: u32) {
    if attempt > 0 {
        let bound = 1_u64 << attempt.min(5);
        let wait = rand::rng().random_range(0..=bound * 500);
        tokio::time::sleep(Duration::from_micros(wait)).await;
    }
}

fn expired(cx: &Context) -> bool {
    cx.deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

enum CommitFailure {
    Commit(CommitError),
    Other(Failure),
}

impl From<Failure> for CommitFailure {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<CommitFailure> for Failure {
    fn from(failure: CommitFailure) -> Self {
        match failure {
            CommitFailure::Other(failure) => failure,
            CommitFailure::Commit(error) => match error {
                CommitError::KeyReused => Self::KeyReused,
                CommitError::Unknown(detail) => Self::Unavailable(detail),
                CommitError::Store(error) => error.into(),
                CommitError::Conflict { .. } => Self::Contended,
                CommitError::ClaimTaken { .. } | CommitError::Replayed(_) => Self::internal(error),
            },
        }
    }
}

impl From<StoreError> for CommitFailure {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}
