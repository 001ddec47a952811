//! Waits for views across services: what a token names may reach a view on several ways.
//!
//! A token of a service's own log is waited for in the view itself. A token of another service's log S is waited for on
//! every way by which an event of S can come to the view: directly, where the view follows `S.public`; and through a
//! service M whose reactors follow `S.public` and whose own events, in turn, come to the view. (Somebody who has just
//! registered is so known to chat: auth → user's reactor → user's log → chat's view of people.)
//!
//! Where M runs in this process, its reactors are waited for: their commands are committed before they move their place, so
//! that afterwards the end of M's log covers what they made of the event. Where it runs elsewhere, its source tells what it
//! covers of S ([`EventSource::covered`]). Either way a position in M's log comes of it, which is waited for in turn.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use cqrs_core::{EventBus, EventSource, Failure, LogSource, Position, PositionVector, Reached};
use cqrs_http::Waiter;
use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::watch;
use uuid::Uuid;

use super::{Elsewhere, Service};
use crate::roles::ServiceName;

/// One service of this process as the mesh sees it.
pub struct Node {
    /// Its log.
    pub log: Arc<dyn EventSource>,
    /// Its event handlers.
    pub events: EventBus,
    /// Those of them that turn events into commands.
    pub reactors: Vec<&'static str>,
}

impl Node {
    /// Of a service.
    pub fn of(service: &Service) -> Self {
        Self {
            log: Arc::new(LogSource(service.store.log.clone())),
            events: service.events.clone(),
            reactors: service.reactors.clone(),
        }
    }

    fn name(&self) -> &'static str {
        self.log.name()
    }

    /// How far each of its reactors has come in the public events of a service.
    fn reactors(&self, log: ServiceName) -> Vec<watch::Receiver<Position>> {
        self.reactors.iter().filter_map(|reactor| self.events.position(reactor, log.public())).collect()
    }

    /// How far one of its views has come in a log: its own service's, or another's public events.
    fn place(&self, view: &str, log: ServiceName) -> Option<watch::Receiver<Position>> {
        let source = if log.name() == self.name() { log.name() } else { log.public() };
        self.events.position(view, source)
    }
}

/// All services, as they are seen in this process.
pub struct Mesh {
    nodes: BTreeMap<&'static str, Node>,
    elsewhere: Elsewhere,
}

/// A position in a log as it was in one epoch.
#[derive(Debug, Clone, Copy)]
struct At {
    log: ServiceName,
    epoch: Uuid,
    position: Position,
}

impl Mesh {
    /// Of the services of this process and the sources of the others' public events.
    pub fn new(nodes: Vec<Node>, elsewhere: Elsewhere) -> Self {
        Self { nodes: nodes.into_iter().map(|node| (node.name(), node)).collect(), elsewhere }
    }

    /// What waits for the views of the service called `service`.
    pub fn waiter(self: &Arc<Self>, service: &'static str) -> Arc<dyn Waiter> {
        Arc::new(ServiceWaiter { mesh: self.clone(), service, shown: self.shown(service) })
    }

    /// What each view of a service shows of which log.
    fn shown(&self, service: &str) -> HashMap<&'static str, Vec<Shown>> {
        let mut shown: HashMap<_, Vec<Shown>> = HashMap::new();
        let Some(keeper) = self.nodes.get(service) else { return shown };
        for handler in keeper.events.progress() {
            let followed = ServiceName::of_source(handler.source).and_then(|log| {
                let place = keeper.events.reached(handler.handler, handler.source)?;
                Some(Shown { log, of: self.source(log)?, place })
            });
            shown.entry(handler.handler).or_default().extend(followed);
        }
        shown
    }

    /// A source that knows a log's epoch.
    fn source(&self, log: ServiceName) -> Option<Arc<dyn EventSource>> {
        let own = self.nodes.get(log.name()).map(|node| &node.log);
        own.or_else(|| self.elsewhere.get(log.name())).cloned()
    }

    /// The present epoch of a log, if it is known here.
    fn epoch(&self, log: ServiceName) -> Option<Uuid> {
        let known = |epoch: Uuid| Some(epoch).filter(|epoch| !epoch.is_nil());
        if let Some(source) = self.source(log) {
            // In this process it is known from the start, whatever it is.
            return if self.nodes.contains_key(log.name()) {
                Some(source.epoch())
            } else {
                known(source.epoch())
            };
        }
        let told = |source: &Arc<dyn EventSource>| known(source.covered(log.name())?.borrow().epoch);
        self.elsewhere.values().find_map(told)
    }

    /// Waits until what a log held has come to `view` on every way that doesn't cross `passed` again.
    fn arrive<'a>(
        &'a self,
        keeper: &'a Node,
        view: &'static str,
        at: At,
        passed: &'a [ServiceName],
    ) -> BoxFuture<'a, ()> {
        async move {
            let direct = reach(keeper.place(view, at.log), at.position);
            if at.log.name() == keeper.name() {
                return direct.await;
            }
            let passed: Vec<_> = passed.iter().copied().chain([at.log]).collect();
            let through = ServiceName::ALL.into_iter().filter(|service| !passed.contains(service));
            let through = through.map(|service| {
                let passed = &passed;
                async move {
                    if leads(service, keeper, view, passed)
                        && let Some(made) = self.made(service, at).await
                    {
                        self.arrive(keeper, view, made, passed).await;
                    }
                }
            });
            futures::future::join(direct, futures::future::join_all(through)).await;
        }
        .boxed()
    }

    /// Waits until all that `service` makes of what a log held is in its own log: up to there. Nothing if it makes nothing
    /// of it, as far as this process can see.
    async fn made(&self, service: ServiceName, at: At) -> Option<At> {
        if let Some(node) = self.nodes.get(service.name()) {
            let reactors = node.reactors(at.log);
            if reactors.is_empty() {
                return None;
            }
            for reactor in reactors {
                reach(Some(reactor), at.position).await;
            }
            // Asked for in the store: another process may have carried the reactors' commands out.
            let Ok(position) = node.log.newest().await else { std::future::pending().await };
            return Some(At { log: service, epoch: node.log.epoch(), position });
        }
        let source = self.elsewhere.get(service.name()).filter(|_| service.turns().contains(&at.log))?;
        let mut covered = source.covered(at.log.name())?;
        let told = covered.wait_for(|told| told.epoch == at.epoch && told.upstream >= at.position).await;
        let Ok(position) = told.map(|told| told.at) else { std::future::pending().await };
        Some(At { log: service, epoch: source.epoch(), position })
    }
}

/// Whether events of `log` can come to a view of `keeper` without crossing `passed`.
fn leads(log: ServiceName, keeper: &Node, view: &str, passed: &[ServiceName]) -> bool {
    if keeper.place(view, log).is_some() {
        return true;
    }
    if log.name() == keeper.name() {
        return false;
    }
    let passed: Vec<_> = passed.iter().copied().chain([log]).collect();
    ServiceName::ALL.into_iter().any(|service| {
        !passed.contains(&service)
            && service.reacts_to().contains(&log)
            && leads(service, keeper, view, &passed)
    })
}

/// Waits until a handler has come to `position`; one that isn't there has nothing to come to.
async fn reach(handler: Option<watch::Receiver<Position>>, position: Position) {
    if let Some(mut handler) = handler {
        // The sender goes only when the process stops; then the wait ends with its deadline.
        if handler.wait_for(|reached| *reached >= position).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What a view shows of a log.
struct Shown {
    log: ServiceName,
    of: Arc<dyn EventSource>,
    place: Reached,
}

struct ServiceWaiter {
    mesh: Arc<Mesh>,
    service: &'static str,
    /// By view, gathered once: every query asks.
    shown: HashMap<&'static str, Vec<Shown>>,
}

#[async_trait]
impl Waiter for ServiceWaiter {
    async fn wait(
        &self,
        views: &'static [&'static str],
        wanted: &PositionVector,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let mesh = &self.mesh;
        let Some(keeper) = mesh.nodes.get(self.service) else { return Ok(()) };
        let mut arrivals = Vec::new();
        for (log, epoch, position) in wanted.iter() {
            let Some(log) = ServiceName::ALL.into_iter().find(|service| service.name() == log) else {
                // Made by an installation that had this service; this one will never get there.
                return Err(Failure::ViewBehind);
            };
            let present = mesh.epoch(log);
            if present.is_some_and(|present| present != epoch) {
                return Err(Failure::EpochChanged);
            }
            let concerned = views.iter().copied().filter(|view| leads(log, keeper, view, &[]));
            let concerned: Vec<_> = concerned.collect();
            if present.is_none() && !concerned.is_empty() {
                // Nothing has been heard of it yet.
                return Err(Failure::ViewBehind);
            }
            arrivals.extend(
                concerned.into_iter().map(|view| mesh.arrive(keeper, view, At { log, epoch, position }, &[])),
            );
        }
        tokio::time::timeout_at(deadline.into(), futures::future::join_all(arrivals))
            .await
            .map(drop)
            .map_err(|_| Failure::ViewBehind)
    }

    fn position(&self, views: &'static [&'static str]) -> PositionVector {
        let mut held: [Option<(&Shown, Position)>; ServiceName::ALL.len()] = Default::default();
        for shown in views.iter().filter_map(|view| self.shown.get(view)).flatten() {
            let position = shown.place.now();
            let least = &mut held[shown.log as usize];
            *least = match *least {
                Some((first, least)) => Some((first, least.min(position))),
                None => Some((shown, position)),
            };
        }
        let mut vector = PositionVector::default();
        for (shown, position) in held.into_iter().flatten() {
            let epoch = shown.of.epoch();
            if !epoch.is_nil() || self.mesh.nodes.contains_key(shown.log.name()) {
                vector.advance(shown.log.name(), epoch, position);
            }
        }
        vector
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cqrs_core::{Batch, Covered, EventHandler, Fence, HandlerError, RunMode, StoreError};
    use parking_lot::Mutex;

    use super::*;

    /// A log that is only a position, and what it covers of another.
    struct Log {
        name: &'static str,
        epoch: Uuid,
        head: watch::Sender<Position>,
        covered: Option<(&'static str, watch::Sender<Covered>)>,
    }

    impl Log {
        fn new(name: &'static str, head: &watch::Sender<Position>) -> Self {
            Self { name, epoch: Uuid::nil(), head: head.clone(), covered: None }
        }
    }

    #[async_trait]
    impl EventSource for Log {
        fn name(&self) -> &'static str {
            self.name
        }
        fn epoch(&self) -> Uuid {
            self.epoch
        }
        async fn read(&self, _: Position, _: usize) -> Result<Batch, StoreError> {
            Ok(Batch { events: Vec::new(), upto: *self.head.borrow() })
        }
        fn head(&self) -> watch::Receiver<Position> {
            self.head.subscribe()
        }
        fn covered(&self, log: &str) -> Option<watch::Receiver<Covered>> {
            let (upstream, covered) = self.covered.as_ref()?;
            (*upstream == log).then(|| covered.subscribe())
        }
    }

    /// Takes events in once it is let to, and then does what a reactor does.
    struct Handler {
        name: &'static str,
        source: &'static [&'static str],
        gate: watch::Receiver<bool>,
        then: Mutex<Option<Box<dyn FnOnce() + Send>>>,
        place: Mutex<Position>,
    }

    #[async_trait]
    impl EventHandler for Handler {
        fn name(&self) -> &'static str {
            self.name
        }
        fn sources(&self) -> &'static [&'static str] {
            self.source
        }
        async fn place(&self, _: &'static str) -> Result<Position, StoreError> {
            Ok(*self.place.lock())
        }
        async fn handle(&self, _: &'static str, batch: &Batch, _: Option<Fence>) -> Result<(), HandlerError> {
            let _ = self.gate.clone().wait_for(|open| *open).await;
            if let Some(then) = self.then.lock().take() {
                then();
            }
            *self.place.lock() = batch.upto;
            Ok(())
        }
    }

    struct World {
        mesh: Arc<Mesh>,
        reactor: watch::Sender<bool>,
        view: watch::Sender<bool>,
        _stop: watch::Sender<bool>,
    }

    /// auth@1 → user's reactor, which records user@7 → chat's view of people.
    fn newcomer() -> World {
        let (auth, user, chat) = (
            watch::Sender::new(Position(1)),
            watch::Sender::new(Position(6)),
            watch::Sender::new(Position(0)),
        );
        let (reactor, may_react) = watch::channel(false);
        let (view, may_show) = watch::channel(false);
        let records = user.clone();
        let profile = Handler {
            name: "profile",
            source: &["auth.public"],
            gate: may_react,
            then: Mutex::new(Some(Box::new(move || {
                let _ = records.send(Position(7));
            }))),
            place: Mutex::default(),
        };
        let people = Handler {
            name: "people",
            source: &["user.public"],
            gate: may_show,
            then: Mutex::default(),
            // What was there before has long been taken in.
            place: Mutex::new(Position(6)),
        };
        let bus = |handler: Option<Handler>, source: Log| {
            let empty = EventBus::builder().source(Arc::new(source));
            handler.map_or(EventBus::builder(), |handler| empty.subscribe(Arc::new(handler))).build().unwrap()
        };
        let node = |name, head: &watch::Sender<Position>, events, reactors| Node {
            log: Arc::new(Log::new(name, head)),
            events,
            reactors,
        };
        let in_user = bus(Some(profile), Log::new("auth.public", &auth));
        let in_chat = bus(Some(people), Log::new("user.public", &user));
        let (stop, stopped) = watch::channel(false);
        for bus in [in_user.clone(), in_chat.clone()] {
            let stopped = stopped.clone();
            tokio::spawn(async move { bus.run(stopped, RunMode::Follow).await });
        }
        let nodes = vec![
            node("auth", &auth, bus(None, Log::new("user.public", &user)), Vec::new()),
            node("user", &user, in_user, vec!["profile"]),
            node("chat", &chat, in_chat, Vec::new()),
        ];
        World { mesh: Arc::new(Mesh::new(nodes, Elsewhere::new())), reactor, view, _stop: stop }
    }

    async fn waits(world: &World, log: &str, epoch: Uuid, position: u64, ms: u64) -> Result<(), Failure> {
        let wanted = PositionVector::of(log, epoch, Position(position));
        let deadline = Instant::now() + Duration::from_millis(ms);
        world.mesh.waiter("chat").wait(&["people"], &wanted, deadline).await
    }

    const LONG: u64 = 20_000;

    #[tokio::test]
    async fn a_registration_is_waited_for_through_the_service_that_makes_a_profile_of_it() {
        let world = newcomer();
        assert!(matches!(waits(&world, "auth", Uuid::nil(), 1, 20).await, Err(Failure::ViewBehind)));
        world.reactor.send_replace(true);
        // The profile is recorded now, and the view hasn't taken it in.
        assert!(matches!(waits(&world, "auth", Uuid::nil(), 1, 200).await, Err(Failure::ViewBehind)));
        world.view.send_replace(true);
        waits(&world, "auth", Uuid::nil(), 1, LONG).await.unwrap();
        let held = world.mesh.waiter("chat").position(&["people"]);
        assert_eq!(held.get("user"), Some((Uuid::nil(), Position(7))));
    }

    #[tokio::test]
    async fn what_the_view_has_long_held_is_not_waited_for() {
        let world = newcomer();
        waits(&world, "user", Uuid::nil(), 6, LONG).await.unwrap();
        assert!(matches!(waits(&world, "user", Uuid::nil(), 8, 20).await, Err(Failure::ViewBehind)));
    }

    #[tokio::test]
    async fn a_token_of_another_epoch_and_one_of_an_unknown_log_are_told_apart() {
        let world = newcomer();
        assert!(matches!(waits(&world, "auth", Uuid::max(), 1, LONG).await, Err(Failure::EpochChanged)));
        assert!(matches!(waits(&world, "payments", Uuid::nil(), 1, LONG).await, Err(Failure::ViewBehind)));
    }

    /// Chat alone: its view of people follows the user service, which runs elsewhere and says what it covers of auth.
    struct Alone {
        mesh: Arc<Mesh>,
        user: watch::Sender<Position>,
        covered: watch::Sender<Covered>,
        _stop: watch::Sender<bool>,
    }

    const USER: Uuid = Uuid::from_u128(7);
    const AUTH: Uuid = Uuid::from_u128(8);

    fn alone(epoch: Uuid) -> Alone {
        let user = watch::Sender::new(Position(6));
        let covered = watch::Sender::new(Covered::default());
        let source: Arc<dyn EventSource> = Arc::new(Log {
            name: "user.public",
            epoch,
            head: user.clone(),
            covered: Some(("auth", covered.clone())),
        });
        let (_, open) = watch::channel(true);
        let people = Handler {
            name: "people",
            source: &["user.public"],
            gate: open,
            then: Mutex::default(),
            place: Mutex::new(Position(6)),
        };
        let events = EventBus::builder().source(source.clone()).subscribe(Arc::new(people)).build().unwrap();
        let (stop, stopped) = watch::channel(false);
        let running = events.clone();
        tokio::spawn(async move { running.run(stopped, RunMode::Follow).await });
        let chat = Node {
            log: Arc::new(Log::new("chat", &watch::Sender::new(Position(0)))),
            events,
            reactors: Vec::new(),
        };
        let mesh = Arc::new(Mesh::new(vec![chat], Elsewhere::from([("user", source)])));
        Alone { mesh, user, covered, _stop: stop }
    }

    async fn waits_alone(
        alone: &Alone,
        log: &str,
        epoch: Uuid,
        position: u64,
        ms: u64,
    ) -> Result<(), Failure> {
        let wanted = PositionVector::of(log, epoch, Position(position));
        let deadline = Instant::now() + Duration::from_millis(ms);
        alone.mesh.waiter("chat").wait(&["people"], &wanted, deadline).await
    }

    #[tokio::test]
    async fn what_another_process_makes_of_an_event_is_waited_for_by_what_its_source_says_it_covers() {
        let alone = alone(USER);
        // Nothing is known of auth yet, and then not enough.
        assert!(matches!(waits_alone(&alone, "auth", AUTH, 3, LONG).await, Err(Failure::ViewBehind)));
        let covers = |upstream, at| Covered { epoch: AUTH, upstream: Position(upstream), at: Position(at) };
        alone.covered.send_replace(covers(2, 6));
        assert!(matches!(waits_alone(&alone, "auth", AUTH, 3, 20).await, Err(Failure::ViewBehind)));
        // The profile stands at 9 of user's log, and the view isn't there yet.
        alone.covered.send_replace(covers(3, 9));
        assert!(matches!(waits_alone(&alone, "auth", AUTH, 3, 200).await, Err(Failure::ViewBehind)));
        alone.user.send_replace(Position(9));
        waits_alone(&alone, "auth", AUTH, 3, LONG).await.unwrap();
    }

    #[tokio::test]
    async fn an_epoch_that_is_not_known_yet_is_behind_and_another_one_is_gone() {
        let unheard = alone(Uuid::nil());
        assert!(matches!(waits_alone(&unheard, "user", USER, 1, LONG).await, Err(Failure::ViewBehind)));
        assert_eq!(unheard.mesh.waiter("chat").position(&["people"]), PositionVector::default());
        let heard = alone(USER);
        assert!(matches!(waits_alone(&heard, "user", AUTH, 1, LONG).await, Err(Failure::EpochChanged)));
        heard.covered.send_replace(Covered { epoch: AUTH, upstream: Position(9), at: Position(6) });
        assert!(matches!(waits_alone(&heard, "auth", USER, 1, LONG).await, Err(Failure::EpochChanged)));
    }

    #[tokio::test]
    async fn what_cannot_come_to_a_view_is_not_waited_for() {
        // Chat hears nothing of what notification says, and its view of people follows nobody who would.
        waits_alone(&alone(USER), "notification", Uuid::from_u128(9), 5, LONG).await.unwrap();
    }

    #[tokio::test]
    async fn a_view_shows_how_far_it_has_come_in_each_log() {
        let alone = alone(USER);
        waits_alone(&alone, "user", USER, 6, LONG).await.unwrap();
        let shown = alone.mesh.waiter("chat").position(&["people"]);
        assert_eq!(shown, PositionVector::of("user", USER, Position(6)));
    }
}
