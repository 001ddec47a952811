//! The event bus: every handler follows its sources on its own, so that one failing harms no other. Of several processes
//! one runs what must run once; the others watch how far it has come.

mod follower;
mod leased;
mod reacting;
mod tenure;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use self::follower::Follower;
pub use self::leased::while_leased;
use self::reacting::Reacting;
use self::tenure::Tenure;
use crate::event::Position;
use crate::failure::StoreError;
use crate::lease::{Fence, LeaseStore};
use crate::privacy::{CodecError, Keyring};
use crate::projection::{PlaceError, PlaceStore, Reactor};
use crate::source::{Batch, EventSource};

/// Why a handler didn't get past an event.
#[derive(Debug, Clone, thiserror::Error)]
#[error("at {at}: {detail}")]
pub struct HandlerError {
    /// The event it stands before.
    pub at: Position,
    /// What is wrong.
    pub detail: String,
    /// Whether trying again may help without anybody's doing.
    pub passing: bool,
    /// Whether nothing is wrong but the place: somebody else moved it, and reading goes on from there.
    pub moved: bool,
}

impl HandlerError {
    /// From a store's error, before the event at `at`.
    pub fn store(at: Position, error: &StoreError) -> Self {
        let passing = matches!(error, StoreError::Unavailable(_) | StoreError::Full);
        Self { at, detail: error.to_string(), passing, moved: false }
    }

    /// From anything else, before the event at `at`.
    pub fn new(at: Position, detail: impl std::fmt::Display, passing: bool) -> Self {
        Self { at, detail: detail.to_string(), passing, moved: false }
    }

    /// Somebody else moved the place, or took the lease over. Nothing was written.
    pub fn moved(at: Position) -> Self {
        Self { at, detail: "somebody else moved the place".to_owned(), passing: true, moved: true }
    }

    /// From a place that couldn't be moved, before the event at `at`.
    pub fn place(at: Position, error: &PlaceError) -> Self {
        match error {
            PlaceError::LeaseLost => Self::moved(at),
            PlaceError::OtherEpoch { .. } => Self::new(at, error, false),
            PlaceError::Store(error) => Self::store(at, error),
        }
    }
}

/// Takes in batches of events and keeps its own place, in the transaction of their effect where it can.
#[async_trait]
pub trait EventHandler: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &'static str;
    /// The sources it follows.
    fn sources(&self) -> &'static [&'static str];
    /// Where its lease is kept, if it runs once however many processes there are. One without runs in each of them.
    fn leases(&self) -> Option<Arc<dyn LeaseStore>> {
        None
    }
    /// How far it has come in `source`, whichever process it runs in.
    async fn place(&self, source: &'static str) -> Result<Position, StoreError>;
    /// Takes in a batch and moves its place to `batch.upto`, or to just before the event that the error names; with `fence`,
    /// only if that still is the number of its lease ([`HandlerError::moved`] otherwise).
    async fn handle(
        &self,
        source: &'static str,
        batch: &Batch,
        fence: Option<Fence>,
    ) -> Result<(), HandlerError>;
    /// How often [`EventHandler::idle`] is called while there is nothing to take in; `None`: never.
    fn idles(&self) -> Option<Duration> {
        None
    }
    /// Does what there is to do besides taking events in, when all of them up to `place` are. Called where the handler runs.
    async fn idle(
        &self,
        source: &'static str,
        place: Position,
        fence: Option<Fence>,
    ) -> Result<(), HandlerError> {
        let _ = (source, place, fence);
        Ok(())
    }
    /// How events are gathered, to be handed over together, as long as nobody waits for the place: for handlers of which each
    /// batch costs a transaction.
    fn gathers(&self) -> Gather {
        Gather::NOTHING
    }
    /// How many events are handed over in one go while at least as many are left after them, which are read meanwhile: more than
    /// [`Gather::events`] where a larger batch is less work for each event.
    fn batch_when_behind(&self) -> usize {
        self.gathers().events
    }
    /// Whether what is read in this process follows the place at a distance, as a replica does.
    fn reads_a_copy(&self) -> bool {
        false
    }
    /// How far what is read in this process has come: the place, unless [`EventHandler::reads_a_copy`].
    async fn shown(&self, source: &'static str) -> Result<Position, StoreError> {
        self.place(source).await
    }
}

/// How a handler gathers events that nobody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gather {
    /// For how long at most.
    pub time: Duration,
    /// How many are enough, and how many are handed over at most in one go to who keeps up.
    pub events: usize,
}

impl Gather {
    /// How many events are handed over at most in one go, unless a handler says otherwise.
    pub const EVENTS: usize = 512;

    /// Each event is handed over at once, with those that are there.
    pub const NOTHING: Self = Self::during(Duration::ZERO);

    /// What comes during this time, or until there are [`Gather::EVENTS`].
    pub const fn during(time: Duration) -> Self {
        Self { time, events: Self::EVENTS }
    }
}

/// What a process does about handlers that run once however many processes there are. The others run in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    /// Runs those whose lease it gets, and watches the others' places.
    Follow,
    /// Leaves them to other processes and watches their places.
    Observe,
}

/// How far one handler has come in one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The handler.
    pub handler: &'static str,
    /// The source.
    pub source: &'static str,
    /// The last position it has taken in.
    pub position: Position,
    /// The source's newest position.
    pub head: Position,
    /// Where and why it stands still, if it does.
    pub error: Option<String>,
}

/// A handler with what it follows.
struct Subscription {
    handler: Arc<dyn EventHandler>,
    followers: Vec<Follower>,
}

/// How far one handler has come in one source; see [`EventBus::reached`]. Cheap to clone.
#[derive(Clone)]
pub struct Reached {
    subscription: Arc<Subscription>,
    follower: usize,
}

impl Reached {
    /// The last position that it has taken in, as far as this process knows.
    pub fn now(&self) -> Position {
        self.subscription.followers[self.follower].shown()
    }
}

/// What is wrong with a list of event handlers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventBusError {
    /// Two handlers of one name.
    #[error("two event handlers are called {0}")]
    SameName(&'static str),
    /// A handler follows a source that isn't there.
    #[error("{handler} follows {source_name}, which is not among the sources")]
    NoSource {
        /// The handler.
        handler: &'static str,
        /// The source it names.
        source_name: &'static str,
    },
}

/// The handlers with their sources. Cheap to clone.
#[derive(Clone)]
pub struct EventBus {
    subscriptions: Arc<[Arc<Subscription>]>,
    holder: Uuid,
}

/// Makes a handler once the sources are known.
type Subscribe = Box<dyn FnOnce(&[Arc<dyn EventSource>]) -> Arc<dyn EventHandler> + Send>;

/// Collects event handlers and sources.
#[derive(Default)]
pub struct EventBusBuilder {
    handlers: Vec<Subscribe>,
    sources: Vec<Arc<dyn EventSource>>,
    holder: Uuid,
}

impl EventBusBuilder {
    /// Events can be read from `source`.
    #[must_use]
    pub fn source(mut self, source: Arc<dyn EventSource>) -> Self {
        self.sources.push(source);
        self
    }

    /// `handler` follows the sources that it names.
    #[must_use]
    pub fn subscribe(mut self, handler: Arc<dyn EventHandler>) -> Self {
        self.handlers.push(Box::new(move |_| handler));
        self
    }

    /// `reactor` follows the sources that it names; its place and its lease are kept in `places`.
    #[must_use]
    pub fn react(mut self, reactor: impl Reactor, places: Arc<dyn PlaceStore>, keyring: Keyring) -> Self {
        self.handlers.push(Box::new(move |sources| {
            Arc::new(Reacting {
                reactor,
                places,
                keyring,
                sources: sources.to_vec(),
                within: Mutex::default(),
                parking: reacting::Parking::default(),
            })
        }));
        self
    }

    /// Who this process is in the leases that it holds, for whoever looks at them; nil if that isn't said.
    #[must_use]
    pub fn holder(mut self, holder: Uuid) -> Self {
        self.holder = holder;
        self
    }

    /// The bus, if every handler has a name of its own and its sources are there.
    pub fn build(self) -> Result<EventBus, EventBusError> {
        let mut subscriptions = Vec::with_capacity(self.handlers.len());
        let mut named = BTreeSet::new();
        for subscribe in self.handlers {
            let handler = subscribe(&self.sources);
            if !named.insert(handler.name()) {
                return Err(EventBusError::SameName(handler.name()));
            }
            let mut followers = Vec::new();
            for &name in handler.sources() {
                let source = self
                    .sources
                    .iter()
                    .find(|source| source.name() == name)
                    .ok_or(EventBusError::NoSource { handler: handler.name(), source_name: name })?;
                followers.push(Follower::new(handler.clone(), source.clone()));
            }
            subscriptions.push(Arc::new(Subscription { handler, followers }));
        }
        Ok(EventBus { subscriptions: subscriptions.into(), holder: self.holder })
    }
}

impl EventBus {
    /// An empty list.
    pub fn builder() -> EventBusBuilder {
        EventBusBuilder::default()
    }

    /// Follows all sources until `stop` turns true, each handler in tasks of its own, and gives its leases back then.
    pub async fn run(&self, stop: watch::Receiver<bool>, mode: RunMode) {
        let mut tasks = JoinSet::new();
        for subscription in self.subscriptions.iter() {
            tasks.spawn(subscription.clone().run(stop.clone(), mode, self.holder));
        }
        while tasks.join_next().await.is_some() {}
    }

    /// How far every handler has come.
    pub fn progress(&self) -> Vec<Progress> {
        self.followers().map(Follower::progress).collect()
    }

    /// How far `handler` has come in `source`, to wait on; `None` if it doesn't follow it. Where the handler runs in another
    /// process, its place is looked at often as long as somebody holds what this gives: let go of it after waiting.
    pub fn position(&self, handler: &str, source: &str) -> Option<watch::Receiver<Position>> {
        self.followers().find(|follower| follower.is(handler, source)).map(Follower::subscribe)
    }

    /// The same to look at now and then: nothing is looked at more often for its being held.
    pub fn reached(&self, handler: &str, source: &str) -> Option<Reached> {
        self.subscriptions.iter().find_map(|subscription| {
            let follower = subscription.followers.iter().position(|follower| follower.is(handler, source))?;
            Some(Reached { subscription: subscription.clone(), follower })
        })
    }

    /// Who this process is in the leases that it holds.
    pub fn holder(&self) -> Uuid {
        self.holder
    }

    /// Who holds the leases of the handlers that run once however many processes there are, by the handlers' names; see
    /// [`LeaseStore::holder`]. Those that run in each process aren't among them.
    pub async fn holders(&self) -> Result<Vec<(&'static str, Option<Uuid>)>, StoreError> {
        let mut holders = Vec::new();
        for handler in self.subscriptions.iter().map(|subscription| &subscription.handler) {
            if let Some(leases) = handler.leases() {
                holders.push((handler.name(), leases.holder(handler.name()).await?));
            }
        }
        Ok(holders)
    }

    fn followers(&self) -> impl Iterator<Item = &Follower> {
        self.subscriptions.iter().flat_map(|subscription| &subscription.followers)
    }
}

impl Subscription {
    async fn run(self: Arc<Self>, stop: watch::Receiver<bool>, mode: RunMode, holder: Uuid) {
        let leases = self.handler.leases();
        let tenure = leases.is_some().then(|| Arc::new(Tenure::default()));
        let mut followers = JoinSet::new();
        for n in 0..self.followers.len() {
            let (subscription, tenure, stop) = (self.clone(), tenure.clone(), stop.clone());
            followers.spawn(async move { subscription.followers[n].follow(tenure.as_deref(), stop).await });
        }
        let done = async { while followers.join_next().await.is_some() {} };
        match (leases, tenure) {
            (Some(leases), Some(tenure)) if mode == RunMode::Follow => {
                let source = self.handler.sources().first().copied().unwrap_or_default();
                tenure.keep(&*leases, self.handler.name(), source, holder, done).await;
            }
            _ => done.await,
        }
    }
}

/// What a panic said.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// A codec's error as a handler's.
pub fn codec_error(at: Position, error: &CodecError) -> HandlerError {
    let passing = matches!(error, CodecError::Store(StoreError::Unavailable(_)));
    HandlerError::new(at, error, passing)
}
