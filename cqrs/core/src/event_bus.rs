//! The event bus: every handler follows its sources on its own, so that one failing harms no other.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::event::Position;
use crate::failure::{Failure, StoreError};
use crate::privacy::{CodecError, Keyring};
use crate::projection::{Incoming, PlaceStore, Reactor};
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

    /// Somebody else moved the place.
    pub fn moved(at: Position) -> Self {
        Self { at, detail: "somebody else moved the place".to_owned(), passing: true, moved: true }
    }
}

/// Takes in batches of events and keeps its own place, in the transaction of their effect where it can.
#[async_trait]
pub trait EventHandler: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &'static str;
    /// The sources it follows.
    fn sources(&self) -> &'static [&'static str];
    /// How far it has come in `source`.
    async fn place(&self, source: &'static str) -> Result<Position, StoreError>;
    /// Takes in a batch and moves its place to `batch.upto`, or to just before the event that the error names.
    async fn handle(&self, source: &'static str, batch: &Batch) -> Result<(), HandlerError>;
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

struct Follower {
    handler: Arc<dyn EventHandler>,
    source: Arc<dyn EventSource>,
    position: watch::Sender<Position>,
    error: Mutex<Option<String>>,
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
    followers: Arc<[Follower]>,
}

/// Collects event handlers and sources.
#[derive(Default)]
pub struct EventBusBuilder {
    handlers: Vec<Arc<dyn EventHandler>>,
    sources: Vec<Arc<dyn EventSource>>,
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
        self.handlers.push(handler);
        self
    }

    /// `reactor` follows the sources that it names; its place is kept in `places`.
    #[must_use]
    pub fn react(self, reactor: impl Reactor, places: Arc<dyn PlaceStore>, keyring: Keyring) -> Self {
        self.subscribe(Arc::new(Reacting { reactor, places, keyring }))
    }

    /// The bus, if every handler has a name of its own and its sources are there.
    pub fn build(self) -> Result<EventBus, EventBusError> {
        let mut followers: Vec<Follower> = Vec::new();
        let mut named = BTreeSet::new();
        for handler in self.handlers {
            if !named.insert(handler.name()) {
                return Err(EventBusError::SameName(handler.name()));
            }
            for &name in handler.sources() {
                let source = self
                    .sources
                    .iter()
                    .find(|source| source.name() == name)
                    .ok_or(EventBusError::NoSource { handler: handler.name(), source_name: name })?;
                followers.push(Follower {
                    handler: handler.clone(),
                    source: source.clone(),
                    position: watch::Sender::new(Position(0)),
                    error: Mutex::new(None),
                });
            }
        }
        Ok(EventBus { followers: followers.into() })
    }
}

/// How many events are handed over at most in one go.
const BATCH: usize = 512;
/// The first wait between two tries of a handler that fails; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest wait between two tries of a handler that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl EventBus {
    /// An empty list.
    pub fn builder() -> EventBusBuilder {
        EventBusBuilder::default()
    }

    /// Follows all sources until `stop` turns true; each handler in a task of its own.
    pub async fn run(&self, stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for i in 0..self.followers.len() {
            let (bus, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move { bus.followers[i].follow(stop).await });
        }
        while tasks.join_next().await.is_some() {}
    }

    /// How far every handler has come.
    pub fn progress(&self) -> Vec<Progress> {
        self.followers
            .iter()
            .map(|follower| Progress {
                handler: follower.handler.name(),
                source: follower.source.name(),
                position: *follower.position.borrow(),
                head: *follower.source.head().borrow(),
                error: follower.error.lock().clone(),
            })
            .collect()
    }

    /// How far `handler` has come in `source`, to wait on; `None` if it doesn't follow it.
    pub fn position(&self, handler: &str, source: &str) -> Option<watch::Receiver<Position>> {
        self.followers
            .iter()
            .find(|follower| follower.handler.name() == handler && follower.source.name() == source)
            .map(|follower| follower.position.subscribe())
    }
}

impl Follower {
    async fn follow(&self, mut stop: watch::Receiver<bool>) {
        let mut pause = FIRST_PAUSE;
        let mut stood_at = Position(0);
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                result = AssertUnwindSafe(self.advance()).catch_unwind() => {
                    let error = match result {
                        Ok(Err(error)) if error.moved => continue,
                        Ok(Err(error)) => error,
                        Err(panic) => HandlerError::new(
                            Position(self.position.borrow().0 + 1),
                            format!("panicked: {}", panic_message(&*panic)),
                            false,
                        ),
                    };
                    self.report(&error);
                    // Another standstill than the last one starts with short pauses again.
                    pause = if error.at == stood_at { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
                    stood_at = error.at;
                }
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Says so once per standstill, not once per try.
    fn report(&self, error: &HandlerError) {
        let (handler, source) = (self.handler.name(), self.source.name());
        metrics::counter!("cqrs_handler_errors_total", "handler" => handler, "source" => source).increment(1);
        let detail = error.to_string();
        let mut known = self.error.lock();
        if known.as_ref() != Some(&detail) {
            tracing::error!(handler, source, at = error.at.0, detail = %error.detail, "an event handler stands still");
            *known = Some(detail);
        }
    }

    /// Waits for news and takes them in.
    async fn advance(&self) -> Result<std::convert::Infallible, HandlerError> {
        let source = self.source.name();
        let place =
            self.handler.place(source).await.map_err(|error| HandlerError::store(Position(0), &error))?;
        self.position.send_replace(place);
        let mut place = place;
        let mut head = self.source.head();
        loop {
            // The sender lives as long as the log; a closed channel means the log is going down.
            if head.wait_for(|head| *head > place).await.is_err() {
                std::future::pending::<()>().await;
            }
            let batch = self
                .source
                .read(place, BATCH)
                .await
                .map_err(|error| HandlerError::store(Position(place.0 + 1), &error))?;
            if batch.upto <= place {
                tokio::task::yield_now().await;
                continue;
            }
            self.handler.handle(source, &batch).await?;
            place = batch.upto;
            self.error.lock().take();
            self.position.send_replace(place);
            let lag = head.borrow().0.saturating_sub(place.0);
            metrics::gauge!("cqrs_handler_lag_events", "handler" => self.handler.name(), "source" => source)
                .set(lag as f64);
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// A reactor as an event handler: one event after the other, its place kept behind them.
struct Reacting<R> {
    reactor: R,
    places: Arc<dyn PlaceStore>,
    keyring: Keyring,
}

#[async_trait]
impl<R: Reactor> EventHandler for Reacting<R> {
    fn name(&self) -> &'static str {
        self.reactor.name()
    }
    fn sources(&self) -> &'static [&'static str] {
        self.reactor.sources()
    }
    async fn place(&self, source: &'static str) -> Result<Position, StoreError> {
        self.places.load(self.reactor.name(), source).await
    }
    async fn handle(&self, source: &'static str, batch: &Batch) -> Result<(), HandlerError> {
        for event in &batch.events {
            let result = loop {
                let incoming = Incoming { source, meta: event, keys: self.keyring.keys() };
                let result = AssertUnwindSafe(self.reactor.react(&incoming)).catch_unwind().await;
                match result {
                    Ok(Err(Failure::MissingKeys(persons))) => match self.keyring.load(&persons).await {
                        Ok(()) => {}
                        Err(error) => break Err(codec_error(event.position, &error)),
                    },
                    Ok(Ok(())) => break Ok(()),
                    Ok(Err(failure)) => {
                        let passing = matches!(
                            failure,
                            Failure::Unavailable(_)
                                | Failure::StorageFull
                                | Failure::DeadlineExceeded
                                | Failure::Contended
                                | Failure::InFlight
                        );
                        break Err(HandlerError::new(event.position, failure, passing));
                    }
                    Err(panic) => {
                        let detail = format!("panicked: {}", panic_message(&*panic));
                        break Err(HandlerError::new(event.position, detail, false));
                    }
                }
            };
            if let Err(error) = result {
                self.keep(source, Position(error.at.0 - 1)).await?;
                return Err(error);
            }
        }
        self.keep(source, batch.upto).await
    }
}

impl<R: Reactor> Reacting<R> {
    async fn keep(&self, source: &'static str, place: Position) -> Result<(), HandlerError> {
        self.places
            .save(self.reactor.name(), source, place)
            .await
            .map_err(|error| HandlerError::store(place, &error))
    }
}

/// A codec's error as a handler's.
pub fn codec_error(at: Position, error: &CodecError) -> HandlerError {
    let passing = matches!(error, CodecError::Store(StoreError::Unavailable(_)));
    HandlerError::new(at, error, passing)
}
