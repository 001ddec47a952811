//! Pushes new notifications, as long as anybody has subscribed.
//!
//! What is pushed is a hint: the notification itself is in the inbox. So a push service that doesn't answer holds nobody up,
//! an old notification isn't pushed any more, and a process that dies may lose those that were just under way.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use cqrs_core::{
    BaseRepository as _, BaseWriteRepository as _, Clock, EventSource, InstanceKey, Keyring, Place,
    PlaceStore, Position, QueryOptions, RecordedEvent, StoreError, decode,
};
use cqrs_sql::SqlWriteRepository;
use jiff::SignedDuration;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::payload::Payload;
use super::subscription::{PushSubscription, PushSubscriptions};
use super::vapid::Vapid;
use crate::notification::Notifications;
use crate::outbound::{Answered, Outbound, Post};
use crate::preferences::{Preferences, StoredPreferences};

/// The name under which its place is kept.
pub(crate) const CONSUMER: &str = "web-push";
/// How many are under way at the same time.
const AT_ONCE: usize = 64;
/// How many events are read in one go.
const BATCH: usize = 256;
/// How often it is looked whether anybody has subscribed.
const LOOK: Duration = Duration::from_secs(1);
/// A notification that has waited longer than this isn't pushed any more.
const STALE: SignedDuration = SignedDuration::from_mins(10);
/// How long a push service keeps what it can't deliver.
const TTL: SignedDuration = SignedDuration::from_hours(24);
/// How often it is tried, and the pause after the first failure; each is ten times the one before.
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest that a push service may ask to be left alone for; longer, and it is given up.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Pushes notifications.
pub struct Pushes {
    /// Who is pushed to.
    pub subscriptions: PushSubscriptions,
    /// What people want.
    pub preferences: SqlWriteRepository<StoredPreferences>,
    /// Whether a notification was read.
    pub notifications: Notifications,
    /// Where its place is kept.
    pub places: Arc<dyn PlaceStore>,
    /// The service's own public events.
    pub source: Arc<dyn EventSource>,
    /// Opens what is sealed in events.
    pub keyring: Keyring,
    /// Opens addresses.
    pub key: InstanceKey,
    /// Sends.
    pub outbound: Outbound,
    /// Shows who sends.
    pub vapid: Arc<Vapid>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Sixteen random bytes.
    pub random: fn() -> [u8; 16],
}

impl Pushes {
    /// Pushes what comes. It has no end; dropped, what is under way is dropped too.
    pub async fn run(self: Arc<Self>) {
        let mut under_way = JoinSet::new();
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut failing = false;
        loop {
            match self.follow(&mut under_way, &room).await {
                Ok(()) => failing = false,
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    tracing::warn!(%error, "notifications aren't pushed: the store fails");
                }
                Err(_) => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Pushes what comes until nobody is subscribed.
    async fn follow(
        self: &Arc<Self>,
        under_way: &mut JoinSet<()>,
        room: &Arc<Semaphore>,
    ) -> Result<(), StoreError> {
        let Some(earliest) = self.subscriptions.earliest().await? else { return Ok(()) };
        let mut head = self.source.head();
        let kept = self.places.load(CONSUMER, self.source.name()).await?;
        let kept = kept.filter(|kept| kept.epoch == self.source.epoch()).map(|kept| kept.position);
        // Notifications from before anybody had subscribed concern nobody.
        let mut place = kept.unwrap_or_default().max(earliest);
        loop {
            let news = head.wait_for(|head| *head > place);
            match tokio::time::timeout(LOOK, news).await.map(|news| news.map(drop)) {
                Ok(Ok(())) => {}
                Ok(Err(_)) => std::future::pending().await,
                Err(_) => {
                    if self.subscriptions.count(&QueryOptions::all()).await? == 0 {
                        return Ok(());
                    }
                    continue;
                }
            }
            let batch = self.source.read(place, BATCH).await?;
            for event in &batch.events {
                self.push(event, under_way, room).await?;
            }
            place = batch.upto;
            self.keep(place).await?;
            while under_way.try_join_next().is_some() {}
        }
    }

    async fn keep(&self, position: Position) -> Result<(), StoreError> {
        let place = Place { position, epoch: self.source.epoch() };
        let kept = self.places.save(CONSUMER, self.source.name(), place, None).await;
        kept.map_err(|error| StoreError::Other(error.to_string()))
    }

    /// Begins to push what an event tells of, if it is something to push.
    async fn push(
        self: &Arc<Self>,
        event: &RecordedEvent,
        under_way: &mut JoinSet<()>,
        room: &Arc<Semaphore>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        if &*event.name != "notification-created.v1" || now.duration_since(event.at) > STALE {
            return Ok(());
        }
        let told = match self.keyring.with_keys(|keys| decode(event, keys)).await {
            Ok(told) => told,
            Err(cqrs_core::CodecError::Store(error)) => return Err(error),
            Err(error) => {
                tracing::error!(at = event.position.0, %error, "a notification can't be read and isn't pushed");
                return Ok(());
            }
        };
        let Some((user, payload)) = Payload::of(told) else { return Ok(()) };
        let mut browsers = self.subscriptions.of_user(user).await?;
        browsers.retain(|browser| browser.since < event.position);
        if browsers.is_empty() {
            return Ok(());
        }
        let preferences = self.preferences.load(user).await?;
        let preferences = preferences.map_or_else(Preferences::default, |(_, stored)| stored.preferences);
        // What Parlor tells of was decided by the same preferences when it was created; what applications tell goes into the
        // inbox in any case, and disturbs nobody who doesn't want to be disturbed.
        if payload.kind != "new-sign-in" && preferences.is_quiet(now) {
            return Ok(());
        }
        if self.notifications.load(payload.id).await?.is_some_and(|(_, found)| found.read) {
            return Ok(());
        }
        let payload = Arc::new(payload);
        for browser in browsers {
            let Ok(permit) = room.clone().acquire_owned().await else { return Ok(()) };
            let (pushes, payload) = (self.clone(), payload.clone());
            under_way.spawn(async move {
                pushes.send(&browser, &payload).await;
                drop(permit);
            });
        }
        Ok(())
    }

    /// Sends one message to one browser, a few times if need be.
    async fn send(&self, browser: &PushSubscription, payload: &Payload) {
        let mut pause = FIRST_PAUSE;
        for tried in 1..=TRIES {
            let (outcome, asked) = match self.attempt(browser, payload).await {
                Some(Ok(Answered { status: 200..300, .. })) => ("delivered", None),
                // RFC 8030 §7.3: the subscription is over.
                Some(Ok(Answered { status: 404 | 410, .. })) => {
                    if let Err(error) = self.subscriptions.delete(browser.id).await {
                        tracing::debug!(%error, "a browser that is gone stays subscribed for now");
                    }
                    ("gone", None)
                }
                Some(Ok(Answered { status: 429 | 500.., retry_after })) => ("failed", Some(retry_after)),
                Some(Err(unsent)) => {
                    tracing::debug!(%unsent, "a push failed");
                    ("failed", Some(None))
                }
                Some(Ok(Answered { status, .. })) => {
                    tracing::warn!(status, "a push service refused a message");
                    ("refused", None)
                }
                None => ("refused", None),
            };
            metrics::counter!("parlor_pushes_total", "outcome" => outcome).increment(1);
            let Some(asked) = asked.filter(|_| tried < TRIES) else { return };
            let wait = asked.map_or(pause, |asked| asked.max(pause));
            if wait > LONGEST_PAUSE {
                return;
            }
            tokio::time::sleep(wait).await;
            pause *= 10;
        }
    }

    /// Sends it once; `None` if there is no sense in it.
    async fn attempt(
        &self,
        browser: &PushSubscription,
        payload: &Payload,
    ) -> Option<Result<Answered, crate::outbound::Unsent>> {
        let now = self.clock.now();
        let address = browser.address(&self.key)?;
        let key = PrivateKey::generate(&ECDH_P256).ok()?;
        let body = address.keys.encrypt(&payload.encode(), &key, (self.random)()).ok()?;
        let authorization = self.vapid.authorization(&address.endpoint.origin(), now).ok()?;
        let headers = [
            (AUTHORIZATION, authorization),
            (CONTENT_TYPE, "application/octet-stream".to_owned()),
            (CONTENT_ENCODING, "aes128gcm".to_owned()),
            (HeaderName::from_static("ttl"), TTL.as_secs().to_string()),
            (HeaderName::from_static("urgency"), payload.urgency().as_str().to_owned()),
        ];
        let headers =
            headers.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?)));
        let post = Post { headers: headers.collect(), body: body.into() };
        Some(self.outbound.post(&address.endpoint, post, now).await)
    }
}
