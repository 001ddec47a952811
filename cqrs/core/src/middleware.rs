//! The middleware that every Parlor service puts around its commands.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use tracing::Instrument as _;

use crate::command::{AnyCommand, Middleware, Next};
use crate::context::{Actor, Context};
use crate::executor::Reply;
use crate::failure::Failure;

/// Opens a span per command, counts and times it, and logs failures that are ours, once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tracing;

#[async_trait]
impl Middleware for Tracing {
    async fn handle(&self, cx: &Context, command: AnyCommand, next: Next<'_>) -> Result<Reply, Failure> {
        let name = command.name;
        let span =
            tracing::debug_span!("command", name, request_id = %cx.request_id, correlation = %cx.correlation);
        let started = Instant::now();
        let result = next.run(cx, command).instrument(span).await;
        let end = match &result {
            Ok(reply) if reply.replayed => "replayed",
            Ok(_) => "done",
            Err(Failure::Internal(_)) => "failed",
            Err(Failure::Unavailable(_) | Failure::StorageFull | Failure::DeadlineExceeded) => "unavailable",
            Err(_) => "refused",
        };
        metrics::counter!("cqrs_commands_total", "command" => name, "end" => end).increment(1);
        metrics::histogram!("cqrs_command_seconds", "command" => name)
            .record(started.elapsed().as_secs_f64());
        result
    }
}

/// Answers within the deadline, the caller's or else a default. A commit under way goes on: repeating the command
/// with its key tells how it ended.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Duration);

#[async_trait]
impl Middleware for Deadline {
    async fn handle(&self, cx: &Context, command: AnyCommand, next: Next<'_>) -> Result<Reply, Failure> {
        let until = cx.deadline.unwrap_or_else(|| Instant::now() + self.0);
        tokio::time::timeout_at(until.into(), next.run(cx, command))
            .await
            .unwrap_or(Err(Failure::DeadlineExceeded))
    }
}

type KeyLock = Arc<tokio::sync::Mutex<()>>;

/// Actor, route and key.
type KeyName = (Actor, String, String);

/// Lets commands with the same key run one after the other, so that a repeat meets its predecessor's answer in the
/// ledger instead of racing it. Across processes the ledger's own uniqueness does the same.
#[derive(Default)]
pub struct Idempotency {
    running: Mutex<HashMap<KeyName, Weak<tokio::sync::Mutex<()>>>>,
}

/// One command's interest in its key; the last one to go, cancelled or not, takes the key off the list.
struct Interest<'a> {
    of: &'a Idempotency,
    name: KeyName,
    lock: Option<KeyLock>,
}

impl Drop for Interest<'_> {
    fn drop(&mut self) {
        let mut running = self.of.running.lock();
        // Given up while the list is held, so that of several that go at once the last one sees that it is.
        drop(self.lock.take());
        if running.get(&self.name).is_some_and(|lock| lock.strong_count() == 0) {
            running.remove(&self.name);
        }
    }
}

impl Idempotency {
    fn interest(&self, cx: &Context) -> Option<Interest<'_>> {
        let key = cx.idempotency.as_ref()?;
        let name = (cx.actor, key.route.clone(), key.key.clone());
        let mut running = self.running.lock();
        let lock = running.get(&name).and_then(Weak::upgrade).unwrap_or_else(|| {
            let lock = KeyLock::default();
            running.insert(name.clone(), Arc::downgrade(&lock));
            lock
        });
        Some(Interest { of: self, name, lock: Some(lock) })
    }
}

#[async_trait]
impl Middleware for Idempotency {
    async fn handle(&self, cx: &Context, command: AnyCommand, next: Next<'_>) -> Result<Reply, Failure> {
        let interest = self.interest(cx);
        let Some(lock) = interest.as_ref().and_then(|interest| interest.lock.as_ref()) else {
            return next.run(cx, command).await;
        };
        // Waits as long as the deadline around it allows.
        let waiting = lock.lock();
        let _turn = match cx.deadline {
            Some(deadline) => {
                tokio::time::timeout_at(deadline.into(), waiting).await.map_err(|_| Failure::InFlight)?
            }
            None => waiting.await,
        };
        next.run(cx, command).await
    }
}
