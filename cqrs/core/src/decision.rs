//! Decisions: synchronous and pure. State and command in; events, claims and an answer, or a named refusal, out.

use std::any::Any;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use smallvec::SmallVec;
use uuid::Uuid;

use crate::aggregate::{Aggregate, AggregateType, TypeOf, Versioned};
use crate::context::Context;
use crate::event::{Event, NewEvent, StreamId};
use crate::failure::Refusal;
use crate::log::{ClaimChange, Committed, RowWrite};
use crate::privacy::{CodecError, Keys};

/// The streams that a decision looks at. Each is appended to or guards the commit: if any moves in between, the
/// decision is taken again.
#[derive(Default)]
pub struct Reads(pub(crate) SmallVec<[Read; 4]>);

pub(crate) struct Read {
    pub(crate) stream: StreamId,
    pub(crate) kind: &'static dyn AggregateType,
}

impl Reads {
    /// None: the decision depends on nothing recorded.
    pub fn none() -> Self {
        Self::default()
    }

    /// The stream of an `A`. The first one named is the command's target: `If-Match` compares with its version.
    pub fn of<A: Aggregate>(id: Uuid) -> Self {
        Self::default().and::<A>(id)
    }

    /// And the stream of an `A`.
    #[must_use]
    pub fn and<A: Aggregate>(mut self, id: Uuid) -> Self {
        let stream = A::stream(id);
        if !self.0.iter().any(|read| read.stream == stream) {
            self.0.push(Read { stream, kind: TypeOf::<A>::ERASED });
        }
        self
    }
}

/// The loaded streams.
pub struct State<'a>(pub(crate) &'a [(StreamId, Versioned)]);

impl State<'_> {
    /// The state of an `A`; its default if nothing happened to it yet.
    ///
    /// # Panics
    /// If the decision didn't name this stream among its [`Reads`]: it would decide on something unguarded.
    pub fn get<A: Aggregate>(&self, id: Uuid) -> &A {
        self.find(A::stream(id)).state().expect("streams are loaded as the type that was asked for")
    }

    /// The state of an `A`, or `None` if nothing happened to it yet. Panics as [`State::get`] does.
    pub fn find_existing<A: Aggregate>(&self, id: Uuid) -> Option<&A> {
        let found = self.find(A::stream(id));
        (found.version > 0).then(|| found.state().expect("streams are loaded as the type that was asked for"))
    }

    /// How many events a stream has. Panics as [`State::get`] does.
    pub fn version<A: Aggregate>(&self, id: Uuid) -> u64 {
        self.find(A::stream(id)).version
    }

    fn find(&self, stream: StreamId) -> &Versioned {
        let found = self.0.iter().find(|(loaded, _)| *loaded == stream);
        &found.unwrap_or_else(|| panic!("{stream} is not among what the decision said it reads")).1
    }
}

/// How a command ended, for the edge to choose its code by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
pub enum Outcome {
    /// Done.
    Done,
    /// Something new is there.
    Created,
    /// Taken in; the effect comes later.
    Accepted,
}

/// A claim as a decision states it, its value not hashed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainClaim {
    /// In which set.
    pub set: &'static str,
    /// The normalised value.
    pub value: String,
    /// Who holds it.
    pub owner: Uuid,
    /// When it lapses by itself, if it does.
    pub until: Option<Timestamp>,
    /// Taken or given back.
    pub change: ClaimChange,
}

pub(crate) trait PendingEvent: Send + Sync {
    fn json(&self) -> serde_json::Value;
    fn as_any(&self) -> &dyn Any;
    fn apply(&self, state: &mut Option<Versioned>);
    fn encode(&self, id: Uuid, keys: &Keys) -> Result<NewEvent, CodecError>;
}

fn encode_event<E: Event>(event: &E, id: Uuid, keys: &Keys) -> Result<NewEvent, CodecError> {
    let (name, data) = crate::privacy::encode(event, id, keys)?;
    let schema = E::version(&name);
    Ok(NewEvent { id, name: name.into(), schema, data })
}

struct Pending<A: Aggregate>(A::Event);

impl<A: Aggregate> PendingEvent for Pending<A> {
    fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }
    fn as_any(&self) -> &dyn Any {
        &self.0
    }
    fn apply(&self, state: &mut Option<Versioned>) {
        let before = state.take();
        let version = before.as_ref().map_or(0, |before| before.version);
        let mut after = before
            .and_then(|before| before.state.downcast::<A>().ok())
            .map(Arc::unwrap_or_clone)
            .unwrap_or_default();
        after.apply(&self.0);
        *state = Some(Versioned::of(version + 1, after));
    }
    fn encode(&self, id: Uuid, keys: &Keys) -> Result<NewEvent, CodecError> {
        encode_event(&self.0, id, keys)
    }
}

/// An event of a state-stored aggregate, whose state is a row and not a fold.
struct Detached<E>(E);

impl<E: Event> PendingEvent for Detached<E> {
    fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }
    fn as_any(&self) -> &dyn Any {
        &self.0
    }
    fn apply(&self, state: &mut Option<Versioned>) {
        *state = None;
    }
    fn encode(&self, id: Uuid, keys: &Keys) -> Result<NewEvent, CodecError> {
        encode_event(&self.0, id, keys)
    }
}

pub(crate) struct PendingAppend {
    pub(crate) stream: StreamId,
    /// The version expected; of a loaded stream it is the loaded one.
    pub(crate) expected: Option<u64>,
    pub(crate) event: Box<dyn PendingEvent>,
}

type Answer<T> = Box<dyn Fn(&Committed) -> T + Send + Sync>;

/// What was decided: the events to record, what to claim, and the answer.
pub struct Decision<T> {
    pub(crate) appends: SmallVec<[PendingAppend; 2]>,
    pub(crate) claims: Vec<PlainClaim>,
    pub(crate) rows: Vec<RowWrite>,
    pub(crate) outcome: Outcome,
    pub(crate) answer: Answer<T>,
}

impl<T: 'static> Decision<T> {
    /// A decision that answers with what `answer` makes of the commit's position and time.
    /// `answer` must give the same each time it is asked with the same commit.
    pub fn answering(answer: impl Fn(&Committed) -> T + Send + Sync + 'static) -> Self {
        Self {
            appends: SmallVec::new(),
            claims: Vec::new(),
            rows: Vec::new(),
            outcome: Outcome::Done,
            answer: Box::new(answer),
        }
    }

    /// What was asked for is so already: nothing to record, and no error.
    pub fn already(answer: T) -> Self
    where
        T: Clone + Send + Sync,
    {
        Self::answering(move |_| answer.clone())
    }

    /// Records `event` in the stream of the `A` with this id, which must be among the decision's [`Reads`].
    #[must_use]
    pub fn record<A: Aggregate>(mut self, id: Uuid, event: A::Event) -> Self {
        self.appends.push(PendingAppend {
            stream: A::stream(id),
            expected: None,
            event: Box::new(Pending::<A>(event)),
        });
        self
    }

    /// Records `event` as the first of the `A` with this id, which therefore needn't be among the decision's
    /// [`Reads`]: for what is new under an id that nobody else can know. If it is the first thing recorded, it is the
    /// target whose version the answer carries.
    #[must_use]
    pub fn record_new<A: Aggregate>(mut self, id: Uuid, event: A::Event) -> Self {
        self.appends.push(PendingAppend {
            stream: A::stream(id),
            expected: Some(0),
            event: Box::new(Pending::<A>(event)),
        });
        self
    }

    /// Records the event of a state-stored aggregate beside its row, in the stream `category/id` that has as many
    /// events as the row has had versions: `expected` is the version of the row before.
    #[must_use]
    pub fn record_beside_row<E: Event>(
        mut self,
        category: &'static str,
        id: Uuid,
        expected: u64,
        event: E,
    ) -> Self {
        let stream = StreamId { category, id };
        self.appends.push(PendingAppend {
            stream,
            expected: Some(expected),
            event: Box::new(Detached(event)),
        });
        self
    }

    /// Takes `value` in `set` for `owner`; the commit is refused with
    /// [`CommitError::ClaimTaken`](crate::CommitError::ClaimTaken) if another holds it.
    #[must_use]
    pub fn claim(mut self, set: &'static str, value: impl Into<String>, owner: Uuid) -> Self {
        let value = value.into();
        self.claims.push(PlainClaim { set, value, owner, until: None, change: ClaimChange::Take });
        self
    }

    /// Takes `value` in `set` for `owner` until a time at which it lapses by itself.
    #[must_use]
    pub fn claim_until(
        mut self,
        set: &'static str,
        value: impl Into<String>,
        owner: Uuid,
        until: Timestamp,
    ) -> Self {
        let (value, until) = (value.into(), Some(until));
        self.claims.push(PlainClaim { set, value, owner, until, change: ClaimChange::Take });
        self
    }

    /// Gives `value` in `set` back, if `owner` holds it.
    #[must_use]
    pub fn release(mut self, set: &'static str, value: impl Into<String>, owner: Uuid) -> Self {
        let value = value.into();
        self.claims.push(PlainClaim { set, value, owner, until: None, change: ClaimChange::Release });
        self
    }

    /// Writes a row of a state-stored aggregate with the events.
    #[must_use]
    pub fn row(mut self, write: RowWrite) -> Self {
        self.rows.push(write);
        self
    }

    /// Something new is there.
    #[must_use]
    pub fn created(mut self) -> Self {
        self.outcome = Outcome::Created;
        self
    }

    /// Taken in; the effect comes later.
    #[must_use]
    pub fn accepted(mut self) -> Self {
        self.outcome = Outcome::Accepted;
        self
    }

    /// Whether nothing is to be recorded.
    pub fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.claims.is_empty() && self.rows.is_empty()
    }
}

impl Decision<()> {
    /// A decision without an answer of its own.
    pub fn done() -> Self {
        Self::answering(|_| ())
    }
}

/// A command that is decided on streams alone.
///
/// `decide` never waits and asks nobody: whatever else it needs was looked up first and is part of `self`.
pub trait Decide: Send + Sync + 'static {
    /// What the caller gets.
    type Answer: Serialize + Send + 'static;
    /// Why it may be refused.
    type Refusal: Refusal;

    /// The streams it looks at; the first is its target.
    fn reads(&self, cx: &Context) -> Reads;

    /// Decides.
    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<Self::Answer>, Self::Refusal>;

    /// The refusal for a claim that somebody else holds.
    /// By default there is none, which is a defect in a command that claims something.
    fn claim_taken(&self, set: &'static str) -> Option<Self::Refusal> {
        let _ = set;
        None
    }
}
