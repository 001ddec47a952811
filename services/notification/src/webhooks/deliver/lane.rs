//! One webhook's lane: from its places to the receiver, an event at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cqrs_core::{BaseWriteRepository as _, CodecError, PositionVector, RecordedEvent, StoreError};
use futures::future::select_all;
use jiff::SignedDuration;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use uuid::Uuid;

use super::Deliveries;
use super::track::{Stuck, Track};
use crate::outbound::{Answered, Post, Unsent};
use crate::webhooks::catalogue::SOURCES;
use crate::webhooks::message;
use crate::webhooks::webhook::{Standing, State, Webhook};

/// How often places that only events nobody wants have moved are kept.
const KEEP: Duration = Duration::from_secs(5);
/// How soon a store that fails is asked again.
const STORE_AGAIN: Duration = Duration::from_secs(2);

const MESSAGE_ID: HeaderName = HeaderName::from_static("webhook-id");
const MESSAGE_TIME: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// Where a replay would begin to go on behind this event.
const POSITION: HeaderName = HeaderName::from_static("parlor-position");

/// A lane and what it knows.
pub(super) struct Lane {
    shared: Arc<Deliveries>,
    webhook: Webhook,
    label: String,
}

/// Why the lane is over until somebody changes the webhook: its state from then on, and what is shown of it.
struct Over(State, String);

impl Lane {
    pub(super) fn new(shared: Arc<Deliveries>, webhook: Webhook) -> Self {
        let label = webhook.id.to_string();
        Self { shared, webhook, label }
    }

    /// Delivers until the webhook is parked.
    pub(super) async fn run(self) {
        loop {
            match self.deliver().await {
                Ok(never) => match never {},
                Err(Stop::Over) => return,
                Err(Stop::Store(error)) => {
                    tracing::warn!(webhook = %self.webhook.id, %error, "a webhook waits for the store");
                    tokio::time::sleep(STORE_AGAIN).await;
                }
            }
        }
    }

    async fn deliver(&self) -> Result<std::convert::Infallible, Stop> {
        let (version, standing) = self.shared.standings.of(&self.webhook).await?;
        if standing.state != State::Active {
            return Err(Stop::Over);
        }
        let mut trying = Trying { version, standing };
        let mut tracks = self.tracks().await?;
        // Also those that nothing has happened in: a restored backup renews the epochs of what is kept, and of nothing else.
        self.keep(&mut tracks).await?;
        loop {
            for track in &mut tracks {
                match track.fill(&self.webhook).await {
                    Ok(()) => {}
                    Err(Stuck::Store(error)) => return Err(error.into()),
                    Err(Stuck::OtherEpoch) => {
                        let problem = format!(
                            "the log of {} was restored or replaced since; replay from a cursor of it, or \"earliest\"",
                            track.log
                        );
                        return self.end(trying, &mut tracks, Over(State::Parked, problem)).await;
                    }
                }
            }
            self.show_lag(&tracks);
            // Each source in its order; among them the oldest first.
            let ready = tracks.iter().enumerate().filter_map(|(n, track)| Some((track.next()?.at, n)));
            let Some((_, n)) = ready.min() else {
                self.wait(&mut tracks).await?;
                continue;
            };
            match self.send_next(&mut trying, &tracks, n).await {
                Ok(()) => tracks[n].done(),
                Err(Unfinished::Over(over)) => return self.end(trying, &mut tracks, over).await,
                Err(Unfinished::Store(error)) => return Err(error.into()),
            }
            self.keep(&mut tracks).await?;
        }
    }

    /// Sends the next event of the track `n`.
    async fn send_next(&self, trying: &mut Trying, tracks: &[Track], n: usize) -> Result<(), Unfinished> {
        let track = &tracks[n];
        let Some(event) = track.next() else { return Ok(()) };
        let (log, epoch) = (track.log, track.place().epoch);
        let mut cursor = PositionVector::default();
        for (m, track) in tracks.iter().enumerate() {
            let place = if m == n { track.place_after() } else { track.place() };
            if !place.epoch.is_nil() {
                cursor.advance(track.log, place.epoch, place.position);
            }
        }
        match message::body(log, epoch, event, &self.shared.keyring).await {
            Ok(body) => self.send(trying, event, body, &cursor).await,
            Err(CodecError::Store(error)) => Err(error.into()),
            Err(error) => {
                let problem = format!("{} at {} of {log} can't be read: {error}", event.name, event.position);
                Err(Over(State::Parked, problem).into())
            }
        }
    }

    /// Its place in every source that this process hears of.
    async fn tracks(&self) -> Result<Vec<Track>, Stop> {
        let consumer = self.webhook.consumer();
        let mut tracks = Vec::new();
        for source in &self.shared.sources {
            let Some((_, log)) = SOURCES.iter().find(|(name, _)| *name == source.name()) else { continue };
            let kept = self.shared.places.load(&consumer, source.name()).await?;
            let start = self.webhook.starts.get(*log).copied();
            tracks.push(Track::new(source.clone(), log, kept, start));
        }
        Ok(tracks)
    }

    /// Keeps the places that have moved.
    async fn keep(&self, tracks: &mut [Track]) -> Result<(), Stop> {
        let consumer = self.webhook.consumer();
        for track in tracks.iter_mut().filter(|track| track.is_ahead_of_kept()) {
            let kept = self.shared.places.save(&consumer, track.name(), track.place(), None).await;
            kept.map_err(|error| StoreError::Other(error.to_string()))?;
            track.was_kept();
        }
        Ok(())
    }

    /// Waits for news in any source.
    async fn wait(&self, tracks: &mut [Track]) -> Result<(), Stop> {
        let news = tracks.iter().map(|track| {
            let (mut head, place) = (track.source().head(), track.place().position);
            Box::pin(async move {
                if head.wait_for(|head| *head > place).await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
        });
        let news = select_all(news);
        if tracks.iter().any(Track::is_ahead_of_kept) {
            if tokio::time::timeout(KEEP, news).await.is_err() {
                self.keep(tracks).await?;
            }
        } else {
            news.await;
        }
        Ok(())
    }

    /// Sends an event until it is taken, or the lane ends.
    async fn send(
        &self,
        trying: &mut Trying,
        event: &RecordedEvent,
        body: Bytes,
        cursor: &PositionVector,
    ) -> Result<(), Unfinished> {
        loop {
            if let Some(at) = trying.standing.next_try {
                // Also after a start: what failed before isn't tried sooner for that.
                let pause = at.duration_since(self.shared.clock.now());
                tokio::time::sleep(pause.max(SignedDuration::ZERO).unsigned_abs()).await;
            }
            let answered = self.attempt(event.id, body.clone(), cursor).await?;
            let now = self.shared.clock.now();
            let outcome = if matches!(answered, Ok(Answered { status: 200..300, .. })) {
                "delivered"
            } else {
                "failed"
            };
            metrics::counter!(
                "parlor_webhook_deliveries_total", "webhook" => self.label.clone(), "outcome" => outcome
            )
            .increment(1);
            let (problem, asked) = match answered {
                Ok(Answered { status: 200..300, .. }) => {
                    if trying.standing.tries > 0 {
                        trying.standing = Standing::sound(&self.webhook);
                        self.note(trying).await?;
                    }
                    return Ok(());
                }
                Ok(Answered { status: 410, .. }) => {
                    let problem = "the receiver answered 410 Gone".to_owned();
                    return Err(Over(State::Gone, problem).into());
                }
                Ok(Answered { status, retry_after }) => {
                    (format!("the receiver answered {status}"), retry_after)
                }
                Err(unsent) => (unsent.to_string(), None),
            };
            let standing = &mut trying.standing;
            standing.tries += 1;
            let since = *standing.failing_since.get_or_insert(now);
            if self.shared.pace.is_over(standing.tries, since, now) {
                let problem =
                    format!("tried {} times since {since}; the last time: {problem}", standing.tries);
                return Err(Over(State::Parked, problem).into());
            }
            let pause = self.shared.pace.pause(standing.tries, asked, rand::random());
            standing.next_try =
                SignedDuration::try_from(pause).ok().and_then(|pause| now.checked_add(pause).ok());
            tracing::debug!(webhook = %self.webhook.id, tries = standing.tries, problem, "a delivery failed");
            standing.problem = Some(problem);
            self.note(trying).await?;
        }
    }

    /// Sends it once.
    async fn attempt(
        &self,
        event: Uuid,
        body: Bytes,
        cursor: &PositionVector,
    ) -> Result<Result<Answered, Unsent>, StoreError> {
        let now = self.shared.clock.now();
        let id = message::message_id(self.webhook.id, event);
        let secrets = self.webhook.secrets.open(self.webhook.id, &self.shared.key, now);
        let Some(secrets) = secrets else {
            let problem = "a webhook's secret can't be opened: was the instance's secret changed?";
            return Err(StoreError::Corrupt(problem.to_owned()));
        };
        let signatures: Vec<_> =
            secrets.iter().map(|secret| secret.sign(&id, now.as_second(), &body)).collect();
        let headers = [
            (CONTENT_TYPE, "application/json".to_owned()),
            (MESSAGE_TIME, now.as_second().to_string()),
            (SIGNATURE, signatures.join(" ")),
            (POSITION, self.shared.tokens.encode_positions(cursor)),
            (MESSAGE_ID, id),
        ];
        let headers =
            headers.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?)));
        let post = Post { headers: headers.collect(), body };
        Ok(self.shared.outbound.post(&self.webhook.target, post, now).await)
    }

    /// Writes down how the webhook stands.
    async fn note(&self, trying: &mut Trying) -> Result<(), StoreError> {
        trying.version = self.shared.standings.save(&trying.standing, trying.version).await?;
        Ok(())
    }

    /// Ends the lane, for a reason that is shown.
    async fn end(
        &self,
        mut trying: Trying,
        tracks: &mut [Track],
        Over(state, problem): Over,
    ) -> Result<std::convert::Infallible, Stop> {
        tracing::warn!(webhook = %self.webhook.id, problem, "a webhook is parked; retry or replay has it go on");
        // First: who sees that it is over sees where.
        self.keep(tracks).await?;
        trying.standing.state = state;
        trying.standing.problem = Some(problem);
        trying.standing.next_try = None;
        self.note(&mut trying).await?;
        Err(Stop::Over)
    }

    fn show_lag(&self, tracks: &[Track]) {
        let lag: u64 = tracks.iter().map(Track::lag).sum();
        metrics::gauge!("parlor_webhook_lag_events", "webhook" => self.label.clone()).set(lag as f64);
    }
}

/// How the lane stands, with the version of the row that says so.
struct Trying {
    version: u64,
    standing: Standing,
}

/// Why nothing is delivered any more.
enum Stop {
    /// The lane is over.
    Over,
    /// The store fails; it may pass.
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Why an event wasn't taken.
enum Unfinished {
    Over(Over),
    Store(StoreError),
}

impl From<Over> for Unfinished {
    fn from(over: Over) -> Self {
        Self::Over(over)
    }
}

impl From<StoreError> for Unfinished {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
