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
