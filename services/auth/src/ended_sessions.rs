//! Follows the ends of sessions, so that every process refuses their access tokens: from auth's log where that is at hand,
//! from its public events elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::{Batch, Clock, EventHandler, EventSource, Fence, HandlerError, Position, StoreError};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::Deserialize;
use uuid::Uuid;

use crate::tokens::access::MAX_LIFETIME;
use crate::tokens::ended::EndedSessions;

/// How many events are read at once on the way back.
const STEP: u64 = 1_000;

/// Keeps [`EndedSessions`] filled. What it knows is in memory only, so it starts where the oldest token that still holds
/// could have been issued, and not from the beginning of the log.
pub struct FollowsEndedSessions {
    source: Arc<dyn EventSource>,
    sources: &'static [&'static str],
    ended: Arc<EndedSessions>,
    clock: Arc<dyn Clock>,
    place: Mutex<Option<Position>>,
}

/// As much of an event as is needed; nothing in it is personal, so no keys are.
#[derive(Deserialize)]
struct Ended {
    #[serde(alias = "sessionId")]
    session: Uuid,
}

impl FollowsEndedSessions {
    /// Follows `source`: auth's log, or its public events.
    pub fn new(source: Arc<dyn EventSource>, ended: Arc<EndedSessions>, clock: Arc<dyn Clock>) -> Self {
        let sources: &'static [&'static str] =
            if source.name() == crate::NAME { &[crate::NAME] } else { &["auth.public"] };
        Self { source, sources, ended, clock, place: Mutex::new(None) }
    }

    /// The last position before which nothing matters any more.
    async fn start(&self) -> Result<Position, StoreError> {
        let horizon = self.clock.now().saturating_sub(MAX_LIFETIME + SignedDuration::from_mins(1));
        let horizon = horizon.unwrap_or(Timestamp::MIN);
        let mut place = self.source.head().borrow().0;
        while place > 0 {
            let before = place.saturating_sub(STEP);
            let batch = self.source.read(Position(before), STEP as usize).await?;
            if batch.events.first().is_some_and(|oldest| oldest.at < horizon) {
                return Ok(Position(before));
            }
            place = before;
        }
        Ok(Position(0))
    }
}

#[async_trait]
impl EventHandler for FollowsEndedSessions {
    fn name(&self) -> &'static str {
        "ended-sessions"
    }

    fn sources(&self) -> &'static [&'static str] {
        self.sources
    }

    async fn place(&self, _: &'static str) -> Result<Position, StoreError> {
        let known = *self.place.lock();
        if let Some(place) = known {
            return Ok(place);
        }
        let start = self.start().await?;
        *self.place.lock() = Some(start);
        Ok(start)
    }

    async fn handle(&self, _: &'static str, batch: &Batch, _: Option<Fence>) -> Result<(), HandlerError> {
        let now = self.clock.now();
        for event in &batch.events {
            if !matches!(&*event.name, "account.session-ended" | "user-logged-out.v1") {
                continue;
            }
            let ended: Ended = serde_json::from_slice(&event.data)
                .map_err(|error| HandlerError::new(event.position, error, false))?;
            self.ended.end(ended.session, event.at, now);
        }
        *self.place.lock() = Some(batch.upto);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::{LogSource, PublicSource};

    use super::*;
    use crate::logout_user::LogoutUser;
    use crate::publish::AuthPublisher;
    use crate::testing::{PASSWORD, World};
    use crate::tokens::verify::Verifier;

    /// What another process knows that follows this source from now on.
    async fn follow(world: &World, source: Arc<dyn EventSource>) -> Arc<EndedSessions> {
        let ended = Arc::new(EndedSessions::new());
        let handler = FollowsEndedSessions::new(source.clone(), ended.clone(), world.clock.clone());
        let name = handler.sources()[0];
        loop {
            let place = handler.place(name).await.unwrap();
            let batch = source.read(place, 10).await.unwrap();
            if batch.upto <= place {
                return ended;
            }
            handler.handle(name, &batch, None).await.unwrap();
        }
    }

    #[tokio::test]
    async fn security_17_another_process_learns_of_ended_sessions_from_the_log_or_the_public_events() {
        let world = World::new();
        world.register("ann@example.org").await;
        let tokens = world.login("ann@example.org", PASSWORD).await.unwrap();
        world.bus.dispatch(&world.signed_in(&tokens), LogoutUser::default()).await.unwrap();
        let log = world.auth.executor.log().clone();
        let keyring = world.auth.executor.keyring().clone();
        let public = PublicSource::new("auth.public", log.clone(), keyring, AuthPublisher);
        for source in [Arc::new(LogSource(log)) as Arc<dyn EventSource>, Arc::new(public)] {
            let ended = follow(&world, source).await;
            let other = Verifier::new(world.auth.token_settings(), &world.auth.jwks(), ended);
            assert!(other.verify(&tokens.access_token, world.now()).is_err());
            let fresh = Verifier::new(world.auth.token_settings(), &world.auth.jwks(), Arc::default());
            assert!(fresh.verify(&tokens.access_token, world.now()).is_ok(), "it is the event that tells");
        }
    }

    #[tokio::test]
    async fn it_starts_where_tokens_that_still_hold_were_issued() {
        let world = World::new();
        world.register("ann@example.org").await;
        for _ in 0..1_500 {
            let tokens = world.issue_directly().await;
            world.bus.dispatch(&world.signed_in(&tokens), LogoutUser::default()).await.unwrap();
        }
        let before = world.auth.executor.log().head().borrow().0;
        world.later(3_600);
        let tokens = world.issue_directly().await;
        world.bus.dispatch(&world.signed_in(&tokens), LogoutUser::default()).await.unwrap();
        let source: Arc<dyn EventSource> = Arc::new(LogSource(world.auth.executor.log().clone()));
        let handler = FollowsEndedSessions::new(source.clone(), Arc::default(), world.clock.clone());
        let start = handler.place(crate::NAME).await.unwrap().0;
        assert!((1..=before).contains(&start), "{start} of {before}");
        let ended = follow(&world, source).await;
        assert!(ended.contains(tokens.session_id));
        assert_eq!(ended.len(), 1);
    }
}
