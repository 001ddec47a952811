//! Runs projections: a batch of events and the view's place in one transaction; and rebuilds views beside the live ones.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::{
    Batch, EventHandler, EventSource, Fence, Gather, HandlerError, Incoming, Keyring, LeaseStore, Position,
    Projection, RecordedEvent, StoreError, Writes, codec_error,
};
use futures::FutureExt as _;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::views::{Step, StepError, Views, is_missing_table};

/// A projection as an event handler.
pub struct Projecting {
    projection: Arc<dyn Projection>,
    views: Views,
    keyring: Keyring,
    sources: Vec<Arc<dyn EventSource>>,
    /// How far this handler has come, and in which epoch of the source.
    reached: Mutex<HashMap<&'static str, (Position, Uuid)>>,
}

impl Projecting {
    /// A handler that keeps one of the views; `sources` are those it follows, for their epochs.
    pub fn new(
        projection: Arc<dyn Projection>,
        views: Views,
        keyring: Keyring,
        sources: &[Arc<dyn EventSource>],
    ) -> Self {
        Self { projection, views, keyring, sources: sources.to_vec(), reached: Mutex::default() }
    }

    /// Asked whenever it is needed: a source that is far away learns it later, and a log may be restored.
    fn epoch(&self, source: &str) -> Uuid {
        let found = self.sources.iter().find(|known| known.name() == source);
        found.map_or(Uuid::nil(), |source| source.epoch())
    }
}

/// After how many events others get their turn on the thread: a millisecond's work or less.
const BREATH: usize = 64;

/// What a projection makes of events, together.
async fn project(
    projection: &dyn Projection,
    keyring: &Keyring,
    source: &'static str,
    events: &[Arc<RecordedEvent>],
) -> Result<Writes, HandlerError> {
    let mut out = Writes::default();
    for (n, event) in events.iter().enumerate() {
        if n % BREATH == BREATH - 1 {
            // Requests and deliveries wait behind it on this thread.
            tokio::task::yield_now().await;
        }
        let before = out.0.len();
        let projected = keyring.with_keys(|keys| {
            // A projection that had to wait for keys starts this event anew.
            out.0.truncate(before);
            projection.project(&Incoming { source, meta: event, keys }, &mut out)
        });
        // Caught here, where it is known which event it was: those before it can still be taken in.
        match AssertUnwindSafe(projected).catch_unwind().await {
            Ok(result) => result.map_err(|error| codec_error(event.position, &error))?,
            Err(panic) => {
                let message = panic.downcast_ref::<&str>().copied();
                let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
                let detail = format!("panicked: {}", message.unwrap_or("without a message"));
                return Err(HandlerError::new(event.position, detail, false));
            }
        }
    }
    Ok(out)
}

#[async_trait]
impl EventHandler for Projecting {
    fn name(&self) -> &'static str {
        self.projection.name()
    }

    fn sources(&self) -> &'static [&'static str] {
        self.projection.sources()
    }

    fn gathers(&self) -> Gather {
        self.projection.gathers()
    }

    fn batch_when_behind(&self) -> usize {
        self.gathers().events.max(STEP)
    }

    fn leases(&self) -> Option<Arc<dyn LeaseStore>> {
        Some(Arc::new(self.views.clone()))
    }

    async fn place(&self, source: &'static str) -> Result<Position, StoreError> {
        let name = self.projection.name();
        let mut found =
            self.views.place(name, self.views.generation(name), source).await.inspect_err(|_| {
                // Others may be moving it on where this process can't see it.
                self.views.lost_sight();
            })?;
        if found.is_none() {
            // Not begun, or another process swapped a rebuilt view in.
            self.views.reload().await?;
            found = self.views.place(name, self.views.generation(name), source).await?;
        }
        let position = found.map_or(Position(0), |(position, _)| position);
        self.views.found_at(name, source, position);
        let Some((position, epoch)) = found else {
            self.reached.lock().insert(source, (Position(0), self.epoch(source)));
            return Ok(Position(0));
        };
        let present = self.epoch(source);
        // Nothing comes from a source that doesn't know its epoch yet; how far the view has come is right all the same.
        if epoch != present && !present.is_nil() {
            return Err(StoreError::Corrupt(format!(
                "the view {name} was filled from another epoch of {source}: rebuild it"
            )));
        }
        self.reached.lock().insert(source, (position, present));
        Ok(position)
    }

    fn reads_a_copy(&self) -> bool {
        self.views.reads_a_copy()
    }

    async fn shown(&self, source: &'static str) -> Result<Position, StoreError> {
        if self.views.reads_a_copy() {
            self.views.place_of(self.projection.name(), source).await
        } else {
            self.place(source).await
        }
    }

    async fn handle(
        &self,
        source: &'static str,
        batch: &Batch,
        fence: Option<Fence>,
    ) -> Result<(), HandlerError> {
        let first = batch.events.first().map_or(batch.upto, |event| event.position);
        // The step itself checks that the view is where this handler left it: another process, or a rebuilt view that was swapped
        // in, may have moved it.
        let reached = self.reached.lock().get(source).copied();
        let place = match reached {
            Some((reached, epoch)) if epoch == self.epoch(source) => reached,
            _ => self.place(source).await.map_err(|error| HandlerError::store(first, &error))?,
        };
        let skip = batch.events.partition_point(|event| event.position <= place);
        let work = Work { source, fence, epoch: self.epoch(source) };
        self.apply(work, place, &batch.events[skip..], batch.upto.max(place)).await
    }
}

/// What all steps of a batch have in common.
#[derive(Clone, Copy)]
struct Work {
    source: &'static str,
    fence: Option<Fence>,
    epoch: Uuid,
}

impl Projecting {
    /// Applies events; if together they fail, the good ones before the one that does.
    async fn apply(
        &self,
        work: Work,
        from: Position,
        events: &[Arc<RecordedEvent>],
        to: Position,
    ) -> Result<(), HandlerError> {
        let mut todo = vec![(events, to)];
        let mut from = from;
        while let Some((events, to)) = todo.pop() {
            if to == from {
                continue;
            }
            match self.apply_together(work, from, events, to).await {
                Ok(()) => from = to,
                Err(error) if events.len() > 1 && !error.passing => {
                    let (first, second) = events.split_at(events.len() / 2);
                    let between = first.last().map_or(from, |last| last.position);
                    todo.push((second, to));
                    todo.push((first, between));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn apply_together(
        &self,
        Work { source, fence, epoch }: Work,
        from: Position,
        events: &[Arc<RecordedEvent>],
        to: Position,
    ) -> Result<(), HandlerError> {
        let writes = project(&*self.projection, &self.keyring, source, events).await?;
        let at = events.first().map_or(to, |event| event.position);
        if writes.2.len() > MOST_NOTED && events.len() > 1 {
            return Err(HandlerError::new(at, "notes too much for one step", false));
        }
        let name = self.projection.name();
        let generation = self.views.generation(name);
        let stepped = async {
            let statements =
                self.views.with_upkeep(&*self.projection, generation, &writes.2, writes.0).await?;
            let step = Step { source, epoch, statements, touched: writes.1, fence, from, to };
            self.views.step(name, generation, step).await
        };
        match stepped.await {
            Ok(()) => {
                self.reached.lock().insert(source, (to, epoch));
                Ok(())
            }
            Err(StepError::Moved) => Err(HandlerError::moved(at)),
            Err(StepError::Store(StoreError::Other(detail))) if is_missing_table(&detail) => {
                // Another process swapped a rebuilt view in.
                self.views.reload().await.map_err(|error| HandlerError::store(at, &error))?;
                if self.views.generation(name) == generation {
                    // Nobody did: the projection names a table that isn't there.
                    return Err(HandlerError::new(at, detail, false));
                }
                Err(HandlerError::moved(at))
            }
            Err(StepError::Store(error)) => Err(HandlerError::store(at, &error)),
        }
    }
}

/// How far a rebuild has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildProgress {
    /// Events taken in so far.
    pub done: u64,
    /// Events there are to take in, as known now.
    pub total: u64,
}

/// How much the events of one step may note for the projection's upkeep; with more, fewer events are taken in at once.
const MOST_NOTED: usize = 256;

/// How many events one step takes in of a view that is as far behind, or made anew.
const STEP: usize = 2000;

impl Views {
    /// Fills the view `name` anew beside the live one, from the beginning of its sources, and then swaps them in one
    /// transaction. Queries and commands go on meanwhile. A rebuild that was killed goes on where it was.
    pub async fn rebuild(
        &self,
        name: &str,
        sources: &[Arc<dyn EventSource>],
        keyring: &Keyring,
        mut report: impl FnMut(RebuildProgress) + Send,
    ) -> Result<(), RebuildError> {
        let projection = self
            .projections()
            .iter()
            .find(|projection| projection.name() == name)
            .cloned()
            .ok_or_else(|| RebuildError::NoSuchView(name.to_owned()))?;
        let name = projection.name();
        self.reload().await?;
        let next = self.generation(name) + 1;
        let followed: Vec<_> =
            sources.iter().filter(|source| projection.sources().contains(&source.name())).cloned().collect();
        let epochs: Vec<_> = followed.iter().map(|source| (source.name(), source.epoch())).collect();
        // What an earlier rebuild left is gone on with, unless it was filled from logs that aren't these any more.
        let (mut begun, mut fits) = (false, true);
        for (source, epoch) in &epochs {
            let place = self.place(name, next, source).await?;
            begun |= place.is_some();
            fits &= place.is_none_or(|(_, filled_from)| filled_from == *epoch);
        }
        if !begun || !fits {
            self.create(&*projection, next).await?;
        }
        loop {
            for source in &followed {
                self.catch_up(&*projection, next, source, &followed, keyring, &mut report).await?;
            }
            // Once it has come as far as the live view it stands in for it; what comes after, the live handler adds.
            if self.go_live(&*projection, next, &epochs).await? {
                return Ok(());
            }
        }
    }

    async fn catch_up(
        &self,
        projection: &dyn Projection,
        generation: u64,
        source: &Arc<dyn EventSource>,
        followed: &[Arc<dyn EventSource>],
        keyring: &Keyring,
        report: &mut (impl FnMut(RebuildProgress) + Send),
    ) -> Result<(), RebuildError> {
        let name = projection.name();
        let mut size = STEP;
        loop {
            let place =
                self.place(name, generation, source.name()).await?.map_or(Position(0), |(place, _)| place);
            let head = *source.head().borrow();
            if place >= head {
                return Ok(());
            }
            let batch = source.read(place, size).await?;
            if batch.upto <= place {
                return Ok(());
            }
            let writes = project(projection, keyring, source.name(), &batch.events).await?;
            if writes.2.len() > MOST_NOTED && batch.events.len() > 1 {
                size = batch.events.len() / 2;
                continue;
            }
            size = STEP;
            let statements = self.with_upkeep(projection, generation, &writes.2, writes.0).await?;
            let step = Step {
                source: source.name(),
                epoch: source.epoch(),
                statements,
                touched: Vec::new(),
                // It fills a generation of its own, which the live view's keeper leaves alone.
                fence: None,
                from: place,
                to: batch.upto,
            };
            match self.step(name, generation, step).await {
                Ok(()) => {}
                Err(StepError::Moved) => return Err(RebuildError::AlreadyRunning),
                Err(StepError::Store(error)) => return Err(error.into()),
            }
            let mut progress = RebuildProgress { done: 0, total: 0 };
            for source in followed {
                let place = self.place(name, generation, source.name()).await?;
                progress.done += place.map_or(0, |(place, _)| place.0);
                progress.total += source.head().borrow().0;
            }
            report(progress);
        }
    }
}

/// Why a view wasn't rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is no view of this name.
    #[error("there is no view called {0}")]
    NoSuchView(String),
    /// Somebody else is rebuilding it.
    #[error("the view is being rebuilt already")]
    AlreadyRunning,
    /// An event that the projection can't take in.
    #[error("stopped {0}")]
    Stopped(#[from] HandlerError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
