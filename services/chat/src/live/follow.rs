//! Follows the sources and has the hub route what happens. Its place is in memory: it begins where the logs end at start,
//! for who connects later resumes from the view.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{
    Aggregate as _, Batch, CodecError, EventHandler, Fence, HandlerError, Position, RecordedEvent,
    StoreError, codec_error,
};
use parlor_contracts::user::UserEvent;
use uuid::Uuid;

use super::Live;
use super::event::{self, Audience, Effect, LiveEvent};
use super::hub::{Interest, Queued, Routed};
use super::source::Source;
use crate::conversation::Conversation;
use crate::membership::Membership;

/// How long the news of a user waits for the view to know whose contact they are.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many events are read to see where a beginning ends.
const AHEAD: usize = 256;

#[async_trait]
impl EventHandler for Live {
    fn name(&self) -> &'static str {
        "live"
    }

    fn sources(&self) -> &'static [&'static str] {
        &Source::NAMES
    }

    async fn place(&self, source: &'static str) -> Result<Position, StoreError> {
        let Some(source) = Source::named(source) else { return Ok(Position(0)) };
        if self.0.hub.places().get(source) == 0 {
            // A source that is far away didn't say at start where it ends; up to here, the view has what was missed.
            let held = self.0.feed.places().await?.get(source);
            self.0.hub.advance(source, held);
        }
        Ok(Position(self.0.hub.places().get(source)))
    }

    async fn handle(
        &self,
        source: &'static str,
        batch: &Batch,
        _: Option<Fence>,
    ) -> Result<(), HandlerError> {
        let Some(source) = Source::named(source) else { return Ok(()) };
        for (n, event) in batch.events.iter().enumerate() {
            // What was read ahead, or before a fault, is behind.
            if event.position.0 <= self.0.hub.places().get(source) {
                continue;
            }
            let result = match source {
                Source::Chat => self.chat(event, &batch.events[n + 1..]).await,
                Source::User => self.user(event).await,
                Source::Notification => self.notification(event).await,
            };
            match result {
                Ok(()) => {}
                Err(CodecError::Store(error)) => return Err(HandlerError::store(event.position, &error)),
                // Whoever is connected shouldn't wait for an event that nobody can read; the views say so, too.
                Err(error) => {
                    let error = codec_error(event.position, &error);
                    tracing::error!(source = source.name(), at = event.position.0, %error, "an event is left out of streams");
                    self.0.hub.advance(source, event.position.0);
                }
            }
        }
        self.0.hub.advance(source, batch.upto.0);
        Ok(())
    }
}

impl Live {
    async fn chat(&self, event: &Arc<RecordedEvent>, rest: &[Arc<RecordedEvent>]) -> Result<(), CodecError> {
        if event.category == Conversation::CATEGORY && event.name == "conversation.created" {
            return self.open(event, rest).await;
        }
        let Some(conversation) = event::conversation_of(event) else {
            self.0.hub.advance(Source::Chat, event.position.0);
            return Ok(());
        };
        // Changes of memberships are remembered whether anybody is connected or not.
        let changes_who_is_in = event.category == Membership::CATEGORY;
        if !changes_who_is_in
            && self.0.hub.pass_unless_wanted(conversation, event.position.0) == Interest::Passed
        {
            return Ok(());
        }
        if let Some(routed) = self.routed(event).await? {
            self.0.hub.route(&routed);
        }
        Ok(())
    }

    async fn routed(&self, event: &RecordedEvent) -> Result<Option<Routed>, CodecError> {
        let shown = self.0.keyring.with_keys(|keys| event::of_chat(event, keys, None)).await?;
        Ok(shown.map(|shown| Routed {
            position: event.position.0,
            conversation: shown.conversation,
            effect: shown.effect,
            event: Arc::new(shown.live),
        }))
    }

    /// The beginning of a conversation: with it go the joinings that were committed with it, which follow at once.
    async fn open(
        &self,
        created: &Arc<RecordedEvent>,
        rest: &[Arc<RecordedEvent>],
    ) -> Result<(), CodecError> {
        let mut opening = Vec::new();
        opening.extend(self.routed(created).await?);
        let mut last = created.position;
        let mut rest = rest.to_vec();
        'more: loop {
            for event in &rest {
                let belongs = event.category == Membership::CATEGORY
                    && event.correlation == created.correlation
                    && event::conversation_of(event) == Some(created.stream);
                let Some(routed) = (if belongs { self.routed(event).await? } else { None }) else {
                    break 'more;
                };
                if !matches!(routed.effect, Effect::Joined(..)) {
                    break 'more;
                }
                opening.push(routed);
                last = event.position;
            }
            rest = self.0.log.read(last, AHEAD).await?;
            if rest.is_empty() {
                break;
            }
        }
        self.0.hub.open(&opening);
        Ok(())
    }

    async fn user(&self, event: &RecordedEvent) -> Result<(), CodecError> {
        let (hub, position) = (&self.0.hub, event.position.0);
        let happened = self.0.keyring.decode(event).await?;
        if let UserEvent::UserDeleted { user_id } = &happened {
            self.0.last_seen.forget(*user_id).await?;
        }
        let says_how_they_are = match &happened {
            UserEvent::UserStatusChanged { user_id, .. } => self.0.presence.concerns(*user_id),
            _ => false,
        };
        if hub.is_idle() && !says_how_they_are {
            hub.advance(Source::User, position);
            return Ok(());
        }
        let Some(change) = event::of_user(&happened, event.at)? else {
            hub.advance(Source::User, position);
            return Ok(());
        };
        let (mut persons, mut conversations) = (vec![change.person], Vec::new());
        if change.audience == Audience::WhoKnowsThem {
            // Whose contact they are is known to the view; it follows the same source, a little later.
            let behind =
                async || Ok::<_, StoreError>(self.0.feed.places().await?.get(Source::User) < position);
            let until = tokio::time::Instant::now() + PATIENCE;
            while behind().await? && tokio::time::Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            persons.extend(self.0.feed.owners_of(change.person).await?);
            conversations = self.0.feed.conversations_of(change.person).await?;
        }
        hub.tell(&queued(Source::User, position, change.live), &persons, &conversations);
        if says_how_they_are {
            // Where the view of this is behind the event, it says what was said before: that is rare, and passes.
            self.0.presence.said(change.person);
        }
        Ok(())
    }

    async fn notification(&self, event: &RecordedEvent) -> Result<(), CodecError> {
        let hub = &self.0.hub;
        if hub.is_idle() {
            hub.advance(Source::Notification, event.position.0);
            return Ok(());
        }
        let notice = event::of_notification(&self.0.keyring.decode(event).await?, event.at)?;
        // Not before the hub knows of what it tells of: who was just added is in by then.
        let mut place = hub.chat_place();
        let known = place.wait_for(|place| *place >= notice.position);
        if tokio::time::timeout(PATIENCE, known).await.is_err() {
            tracing::warn!(at = notice.position, "a notification comes before what it tells of");
        }
        let (person, conversation): (Uuid, _) = (notice.person, notice.conversation);
        let queued = queued(Source::Notification, event.position.0, notice.live);
        hub.tell_one(&queued, person, conversation);
        Ok(())
    }
}

fn queued(source: Source, position: u64, event: LiveEvent) -> Queued {
    Queued { source, position, event: Arc::new(event) }
}
