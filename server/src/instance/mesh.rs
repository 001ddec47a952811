//! Waits for views across services: what a token names may reach a view on several ways.
//!
//! A token of a service's own log is waited for in the view itself. A token of another service's log S is waited for on
//! every way by which an event of S can come to the view: directly, where the view follows `S.public`; and through a
//! service M whose reactors follow `S.public` and whose own events, in turn, come to the view. Such a reactor's commands
//! are committed before it moves its place, so once it has come to the position, the head of M's log covers what it made
//! of the event, and that is waited for in the same way. (Somebody who has just registered is so known to chat: auth →
//! user's reactor → user's log → chat's view of people.)

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use cqrs_core::{EventBus, Failure, Log, Position, PositionVector};
use cqrs_http::Waiter;
use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::watch;
use uuid::Uuid;

use super::Service;

/// One service as the mesh sees it.
pub struct Node {
    /// Its name.
    pub name: &'static str,
    /// Its log's epoch.
    pub epoch: Uuid,
    /// The newest position of its log.
    pub head: watch::Receiver<Position>,
    /// Its event handlers.
    pub events: EventBus,
    /// Those of them that turn events into commands.
    pub reactors: Vec<&'static str>,
}

impl Node {
    /// Of a service.
    pub fn of(service: &Service) -> Self {
        Self {
            name: service.name,
            epoch: service.store.log.epoch(),
            head: service.store.log.head(),
            events: service.events.clone(),
            reactors: service.reactors.clone(),
        }
    }

    /// How far each of its reactors has come in the public events of the service called `log`.
    fn reactors(&self, log: &str) -> Vec<watch::Receiver<Position>> {
        let source = format!("{log}.public");
        self.reactors.iter().filter_map(|reactor| self.events.position(reactor, &source)).collect()
    }
}

/// All services of the process.
pub struct Mesh {
    nodes: BTreeMap<&'static str, Node>,
}

impl Mesh {
    /// Of these services.
    pub fn new(nodes: Vec<Node>) -> Self {
        Self { nodes: nodes.into_iter().map(|node| (node.name, node)).collect() }
    }

    /// What waits for the views of the service called `service`.
    pub fn waiter(self: &Arc<Self>, service: &'static str) -> Arc<dyn Waiter> {
        Arc::new(ServiceWaiter { mesh: self.clone(), service })
    }

    /// Waits until what `log` held at `position` has come to `view` on every way that doesn't cross `passed` again.
    fn arrive<'a>(
        &'a self,
        keeper: &'a Node,
        view: &'static str,
        log: &'a str,
        position: Position,
        passed: &'a [&'a str],
    ) -> BoxFuture<'a, ()> {
        async move {
            if log == keeper.name {
                return reach(keeper.events.position(view, log), position).await;
            }
            let direct = reach(keeper.events.position(view, &format!("{log}.public")), position);
            let ways = self.nodes.values().filter(|node| node.name != log && !passed.contains(&node.name));
            let through = ways.map(|node| async move {
                let reactors = node.reactors(log);
                let passed: Vec<&str> = passed.iter().copied().chain([log]).collect();
                if reactors.is_empty() || !self.leads(node.name, keeper, view, &passed) {
                    return;
                }
                for reactor in reactors {
                    reach(Some(reactor), position).await;
                }
                let made = *node.head.borrow();
                self.arrive(keeper, view, node.name, made, &passed).await;
            });
            futures::future::join(direct, futures::future::join_all(through)).await;
        }
        .boxed()
    }

    /// Whether events of `log` can come to `view` without crossing `passed`.
    fn leads(&self, log: &str, keeper: &Node, view: &str, passed: &[&str]) -> bool {
        if log == keeper.name {
            return keeper.events.position(view, log).is_some();
        }
        if keeper.events.position(view, &format!("{log}.public")).is_some() {
            return true;
        }
        let passed: Vec<&str> = passed.iter().copied().chain([log]).collect();
        self.nodes.values().any(|node| {
            !passed.contains(&node.name)
                && !node.reactors(log).is_empty()
                && self.leads(node.name, keeper, view, &passed)
        })
    }
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

struct ServiceWaiter {
    mesh: Arc<Mesh>,
    service: &'static str,
}

#[async_trait]
impl Waiter for ServiceWaiter {
    async fn wait(
        &self,
        views: &'static [&'static str],
        wanted: &PositionVector,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let Some(keeper) = self.mesh.nodes.get(self.service) else { return Ok(()) };
        for (log, epoch, _) in wanted.iter() {
            match self.mesh.nodes.get(log) {
                Some(node) if node.epoch == epoch => {}
                Some(_) => return Err(Failure::EpochChanged),
                // Made by an instance that had this service; this one will never get there.
                None => return Err(Failure::ViewBehind),
            }
        }
        let arrivals = wanted.iter().flat_map(|(log, _, position)| {
            views.iter().map(move |view| self.mesh.arrive(keeper, view, log, position, &[]))
        });
        tokio::time::timeout_at(deadline.into(), futures::future::join_all(arrivals))
            .await
            .map(drop)
            .map_err(|_| Failure::ViewBehind)
    }

    fn position(&self, views: &'static [&'static str]) -> PositionVector {
        let Some(keeper) = self.mesh.nodes.get(self.service) else { return PositionVector::default() };
        let mut held: BTreeMap<&str, Position> = BTreeMap::new();
        for handler in keeper.events.progress() {
            if !views.contains(&handler.handler) {
                continue;
            }
            let log = handler.source.strip_suffix(".public").unwrap_or(handler.source);
            let least = held.entry(log).or_insert(handler.position);
            *least = handler.position.min(*least);
        }
        let mut vector = PositionVector::default();
        for (log, position) in held {
            if let Some(node) = self.mesh.nodes.get(log) {
                vector.advance(log, node.epoch, position);
            }
        }
        vector
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cqrs_core::{Batch, EventHandler, EventSource, Fence, HandlerError, RunMode, StoreError};
    use parking_lot::Mutex;

    use super::*;

    /// A log that is only a position.
    struct Log(&'static str, watch::Sender<Position>);

    #[async_trait]
    impl EventSource for Log {
        fn name(&self) -> &'static str {
            self.0
        }
        fn epoch(&self) -> Uuid {
            Uuid::nil()
        }
        async fn read(&self, _: Position, _: usize) -> Result<Batch, StoreError> {
            Ok(Batch { events: Vec::new(), upto: *self.1.borrow() })
        }
        fn head(&self) -> watch::Receiver<Position> {
            self.1.subscribe()
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
            name,
            epoch: Uuid::nil(),
            head: head.subscribe(),
            events,
            reactors,
        };
        let in_user = bus(Some(profile), Log("auth.public", auth.clone()));
        let in_chat = bus(Some(people), Log("user.public", user.clone()));
        let (stop, stopped) = watch::channel(false);
        for bus in [in_user.clone(), in_chat.clone()] {
            let stopped = stopped.clone();
            tokio::spawn(async move { bus.run(stopped, RunMode::Follow).await });
        }
        let mesh = Mesh::new(vec![
            node("auth", &auth, bus(None, Log("user.public", user.clone())), Vec::new()),
            node("user", &user, in_user, vec!["profile"]),
            node("chat", &chat, in_chat, Vec::new()),
        ]);
        World { mesh: Arc::new(mesh), reactor, view, _stop: stop }
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
}
