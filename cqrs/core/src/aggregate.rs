//! Aggregates: state folded from a stream of events, and the only thing a decision looks at.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

use uuid::Uuid;

use crate::event::{Event, RecordedEvent, StreamId};
use crate::privacy::{CodecError, Keys};

/// State that is the fold of its events. `Default` is the state before the first event.
pub trait Aggregate: Default + Clone + Send + Sync + 'static {
    /// The kind of aggregate, as streams name it: short, kebab-case, never changed once there are events.
    const CATEGORY: &'static str;
    /// What can happen to it.
    type Event: Event;

    /// Takes in one event. Must accept every recorded event: it already happened.
    fn apply(&mut self, event: &Self::Event);

    /// About how many bytes the state holds, for the cache's bound.
    fn weight(&self) -> usize {
        size_of::<Self>()
    }

    /// How many events lie between two snapshots; `None` keeps none. Worth it for streams of hundreds of events.
    /// An aggregate that wants them implements [`Aggregate::to_snapshot`] and [`Aggregate::from_snapshot`].
    const SNAPSHOT_EVERY: Option<u64> = None;

    /// The state as bytes, sealed by the store before it is kept.
    fn to_snapshot(&self) -> Option<Vec<u8>> {
        None
    }

    /// The state from [`Aggregate::to_snapshot`]; `None` if it can't be read (then the stream is replayed).
    fn from_snapshot(bytes: &[u8]) -> Option<Self> {
        let _ = bytes;
        None
    }

    /// The name of the stream with this id.
    fn stream(id: Uuid) -> StreamId {
        StreamId { category: Self::CATEGORY, id }
    }
}

/// A state at the version it was folded to, its type forgotten.
#[derive(Clone)]
pub struct Versioned {
    /// The number of events folded in.
    pub version: u64,
    pub(crate) state: Arc<dyn Any + Send + Sync>,
    pub(crate) weight: usize,
    snapshot: Option<SnapshotFn>,
}

type SnapshotFn = (u64, fn(&(dyn Any + Send + Sync)) -> Option<Vec<u8>>);

impl Versioned {
    pub(crate) fn of<A: Aggregate>(version: u64, state: A) -> Self {
        let weight = state.weight();
        let snapshot: Option<SnapshotFn> = A::SNAPSHOT_EVERY.map(|every| {
            (every, (|state: &(dyn Any + Send + Sync)| state.downcast_ref::<A>()?.to_snapshot()) as _)
        });
        Self { version, state: Arc::new(state), weight, snapshot }
    }

    /// The state as bytes, if a snapshot is to be kept now that the stream has come here from version `since`: a decision
    /// that records several events may pass the version at which one is due.
    pub(crate) fn snapshot_due(&self, since: u64) -> Option<Vec<u8>> {
        let (every, take) = self.snapshot?;
        if every == 0 || self.version / every <= since / every {
            return None;
        }
        take(&*self.state)
    }

    /// The state, if it is an `A`.
    pub fn state<A: Aggregate>(&self) -> Option<&A> {
        self.state.downcast_ref()
    }
}

/// What the executor needs to know of an aggregate's type to load it.
pub(crate) trait AggregateType: Send + Sync {
    fn empty(&self) -> Versioned;
    fn fold(&self, from: &Versioned, events: &[RecordedEvent], keys: &Keys) -> Result<Versioned, CodecError>;
    fn snapshot_every(&self) -> Option<u64>;
    fn restore(&self, version: u64, bytes: &[u8]) -> Option<Versioned>;
}

pub(crate) struct TypeOf<A>(PhantomData<fn() -> A>);

impl<A: Aggregate> TypeOf<A> {
    pub(crate) const ERASED: &'static dyn AggregateType = &Self(PhantomData);
}

impl<A: Aggregate> AggregateType for TypeOf<A> {
    fn empty(&self) -> Versioned {
        Versioned::of(0, A::default())
    }

    fn fold(&self, from: &Versioned, events: &[RecordedEvent], keys: &Keys) -> Result<Versioned, CodecError> {
        if events.is_empty() {
            return Ok(from.clone());
        }
        let mut state = from.state::<A>().cloned().unwrap_or_default();
        let mut version = from.version;
        for recorded in events {
            let event: A::Event = crate::privacy::decode(recorded, keys)?;
            state.apply(&event);
            version = recorded.version;
        }
        Ok(Versioned::of(version, state))
    }

    fn snapshot_every(&self) -> Option<u64> {
        A::SNAPSHOT_EVERY
    }

    fn restore(&self, version: u64, bytes: &[u8]) -> Option<Versioned> {
        A::from_snapshot(bytes).map(|state| Versioned::of(version, state))
    }
}
