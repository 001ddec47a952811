//! The relay: publishes a service's public events.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{
    Batch, Clock, EventHandler, EventSource, Fence, HandlerError, LeaseStore, Place, PlaceError, PlaceStore,
    Position, StoreError,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::mark;
use crate::record::Names;
use crate::session::{Session, Target};

/// The consumer's name in places and leases.
pub const NAME: &str = "relay";
/// How many events are read in one go when the topic is behind the place.
const STEP: usize = 512;
/// How often it is looked how far the service's reactors have come.
const LOOK: Duration = Duration::from_millis(25);

/// Another service's public events that this service's reactors turn into events of their own.
#[derive(Clone)]
pub struct Upstream {
    /// The other service's events.
    pub source: Arc<dyn EventSource>,
    /// Where the reactors keep their places.
    pub places: Arc<dyn PlaceStore>,
    /// The reactors' names; what the last of them has done, all have.
    pub reactors: Vec<&'static str>,
    /// The logs that the other service covers in turn and whose coverage is passed on.
    pub through: Vec<&'static str>,
}

/// Publishes a service's public events to its topic.
///
/// Every event is kept by the brokers before the relay moves on; a relay that dies repeats what it hadn't said to be out, and
/// skips nothing. Of several at once, which leases prevent but for moments, only the newest is believed.
pub struct Relay {
    sources: &'static [&'static str],
    source: Arc<dyn EventSource>,
    places: Arc<dyn PlaceStore>,
    upstream: Vec<Upstream>,
    target: Arc<Target>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    /// The last batch was taken in whole, so that the next follows it.
    in_step: bool,
    /// What the watermarks say of other logs.
    covered: Vec<mark::Upstream>,
    /// What they can say once the relay has come to the position.
    coming: Option<(Vec<mark::Upstream>, Position)>,
    looked: Option<Instant>,
}

impl Relay {
    /// A relay of `source`, a service's public events, whose name (`SERVICE.public`) is the one in `sources`. It keeps its place
    /// in `places`, the service's own. `upstream` says where the service's reactors get their events from.
    pub fn new(
        cluster: Arc<Cluster>,
        clock: Arc<dyn Clock>,
        sources: &'static [&'static str; 1],
        source: Arc<dyn EventSource>,
        places: Arc<dyn PlaceStore>,
        upstream: Vec<Upstream>,
    ) -> Self {
        let service = sources[0].strip_suffix(".public").unwrap_or(sources[0]);
        let settings = &cluster.settings;
        let target = Arc::new(Target {
            names: Names::of(&settings.namespace, service),
            topic: settings.topic(service),
            marks_topic: settings.watermark_topic(service),
            cluster,
            clock,
            service,
        });
        Self { sources, source, places, upstream, target, state: Mutex::default() }
    }

    /// Publishes what isn't out yet up to the end of the batch, and says so.
    async fn publish(&self, batch: &Batch) -> Result<(), HandlerError> {
        let mut state = self.state.lock().await;
        let published = self.publish_in(&mut state, batch).await;
        if published.is_err() {
            state.session = None;
        }
        published
    }

    async fn publish_in(&self, state: &mut State, next: &Batch) -> Result<(), HandlerError> {
        // Until this has come to its end, the next batch needn't be the one that follows what is out.
        let in_step = std::mem::take(&mut state.in_step);
        if state.session.is_none() {
            state.session = Some(Session::open(&self.target, &*self.source).await?);
            state.looked = None;
        }
        self.look(state).await?;
        let Some(session) = state.session.as_mut() else { return Ok(()) };
        while session.position() < next.upto {
            let at = Position(session.position().0 + 1);
            let failed = |error: StoreError| HandlerError::store(at, &error);
            let read;
            let batch = if in_step {
                next
            } else {
                read = self.source.read(session.position(), STEP).await.map_err(failed)?;
                &read
            };
            session.publish(&batch.events).await.map_err(failed)?;
            if batch.upto <= session.position() {
                break;
            }
            let last = match batch.events.last().filter(|event| event.position == batch.upto) {
                Some(event) => Some(event.id),
                // What stands there isn't public.
                None => self.source.event_id(batch.upto).await.map_err(failed)?,
            };
            session.moved_to(batch.upto, last);
            if state.coming.as_ref().is_some_and(|(_, needed)| *needed <= session.position()) {
                state.covered = state.coming.take().unwrap_or_default().0;
            }
            session.mark(&state.covered).await?;
        }
        session.mark(&state.covered).await?;
        state.in_step = session.position() == next.upto;
        Ok(())
    }

    /// Looks how far the reactors have come. What they made of it stands in the log by then, up to its newest position at
    /// most; it can be said once that is out.
    async fn look(&self, state: &mut State) -> Result<(), HandlerError> {
        let position = state.session.as_ref().map_or(Position(0), Session::position);
        let due = state.looked.is_none_or(|looked| looked.elapsed() >= LOOK);
        if due && state.coming.is_none() && !self.upstream.is_empty() {
            state.looked = Some(Instant::now());
            let failed = |error: StoreError| HandlerError::store(Position(position.0 + 1), &error);
            let found = self.covered(&state.covered).await.map_err(failed)?;
            if found != state.covered {
                let needed = self.source.newest().await.map_err(failed)?;
                state.coming = Some((found, needed));
            }
        }
        if state.coming.as_ref().is_some_and(|(_, needed)| *needed <= position) {
            state.covered = state.coming.take().unwrap_or_default().0;
        }
        Ok(())
    }

    /// What the service has made of other logs' events.
    async fn covered(&self, known: &[mark::Upstream]) -> Result<Vec<mark::Upstream>, StoreError> {
        let mut found = Vec::new();
        for upstream in &self.upstream {
            let (name, epoch) = (upstream.source.name(), upstream.source.epoch());
            if epoch.is_nil() {
                continue;
            }
            let log = name.strip_suffix(".public").unwrap_or(name);
            let newest = *upstream.source.head().borrow();
            let before = known.iter().find(|known| known.log == log && known.epoch == epoch);
            let place = match before {
                // There is nothing that they could have come to since.
                Some(known) if known.position >= newest => known.position,
                _ => self.place_of(upstream).await?,
            };
            found.push(mark::Upstream { log: log.to_owned(), epoch, position: place });
            for log in &upstream.through {
                let Some(covered) = upstream.source.covered(log).map(|covered| *covered.borrow()) else {
                    continue;
                };
                if !covered.epoch.is_nil() && covered.at <= place {
                    let (epoch, position) = (covered.epoch, covered.upstream);
                    found.push(mark::Upstream { log: (*log).to_owned(), epoch, position });
                }
            }
        }
        Ok(found)
    }

    /// How far all the reactors have come.
    async fn place_of(&self, upstream: &Upstream) -> Result<Position, StoreError> {
        let mut least = None;
        for reactor in &upstream.reactors {
            let place = upstream.places.load(reactor, upstream.source.name()).await?;
            // One that was left in another epoch says nothing of this one.
            let place = place.filter(|place| place.epoch == upstream.source.epoch());
            let position = place.map_or(Position(0), |place| place.position);
            least = Some(least.map_or(position, |least: Position| least.min(position)));
        }
        Ok(least.unwrap_or_default())
    }
}

#[async_trait]
impl EventHandler for Relay {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sources(&self) -> &'static [&'static str] {
        self.sources
    }

    fn leases(&self) -> Option<Arc<dyn LeaseStore>> {
        Some(self.places.clone())
    }

    async fn place(&self, source: &'static str) -> Result<Position, StoreError> {
        let place = self.places.load(NAME, source).await?;
        // What was left in another epoch is no place here: the topic says whose events it holds.
        let epoch = self.source.epoch();
        Ok(place.filter(|place| place.epoch == epoch).map_or(Position(0), |place| place.position))
    }

    async fn handle(
        &self,
        source: &'static str,
        batch: &Batch,
        fence: Option<Fence>,
    ) -> Result<(), HandlerError> {
        self.publish(batch).await?;
        let place = Place { position: batch.upto, epoch: self.source.epoch() };
        let mut kept = self.places.save(NAME, source, place, fence).await;
        if matches!(kept, Err(PlaceError::OtherEpoch { .. })) {
            // The topic was found to be this epoch's, so the log is, and the place is an old one.
            let at = batch.upto;
            self.places.forget(NAME).await.map_err(|error| HandlerError::store(at, &error))?;
            kept = self.places.save(NAME, source, place, fence).await;
        }
        kept.map_err(|error| HandlerError::place(batch.upto, &error))
    }

    fn idles(&self) -> Option<Duration> {
        Some(LOOK)
    }

    /// Opens the session before the first event, brings the topic up to the place if it is behind, and says what the
    /// service's reactors have done, even if nothing came of it.
    async fn idle(
        &self,
        _source: &'static str,
        place: Position,
        _fence: Option<Fence>,
    ) -> Result<(), HandlerError> {
        self.publish(&Batch { events: Vec::new(), upto: place }).await
    }
}
