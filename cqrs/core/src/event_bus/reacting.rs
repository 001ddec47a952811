//! A reactor as an event handler: one event after the other, its place kept behind them.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use parking_lot::Mutex;
use uuid::Uuid;

use super::{EventHandler, HandlerError, codec_error, panic_message};
use crate::event::Position;
use crate::failure::{Failure, StoreError};
use crate::lease::{Fence, LeaseStore};
use crate::privacy::Keyring;
use crate::projection::{Incoming, Place, PlaceError, PlaceStore, Reactor};
use crate::source::{Batch, EventSource};

pub(super) struct Reacting<R> {
    pub(super) reactor: R,
    pub(super) places: Arc<dyn PlaceStore>,
    pub(super) keyring: Keyring,
    pub(super) sources: Vec<Arc<dyn EventSource>>,
    /// The epoch of each source in which the place is known to be.
    pub(super) within: Mutex<HashMap<&'static str, Uuid>>,
}

#[async_trait]
impl<R: Reactor> EventHandler for Reacting<R> {
    fn name(&self) -> &'static str {
        self.reactor.name()
    }

    fn sources(&self) -> &'static [&'static str] {
        self.reactor.sources()
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
                self.keep(source, Position(error.at.0 - 1), fence).await?;
                return Err(error);
            }
        }
        self.keep(source, batch.upto, fence).await
    }
}

impl<R: Reactor> Reacting<R> {
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
