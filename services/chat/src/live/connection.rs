//! One connection, whatever it travels over: what was missed, then `caught-up`, then what is new.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{CodecError, Position, StoreError};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::Live;
use super::described::{FrameSchema, Named, add, one_of};
use super::event::{self, LiveEvent};
use super::feed::{Span, Stays};
use super::hub::{Attached, Close, NotYet, Waiting};
use super::seats::Seat;
use super::source::{FeedCursors, Places, Source};
use super::told::{Passing, Tells as _, Told};

/// Whether somebody is still signed in.
#[async_trait]
pub trait StillSignedIn: Send + Sync + 'static {
    /// Whether they are.
    async fn check(&self) -> bool;
}

/// What a connection says.
#[derive(Debug, Clone)]
pub enum Frame {
    /// Something happened.
    Event {
        /// Resumes right after it.
        cursor: String,
        /// What.
        event: Arc<LiveEvent>,
    },
    /// All that was missed has been said; what follows is new.
    CaughtUp {
        /// Resumes here.
        cursor: String,
        /// Views that have come so far hold all that was said or comes before what is new.
        position: String,
    },
    /// Something that passes, and that resuming doesn't repeat: somebody is typing, or came, or went.
    Passing {
        /// What.
        event: Arc<LiveEvent>,
    },
    /// The connection ends.
    Closed {
        /// Why.
        code: &'static str,
        /// When to come back, in milliseconds; never, if there is none.
        retry_after_ms: Option<u64>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FrameJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a str>,
    r#type: &'a str,
    #[serde(with = "cqrs_http::time::option", skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl Frame {
    /// Where to resume after it, if that is a place.
    pub fn cursor(&self) -> Option<&str> {
        match self {
            Self::Event { cursor, .. } | Self::CaughtUp { cursor, .. } => Some(cursor),
            Self::Passing { .. } | Self::Closed { .. } => None,
        }
    }

    /// As JSON, on one line.
    pub fn to_json(&self) -> String {
        let empty = FrameJson {
            cursor: self.cursor(),
            r#type: "",
            at: None,
            data: None,
            position: None,
            code: None,
            retry_after_ms: None,
        };
        let json = match self {
            Self::Event { event, .. } | Self::Passing { event } => {
                FrameJson { r#type: &event.kind, at: Some(event.at), data: Some(&event.data), ..empty }
            }
            Self::CaughtUp { position, .. } => {
                FrameJson { r#type: "caught-up", position: Some(position), ..empty }
            }
            Self::Closed { code, retry_after_ms } => {
                FrameJson { r#type: "closed", code: Some(code), retry_after_ms: *retry_after_ms, ..empty }
            }
        };
        serde_json::to_string(&json).expect("a frame has string keys and nothing that can't be written")
    }
}

impl Frame {
    /// The schemas of all that [`Self::to_json`] writes.
    pub(super) fn described() -> Vec<FrameSchema> {
        let resumable = |frame: FrameSchema| frame.saying("cursor", "Resumes right after it.");
        let mut frames: Vec<_> = Told::described().into_iter().map(resumable).collect();
        frames.extend(Passing::described());
        let about = "All that was missed has been said; what follows is new.";
        let position = "For `Parlor-Min-Position`: what is read with it lacks nothing that comes before.";
        let caught_up = FrameSchema::new("CaughtUpFrame", "caught-up", about);
        frames.push(caught_up.saying("cursor", "Resumes here.").saying("position", position));
        let closed = FrameSchema::new("ClosedFrame", "closed", "The connection ends.").saying("code", "Why.");
        let again = "When to come back, in milliseconds; never, if it is missing.";
        frames.push(closed.counting("retryAfterMs", again));
        frames
    }
}

impl PartialSchema for Frame {
    fn schema() -> RefOr<Schema> {
        one_of(
            &Self::described(),
            "What a live connection says. Only what has a cursor is said again after resuming.",
        )
    }
}

impl ToSchema for Frame {
    fn name() -> Cow<'static, str> {
        "LiveFrame".into()
    }

    fn schemas(schemas: &mut Named) {
        add(Self::described(), schemas);
    }
}

impl From<Close> for Frame {
    fn from(close: Close) -> Self {
        let (code, retry_after_ms) = match close {
            Close::TooSlow => ("too-slow", Some(1_000)),
            Close::SignedOut => ("signed-out", None),
            Close::Unavailable => ("unavailable", Some(2_000)),
            Close::Stopping => ("stopping", Some(1_000)),
        };
        Self::Closed { code, retry_after_ms }
    }
}

/// Why a connection ends.
enum End {
    /// The other side is gone.
    Gone,
    /// This side closes it.
    Closed(Close),
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "a stream is closed");
        Self::Closed(Close::Unavailable)
    }
}

/// How many frames lie ready for the transport.
const READY: usize = 16;
/// How many missed events are read at once.
const PAGE: usize = 200;
/// How often it is looked after whether they are still signed in.
const LOOK: Duration = Duration::from_secs(1);
/// The same while events go out.
const LOOK_BETWEEN_EVENTS: Duration = Duration::from_millis(100);
/// How long a connection waits for the view, or the hub, to come to where it begins.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last word may take to a reader who doesn't read.
const FAREWELL: Duration = Duration::from_secs(5);

pub(super) struct Connection {
    pub(super) live: Live,
    pub(super) user: Uuid,
    pub(super) cursors: FeedCursors,
    pub(super) still: Box<dyn StillSignedIn>,
    pub(super) out: mpsc::Sender<Frame>,
    /// Up to where the other side has everything.
    pub(super) places: Places,
    pub(super) looked: Instant,
}

/// What a connection says, one after the other. Dropping it ends the connection, and gives its seat back: whoever doesn't
/// read keeps theirs for as long as the transport holds what is there for them.
pub struct Frames {
    frames: mpsc::Receiver<Frame>,
    _seat: Seat,
}

impl Frames {
    /// The next; nothing after the last.
    pub async fn recv(&mut self) -> Option<Frame> {
        self.frames.recv().await
    }

    /// The next, if it is there already.
    pub fn try_recv(&mut self) -> Option<Frame> {
        self.frames.try_recv().ok()
    }
}

/// Starts a connection of somebody who has all up to `from`, or begins now.
pub(super) fn start(
    live: Live,
    user: Uuid,
    cursors: FeedCursors,
    from: Option<Places>,
    still: Box<dyn StillSignedIn>,
    seat: Seat,
) -> Frames {
    let (out, frames) = mpsc::channel(READY);
    let places = from.unwrap_or_default();
    let connection = Connection { live, user, cursors, still, out, places, looked: Instant::now() };
    tokio::spawn(connection.run(from.is_some()));
    Frames { frames, _seat: seat }
}

impl Connection {
    async fn run(mut self, resumes: bool) {
        let Err(end) = self.say_all(resumes).await;
        if let End::Closed(close) = end {
            let _ = tokio::time::timeout(FAREWELL, self.out.send(close.into())).await;
        }
    }

    async fn say_all(&mut self, resumes: bool) -> Result<Infallible, End> {
        if resumes {
            // What lies far back is said before anything new has to wait for it.
            self.say_missed(None).await?;
        }
        let mut attached = self.attach(resumes).await?;
        if resumes {
            self.wait_for_view(&attached.places).await?;
            let upto = attached.places;
            self.say_missed(Some((&upto, &mut attached))).await?;
        }
        self.places.join(&attached.places);
        let inner = &self.live.0;
        let position = inner.tokens.encode_positions(&self.places.in_logs(&inner.sources));
        let caught_up = Frame::CaughtUp { cursor: self.cursors.encode(&self.places), position };
        self.send(caught_up, Some(&mut attached)).await?;
        self.say_who_is_there(&mut attached).await?;
        self.say_new(&mut attached).await
    }

    /// Says who is there of those whom they may know of. Who comes or goes meanwhile waits in the queue.
    async fn say_who_is_there(&mut self, attached: &mut Attached) -> Result<(), End> {
        for event in self.live.0.those_present(self.user).await? {
            self.send(Frame::Passing { event }, Some(attached)).await?;
        }
        Ok(())
    }

    /// Has the hub send what is new, from a place on that isn't before where the other side is.
    async fn attach(&self, resumes: bool) -> Result<Attached, End> {
        let (hub, feed) = (&self.live.0.hub, &self.live.0.feed);
        let until = Instant::now() + PATIENCE;
        let mut known: Option<Stays> = None;
        loop {
            // Another process may have been further than this one is.
            let ahead = resumes && !hub.places().reach(&self.places);
            let attached = if ahead { Err(NotYet::TooNew) } else { hub.attach(self.user, known.as_ref()) };
            match attached {
                Ok(attached) => return Ok(attached),
                Err(NotYet::Stopping) => return Err(End::Closed(Close::Stopping)),
                Err(NotYet::Unknown | NotYet::TooOld) => known = Some(feed.stays(self.user).await?),
                Err(NotYet::TooNew) => {}
            }
            if !matches!(attached, Err(NotYet::Unknown)) {
                self.pause(until).await?;
            }
        }
    }

    /// Waits until the view holds all that the hub had routed when the connection was attached.
    async fn wait_for_view(&self, places: &Places) -> Result<(), End> {
        let until = Instant::now() + PATIENCE;
        while !self.live.0.feed.places().await?.reach(places) {
            self.pause(until).await?;
        }
        Ok(())
    }

    async fn pause(&self, until: Instant) -> Result<(), End> {
        if Instant::now() > until {
            tracing::warn!("a stream is closed: the view that it begins from is behind");
            return Err(End::Closed(Close::Unavailable));
        }
        tokio::select! {
            () = self.out.closed() => Err(End::Gone),
            () = sleep(Duration::from_millis(5)) => Ok(()),
        }
    }

    /// Says what was missed, as far as the view has it or up to where the connection was attached.
    async fn say_missed(&mut self, bound: Option<(&Places, &mut Attached)>) -> Result<(), End> {
        let (upto, mut attached) = match bound {
            Some((upto, attached)) => (Some(*upto), Some(attached)),
            None => (None, None),
        };
        for source in Source::ALL {
            loop {
                let after = self.places.get(source);
                let upto = upto.map_or(i64::MAX as u64, |upto| upto.get(source));
                let span = Span { after, upto, limit: PAGE };
                let (missed, last) = match source {
                    Source::Chat => self.missed_in_chat(span).await?,
                    Source::User | Source::Notification => {
                        let missed = self.live.0.feed.others(source, self.user, span).await?;
                        let last =
                            missed.last().map(|(position, _)| *position).filter(|_| missed.len() == PAGE);
                        (missed, last)
                    }
                };
                for (position, event) in missed {
                    self.say(source, position, Arc::new(event), attached.as_deref_mut()).await?;
                }
                // A full page may not be the last one.
                let Some(last) = last else { break };
                self.places.advance(source, last);
            }
        }
        Ok(())
    }

    /// A page of events with their positions, and the last position on it if it is full. The events come from the log; one
    /// that nobody can read is left out, as it was when it happened.
    async fn missed_in_chat(&self, span: Span) -> Result<(Vec<(u64, LiveEvent)>, Option<u64>), End> {
        let inner = &self.live.0;
        let missed = inner.feed.chat(self.user, span).await?;
        let positions: Vec<Position> = missed.iter().map(|missed| Position(missed.position)).collect();
        let events = inner.log.read_at(&positions).await?;
        let mut shown = Vec::with_capacity(missed.len());
        for recorded in &events {
            let position = recorded.position.0;
            let found = missed.binary_search_by_key(&position, |missed| missed.position);
            let deleted_at = found.ok().and_then(|n| missed[n].deleted_at);
            match inner.keyring.with_keys(|keys| event::of_chat(recorded, keys, deleted_at)).await {
                Ok(event) => shown.extend(event.map(|event| (position, event.live))),
                Err(CodecError::Store(error)) => return Err(error.into()),
                Err(error) => tracing::error!(at = position, %error, "an event is left out of a stream"),
            }
        }
        Ok((shown, missed.last().map(|last| last.position).filter(|_| missed.len() == span.limit)))
    }

    async fn say_new(&mut self, attached: &mut Attached) -> Result<Infallible, End> {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.out.closed() => return Err(End::Gone),
                _ = look.tick() => self.look(Duration::ZERO).await?,
                next = attached.next() => match next.map_err(End::Closed)? {
                    Waiting::Event(queued) => {
                        self.say(queued.source, queued.position, queued.event, Some(attached)).await?;
                    }
                    Waiting::Passing(event) => self.send(Frame::Passing { event }, Some(attached)).await?,
                },
            }
        }
    }

    async fn say(
        &mut self,
        source: Source,
        position: u64,
        event: Arc<LiveEvent>,
        attached: Option<&mut Attached>,
    ) -> Result<(), End> {
        self.look(LOOK_BETWEEN_EVENTS).await?;
        self.places.advance(source, position);
        let cursor = self.cursors.encode(&self.places);
        self.send(Frame::Event { cursor, event }, attached).await
    }

    /// Waits for the transport; meanwhile the queue may overflow, or the token end.
    async fn send(&mut self, frame: Frame, attached: Option<&mut Attached>) -> Result<(), End> {
        let frame = match self.out.try_send(frame) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(End::Gone),
            Err(mpsc::error::TrySendError::Full(frame)) => frame,
        };
        let out = self.out.clone();
        let mut close = attached.map(|attached| attached.close.clone());
        let overflown = async {
            match &mut close {
                Some(close) => {
                    let reason = close.wait_for(Option::is_some).await.map(|reason| *reason);
                    reason.ok().flatten().unwrap_or(Close::TooSlow)
                }
                None => std::future::pending().await,
            }
        };
        tokio::pin!(overflown);
        let sending = out.send(frame);
        tokio::pin!(sending);
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => return sent.map_err(|_| End::Gone),
                reason = &mut overflown => return Err(End::Closed(reason)),
                () = sleep(LOOK) => self.look(Duration::ZERO).await?,
            }
        }
    }

    /// Looks whether they are still signed in, unless that was done within `lately`.
    async fn look(&mut self, lately: Duration) -> Result<(), End> {
        if self.looked.elapsed() < lately {
            return Ok(());
        }
        self.looked = Instant::now();
        if self.still.check().await { Ok(()) } else { Err(End::Closed(Close::SignedOut)) }
    }
}
