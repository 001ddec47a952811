//! given/when/then for decisions and projections, and a keyring that needs no store.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use crate::aggregate::{Aggregate, Versioned};
use crate::context::{Actor, Clock, Context};
use crate::decision::{Decide, Decision, State};
use crate::event::{Event, Position, RecordedEvent, StreamId};
use crate::failure::StoreError;
use crate::log::Committed;
use crate::privacy::{CodecError, InstanceKey, KeyStore, Keyring, PersonKey};
use crate::source::{Batch, EventSource, PUBLIC};

/// A key store in memory.
#[derive(Default)]
pub struct MemoryKeyStore(Mutex<HashMap<Uuid, Option<PersonKey>>>);

impl MemoryKeyStore {
    /// Destroys a person's key for good.
    pub fn destroy(&self, person: Uuid) {
        self.0.lock().insert(person, None);
    }
}

#[async_trait]
impl KeyStore for MemoryKeyStore {
    async fn find(&self, persons: &[Uuid]) -> Result<Vec<(Uuid, PersonKey)>, StoreError> {
        let held = self.0.lock();
        Ok(persons.iter().filter_map(|id| held.get(id).copied().flatten().map(|key| (*id, key))).collect())
    }
    async fn ensure(&self, offered: Vec<(Uuid, PersonKey)>) -> Result<Vec<(Uuid, PersonKey)>, StoreError> {
        let mut held = self.0.lock();
        Ok(offered
            .into_iter()
            .filter_map(|(id, key)| held.entry(id).or_insert(Some(key)).map(|key| (id, key)))
            .collect())
    }
}

/// A keyring over keys in memory.
pub fn keyring() -> Keyring {
    Keyring::new(Arc::new(MemoryKeyStore::default()))
}

/// An instance key that is the same in every test.
pub fn instance_key() -> InstanceKey {
    InstanceKey::new(&[7; 32])
}

/// A clock that a test sets. Its ids are UUIDs v7 of its time, numbered.
pub struct TestClock {
    now: Mutex<Timestamp>,
    ids: Mutex<u128>,
}

impl TestClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { now: Mutex::new(now), ids: Mutex::new(0) }
    }
    /// Sets the time.
    pub fn set(&self, now: Timestamp) {
        *self.now.lock() = now;
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::at(noon())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.now.lock()
    }
    fn fresh_id(&self) -> Uuid {
        let mut ids = self.ids.lock();
        *ids += 1;
        let millis = self.now().as_millisecond() as u64;
        uuid::Builder::from_unix_timestamp_millis(
            millis,
            &(*ids).to_be_bytes()[6..].try_into().unwrap_or([0; 10]),
        )
        .into_uuid()
    }
}

/// The time at which tests take place unless they say otherwise: 2026-01-01T12:00:00Z.
pub fn noon() -> Timestamp {
    Timestamp::from_second(1_767_268_800).unwrap_or_default()
}

/// A context of `actor` at [`noon`].
pub fn context(actor: Actor) -> Context {
    TestClock::default().context(actor)
}

/// Another service's public events, as a test tells them.
pub struct Told {
    name: &'static str,
    keyring: Keyring,
    clock: TestClock,
    events: Mutex<Vec<Arc<RecordedEvent>>>,
    head: watch::Sender<Position>,
}

impl Told {
    /// Nothing told yet by `name` (`SERVICE.public`); what is told is sealed with `keyring`.
    pub fn by(name: &'static str, keyring: Keyring) -> Self {
        let head = watch::Sender::new(Position(0));
        Self { name, keyring, clock: TestClock::default(), events: Mutex::default(), head }
    }

    /// Tells `event`, at [`noon`] unless the clock was set.
    pub async fn tell<E: Event>(&self, event: &E) -> Result<Arc<RecordedEvent>, CodecError> {
        let id = self.clock.fresh_id();
        let new = self.keyring.encode(id, event).await?;
        let mut events = self.events.lock();
        let position = Position(events.len() as u64 + 1);
        let recorded = Arc::new(RecordedEvent {
            position,
            id,
            category: PUBLIC.into(),
            stream: id,
            version: 1,
            name: new.name,
            schema: new.schema,
            at: self.clock.now(),
            actor: Actor::System,
            correlation: id,
            causation: None,
            data: new.data,
        });
        events.push(recorded.clone());
        self.head.send_replace(position);
        Ok(recorded)
    }

    /// The clock that dates the events.
    pub fn clock(&self) -> &TestClock {
        &self.clock
    }
}

#[async_trait]
impl EventSource for Told {
    fn name(&self) -> &'static str {
        self.name
    }
    fn epoch(&self) -> Uuid {
        crate::context::derived_id("told", &[self.name.as_bytes()])
    }
    async fn read(&self, after: Position, limit: usize) -> Result<Batch, StoreError> {
        let events: Vec<_> = self.events.lock().iter().skip(after.0 as usize).take(limit).cloned().collect();
        let upto = events.last().map_or(after, |last| last.position);
        Ok(Batch { events, upto })
    }
    fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }
}

/// The state before a decision, by the events that led to it.
#[derive(Default)]
pub struct Given(Vec<(StreamId, Versioned)>);

/// Nothing happened yet.
pub fn given_nothing() -> Given {
    Given::default()
}

/// These events happened to the `A` with this id.
pub fn given<A: Aggregate>(id: Uuid, events: impl IntoIterator<Item = A::Event>) -> Given {
    Given::default().and::<A>(id, events)
}

impl Given {
    /// And these to the `A` with this id.
    #[must_use]
    pub fn and<A: Aggregate>(mut self, id: Uuid, events: impl IntoIterator<Item = A::Event>) -> Self {
        let mut state = A::default();
        let mut version = 0;
        for event in events {
            state.apply(&event);
            version += 1;
        }
        self.0.push((A::stream(id), Versioned::of(version, state)));
        self
    }

    /// `actor` asks for this, at [`noon`].
    #[must_use = "a decision that nothing is asserted of proves nothing"]
    pub fn when<D: Decide>(self, actor: Actor, command: &D) -> Then<D> {
        self.when_in(&context(actor), command)
    }

    /// It is asked for in this context.
    #[must_use = "a decision that nothing is asserted of proves nothing"]
    pub fn when_in<D: Decide>(self, cx: &Context, command: &D) -> Then<D> {
        let reads = command.reads(cx);
        let loaded: Vec<_> = reads
            .0
            .iter()
            .map(|read| {
                let given = self.0.iter().find(|(stream, _)| *stream == read.stream);
                (read.stream, given.map_or_else(|| read.kind.empty(), |(_, state)| state.clone()))
            })
            .collect();
        Then(command.decide(cx, &State(&loaded)))
    }
}

/// What a decision came to.
pub struct Then<D: Decide>(Result<Decision<D::Answer>, D::Refusal>);

#[expect(clippy::return_self_not_must_use, reason = "any assertion may be the last one")]
#[expect(clippy::needless_pass_by_value, reason = "tests state what they expect as values")]
impl<D: Decide> Then<D> {
    /// It recorded exactly these events in the stream of the `A` with this id.
    #[track_caller]
    pub fn records<A: Aggregate>(self, id: Uuid, events: impl IntoIterator<Item = A::Event>) -> Self
    where
        A::Event: PartialEq,
    {
        let decision = self.0.as_ref().unwrap_or_else(|refusal| panic!("refused: {refusal}"));
        let recorded: Vec<A::Event> = decision
            .appends
            .iter()
            .filter(|append| append.stream == A::stream(id))
            .filter_map(|append| append.event.as_any().downcast_ref::<A::Event>().cloned())
            .collect();
        let expected: Vec<A::Event> = events.into_iter().collect();
        assert_eq!(recorded, expected, "what was recorded in {}", A::stream(id));
        self
    }

    /// It recorded so many events in all.
    #[track_caller]
    pub fn records_in_all(self, count: usize) -> Self {
        let decision = self.0.as_ref().unwrap_or_else(|refusal| panic!("refused: {refusal}"));
        let recorded: Vec<_> = decision.appends.iter().map(|append| append.event.json()).collect();
        assert_eq!(recorded.len(), count, "{recorded:#?}");
        self
    }

    /// It recorded nothing, for things are so already.
    #[track_caller]
    pub fn is_already(self) -> Self {
        self.records_in_all(0)
    }

    /// It was refused so.
    #[track_caller]
    pub fn refused(self, expected: D::Refusal)
    where
        D::Refusal: PartialEq + Debug,
    {
        match self.0 {
            Ok(decision) => {
                let recorded: Vec<_> = decision.appends.iter().map(|append| append.event.json()).collect();
                panic!("recorded {recorded:#?} instead of refusing with {expected:?}");
            }
            Err(refusal) => assert_eq!(refusal, expected),
        }
    }

    /// Its answer, had it been committed at position 1 at [`noon`].
    #[track_caller]
    pub fn answer(&self) -> D::Answer {
        let decision = self.0.as_ref().unwrap_or_else(|refusal| panic!("refused: {refusal}"));
        (decision.answer)(&Committed { first: Position(1), last: Position(1), at: noon() })
    }

    /// The decision, to look at what else it says.
    pub fn decision(self) -> Result<Decision<D::Answer>, D::Refusal> {
        self.0
    }
}
