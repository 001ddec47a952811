//! What happens, as it happens.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::connection::Connection;
use crate::retry::Backoff;
use crate::{
    Availability, ConversationHistory, ConversationKind, DeletedMessage, Error, MessageItem, Parlor,
    ParticipantRole, Presence, Result, Transport,
};

/// What a feed says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Frame {
    /// Resumes right after it. Transient events, such as that somebody is typing, have none.
    pub cursor: Option<String>,
    /// When it happened.
    pub at: Option<Timestamp>,
    /// What happened.
    pub event: Event,
}

/// What happened. New kinds come with new versions of the server: until this library knows them they are
/// [`Event::Other`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all_fields = "camelCase")]
#[non_exhaustive]
#[expect(missing_docs, reason = "fields that are called as what they hold")]
pub enum Event {
    /// Everything that was missed has been said; what follows is new.
    #[serde(rename = "caught-up")]
    CaughtUp {},
    /// Somebody said something; in a resumed feed, what is left of it if it was deleted since.
    #[serde(rename = "chat.message-sent")]
    MessageSent(MessageItem),
    /// A message was put in other words.
    #[serde(rename = "chat.message-edited")]
    MessageEdited(MessageItem),
    /// A message was deleted.
    #[serde(rename = "chat.message-deleted")]
    MessageDeleted(DeletedMessage),
    /// Somebody has read a conversation up to this message.
    #[serde(rename = "chat.messages-read")]
    MessagesRead { conversation_id: Uuid, user_id: Uuid, up_to: Uuid, position: String },
    /// A conversation began.
    #[serde(rename = "chat.conversation-created")]
    ConversationCreated {
        conversation_id: Uuid,
        kind: ConversationKind,
        title: Option<String>,
        history: ConversationHistory,
        created_by: Uuid,
    },
    /// A group was renamed.
    #[serde(rename = "chat.conversation-renamed")]
    ConversationRenamed { conversation_id: Uuid, title: Option<String>, renamed_by: Uuid },
    /// Somebody is in a conversation from now on.
    #[serde(rename = "chat.participant-added")]
    ParticipantAdded {
        conversation_id: Uuid,
        user_id: Uuid,
        role: ParticipantRole,
        added_by: Uuid,
        kind: ConversationKind,
        title: Option<String>,
        history: ConversationHistory,
    },
    /// Somebody may do more, or less, in a conversation.
    #[serde(rename = "chat.participant-role-changed")]
    ParticipantRoleChanged { conversation_id: Uuid, user_id: Uuid, role: ParticipantRole, changed_by: Uuid },
    /// Somebody is in a conversation no more. If it is oneself, it is the last that one hears of it.
    #[serde(rename = "chat.participant-removed")]
    ParticipantRemoved { conversation_id: Uuid, user_id: Uuid, removed_by: Uuid },
    /// Somebody's profile changed.
    #[serde(rename = "user.profile-updated")]
    ProfileUpdated { user_id: Uuid, display_name: String, bio: Option<String>, avatar_url: Option<String> },
    /// Somebody said something of their availability.
    #[serde(rename = "user.status-changed")]
    StatusChanged { user_id: Uuid, status: Availability, text: Option<String> },
    /// One's own list of contacts has somebody more.
    #[serde(rename = "user.contact-added")]
    ContactAdded { user_id: Uuid, contact_id: Uuid },
    /// One's own list of contacts has somebody less.
    #[serde(rename = "user.contact-removed")]
    ContactRemoved { user_id: Uuid, contact_id: Uuid },
    /// One is told something.
    #[serde(rename = "notification.created")]
    NotificationCreated {
        id: Uuid,
        kind: String,
        title: String,
        body: String,
        link: Option<String>,
        actor_id: Option<Uuid>,
        conversation_id: Option<Uuid>,
        message_id: Option<Uuid>,
    },
    /// One has read a notification.
    #[serde(rename = "notification.read")]
    NotificationRead { id: Uuid },
    /// One has read all notifications.
    #[serde(rename = "notification.all-read")]
    AllNotificationsRead {},
    /// One wants to be told of other things than before.
    #[serde(rename = "notification.preferences-updated")]
    PreferencesUpdated {},
    /// Somebody is typing; it isn't so any more when it isn't said again for some seconds.
    #[serde(rename = "typing")]
    Typing { conversation_id: Uuid, user_id: Uuid },
    /// Somebody is there, or isn't; and when they were last, if they aren't and that is known.
    #[serde(rename = "presence")]
    Presence(Presence),
    /// Anything else: its type, and what it says.
    #[serde(skip)]
    Other { kind: String, data: Value },
}

impl Event {
    fn of(kind: String, data: Value) -> Self {
        let known = serde_json::from_value(json!({"type": kind, "data": data}));
        known.unwrap_or(Self::Other { kind, data })
    }
}

/// A frame as it travels.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    cursor: Option<String>,
    position: Option<String>,
    r#type: String,
    at: Option<Timestamp>,
    #[serde(default)]
    data: Value,
    code: Option<String>,
    retry_after_ms: Option<u64>,
}

/// What became of a feed's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedState {
    /// It is being opened, or says what was missed.
    Connecting,
    /// What happens comes as it happens.
    Live,
    /// It was lost, and is opened again after this time.
    Waiting(Duration),
    /// There is no other one: the feed failed, or was dropped.
    Ended,
}

/// What happens, as it happens: a [`Stream`] of [`Frame`]s.
///
/// Connections may end as often as they like: the next one resumes at the last frame's cursor, so that each event comes
/// once, in order within its source. It ends after an error: [`Error::SignedOut`] when the session has ended, or what
/// won't pass, such as a refusal with the code `epoch-changed`, after which everything is to be read anew and the next
/// feed begins without a cursor.
///
/// Nothing is read ahead of what was taken, but what the network holds: who is too slow is cut off by the server, and
/// loses nothing by that.
pub struct Feed {
    frames: BoxStream<'static, Result<Frame>>,
    states: watch::Receiver<FeedState>,
}

impl Feed {
    /// What becomes of the connection, to be watched from elsewhere.
    pub fn states(&self) -> watch::Receiver<FeedState> {
        self.states.clone()
    }
}

impl Stream for Feed {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.frames.poll_next_unpin(cx)
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("state", &*self.states.borrow()).finish_non_exhaustive()
    }
}

impl Parlor {
    /// What happens, as it happens. Resumes after the frame that had this cursor; begins now, if there is none.
    pub fn live(&self, cursor: Option<&str>) -> Feed {
        self.live_over(Transport::default(), cursor)
    }

    /// The same over a transport of one's choice.
    pub fn live_over(&self, transport: Transport, cursor: Option<&str>) -> Feed {
        let (told, states) = watch::channel(FeedState::Connecting);
        let course = Course {
            parlor: self.clone(),
            transport,
            cursor: cursor.map(str::to_owned),
            connection: None,
            refused: None,
            failures: 0,
            told,
        };
        let frames = stream::unfold(Some(course), async |course| {
            let mut course = course?;
            match course.next().await {
                Ok(frame) => Some((Ok(frame), Some(course))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Feed { frames: frames.boxed(), states }
    }
}

/// A feed on its way through its connections.
struct Course {
    parlor: Parlor,
    transport: Transport,
    cursor: Option<String>,
    /// The one that is open, and the token that it was opened with.
    connection: Option<(Connection, String)>,
    /// A token that the server takes no longer; none after a connection that caught up, or a pause.
    refused: Option<String>,
    /// Connections that ended before they had caught up, in a row.
    failures: u32,
    told: watch::Sender<FeedState>,
}

/// Why there is no connection.
enum Cut {
    /// Its token has ended; the session may have another one.
    TokenEnded(String),
    /// It was lost, or couldn't be opened; the server may have asked for a pause.
    Lost(Option<Duration>),
}

impl Course {
    async fn next(&mut self) -> Result<Frame> {
        loop {
            let cut = match self.connection.take() {
                Some((mut connection, token)) => match connection.next().await {
                    Ok(Some(data)) => match self.take_in(&data, &token)? {
                        Ok(frame) => {
                            self.connection = Some((connection, token));
                            return Ok(frame);
                        }
                        Err(cut) => cut,
                    },
                    Ok(None) => Cut::Lost(None),
                    Err(error) => self.cut_by(error, None)?,
                },
                None => match self.connect().await? {
                    Some(cut) => cut,
                    None => continue,
                },
            };
            match cut {
                Cut::TokenEnded(token) if self.refused.is_none() => self.refused = Some(token),
                // A fresh token that ends at once: it may pass, but not by asking on and on.
                Cut::TokenEnded(_) => self.wait(Duration::ZERO).await,
                Cut::Lost(asked) => self.wait(asked.unwrap_or_default()).await,
            }
        }
    }

    /// Opens a connection; says why there is none.
    async fn connect(&mut self) -> Result<Option<Cut>> {
        self.told.send_replace(FeedState::Connecting);
        let token = match self.parlor.access_token(self.refused.as_deref()).await {
            Ok(token) => token,
            Err(error) => return self.cut_by(error, None).map(Some),
        };
        match Connection::open(self.transport, &self.parlor, &token, self.cursor.as_deref()).await {
            Ok(connection) => {
                self.connection = Some((connection, token));
                Ok(None)
            }
            Err(error) => self.cut_by(error, Some(token)).map(Some),
        }
    }

    /// What is to be done about an error; the error itself if nothing can be.
    fn cut_by(&self, error: Error, token: Option<String>) -> Result<Cut> {
        match token {
            Some(token) if error.status() == Some(401) && self.refused.is_none() => {
                Ok(Cut::TokenEnded(token))
            }
            _ if error.is_passing() => Ok(Cut::Lost(error.retry_after())),
            _ => {
                if error.code() == Some("epoch-changed") {
                    self.parlor.forget_written();
                }
                Err(error)
            }
        }
    }

    /// A frame, or the server's last word on this connection.
    fn take_in(&mut self, data: &str, token: &str) -> Result<Result<Frame, Cut>> {
        let received: Received = serde_json::from_str(data)
            .map_err(|error| Error::Unreadable(format!("an event of the feed: {error}")))?;
        let Received { cursor, position, r#type: kind, at, data, code, retry_after_ms } = received;
        match kind.as_str() {
            "closed" if code.as_deref() == Some("signed-out") => {
                return Ok(Err(Cut::TokenEnded(token.to_owned())));
            }
            "closed" => return Ok(Err(Cut::Lost(retry_after_ms.map(Duration::from_millis)))),
            "caught-up" => {
                if let Some(position) = position {
                    self.parlor.expect_position(position);
                }
                self.failures = 0;
                self.refused = None;
                self.told.send_replace(FeedState::Live);
            }
            _ => {}
        }
        if cursor.is_some() {
            self.cursor.clone_from(&cursor);
        }
        let event = if kind == "caught-up" { Event::CaughtUp {} } else { Event::of(kind, data) };
        Ok(Ok(Frame { cursor, at, event }))
    }

    async fn wait(&mut self, asked: Duration) {
        self.refused = None;
        let pause = asked.max(Backoff::FEED.pause(self.failures));
        self.failures = self.failures.saturating_add(1);
        self.told.send_replace(FeedState::Waiting(pause));
        tokio::time::sleep(pause).await;
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        self.told.send_replace(FeedState::Ended);
    }
}
