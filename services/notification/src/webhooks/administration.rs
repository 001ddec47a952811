//! What all commands on webhooks share.

use std::sync::Arc;

use cqrs_core::{
    Context, Decision, EventSource, Executor, Failure, InstanceKey, PlaceStore, Reply, TokenCodec,
};
use cqrs_http::requires_role;
use cqrs_sql::ServiceStore;
use serde::Serialize;
use tokio::sync::Notify;
use uuid::Uuid;

use super::catalogue::SOURCES;
use super::get_webhooks::ShownWebhook;
use super::secret::{BYTES, Secret};
use super::webhook::{CATEGORY, Standings, Start, Starts, Webhook, WebhookEvent, Webhooks, positions};
use crate::outbound::{Outbound, Target};

/// How often a race is looked at again.
const TRIES: u32 = 5;

/// Looks after webhooks, for administrators. Cheap to clone.
#[derive(Clone)]
pub struct Administration {
    pub(super) executor: Executor,
    pub(super) webhooks: Webhooks,
    pub(super) standings: Standings,
    pub(super) places: Arc<dyn PlaceStore>,
    pub(super) sources: Vec<Arc<dyn EventSource>>,
    pub(super) tokens: TokenCodec,
    pub(super) key: InstanceKey,
    pub(super) outbound: Outbound,
    random: fn() -> [u8; BYTES],
    changed: Arc<Notify>,
}

/// What a command makes of a webhook: as it is to be, and the event that tells of it; nothing if it is so already.
pub(super) struct Change(pub(super) Option<(Webhook, WebhookEvent)>);

impl Administration {
    /// On this store, told of these public sources. Whoever delivers is told by `changed`; secrets are made of `random`.
    pub fn new(
        store: &ServiceStore,
        sources: &[Arc<dyn EventSource>],
        tokens: &TokenCodec,
        key: &InstanceKey,
        outbound: &Outbound,
        random: fn() -> [u8; BYTES],
        changed: &Arc<Notify>,
    ) -> Self {
        Self {
            executor: store.executor.clone(),
            webhooks: Webhooks::new(&store.log),
            standings: Standings::new(&store.log),
            places: store.log.clone(),
            sources: sources.to_vec(),
            tokens: tokens.clone(),
            key: key.clone(),
            outbound: outbound.clone(),
            random,
            changed: changed.clone(),
        }
    }

    pub(super) fn fresh_secret(&self) -> Secret {
        Secret::new((self.random)())
    }

    /// Refuses whoever isn't an administrator.
    pub(super) fn admit(cx: &Context) -> Result<(), Failure> {
        requires_role(cx, "admin")
    }

    /// Refuses an address that could never be sent to.
    pub(super) fn check(&self, target: &Target) -> Result<(), Failure> {
        target.check(self.outbound.networks()).map_err(|bad| Failure::invalid("/url", bad))
    }

    /// Where every log is now, or its beginning.
    pub(super) fn starts(&self, from_the_beginning: bool) -> Result<Starts, Failure> {
        let mut starts = Starts::new();
        for (name, log) in SOURCES {
            let source = self.sources.iter().find(|source| source.name() == name);
            let epoch = source.map_or(Uuid::nil(), |source| source.epoch());
            let Some(source) = source.filter(|_| !epoch.is_nil()) else {
                return Err(Failure::Unavailable(format!("{name} isn't heard of yet; try again")));
            };
            let position = if from_the_beginning { 0 } else { source.head().borrow().0 };
            starts.insert(log.to_owned(), Start { epoch, position });
        }
        Ok(starts)
    }

    /// Changes a webhook, minding `If-Match`, and answers with what `answer` makes of it as it is shown.
    pub(super) async fn change<T: Clone + Serialize + Send + Sync + 'static>(
        &self,
        cx: &Context,
        id: Uuid,
        change: impl Fn(&Webhook) -> Change + Send + Sync,
        answer: impl Fn(ShownWebhook) -> T + Send + Sync,
    ) -> Result<Reply, Failure> {
        Self::admit(cx)?;
        for _ in 0..TRIES {
            let found = self.webhooks.existing(id).await?;
            let Some((version, old)) = found else {
                return Err(Failure::not_found("there is no such webhook"));
            };
            if let Some(expected) = cx.if_match.filter(|expected| *expected != version) {
                let mismatch = Failure::VersionMismatch { expected, current: version };
                return self.executor.refused(cx, mismatch).await;
            }
            let Change(change) = change(&old);
            let (after, forgotten) = match &change {
                Some((new, _)) => (version + 1, (new.replays != old.replays || new.deleted).then_some(&old)),
                None => (version, None),
            };
            let answer = answer(self.show(change.as_ref().map_or(&old, |(new, _)| new)).await?);
            let mut decision = Decision::already(answer);
            if let Some((new, event)) = &change {
                let row = self.webhooks.write(new, version);
                decision = decision.row(row).record_beside_row(CATEGORY, id, version, event.clone());
            }
            let Some(reply) = self.executor.run_prepared(cx, decision).await? else { continue };
            self.changed.notify_one();
            if let Some(old) = forgotten.filter(|_| !reply.replayed) {
                // Nobody goes on from there; left behind, they would do no harm.
                let _ = self.places.forget(&old.consumer()).await;
            }
            let version = if reply.replayed { reply.version } else { Some(after) };
            return Ok(Reply { version, ..reply });
        }
        Err(Failure::Contended)
    }

    /// Stores a new one.
    pub(super) async fn add<T: Serialize + Clone + Send + Sync + 'static>(
        &self,
        cx: &Context,
        webhook: &Webhook,
        answer: T,
    ) -> Result<Reply, Failure> {
        let event = WebhookEvent::Created {
            url: cqrs_core::Plain(webhook.target.clone().into()),
            events: webhook.events.iter().cloned().map(cqrs_core::Plain).collect(),
        };
        let decision = Decision::already(answer)
            .created()
            .row(self.webhooks.write(webhook, 0))
            .record_beside_row(CATEGORY, webhook.id, 0, event);
        // A fresh id has no rival.
        let reply = self.executor.run_prepared(cx, decision).await?.ok_or(Failure::Contended)?;
        self.changed.notify_one();
        Ok(reply)
    }

    /// A webhook as it is shown.
    pub(super) async fn show(&self, webhook: &Webhook) -> Result<ShownWebhook, Failure> {
        let (_, standing) = self.standings.of(webhook).await?;
        let consumer = webhook.consumer();
        let (mut places, mut lag) = (webhook.starts.clone(), 0);
        for source in &self.sources {
            let Some((_, log)) = SOURCES.iter().find(|(name, _)| *name == source.name()) else { continue };
            if let Some(place) = self.places.load(&consumer, source.name()).await? {
                let start = Start { epoch: place.epoch, position: place.position.0 };
                places.insert((*log).to_owned(), start);
            }
            let place = places.get(*log).map_or(0, |place| place.position);
            lag += source.head().borrow().0.saturating_sub(place);
        }
        let cursor = self.tokens.encode_positions(&positions(&places));
        Ok(ShownWebhook::of(webhook, &standing, cursor, lag))
    }
}
