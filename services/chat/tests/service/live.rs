//! Live delivery: everything that one may know of, each once, in order, whatever happens to connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cqrs_core::{
    Aggregate as _, EventBus, EventSource, Failure, Log as _, LogSource, MemoryLog, Personal, Plain,
    Position, RunMode, TokenCodec,
};
use http_body_util::BodyExt as _;
use parlor_chat::add_participant::AddParticipant;
use parlor_chat::conversation::{Conversation, ConversationEvent};
use parlor_chat::delete_message::DeleteMessage;
use parlor_chat::edit_message::EditMessage;
use parlor_chat::live::{Frame, Live, QueueLimits, StillSignedIn};
use parlor_chat::mark_messages_read::MarkMessagesAsRead;
use parlor_chat::membership::{Membership, MembershipEvent};
use parlor_chat::message::{Message, MessageEvent};
use parlor_chat::read_mark::ReadMark;
use parlor_chat::remove_participant::RemoveParticipant;
use parlor_chat::values::History;
use parlor_contracts::notification::NotificationEvent;
use parlor_contracts::user::{Availability, UserEvent};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::postgres::SKIPPED;
use crate::support::{Chat, content, saying};

struct World {
    chat: Chat,
    live: Live,
    notes: Arc<MemoryLog>,
    bus: EventBus,
    _stop: watch::Sender<bool>,
}

impl World {
    async fn start() -> Self {
        Self::on(Chat::start().await, QueueLimits::default())
    }

    fn on(chat: Chat, limits: QueueLimits) -> Self {
        let notes = Arc::new(MemoryLog::new("notification.public"));
        let users: Arc<dyn EventSource> = Arc::new(LogSource(chat.users.clone()));
        let others = [users, Arc::new(LogSource(notes.clone()))];
        let store = &chat.store.store;
        let live = Live::new(store, &others, TokenCodec::new(&[7; 32]), limits);
        let bus = store.subscribe_projections(&others).subscribe(Arc::new(live.clone())).build().unwrap();
        let (stop, stopped) = watch::channel(false);
        let running = bus.clone();
        tokio::spawn(async move { running.run(stopped, RunMode::Follow).await });
        Self { chat, live, notes, bus, _stop: stop }
    }

    /// Somebody new, known to the views.
    async fn user(&self, name: &str) -> Uuid {
        let user_id = cqrs_core::Clock::fresh_id(&cqrs_core::SystemClock);
        let display_name = Personal::new(user_id, name.to_owned());
        let event = UserEvent::UserCreated { user_id, display_name, avatar_url: None, external_id: None };
        self.chat.announce(&event).await;
        self.settle().await;
        user_id
    }

    /// Waits until everything that happened is routed and in the views.
    async fn settle(&self) {
        let heads = [
            (parlor_chat::NAME, *self.chat.store.store.log.head().borrow()),
            ("user.public", *self.chat.users.head().borrow()),
            ("notification.public", *self.notes.head().borrow()),
        ];
        for progress in self.bus.progress() {
            let head = heads.iter().find(|(name, _)| *name == progress.source).unwrap().1;
            let mut place = self.bus.position(progress.handler, progress.source).unwrap();
            place.wait_for(|place| *place >= head).await.unwrap();
        }
    }

    fn reader(&self, user: Uuid) -> Reader {
        Reader { live: self.live.clone(), user, frames: None, cursor: None, heard: Vec::new(), caught_up: 0 }
    }
}

struct Always;

#[async_trait::async_trait]
impl StillSignedIn for Always {
    async fn check(&self) -> bool {
        true
    }
}

/// A client that keeps its cursor over its connections.
struct Reader {
    live: Live,
    user: Uuid,
    frames: Option<mpsc::Receiver<Frame>>,
    cursor: Option<String>,
    heard: Vec<Value>,
    caught_up: usize,
}

impl Reader {
    fn connect(&mut self) {
        self.frames = Some(self.live.connect(self.user, self.cursor.as_deref(), Always).unwrap());
    }

    fn take(&mut self, frame: &Frame) -> Option<&'static str> {
        if let Some(cursor) = frame.cursor() {
            self.cursor = Some(cursor.to_owned());
        }
        match frame {
            Frame::Event { .. } => self.heard.push(serde_json::from_str(&frame.to_json()).unwrap()),
            Frame::CaughtUp { .. } => self.caught_up += 1,
            Frame::Closed { code, .. } => return Some(code),
        }
        None
    }

    /// Takes what has arrived, at most `most`.
    fn look(&mut self, most: usize) {
        for _ in 0..most {
            match self.frames.as_mut().and_then(|frames| frames.try_recv().ok()) {
                Some(frame) => assert_eq!(self.take(&frame), None),
                None => return,
            }
        }
    }

    async fn next(&mut self) -> Result<(), &'static str> {
        let frame = self.frames.as_mut().unwrap().recv().await.ok_or("gone")?;
        self.take(&frame).map_or(Ok(()), Err)
    }

    /// Connects anew, and takes all that was missed.
    async fn catch_up(&mut self) {
        self.connect();
        let before = self.caught_up;
        while self.caught_up == before {
            self.next().await.unwrap();
        }
    }

    async fn hear(&mut self, n: usize) {
        while self.heard.len() < n {
            self.next().await.unwrap();
        }
    }

    fn kinds(&self) -> Vec<&str> {
        self.heard.iter().map(|event| event["type"].as_str().unwrap()).collect()
    }
}

/// What identifies an event: its type, its time, and what it is about.
type Key = (String, String, String);

fn key(kind: &str, at: jiff::Timestamp, about: Uuid) -> Key {
    (kind.to_owned(), format!("{at:.3}"), about.to_string())
}

fn heard_key(event: &Value) -> Key {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let about = ["id", "userId", "conversationId"].into_iter().find_map(|name| event["data"].get(name));
    (text(&event["type"]), text(&event["at"]), text(about.unwrap()))
}

/// One stay, by the positions of its first and last event, and since when messages are visible.
struct Stay {
    who: Uuid,
    first: u64,
    last: u64,
    since: u64,
}

/// What each hears of one conversation, folded from the log as plainly as can be.
async fn expected(chat: &Chat, room: Uuid, start: Position) -> impl Fn(Uuid) -> Vec<Key> {
    let keyring = chat.store.store.executor.keyring();
    let mut stays: Vec<Stay> = Vec::new();
    let mut events: Vec<(u64, Option<u64>, Key)> = Vec::new();
    let mut opening = None;
    for recorded in chat.store.store.log.read(start, 100_000).await.unwrap() {
        let (position, at) = (recorded.position.0, recorded.at);
        let in_room = |of: Uuid| of == room;
        match &*recorded.category {
            Conversation::CATEGORY if recorded.stream == room => {
                let kind = match keyring.decode(&recorded).await.unwrap() {
                    ConversationEvent::Created { .. } => {
                        opening = Some((position, recorded.correlation));
                        "chat.conversation-created"
                    }
                    ConversationEvent::Renamed { .. } => "chat.conversation-renamed",
                };
                events.push((position, None, key(kind, at, room)));
                continue;
            }
            Membership::CATEGORY => match keyring.decode(&recorded).await.unwrap() {
                MembershipEvent::Added { conversation, user, history, .. } if in_room(conversation) => {
                    let again = stays.iter().any(|stay| stay.who == user);
                    let since = if history == History::All && !again { 0 } else { position };
                    let begun = opening.filter(|(_, correlation)| *correlation == recorded.correlation);
                    let first = begun.map_or(position, |(created, _)| created);
                    stays.push(Stay { who: user, first, last: u64::MAX, since });
                    events.push((position, None, key("chat.participant-added", at, user)));
                    continue;
                }
                MembershipEvent::Removed { conversation, user } if in_room(conversation) => {
                    let stay = stays.iter_mut().rfind(|stay| stay.who == user).unwrap();
                    stay.last = position;
                    events.push((position, None, key("chat.participant-removed", at, user)));
                }
                MembershipEvent::RoleChanged { conversation, user, .. } if in_room(conversation) => {
                    events.push((position, None, key("chat.participant-role-changed", at, user)));
                }
                _ => {}
            },
            ReadMark::CATEGORY => {
                let parlor_chat::read_mark::ReadMarkEvent::Read { conversation, user, .. } =
                    keyring.decode(&recorded).await.unwrap();
                if in_room(conversation) {
                    events.push((position, None, key("chat.messages-read", at, user)));
                }
            }
            Message::CATEGORY => {
                let id = recorded.stream;
                match keyring.decode(&recorded).await.unwrap() {
                    MessageEvent::Sent { conversation, .. } if in_room(conversation) => {
                        events.push((position, None, key("chat.message-sent", at, id)));
                    }
                    MessageEvent::Edited { conversation, position: of, .. } if in_room(conversation) => {
                        events.push((position, Some(of), key("chat.message-edited", at, id)));
                    }
                    MessageEvent::Deleted { conversation, position: of, .. } if in_room(conversation) => {
                        events.push((position, Some(of), key("chat.message-deleted", at, id)));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        opening = None;
    }
    move |who| {
        let mine: Vec<_> = stays.iter().filter(|stay| stay.who == who).collect();
        let hears = |position: u64| mine.iter().any(|stay| (stay.first..=stay.last).contains(&position));
        let sees = |message: u64| mine.iter().any(|stay| stay.since < message && message < stay.last);
        let theirs = events.iter().filter(|(position, about, _)| hears(*position) && about.is_none_or(sees));
        theirs.map(|(.., key)| key.clone()).collect()
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Send(usize),
    Edit(usize, usize),
    Delete(usize, usize),
    Read(usize, usize),
    Add(usize),
    Remove(usize),
    Connect(usize),
    Disconnect(usize, usize),
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..4_usize;
    let step = prop_oneof![
        6 => who.clone().prop_map(Step::Send),
        2 => (who.clone(), any::<usize>()).prop_map(|(who, what)| Step::Edit(who, what)),
        2 => (who.clone(), any::<usize>()).prop_map(|(who, what)| Step::Delete(who, what)),
        2 => (who.clone(), any::<usize>()).prop_map(|(who, what)| Step::Read(who, what)),
        2 => who.clone().prop_map(Step::Add),
        2 => (1..4_usize).prop_map(Step::Remove),
        3 => who.clone().prop_map(Step::Connect),
        3 => (who.clone(), 0..40_usize).prop_map(|(who, read)| Step::Disconnect(who, read)),
        1 => Just(Step::Settle),
    ];
    prop::collection::vec(step, 1..60)
}

/// Four people live through the steps, now connected and now not, while views and live delivery follow at their own pace.
async fn live_through(world: &World, open: bool, steps: Vec<Step>) {
    let chat = &world.chat;
    let mut people = Vec::new();
    for name in ["Ann", "Bob", "Cid", "Dee"] {
        people.push(world.user(name).await);
    }
    let mut readers: Vec<_> = people.iter().map(|who| world.reader(*who)).collect();
    for reader in &mut readers {
        reader.catch_up().await;
    }
    let start = *chat.store.store.log.head().borrow();
    let history = if open { History::All } else { History::SinceJoining };
    let room = chat.group(people[0], &people[1..3], history).await.id;
    let mut sent: Vec<Uuid> = Vec::new();
    for step in steps {
        let nth = |n: usize| sent.get(n % sent.len().max(1)).copied().unwrap_or_default();
        // Refusals are part of it.
        match step {
            Step::Send(who) => {
                if let Ok(reply) = chat.act(people[who], saying(room, &format!("by {who}"))).await {
                    sent.push(reply.parse::<parlor_chat::message::MessageAnswer>().unwrap().id);
                }
            }
            Step::Edit(who, what) => {
                let edit = EditMessage { conversation: room, message: nth(what), content: content("new") };
                let _ = chat.act(people[who], edit).await;
            }
            Step::Delete(who, what) => {
                let delete = DeleteMessage { conversation: room, message: nth(what) };
                let _ = chat.act(people[who], delete).await;
            }
            Step::Read(who, what) => {
                let read = MarkMessagesAsRead { conversation: room, up_to: nth(what) };
                let _ = chat.act(people[who], read).await;
            }
            Step::Add(who) => {
                let add = AddParticipant { conversation: room, user: people[who], role: None };
                let _ = chat.act(people[0], add).await;
            }
            Step::Remove(who) => {
                let remove = RemoveParticipant { conversation: room, user: people[who] };
                let _ = chat.act(people[0], remove).await;
            }
            Step::Connect(who) => readers[who].connect(),
            Step::Disconnect(who, read) => {
                readers[who].look(read);
                readers[who].frames = None;
            }
            Step::Settle => world.settle().await,
        }
    }
    world.settle().await;
    let expected = expected(chat, room, start).await;
    for reader in &mut readers {
        reader.catch_up().await;
        let heard: Vec<_> = reader.heard.iter().map(heard_key).collect();
        assert_eq!(heard, expected(reader.user), "what {} hears", reader.user);
    }
}

fn on_one_world<F: Future<Output = ()>>(run: impl FnOnce(&'static World) -> F) {
    static WORLD: std::sync::OnceLock<(tokio::runtime::Runtime, World)> = std::sync::OnceLock::new();
    let (runtime, world) = WORLD.get_or_init(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let world = runtime.block_on(World::start());
        (runtime, world)
    });
    runtime.block_on(run(world));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn over_any_number_of_connections_each_hears_all_they_may_once_and_in_order(
        open in any::<bool>(), steps in steps()
    ) {
        on_one_world(|world| live_through(world, open, steps));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_postgres() {
    let Some(chat) = Chat::start_on_postgres("live").await else { return eprintln!("{SKIPPED}") };
    let world = World::on(chat, QueueLimits::default());
    // The same histories each time: chance has its turn on SQLite.
    let mut runner = TestRunner::deterministic();
    for n in 0..12 {
        let history = steps().new_tree(&mut runner).unwrap().current();
        live_through(&world, n % 2 == 0, history).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_many_write_at_once_readers_who_come_and_go_miss_nothing() {
    let world = Arc::new(World::start().await);
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let mut reader = world.reader(bob);
    reader.catch_up().await;
    let start = *world.chat.store.store.log.head().borrow();
    let room = world.chat.group(ann, &[bob], History::SinceJoining).await.id;
    let writers: Vec<_> = (0..4)
        .map(|n| {
            let world = world.clone();
            tokio::spawn(async move {
                for i in 0..100 {
                    let who = if n % 2 == 0 { ann } else { bob };
                    world.chat.say(who, room, &format!("{n} {i}")).await;
                }
            })
        })
        .collect();
    for round in 0..40 {
        reader.connect();
        reader.hear(reader.heard.len() + round % 7).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    world.settle().await;
    reader.catch_up().await;
    let heard: Vec<_> = reader.heard.iter().map(heard_key).collect();
    assert_eq!(heard, expected(&world.chat, room, start).await(bob));
    assert_eq!(heard.len(), 403, "the beginning, two joinings, and all that was said");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_sent_after_a_removal_reaches_the_removed() {
    let world = Arc::new(World::start().await);
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let room = world.chat.group(ann, &[bob], History::SinceJoining).await.id;
    world.settle().await;
    let mut connected = world.reader(bob);
    connected.catch_up().await;
    let (mut resuming, mut ann_hears) = (world.reader(bob), world.reader(ann));
    resuming.catch_up().await;
    resuming.frames = None;
    ann_hears.catch_up().await;
    let removed = Arc::new(AtomicBool::new(false));
    let busy = {
        let (world, removed) = (world.clone(), removed.clone());
        tokio::spawn(async move {
            let (mut said, mut after) = (0, 0);
            while after < 50 {
                world.chat.say(ann, room, &said.to_string()).await;
                after += usize::from(removed.load(Ordering::SeqCst));
                said += 1;
            }
            said
        })
    };
    connected.hear(20).await;
    world.chat.act(ann, RemoveParticipant { conversation: room, user: bob }).await.unwrap();
    removed.store(true, Ordering::SeqCst);
    let said: usize = busy.await.unwrap();
    world.settle().await;
    while connected.kinds().last() != Some(&"chat.participant-removed") {
        connected.next().await.unwrap();
    }
    connected.look(1_000);
    resuming.catch_up().await;
    ann_hears.hear(said + 1).await;
    let at = ann_hears.kinds().iter().position(|kind| *kind == "chat.participant-removed").unwrap();
    assert!((20..=said - 49).contains(&at), "removed in the midst of it");
    let keys = |reader: &Reader| reader.heard.iter().map(heard_key).collect::<Vec<_>>();
    assert_eq!(keys(&connected), keys(&ann_hears)[..=at]);
    assert_eq!(keys(&resuming), keys(&ann_hears)[..=at]);
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_loses_nothing() {
    let limits = QueueLimits { events: 8, ..QueueLimits::default() };
    let world = World::on(Chat::start().await, limits);
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let room = world.chat.group(ann, &[bob], History::SinceJoining).await.id;
    world.settle().await;
    let mut slow = world.reader(bob);
    slow.catch_up().await;
    for i in 0..100 {
        world.chat.say(ann, room, &i.to_string()).await;
    }
    world.settle().await;
    let closed = loop {
        if let Err(code) = slow.next().await {
            break code;
        }
    };
    assert_eq!(closed, "too-slow");
    assert!(slow.heard.len() < 100);
    slow.catch_up().await;
    let said: Vec<_> = slow.heard.iter().map(|event| event["data"]["content"].clone()).collect();
    assert_eq!(said, (0..100).map(|i| Value::from(i.to_string())).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_deleted_meanwhile_comes_as_what_is_left_of_it() {
    let world = World::start().await;
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let room = world.chat.group(ann, &[bob], History::SinceJoining).await.id;
    world.settle().await;
    let (mut there, mut away) = (world.reader(bob), world.reader(bob));
    there.catch_up().await;
    away.catch_up().await;
    away.frames = None;
    let secret = world.chat.say(ann, room, "a secret").await;
    there.hear(1).await;
    world.chat.act(ann, DeleteMessage { conversation: room, message: secret.id }).await.unwrap();
    there.hear(2).await;
    world.settle().await;
    away.catch_up().await;
    assert_eq!(away.kinds(), ["chat.message-sent", "chat.message-deleted"]);
    assert_eq!(there.kinds(), away.kinds());
    assert_eq!(there.heard[0]["data"], serde_json::to_value(&secret).unwrap());
    assert_eq!(away.heard[0]["data"].get("content"), None);
    for event in &away.heard {
        assert_eq!(event["data"]["id"], serde_json::to_value(secret.id).unwrap());
        assert_eq!(event["data"]["position"], Value::from(secret.position.as_str()));
        assert!(event["data"]["deletedAt"].is_string());
    }
}

#[tokio::test]
async fn news_of_a_user_reach_those_who_know_them_live_and_resumed_alike() {
    let world = World::start().await;
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let (cid, dee) = (world.user("Cid").await, world.user("Dee").await);
    world.chat.group(ann, &[bob], History::SinceJoining).await;
    world.settle().await;
    let people = [ann, bob, cid, dee];
    let mut live: Vec<_> = people.map(|who| world.reader(who)).into();
    let mut later: Vec<_> = people.map(|who| world.reader(who)).into();
    for reader in live.iter_mut().chain(&mut later) {
        reader.catch_up().await;
    }
    for reader in &mut later {
        reader.frames = None;
    }
    world.chat.announce(&UserEvent::UserContactAdded { user_id: cid, contact_id: ann }).await;
    let text = Some(Personal::new(ann, "at sea".to_owned()));
    world
        .chat
        .announce(&UserEvent::UserStatusChanged { user_id: ann, status: Availability::Busy, text })
        .await;
    world.chat.announce(&UserEvent::UserContactRemoved { user_id: dee, contact_id: ann }).await;
    world.settle().await;
    let expected = [
        &["user.status-changed"][..],
        &["user.status-changed"],
        &["user.contact-added", "user.status-changed"],
        &["user.contact-removed"],
    ];
    for ((live, later), expected) in live.iter_mut().zip(&mut later).zip(expected) {
        live.hear(expected.len()).await;
        live.look(10);
        later.catch_up().await;
        assert_eq!((live.kinds(), later.kinds()), (expected.to_vec(), expected.to_vec()));
    }
    let status = &live[1].heard[0]["data"];
    assert_eq!((&status["status"], &status["text"]), (&Value::from("busy"), &Value::from("at sea")));
}

#[tokio::test]
async fn notifications_reach_their_person_and_not_who_has_left_what_they_come_from() {
    let world = World::start().await;
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let room = world.chat.group(ann, &[bob], History::SinceJoining).await.id;
    world.settle().await;
    let mut readers = [ann, bob, bob].map(|who| world.reader(who));
    for reader in &mut readers {
        reader.catch_up().await;
    }
    let [mut other, mut live, mut later] = readers;
    later.frames = None;
    let said = world.chat.say(ann, room, "@Bob").await;
    let notice = |conversation_id: Option<Uuid>, message_id| NotificationEvent::NotificationCreated {
        notification_id: Uuid::from_u128(7),
        user_id: bob,
        kind: Plain("mention".to_owned()),
        title: Personal::new(ann, "Ann".to_owned()),
        body: Personal::new(ann, "@Bob".to_owned()),
        link: None,
        actor_id: Some(ann),
        conversation_id,
        message_id,
        position: conversation_id.and(said.position.parse().ok()),
    };
    world.chat.publish(&world.notes, &notice(Some(room), Some(said.id))).await;
    world.chat.publish(&world.notes, &notice(None, None)).await;
    let read = NotificationEvent::NotificationRead { notification_id: Uuid::from_u128(7), user_id: bob };
    world.chat.publish(&world.notes, &read).await;
    live.hear(4).await;
    let notes =
        |reader: &Reader| reader.kinds().iter().filter(|kind| kind.starts_with("notification.")).count();
    assert_eq!(notes(&live), 3);
    world.chat.act(ann, RemoveParticipant { conversation: room, user: bob }).await.unwrap();
    world.settle().await;
    later.catch_up().await;
    assert_eq!(
        later.kinds(),
        ["chat.message-sent", "chat.participant-removed", "notification.created", "notification.read"],
        "what comes from the room is hidden by now"
    );
    assert_eq!(later.heard[2]["data"]["conversationId"], Value::Null);
    other.hear(2).await;
    other.look(10);
    assert_eq!(other.kinds(), ["chat.message-sent", "chat.participant-removed"]);
}

#[tokio::test]
async fn a_cursor_of_somebody_else_is_refused_and_one_of_a_restored_log_is_gone() {
    let (world, restored) = (World::start().await, World::start().await);
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let mut reader = world.reader(ann);
    reader.catch_up().await;
    let cursor = reader.cursor.unwrap();
    for (user, cursor) in [(bob, cursor.as_str()), (ann, &cursor[1..]), (ann, "")] {
        let refused = world.live.connect(user, Some(cursor), Always);
        assert!(matches!(refused, Err(Failure::Refused(_))), "{cursor} of {user}");
    }
    let gone = restored.live.connect(ann, Some(&cursor), Always);
    assert!(matches!(gone, Err(Failure::EpochChanged)));
    assert!(world.live.connect(ann, Some(&cursor), Always).is_ok());
}

struct Until(Arc<AtomicBool>);

#[async_trait::async_trait]
impl StillSignedIn for Until {
    async fn check(&self) -> bool {
        !self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn security_17_a_connection_ends_with_its_session() {
    let world = World::start().await;
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let room = world.chat.group(ann, &[bob], History::SinceJoining).await.id;
    world.settle().await;
    let ended = Arc::new(AtomicBool::new(false));
    let mut frames = world.live.connect(bob, None, Until(ended.clone())).unwrap();
    assert!(matches!(frames.recv().await, Some(Frame::CaughtUp { .. })));
    ended.store(true, Ordering::SeqCst);
    let closed = tokio::time::timeout(Duration::from_secs(5), frames.recv()).await.unwrap();
    assert!(matches!(closed, Some(Frame::Closed { code: "signed-out", retry_after_ms: None })), "{closed:?}");
    world.chat.say(ann, room, "not for you").await;
    assert!(frames.recv().await.is_none());
}

#[tokio::test]
async fn a_process_that_stops_closes_its_connections_and_takes_no_more() {
    let world = World::start().await;
    let ann = world.user("Ann").await;
    let mut reader = world.reader(ann);
    reader.catch_up().await;
    world.live.stop();
    assert_eq!(reader.next().await, Err("stopping"));
    reader.connect();
    assert_eq!(reader.next().await, Err("stopping"));
}

#[tokio::test]
async fn server_sent_events_carry_the_cursor_as_their_id_and_resume_by_it() {
    let world = World::start().await;
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let (router, _) = parlor_chat::live::sse::routes(world.live.clone()).split_for_parts();
    let router = cqrs_http::layer(router.with_state(world.chat.edge.clone()), world.chat.edge.options());
    let get = async |who: &str, uri: &str, last: Option<&str>| {
        let mut request = axum::http::Request::get(uri).header("authorization", format!("Bearer {who}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        router.clone().oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap()
    };
    let bobs = bob.to_string();
    let next = async |body: &mut axum::body::Body| {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let text = String::from_utf8(frame.to_vec()).unwrap();
        let line = |name: &str| {
            text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned())).unwrap()
        };
        let data: Value = serde_json::from_str(&line("data:")).unwrap();
        assert_eq!(data["cursor"], Value::from(line("id:")));
        data
    };
    let response = get(&bobs, "/v1/stream", None).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let mut body = response.into_body();
    let first = next(&mut body).await;
    assert_eq!(first["type"], "caught-up");
    let room = world.chat.group(ann, &[bob], History::SinceJoining).await.id;
    let created = next(&mut body).await;
    assert_eq!(
        (&created["type"], &created["data"]["conversationId"]),
        (&"chat.conversation-created".into(), &room.to_string().into())
    );
    drop(body);
    let said = world.chat.say(ann, room, "hello").await;
    let cursor = created["cursor"].as_str().unwrap();
    for (uri, last) in
        [("/v1/stream".to_owned(), Some(cursor)), (format!("/v1/stream?cursor={cursor}"), None)]
    {
        let mut body = get(&bobs, &uri, last).await.into_body();
        let mut kinds = Vec::new();
        let mut message = Value::Null;
        while kinds.last() != Some(&Value::from("caught-up")) || message.is_null() {
            let event = next(&mut body).await;
            if event["type"] == "chat.message-sent" {
                message = event["data"].clone();
            }
            kinds.push(event["type"].clone());
        }
        assert_eq!(message, serde_json::to_value(&said).unwrap());
        assert_eq!(kinds.iter().filter(|kind| *kind == "chat.participant-added").count(), 2);
    }
    assert_eq!(get("nobody", "/v1/stream", None).await.status(), 401);
    assert_eq!(get(&bobs, "/v1/stream?cursor=AAAA", None).await.status(), 422);
    assert_eq!(get(&bobs, "/v1/stream?colour=red", None).await.status(), 422);
    assert_eq!(get(&ann.to_string(), &format!("/v1/stream?cursor={cursor}"), None).await.status(), 422);
}
