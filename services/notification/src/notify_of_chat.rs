//! The reactor `notify-of-chat`: tells people of what happens in their conversations, as they want to be told, and marks
//! it as read when they read the messages.
//!
//! Who is in a conversation it looks up in the view `rooms`, once that has reached the event: whoever joined after a
//! message, or has left since, isn't told of it. What somebody wants it reads where it is decided, on the write side.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{Actor, Clock, CommandBus, Context, Failure, Incoming, Position, Reactor, derived_id};
use cqrs_sql::SqlWriteRepository;
use parlor_contracts::chat::{ChatEvent, ConversationKind};
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use crate::create_notification::{CreateNotifications, NewNotification};
use crate::mentions::{self, Naming};
use crate::notification::Origin;
use crate::preferences::{Occasion, Preferences, StoredPreferences};
use crate::read_with_messages::ReadWithMessages;
use crate::rooms::Rooms;
use crate::values::{Body, Title};

/// In how many conversations at once people are told of something: half of what a pool has connections by default.
const CONVERSATIONS: usize = 16;
/// How many people are told in one commit.
const TOGETHER: usize = 200;
/// How long the view is waited for before the event is tried again later.
const PATIENCE: Duration = Duration::from_secs(2);

/// Follows chat's public events.
pub struct NotifyOfChat {
    rooms: Rooms,
    preferences: SqlWriteRepository<StoredPreferences>,
    commands: CommandBus,
    clock: Arc<dyn Clock>,
    /// How far the service's own log has come: preferences are among its events.
    head: watch::Receiver<Position>,
    /// How far the user service's events are known to go: what people are called is among them.
    users: watch::Receiver<Position>,
    /// How far the view was known to be when last looked at, in each of the sources that it is waited for in.
    reached: [AtomicU64; 3],
    /// Held by who looks.
    looking: [Mutex<()>; 3],
}

/// The sources that `rooms` is waited for in: chat's events; the service's own, from which it has who wants to hear of
/// everything; and the user service's, from which it has what people are called.
const AWAITED: [&str; 3] = ["chat.public", crate::NAME, "user.public"];

/// A message on its way to its receivers.
struct Message<'a> {
    event: &'a Incoming<'a>,
    kind: ConversationKind,
    sender: Uuid,
    /// What the conversation is called, if it is called something.
    room: String,
    body: Body,
    origin: Origin,
}

/// The id of what somebody is told of an event: the same however often the event is handled.
pub(crate) fn notification_id(event: Uuid, receiver: Uuid) -> Uuid {
    derived_id("parlor notification v1", &[event.as_bytes(), receiver.as_bytes()])
}

/// A context for what an event sets off.
pub(crate) fn context_of(event: &Incoming<'_>, clock: &dyn Clock) -> Context {
    let mut cx = clock.context(Actor::System);
    cx.causation = Some(event.meta.id);
    cx.correlation = event.meta.correlation;
    cx
}

impl NotifyOfChat {
    /// Looks people up in `rooms`, what they want in `preferences`, and sends its commands to `commands`. It knows how far
    /// the service's own log and the user service's events go.
    pub fn new(
        rooms: Rooms,
        preferences: SqlWriteRepository<StoredPreferences>,
        commands: CommandBus,
        clock: Arc<dyn Clock>,
        [head, users]: [watch::Receiver<Position>; 2],
    ) -> Self {
        Self {
            rooms,
            preferences,
            commands,
            clock,
            head,
            users,
            reached: Default::default(),
            looking: Default::default(),
        }
    }

    /// Waits until the view holds everything up to the message at `position`.
    async fn wait_for_rooms(&self, position: u64) -> Result<(), Failure> {
        self.wait_in(0, position).await
    }

    /// Waits until the view holds what people have said by now of what they want; gives the place in the service's own log.
    async fn wait_for_wishes(&self) -> Result<u64, Failure> {
        let said = self.head.borrow().0;
        self.wait_in(1, said).await.map(|()| said)
    }

    /// Waits until the view holds what people are called by now: somebody may have taken a name a moment before they are
    /// mentioned by it. A user service that can't be followed keeps nobody from being told.
    async fn wait_for_names(&self) -> Result<(), Failure> {
        let known = self.users.borrow().0;
        match self.wait_in(2, known).await {
            Err(Failure::Unavailable(behind)) => {
                tracing::warn!(behind, "a mention by a new name may be missed");
                Ok(())
            }
            result => result,
        }
    }

    async fn wait_in(&self, source: usize, position: u64) -> Result<(), Failure> {
        let known = &self.reached[source];
        let there =
            || known.load(Ordering::Relaxed) >= position || self.rooms.known(AWAITED[source]) >= position;
        if there() {
            return Ok(());
        }
        let arriving = async {
            let mut pause = Duration::from_millis(1);
            loop {
                // One looks for all that wait.
                let _looking = self.looking[source].lock().await;
                if there() {
                    return Ok(());
                }
                known.store(self.rooms.reached(AWAITED[source]).await?, Ordering::Relaxed);
                if there() {
                    return Ok(());
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(25));
            }
        };
        tokio::time::timeout(PATIENCE, arriving).await.unwrap_or_else(|_| {
            let reached = known.load(Ordering::Relaxed);
            Err(Failure::Unavailable(format!(
                "the view rooms is at {reached} in {}, before {position}",
                AWAITED[source]
            )))
        })
    }

    async fn preferences_of(&self, user: Uuid) -> Result<Preferences, Failure> {
        let stored = self.preferences.load(user).await?;
        Ok(stored.map_or_else(Preferences::default, |(_, stored)| stored.preferences))
    }

    /// The members that `text` names, the sender among them or not.
    async fn named(&self, conversation: Uuid, position: u64, text: &str) -> Result<BTreeSet<Uuid>, Failure> {
        let mut named = BTreeSet::new();
        if !text.contains(['@', '＠']) {
            return Ok(named);
        }
        self.wait_for_names().await?;
        for id in mentions::ids(text) {
            if self.rooms.is_in(conversation, id, position).await? {
                named.insert(id);
            }
        }
        for naming in mentions::namings(text) {
            let mut bound = Some(naming.folded().to_owned());
            while let Some(at_most) = bound {
                let Some(name) = self.rooms.greatest_name(conversation, &at_most).await? else { break };
                if naming.is(&name) {
                    named.extend(self.rooms.called(conversation, &name, position).await?);
                    break;
                }
                bound = Naming::next_bound(&at_most, &name);
            }
        }
        Ok(named)
    }

    async fn message_sent(
        &self,
        message: &Message<'_>,
        conversation: Uuid,
        text: &str,
    ) -> Result<(), Failure> {
        let position = message.event.meta.position.0;
        self.wait_for_rooms(position).await?;
        let named = self.named(conversation, position, text).await?;
        if message.kind == ConversationKind::Direct {
            let both = self.rooms.both(conversation).await?;
            return self.tell(message, conversation, &both, &named).await;
        }
        let first: Vec<Uuid> = named.iter().copied().collect();
        // Before anybody is told: what is told is among the events waited for.
        let said = self.wait_for_wishes().await?;
        self.tell(message, conversation, &first, &named).await?;
        let places = [(AWAITED[0], position), (AWAITED[1], said)];
        if let Some(all) = self.rooms.all_wanting_all(conversation, &places, TOGETHER).await? {
            let there = all.iter().filter(|(_, joined)| *joined < position).map(|(user, _)| *user);
            let others: Vec<Uuid> = there.filter(|user| !named.contains(user)).collect();
            return self.tell(message, conversation, &others, &named).await;
        }
        let mut after = Uuid::nil();
        loop {
            let page = self.rooms.wanting_all(conversation, position, after, TOGETHER).await?;
            let more = page.len() == TOGETHER;
            after = page.last().copied().unwrap_or(after);
            let others: Vec<Uuid> = page.into_iter().filter(|user| !named.contains(user)).collect();
            self.tell(message, conversation, &others, &named).await?;
            if !more {
                return Ok(());
            }
        }
    }

    /// Who says it, and where.
    async fn heading(&self, message: &Message<'_>) -> Result<Title, Failure> {
        let heading = match self.rooms.name_of(message.sender).await? {
            Some(sender) if message.room.is_empty() => sender,
            Some(sender) => format!("{sender} · {}", message.room),
            None => message.room.clone(),
        };
        Ok(Title::nearest(&heading, "New message"))
    }

    /// Tells those of `receivers` who want to be told, never the sender.
    async fn tell(
        &self,
        message: &Message<'_>,
        conversation: Uuid,
        receivers: &[Uuid],
        named: &BTreeSet<Uuid>,
    ) -> Result<(), Failure> {
        let mut told = Vec::new();
        for &user in receivers.iter().filter(|user| **user != message.sender) {
            let mentioned = named.contains(&user);
            let occasion = match message.kind {
                ConversationKind::Direct => Occasion::DirectMessage { conversation, mentioned },
                ConversationKind::Group => Occasion::GroupMessage { conversation, mentioned },
            };
            if self.preferences_of(user).await?.want(occasion, message.event.meta.at) {
                told.push((user, mentioned));
            }
        }
        if told.is_empty() {
            return Ok(());
        }
        let title = self.heading(message).await?;
        let new = told
            .into_iter()
            .map(|(user, mentioned)| NewNotification {
                id: notification_id(message.event.meta.id, user),
                user,
                about: message.sender,
                kind: if mentioned { "mention" } else { "message" }.to_owned(),
                title: title.clone(),
                body: message.body.clone(),
                link: None,
                origin: message.origin,
            })
            .collect();
        let cx = context_of(message.event, &*self.clock);
        self.commands.dispatch(&cx, CreateNotifications(new)).await.map(drop)
    }

    async fn added_to_group(
        &self,
        event: &Incoming<'_>,
        conversation: Uuid,
        (user, by): (Uuid, Uuid),
        title: &str,
    ) -> Result<(), Failure> {
        let occasion = Occasion::AddedToGroup { conversation };
        if !self.preferences_of(user).await?.want(occasion, event.meta.at) {
            return Ok(());
        }
        let who = self.rooms.name_of(by).await?.unwrap_or_else(|| "Somebody".to_owned());
        let new = NewNotification {
            id: notification_id(event.meta.id, user),
            user,
            about: by,
            kind: "added-to-group".to_owned(),
            title: Title::nearest(title, "New group"),
            body: Body::excerpt(&format!("{who} added you")),
            link: None,
            origin: Origin {
                actor: Some(by),
                conversation: Some(conversation),
                message: None,
                position: Some(event.meta.position.0),
            },
        };
        let cx = context_of(event, &*self.clock);
        self.commands.dispatch(&cx, CreateNotifications(vec![new])).await.map(drop)
    }
}

#[async_trait]
impl Reactor for NotifyOfChat {
    fn name(&self) -> &'static str {
        "notify-of-chat"
    }

    fn sources(&self) -> &'static [&'static str] {
        &["chat.public"]
    }

    /// What happens in one conversation has no bearing on what is told of another.
    fn concurrency(&self) -> usize {
        CONVERSATIONS
    }

    async fn react(&self, event: &Incoming<'_>) -> Result<(), Failure> {
        match event.decode()? {
            ChatEvent::MessageSent {
                conversation_id, kind, title, message_id, sender_id, content, ..
            } => {
                let message = Message {
                    event,
                    kind,
                    sender: sender_id,
                    room: title.as_ref().map_or_else(String::new, |title| title.text().to_owned()),
                    body: Body::excerpt(content.text()),
                    origin: Origin {
                        actor: Some(sender_id),
                        conversation: Some(conversation_id),
                        message: Some(message_id),
                        position: Some(event.meta.position.0),
                    },
                };
                self.message_sent(&message, conversation_id, content.text()).await
            }
            ChatEvent::ParticipantAdded { conversation_id, user_id, added_by, kind, title, .. }
                if kind == ConversationKind::Group && user_id != added_by =>
            {
                let title = title.as_ref().map_or("", |title| title.text());
                self.added_to_group(event, conversation_id, (user_id, added_by), title).await
            }
            ChatEvent::MessagesRead { conversation_id, user_id, position, .. } => {
                let read = ReadWithMessages { user: user_id, conversation: conversation_id, position };
                self.commands.dispatch(&context_of(event, &*self.clock), read).await.map(drop)
            }
            ChatEvent::ParticipantAdded { .. }
            | ChatEvent::ConversationCreated { .. }
            | ChatEvent::ConversationRenamed { .. }
            | ChatEvent::ParticipantRoleChanged { .. }
            | ChatEvent::ParticipantRemoved { .. }
            | ChatEvent::MessageEdited { .. }
            | ChatEvent::MessageDeleted { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
