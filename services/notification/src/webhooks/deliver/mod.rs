//! Deliveries: a lane for each webhook, which sends one event after the other and goes on when it was taken.
//!
//! One process runs all lanes, under the lease `deliveries`. A lane that another process has just taken over may send an event
//! once more, under the same message id; it never leaves one out.

mod lane;
mod pace;
mod track;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cqrs_core::{Clock, EventSource, InstanceKey, Keyring, PlaceStore, TokenCodec};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use uuid::Uuid;

pub use pace::Pace;

use self::lane::Lane;
use super::webhook::{MAX_WEBHOOKS, Standings, Webhook, Webhooks};
use crate::outbound::Outbound;

/// How often it is looked whether webhooks were changed by another process.
const LOOK: Duration = Duration::from_secs(1);

/// What lanes share.
pub struct Deliveries {
    /// The webhooks.
    pub webhooks: Webhooks,
    /// How they stand.
    pub standings: Standings,
    /// Where their places are kept.
    pub places: Arc<dyn PlaceStore>,
    /// Every public source that this process hears of.
    pub sources: Vec<Arc<dyn EventSource>>,
    /// Opens what is sealed in events.
    pub keyring: Keyring,
    /// Opens secrets.
    pub key: InstanceKey,
    /// Makes the cursors that receivers are given.
    pub tokens: TokenCodec,
    /// Sends.
    pub outbound: Outbound,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How often and how long it is tried.
    pub pace: Pace,
    /// Somebody in this process changed a webhook.
    pub changed: Arc<Notify>,
}

/// A lane at work; it ends with this.
struct Running {
    webhook: Webhook,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Deliveries {
    /// Keeps a lane for each webhook that is to be sent to. It has no end; dropped, the lanes end.
    pub async fn run(self: Arc<Self>) {
        let mut lanes: HashMap<Uuid, Running> = HashMap::new();
        let mut failing = false;
        loop {
            match self.webhooks.page(None, MAX_WEBHOOKS as u32).await {
                Ok(webhooks) => {
                    failing = false;
                    self.keep(&mut lanes, webhooks);
                }
                // What runs goes on.
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    tracing::warn!(%error, "the webhooks can't be read; changes to them wait");
                }
                Err(_) => {}
            }
            let _ = tokio::time::timeout(LOOK, self.changed.notified()).await;
        }
    }

    /// Ends the lanes of webhooks that are others now, and begins those that aren't there.
    fn keep(self: &Arc<Self>, lanes: &mut HashMap<Uuid, Running>, mut webhooks: Vec<Webhook>) {
        webhooks.retain(|webhook| webhook.enabled);
        lanes.retain(|_, lane| webhooks.contains(&lane.webhook));
        for webhook in webhooks {
            lanes.entry(webhook.id).or_insert_with(|| {
                let lane = Lane::new(self.clone(), webhook.clone());
                Running { webhook, task: tokio::spawn(lane.run()).abort_handle() }
            });
        }
    }
}
