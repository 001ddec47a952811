//! A lane's place in one source, with the events it has read ahead.

use std::collections::VecDeque;
use std::sync::Arc;

use cqrs_core::{EventSource, Place, PlaceError, Position, RecordedEvent, StoreError};
use uuid::Uuid;

use super::super::catalogue::unversioned;
use super::super::webhook::{Start, Webhook};

/// How many events are read ahead at most.
const AHEAD: usize = 64;

pub(super) struct Track {
    source: Arc<dyn EventSource>,
    /// The service whose log it is.
    pub(super) log: &'static str,
    /// In which the place is; nil while neither the source nor the places know one.
    epoch: Uuid,
    /// Everything up to here is done.
    place: Position,
    /// What was kept of it, if anything was.
    kept: Option<Position>,
    /// What is to be sent, oldest first.
    ahead: VecDeque<Arc<RecordedEvent>>,
    /// Up to where `ahead` was read.
    upto: Position,
}

impl Track {
    /// From the place that was kept, or else from where the webhook begins.
    pub(super) fn new(
        source: Arc<dyn EventSource>,
        log: &'static str,
        kept: Option<Place>,
        start: Option<Start>,
    ) -> Self {
        let begin = || start.map(|start| Place { position: Position(start.position), epoch: start.epoch });
        let place = kept.or_else(begin).unwrap_or(Place { position: Position(0), epoch: source.epoch() });
        let kept = kept.map(|kept| kept.position);
        let Place { position, epoch } = place;
        Self { source, log, epoch, place: position, kept, ahead: VecDeque::new(), upto: position }
    }

    pub(super) fn source(&self) -> &Arc<dyn EventSource> {
        &self.source
    }

    pub(super) fn name(&self) -> &'static str {
        self.source.name()
    }

    /// The place, as it is kept.
    pub(super) fn place(&self) -> Place {
        Place { position: self.place, epoch: self.epoch }
    }

    /// The place once the next event was taken.
    pub(super) fn place_after(&self) -> Place {
        let next = self.ahead.front().filter(|_| self.ahead.len() > 1);
        Place { position: next.map_or(self.upto, |event| event.position), epoch: self.epoch }
    }

    /// Whether the place is another than what was kept.
    pub(super) fn is_ahead_of_kept(&self) -> bool {
        self.kept.is_none_or(|kept| self.place > kept)
    }

    /// The place was kept.
    pub(super) fn was_kept(&mut self) {
        self.kept = Some(self.place);
    }

    /// How many events of the source, wanted or not, are before it.
    pub(super) fn lag(&self) -> u64 {
        self.source.head().borrow().0.saturating_sub(self.place.0)
    }

    /// Reads on until there is something to send, or nothing more to read.
    pub(super) async fn fill(&mut self, webhook: &Webhook) -> Result<(), Stuck> {
        while self.ahead.is_empty() && *self.source.head().borrow() > self.place {
            let epoch = self.source.epoch();
            if !epoch.is_nil() && self.epoch.is_nil() {
                self.epoch = epoch;
            }
            self.place().within(epoch, "the webhook", self.log)?;
            let batch = self.source.read(self.place, AHEAD).await?;
            if batch.upto <= self.place {
                tokio::task::yield_now().await;
                continue;
            }
            let wanted = |event: &&Arc<RecordedEvent>| webhook.wants(self.log, unversioned(&event.name));
            self.ahead.extend(batch.events.iter().filter(wanted).cloned());
            self.upto = batch.upto;
            if self.ahead.is_empty() {
                self.place = self.upto;
            }
        }
        Ok(())
    }

    /// The next event to be sent.
    pub(super) fn next(&self) -> Option<&Arc<RecordedEvent>> {
        self.ahead.front()
    }

    /// The next event was taken.
    pub(super) fn done(&mut self) {
        self.place = self.place_after().position;
        self.ahead.pop_front();
    }
}

/// Why a source can't be read on.
pub(super) enum Stuck {
    /// The log was restored or replaced: the place means nothing any more.
    OtherEpoch,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Stuck {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<PlaceError> for Stuck {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Store(error) => Self::Store(error),
            PlaceError::OtherEpoch { .. } | PlaceError::LeaseLost => Self::OtherEpoch,
        }
    }
}
