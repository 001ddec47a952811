//! A reactor as an event handler: the events of a stream one after the other, its place kept behind all of them.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{EventHandler, Gather, HandlerError, codec_error, panic_message};
use crate::event::{Position, RecordedEvent};
use crate::failure::{Failure, StoreError};
use crate::lease::{Fence, LeaseStore};
use crate::privacy::Keyring;
use crate::projection::{Incoming, Place, PlaceError, PlaceStore, Reactor};
use crate::source::{Batch, EventSource};
use crate::trace::SpanId;

pub(super) struct Reacting<R> {
    pub(super) reactor: R,
    pub(super) places: Arc<dyn PlaceStore>,
    pub(super) keyring: Keyring,
    pub(super) sources: Vec<Arc<dyn EventSource>>,
    /// The epoch of each source in which the place is known to be.
    pub(super) within: Mutex<HashMap<&'static str, Uuid>>,
    pub(super) parking: Parking,
}

/// For how long events are gathered: reactions commit together, and the place is kept once for all.
const GATHER: Duration = Duration::from_millis(20);
/// How often an event is tried that can't be handled.
const TRIES: u32 = 3;
/// How often it is looked whether something that is parked is to be tried again.
const LOOK: Duration = Duration::from_secs(1);

/// What a reactor knows of what it parked.
#[derive(Default)]
pub(super) struct Parking(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// By source, the streams that wait for a parked event.
    waiting: HashMap<&'static str, HashSet<Uuid>>,
    looked: HashMap<&'static str, Instant>,
    /// The event that can't be handled, and how often it was tried.
    trying: Option<(Position, u32)>,
}

impl Parking {
    fn waits(&self, source: &str, stream: Uuid) -> bool {
        self.0.lock().waiting.get(source).is_some_and(|waiting| waiting.contains(&stream))
    }

    fn block(&self, source: &'static str, stream: Uuid) {
        self.0.lock().waiting.entry(source).or_default().insert(stream);
    }

    fn know(&self, source: &'static str, waiting: Vec<Uuid>) {
        self.0.lock().waiting.insert(source, waiting.into_iter().collect());
    }

    /// Whether it is time to look, as it is once in [`LOOK`] if anything is parked: nobody else parks.
    fn due(&self, source: &'static str) -> bool {
        let (now, mut known) = (Instant::now(), self.0.lock());
        if known.waiting.get(source).is_none_or(HashSet::is_empty) {
            return false;
        }
        let due = known.looked.get(source).is_none_or(|looked| now - *looked >= LOOK);
        if due {
            known.looked.insert(source, now);
        }
        due
    }

    fn settled(&self) {
        self.0.lock().trying = None;
    }

    /// An event couldn't be handled once more. Whether that was the last time.
    fn tried(&self, at: Position) -> bool {
        let mut known = self.0.lock();
        let before = known.trying.filter(|(position, _)| *position == at).map_or(0, |(_, tries)| tries);
        known.trying = Some((at, before + 1));
        before + 1 >= TRIES
    }
}

#[async_trait]
impl<R: Reactor> EventHandler for Reacting<R> {
    fn name(&self) -> &'static str {
        self.reactor.name()
    }

    fn sources(&self) -> &'static [&'static str] {
        self.reactor.sources()
    }

    fn gathers(&self) -> Gather {
        Gather::during(GATHER)
    }

    fn leases(&self) -> Option<Arc<dyn LeaseStore>> {
        Some(self.places.clone())
    }

    async fn place(&self, source: &'static str) -> Result<Position, StoreError> {
        let name = self.reactor.name();
        let epoch = self.epoch(source);
        let position = match self.places.load(name, source).await? {
            None => Position(0),
            Some(place) => {
                place.within(epoch, name, source).map_err(|error| StoreError::Corrupt(error.to_string()))?
            }
        };
        if let Some(parking) = self.places.parking() {
            self.parking.know(source, parking.parked_streams(name, source).await?);
        }
        self.within.lock().insert(source, epoch);
        Ok(position)
    }

    async fn handle(
        &self,
        source: &'static str,
        batch: &Batch,
        fence: Option<Fence>,
    ) -> Result<(), HandlerError> {
        // A source that is far away learns its epoch after the place was looked up.
        if self.within.lock().get(source) != Some(&self.epoch(source)) {
            let at = batch.events.first().map_or(batch.upto, |event| event.position);
            self.place(source).await.map_err(|error| HandlerError::store(at, &error))?;
        }
        let mut outcomes = self.react_to_all(source, &batch.events).await.into_iter();
        // The place moves in order, whatever was done first: up to what failed or wasn't begun, and no further.
        for event in &batch.events {
            let reacted = match outcomes.next().flatten() {
                Some(reacted) => reacted,
                None if self.parking.waits(source, event.stream) => {
                    self.park(source, event, "an earlier event of its stream is parked", fence).await?;
                    continue;
                }
                // What failed before it was parked: this one's turn has come.
                None => self.react(source, event).await,
            };
            let Err(error) = reacted else {
                self.parking.settled();
                continue;
            };
            let given_up =
                self.places.parking().is_some() && !error.passing && self.parking.tried(event.position);
            if !given_up {
                self.keep(source, Position(error.at.0 - 1), fence).await?;
                return Err(error);
            }
            tracing::error!(
                handler = self.reactor.name(), source, at = event.position.0, detail = %error.detail,
                "an event can't be handled and is parked, with all later ones of its stream"
            );
            self.park(source, event, &error.detail, fence).await?;
            self.parking.block(source, event.stream);
        }
        self.keep(source, batch.upto, fence).await?;
        self.retry_parked(source).await
    }

    fn idles(&self) -> Option<Duration> {
        self.places.parking().map(|_| LOOK)
    }

    async fn idle(
        &self,
        source: &'static str,
        _place: Position,
        _fence: Option<Fence>,
    ) -> Result<(), HandlerError> {
        self.retry_parked(source).await
    }
}

impl<R: Reactor> Reacting<R> {
    /// Reacts to events, those of one stream one after the other, those of several at the same time as far as the reactor
    /// allows. What came of each; nothing for those that weren't begun, because their stream waits for a parked event or
    /// because another failed.
    async fn react_to_all(
        &self,
        source: &'static str,
        events: &[Arc<RecordedEvent>],
    ) -> Vec<Option<Result<(), HandlerError>>> {
        let most = self.reactor.concurrency().max(1);
        let mut outcomes = vec![None; events.len()];
        let mut waiting: Vec<usize> =
            (0..events.len()).filter(|&n| !self.parking.waits(source, events[n].stream)).collect();
        let (mut running, mut busy) = (FuturesUnordered::new(), HashSet::new());
        let mut failed = false;
        loop {
            while !failed && running.len() < most {
                let free = |&n: &usize| !busy.contains(&events[n].stream);
                let Some(next) = waiting.iter().position(free) else { break };
                let n = waiting.remove(next);
                busy.insert(events[n].stream);
                running.push(self.react(source, &events[n]).map(move |result| (n, result)));
            }
            let Some((n, result)) = running.next().await else { return outcomes };
            busy.remove(&events[n].stream);
            failed |= result.is_err();
            outcomes[n] = Some(result);
        }
    }

    async fn react(&self, source: &'static str, event: &Arc<RecordedEvent>) -> Result<(), HandlerError> {
        loop {
            let incoming = Incoming { source, meta: event, keys: self.keyring.keys() };
            let span = tracing::debug_span!(
                "react", handler = self.reactor.name(), source, event = &*event.name,
                correlation = %event.correlation, parent = %SpanId::of(event),
            );
            let reaction = AssertUnwindSafe(self.reactor.react(&incoming)).catch_unwind();
            let result = reaction.instrument(span).await;
            match result {
                Ok(Err(Failure::MissingKeys(persons))) => {
                    let loaded = self.keyring.load(&persons).await;
                    loaded.map_err(|error| codec_error(event.position, &error))?;
                }
                Ok(Ok(())) => return Ok(()),
                Ok(Err(failure)) => {
                    let passing = matches!(
                        failure,
                        Failure::Unavailable(_)
                            | Failure::StorageFull
                            | Failure::DeadlineExceeded
                            | Failure::Contended
                            | Failure::InFlight
                    );
                    return Err(HandlerError::new(event.position, failure, passing));
                }
                Err(panic) => {
                    let detail = format!("panicked: {}", panic_message(&*panic));
                    return Err(HandlerError::new(event.position, detail, false));
                }
            }
        }
    }

    /// Parks an event and moves the place behind it.
    async fn park(
        &self,
        source: &'static str,
        event: &RecordedEvent,
        reason: &str,
        fence: Option<Fence>,
    ) -> Result<(), HandlerError> {
        let Some(parking) = self.places.parking() else { return Ok(()) };
        let (name, place) =
            (self.reactor.name(), Place { position: event.position, epoch: self.epoch(source) });
        metrics::counter!("cqrs_parked_events_total", "handler" => name, "source" => source).increment(1);
        let parked = parking.park_event(name, source, event, reason, place, fence).await;
        parked.map_err(|error| HandlerError::place(event.position, &error))
    }

    /// Tries again what somebody asked to have tried again, each stream in order.
    async fn retry_parked(&self, source: &'static str) -> Result<(), HandlerError> {
        let Some(parking) = self.places.parking().filter(|_| self.parking.due(source)) else { return Ok(()) };
        let failed = |error: StoreError| HandlerError::store(Position(0), &error);
        let name = self.reactor.name();
        let mut stuck = HashSet::new();
        for parked in parking.to_retry(name, source).await.map_err(failed)? {
            if stuck.contains(&parked.stream) {
                continue;
            }
            let reacted = match self.find(source, parked.position).await.map_err(failed)? {
                Some(event) => self.react(source, &event).await,
                None => Err(HandlerError::new(parked.position, "the source doesn't hold it any more", false)),
            };
            match reacted {
                Ok(()) => parking.handled(parked.id).await.map_err(failed)?,
                // It stays asked for.
                Err(error) if error.passing => drop(stuck.insert(parked.stream)),
                Err(error) => {
                    parking.failed(parked.id, &error.detail).await.map_err(failed)?;
                    stuck.insert(parked.stream);
                }
            }
        }
        let waiting = parking.parked_streams(name, source).await.map_err(failed)?;
        self.parking.know(source, waiting);
        Ok(())
    }

    async fn find(&self, source: &str, position: Position) -> Result<Option<Arc<RecordedEvent>>, StoreError> {
        let Some(source) = self.sources.iter().find(|known| known.name() == source) else { return Ok(None) };
        let batch = source.read(Position(position.0.saturating_sub(1)), 1).await?;
        Ok(batch.events.into_iter().find(|event| event.position == position))
    }

    fn epoch(&self, source: &str) -> Uuid {
        let found = self.sources.iter().find(|known| known.name() == source);
        found.map_or(Uuid::nil(), |source| source.epoch())
    }

    async fn keep(
        &self,
        source: &'static str,
        position: Position,
        fence: Option<Fence>,
    ) -> Result<(), HandlerError> {
        let place = Place { position, epoch: self.epoch(source) };
        let kept = self.places.save(self.reactor.name(), source, place, fence).await;
        kept.map_err(|error: PlaceError| HandlerError::place(position, &error))
    }
}
