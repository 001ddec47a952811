//! A view in memory, for examples and for tests that need no disk.

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::aggregate::Aggregate;
use crate::event::{Position, RecordedEvent};
use crate::event_bus::{EventHandler, HandlerError, codec_error};
use crate::failure::StoreError;
use crate::lease::Fence;
use crate::privacy::Keyring;
use crate::source::Batch;

/// What a view keeps, `V`, folded from the events of one kind of aggregate, `A`. It starts from the beginning of its log
/// whenever it is made; a view that stays is a [`Projection`](crate::Projection).
pub struct MemoryView<A: Aggregate, V> {
    name: &'static str,
    sources: &'static [&'static str],
    keyring: Keyring,
    fold: fn(&mut V, &RecordedEvent, A::Event),
    kept: Mutex<(V, Position)>,
}

impl<A: Aggregate, V: Default> MemoryView<A, V> {
    /// An empty view called `name` that follows one source; `fold` says what an event changes.
    pub fn new(
        name: &'static str,
        source: &'static [&'static str; 1],
        keyring: Keyring,
        fold: fn(&mut V, &RecordedEvent, A::Event),
    ) -> Self {
        Self { name, sources: source, keyring, fold, kept: Mutex::default() }
    }

    /// Looks at what the view holds now.
    pub fn read<R>(&self, look: impl FnOnce(&V) -> R) -> R {
        look(&self.kept.lock().0)
    }
}

#[async_trait]
impl<A: Aggregate, V: Default + Send + 'static> EventHandler for MemoryView<A, V> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn sources(&self) -> &'static [&'static str] {
        self.sources
    }
    async fn place(&self, _: &'static str) -> Result<Position, StoreError> {
        Ok(self.kept.lock().1)
    }
    async fn handle(&self, _: &'static str, batch: &Batch, _: Option<Fence>) -> Result<(), HandlerError> {
        for event in &batch.events {
            if event.category == A::CATEGORY {
                let decoded = self.keyring.decode(event).await;
                let decoded = decoded.map_err(|error| codec_error(event.position, &error))?;
                (self.fold)(&mut self.kept.lock().0, event, decoded);
            }
            self.kept.lock().1 = event.position;
        }
        self.kept.lock().1 = batch.upto;
        Ok(())
    }
}
