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
use cqrs_core::{Actor, Clock, CommandBus, Context, Failure, Incoming, Reactor, derived_id};
use cqrs_sql::SqlWriteRepository;
use parlor_contracts::chat::{ChatEvent, ConversationKind};
use uuid::Uuid;

use crate::create_notification::{CreateNotifications, NewNotification};
use crate::mentions::{self, Naming};
use crate::notification::Origin;
use crate::preferences::{Occasion, Preferences, StoredPreferences};
use crate::read_with_messages::ReadWithMessages;
use crate::rooms::Rooms;
use crate::values::{Body, Title};

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
    /// How far the view was known to be when last looked at.
    reached: AtomicU64,
}

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
    /// Looks people up in `rooms`, what they want in `preferences`, and sends its commands to `commands`.
    pub fn new(
        rooms: Rooms,
        preferences: SqlWriteRepository<StoredPreferences>,
        commands: CommandBus,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { rooms, preferences, commands, clock, reached: AtomicU64::new(0) }
    }

    /// Waits until the view holds everything up to the message at `position`.
    async fn wait_for_rooms(&self, position: u64) -> Result<(), Failure> {
        if self.reached.load(Ordering::Relaxed) >= position {
            return Ok(());
        }
        let mut waited = Duration::ZERO;
        let mut pause = Duration::from_millis(1);
        loop {
            let reached = self.rooms.reached().await?;
            self.reached.store(reached, Ordering::Relaxed);
            if reached >= position {
                return Ok(());
            }
            if waited >= PATIENCE {
                return Err(Failure::Unavailable(format!(
                    "the view rooms is at {reached}, before {position}"
                )));
            }
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
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
        self.tell(message, conversation, &first, &named).await?;
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
mod tests {
    use super::*;
    use cqrs_core::{EventSource, PublicSource};
    use parlor_contracts::chat::ConversationKind::{Direct, Group};

    use crate::testing::{ANN, BOB, CY, ROOM, World, direct, group, joined, left};

    fn told(kind: &str, title: &str) -> (String, String) {
        (kind.to_owned(), title.to_owned())
    }

    #[tokio::test]
    async fn a_direct_message_is_told_to_the_other_and_not_to_its_sender() {
        let world = World::with_three_in(Direct).await;
        world.chat_says(&direct(1, ANN, "hello\nBob")).await;
        assert_eq!(world.inbox(BOB).await, [told("message", "Ann")]);
        let shown = world.page(BOB, true, 10).await.items.remove(0);
        assert_eq!(shown.body, "hello Bob");
        assert_eq!((shown.actor_id, shown.conversation_id), (Some(ANN), Some(ROOM)));
        assert!(world.inbox(ANN).await.is_empty());
        assert!(world.inbox(CY).await.is_empty());
    }

    #[tokio::test]
    async fn an_event_that_comes_again_tells_nobody_again() {
        let world = World::with_three_in(Direct).await;
        let event = world.chat_says(&direct(1, ANN, "hello")).await;
        world.react(&world.notify_of_chat, "chat.public", &event).await.expect("reacts");
        assert_eq!(world.inbox(BOB).await.len(), 1);
    }

    #[tokio::test]
    async fn what_was_told_in_part_is_told_to_the_rest_when_the_event_comes_again() {
        let world = World::with_three_in(Group).await;
        world.prefer(BOB, r#"{"kinds":{"group":"none"}}"#).await;
        let event = world.chat_says(&group(1, ANN, "@Bob @Cy")).await;
        assert!(world.inbox(BOB).await.is_empty());
        // As if Bob's had been missing: now he wants it, and Cy has it already.
        world.prefer(BOB, "{}").await;
        world.react(&world.notify_of_chat, "chat.public", &event).await.expect("reacts");
        assert_eq!(world.inbox(BOB).await.len(), 1);
        assert_eq!(world.inbox(CY).await.len(), 1);
    }

    #[tokio::test]
    async fn in_a_group_only_who_is_named_is_told_unless_they_want_everything() {
        let world = World::with_three_in(Group).await;
        world.chat_says(&group(1, ANN, "hello all")).await;
        assert!(world.inbox(BOB).await.is_empty());
        world.chat_says(&group(2, ANN, "hello @BOB, and @ann")).await;
        assert_eq!(world.inbox(BOB).await, [told("mention", "Ann · Team")]);
        assert!(world.inbox(ANN).await.is_empty());
        world.prefer(CY, &format!(r#"{{"conversations":{{"{ROOM}":"all"}}}}"#)).await;
        world.chat_says(&group(3, ANN, "hello again")).await;
        world.chat_says(&group(4, ANN, &format!("<@{CY}>?"))).await;
        assert_eq!(world.inbox(CY).await, [told("mention", "Ann · Team"), told("message", "Ann · Team")]);
    }

    #[tokio::test]
    async fn who_wants_everything_of_groups_is_told_in_those_joined_before_and_after() {
        let world = World::with_three_in(Group).await;
        world.prefer(BOB, r#"{"kinds":{"group":"all"}}"#).await;
        world.chat_says(&group(1, ANN, "one")).await;
        world.chat_says(&left(BOB)).await;
        world.chat_says(&group(2, ANN, "two")).await;
        world.chat_says(&joined(BOB, BOB, Group)).await;
        world.chat_says(&group(3, ANN, "three")).await;
        // What was told before the departure stays hidden.
        let bodies: Vec<_> =
            world.page(BOB, false, 10).await.items.into_iter().map(|told| told.body).collect();
        assert_eq!(bodies, ["three"]);
    }

    #[tokio::test]
    async fn who_wants_nothing_is_told_nothing() {
        let world = World::with_three_in(Direct).await;
        world.prefer(BOB, &format!(r#"{{"conversations":{{"{ROOM}":"none"}}}}"#)).await;
        world.chat_says(&direct(1, ANN, "hello @Bob")).await;
        assert!(world.inbox(BOB).await.is_empty());
        world.prefer(BOB, r#"{"muteUntil":"2999-01-01T00:00:00Z"}"#).await;
        world.chat_says(&direct(2, ANN, "hello @Bob")).await;
        assert!(world.inbox(BOB).await.is_empty());
        // Events are told at noon UTC unless the test says otherwise.
        world.prefer(BOB, r#"{"quietHours":{"from":"20:00","to":"22:00","timeZone":"Asia/Tokyo"}}"#).await;
        world.chat_says(&direct(3, ANN, "hello")).await;
        assert!(world.inbox(BOB).await.is_empty());
        world.prefer(BOB, r#"{"quietHours":{"from":"20:00","to":"22:00","timeZone":"Europe/Paris"}}"#).await;
        world.chat_says(&direct(4, ANN, "hello")).await;
        assert_eq!(world.inbox(BOB).await.len(), 1);
    }

    #[tokio::test]
    async fn somebody_outside_is_not_told_even_if_named() {
        let world = World::with_three_in(Group).await;
        world.chat_says(&left(CY)).await;
        world.chat_says(&group(1, ANN, &format!("@Cy <@{CY}>"))).await;
        assert!(world.inbox(CY).await.is_empty());
    }

    #[tokio::test]
    async fn who_joined_after_a_message_or_left_since_is_not_told_of_it() {
        let world = World::with_three_in(Group).await;
        world.chat_says(&left(CY)).await;
        // The reactor lags: the view knows already that Cy is back and Bob is gone.
        let lagging = world.chat.tell(&group(1, ANN, "@Bob @Cy")).await.expect("told");
        world.chat.tell(&joined(CY, ANN, Group)).await.expect("told");
        world.chat.tell(&left(BOB)).await.expect("told");
        world.project().await;
        world.react(&world.notify_of_chat, "chat.public", &lagging).await.expect("reacts");
        assert!(world.inbox(BOB).await.is_empty());
        assert!(world.inbox(CY).await.is_empty());
    }

    #[tokio::test]
    async fn the_reactor_waits_for_the_view() {
        let world = World::with_three_in(Direct).await;
        let early = world.chat.tell(&direct(1, ANN, "hello")).await.expect("told");
        let (result, ()) =
            tokio::join!(world.react(&world.notify_of_chat, "chat.public", &early), world.project());
        result.expect("reacts once the view is there");
        assert_eq!(world.inbox(BOB).await.len(), 1);
    }

    #[tokio::test]
    async fn being_added_to_a_group_is_told_and_beginning_one_is_not() {
        let world = World::with_three_in(Group).await;
        assert!(world.inbox(ANN).await.is_empty());
        world.chat_says(&left(CY)).await;
        world.chat_says(&joined(CY, ANN, Group)).await;
        let shown = world.page(CY, true, 10).await.items.remove(0);
        assert_eq!((shown.kind.as_str(), shown.title.as_str()), ("added-to-group", "Team"));
        assert_eq!(shown.body, "Ann added you");
        world.prefer(CY, r#"{"kinds":{"addedToGroup":"none"}}"#).await;
        world.chat_says(&left(CY)).await;
        world.chat_says(&joined(CY, ANN, Group)).await;
        assert!(world.inbox(CY).await.is_empty());
    }

    #[tokio::test]
    async fn reading_messages_reads_what_was_told_of_them() {
        let world = World::with_three_in(Direct).await;
        let first = world.chat_says(&direct(1, ANN, "one")).await;
        world.chat_says(&direct(2, ANN, "two")).await;
        assert_eq!(world.unread(BOB).await, 2);
        let read = ChatEvent::MessagesRead {
            conversation_id: ROOM,
            user_id: BOB,
            up_to: Uuid::from_u128(1),
            position: first.position.0,
        };
        world.chat_says(&read).await;
        let unread: Vec<_> =
            world.page(BOB, true, 10).await.items.into_iter().map(|told| told.body).collect();
        assert_eq!(unread, ["two"]);
    }

    #[tokio::test]
    async fn what_comes_from_a_deleted_message_or_a_left_conversation_is_hidden() {
        let world = World::with_three_in(Group).await;
        let first = world.chat_says(&group(1, ANN, "@Bob one")).await;
        world.chat_says(&group(2, ANN, "@Bob two")).await;
        let deleted = ChatEvent::MessageDeleted {
            conversation_id: ROOM,
            message_id: Uuid::from_u128(1),
            sender_id: ANN,
            position: first.position.0,
            deleted_by: ANN,
        };
        world.chat_says(&deleted).await;
        assert_eq!((world.inbox(BOB).await.len(), world.unread(BOB).await), (1, 1));
        world.chat_says(&left(BOB)).await;
        assert_eq!((world.inbox(BOB).await.len(), world.unread(BOB).await), (0, 0));
    }

    #[tokio::test]
    async fn a_rename_is_known_to_mentions_and_in_the_words_that_follow() {
        let world = World::with_three_in(Group).await;
        world.call_them(BOB, "Robert Ö").await;
        world.chat_says(&group(1, BOB, "it's me")).await;
        world.chat_says(&group(2, ANN, "@bob?")).await;
        assert!(world.inbox(BOB).await.is_empty());
        world.chat_says(&group(3, ANN, "@robert o?")).await;
        world.chat_says(&group(4, BOB, "@Ann!")).await;
        assert_eq!(world.inbox(BOB).await, [told("mention", "Ann · Team")]);
        assert_eq!(world.inbox(ANN).await, [told("mention", "Robert Ö · Team")]);
    }

    #[tokio::test]
    async fn what_is_public_says_who_is_told_and_where_it_comes_from() {
        use parlor_contracts::notification::NotificationEvent as Public;
        let world = World::with_three_in(Direct).await;
        world.chat_says(&direct(1, ANN, "hello")).await;
        let keyring = world.store.store.executor.keyring().clone();
        let log = world.store.store.log.clone();
        let source = PublicSource::new("notification.public", log, keyring.clone(), crate::publisher());
        let batch = source.read(cqrs_core::Position(0), 10).await.expect("read");
        let last = batch.events.last().expect("there is one");
        match keyring.decode::<Public>(last).await.expect("decodes") {
            Public::NotificationCreated { user_id, kind, body, message_id, .. } => {
                assert_eq!((user_id, kind.0.as_str(), body.text()), (BOB, "message", "hello"));
                assert_eq!(message_id, Some(Uuid::from_u128(1)));
                assert_eq!(last.stream, BOB);
            }
            other => panic!("{other:?}"),
        }
    }
}
