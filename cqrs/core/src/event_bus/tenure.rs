//! A process's hold on a lease.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::failure::StoreError;
use crate::lease::{Fence, LeaseStore};

/// How long a lease is taken for: who dies is replaced this much later at most, and [`ASK`].
const TTL: Duration = Duration::from_secs(3);
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(1);
/// How often one that somebody else holds is asked for.
const ASK: Duration = Duration::from_millis(500);
/// How soon a renewal that failed is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// A lease that is held, by this process's own clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    fence: Fence,
    /// Counted from before it was asked for, and so never later than by the store's clock.
    until: Instant,
}

impl Held {
    fn is(held: Option<Self>, fence: Fence) -> bool {
        held.is_some_and(|held| held.fence == fence && Instant::now() < held.until)
    }
}

/// Whether this process holds a lease, known to all that run under it.
pub(super) struct Tenure {
    held: watch::Sender<Option<Held>>,
    /// Somebody found the place moved: the lease may be another's.
    doubt: Notify,
}

impl Default for Tenure {
    fn default() -> Self {
        Self { held: watch::Sender::new(None), doubt: Notify::new() }
    }
}

impl Tenure {
    /// The lease's number if it is held now, and what tells when that changes.
    pub(super) fn now(&self) -> (watch::Receiver<Option<Held>>, Option<Fence>) {
        let mut changes = self.held.subscribe();
        let held = *changes.borrow_and_update();
        let held = held.filter(|held| Held::is(Some(*held), held.fence));
        (changes, held.map(|held| held.fence))
    }

    /// What `work` gives; nothing if the lease goes first. A process that was stopped past the lease's time doesn't begin
    /// anything more, even before it has asked the store: the time is looked at whenever the work could go on.
    pub(super) async fn while_held<T>(&self, fence: Fence, work: impl Future<Output = T>) -> Option<T> {
        let mut changes = self.held.subscribe();
        let mut work = pin!(work);
        let work = poll_fn(|cx| {
            if Held::is(*self.held.borrow(), fence) {
                work.as_mut().poll(cx).map(Some)
            } else {
                Poll::Ready(None)
            }
        });
        tokio::select! {
            biased;
            _ = changes.wait_for(|held| held.is_none_or(|held| held.fence != fence)) => None,
            done = work => done,
        }
    }

    /// Asks the store whether the lease still is this process's, and waits until that is known.
    pub(super) async fn verify(&self, fence: Fence) {
        let (mut changes, held) = self.now();
        if held == Some(fence) {
            self.doubt.notify_one();
            let _ = changes.changed().await;
        }
    }

    /// Takes the lease `name` whenever it can be had, and holds it, until `done`; then gives it back. `source` is what metrics
    /// name beside it.
    pub(super) async fn keep(
        &self,
        leases: &dyn LeaseStore,
        name: &'static str,
        source: &'static str,
        holder: Uuid,
        done: impl Future<Output = ()>,
    ) {
        let shown = metrics::gauge!("cqrs_lease_held", "handler" => name, "source" => source);
        let taken = metrics::counter!("cqrs_lease_takeovers_total", "handler" => name, "source" => source);
        shown.set(0.0);
        let keeping = async {
            let mut failing = false;
            loop {
                let asked = Instant::now();
                match leases.acquire(name, holder, TTL).await {
                    Ok(Some(fence)) => {
                        failing = false;
                        tracing::debug!(handler = name, source, fence = fence.0, "took a lease");
                        taken.increment(1);
                        shown.set(1.0);
                        self.held.send_replace(Some(Held { fence, until: asked + TTL }));
                        self.hold(leases, name, fence).await;
                        self.held.send_replace(None);
                        shown.set(0.0);
                        tracing::warn!(handler = name, source, fence = fence.0, "lost a lease");
                        // Perhaps nobody else has it: a process that was only held up goes on at once.
                        continue;
                    }
                    Ok(None) => failing = false,
                    Err(error) => {
                        if !std::mem::replace(&mut failing, true) {
                            tracing::warn!(handler = name, source, %error, "can't ask for a lease");
                        }
                    }
                }
                tokio::time::sleep(ASK).await;
            }
        };
        tokio::select! {
            () = done => {}
            () = keeping => unreachable!("it has no end"),
        }
        let held = self.held.send_replace(None);
        shown.set(0.0);
        if let Some(Held { fence, .. }) = held
            && let Err(error) = leases.release(name, fence).await
        {
            tracing::debug!(handler = name, source, %error, "a lease is left to expire");
        }
    }

    /// Renews the lease until it is lost, or can't be known to be held any more.
    async fn hold(&self, leases: &dyn LeaseStore, name: &str, fence: Fence) {
        let mut next = RENEW;
        loop {
            tokio::select! {
                () = tokio::time::sleep(next) => {}
                () = self.doubt.notified() => {}
            }
            let until = self.held.borrow().map_or_else(Instant::now, |held| held.until);
            let asked = Instant::now();
            let renewed: Result<bool, StoreError> =
                match tokio::time::timeout_at(until, leases.renew(name, fence, TTL)).await {
                    Ok(renewed) => renewed,
                    Err(_) => return,
                };
            match renewed {
                Ok(true) => {
                    self.held.send_replace(Some(Held { fence, until: asked + TTL }));
                    next = RENEW;
                }
                // There is time left to try again.
                Err(_) if Instant::now() + RETRY < until => next = RETRY,
                Ok(false) | Err(_) => return,
            }
        }
    }
}
