//! What goes to whom, and how connections end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cqrs_core::{Failure, Log as _, Personal, Plain, TokenCodec};
use parlor_chat::delete_message::DeleteMessage;
use parlor_chat::live::{Frame, LiveOptions, QueueLimits, StillSignedIn};
use parlor_chat::remove_participant::RemoveParticipant;
use parlor_chat::values::History;
use parlor_contracts::notification::NotificationEvent;
use parlor_contracts::user::{Availability, UserEvent};
use serde_json::{Value, json};
use uuid::Uuid;

use super::histories::heard_key;
use super::{Always, Reader, World, options};
use crate::postgres::SKIPPED;
use crate::support::Chat;

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
async fn caught_up_tells_how_far_views_must_be_to_lack_nothing() {
    let world = World::start().await;
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let room = world.chat.group(ann, &[bob], History::SinceJoining).await.id;
    let said = world.chat.say(ann, room, "before").await;
    world.settle().await;
    let mut frames = world.live.connect(bob, None, Always).unwrap();
    let Some(Frame::CaughtUp { position, .. }) = frames.recv().await else {
        panic!("it begins with caught-up")
    };
    let held = TokenCodec::new(&[7; 32]).decode_positions(&position).unwrap();
    let (epoch, held) = held.get("chat").unwrap();
    assert_eq!(epoch, world.chat.store.store.log.epoch());
    assert!(held.0 >= said.position.parse().unwrap(), "{held:?} of {said:?}");
    assert!(held <= *world.chat.store.store.log.head().borrow(), "what never comes would be waited for");
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_loses_nothing() {
    let limits = QueueLimits { events: 8, ..QueueLimits::default() };
    let world = World::on(Chat::start().await, LiveOptions { limits, ..options() });
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
async fn news_of_those_whom_one_knows_are_found_among_those_of_many_strangers() {
    found_among_strangers(World::start().await).await;
}

#[tokio::test]
async fn news_of_those_whom_one_knows_are_found_among_those_of_many_strangers_on_postgres() {
    let Some(chat) = Chat::start_on_postgres("strangers").await else { return eprintln!("{SKIPPED}") };
    found_among_strangers(World::on(chat, options())).await;
}

async fn found_among_strangers(world: World) {
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let (cid, dee, eve) = (world.user("Cid").await, world.user("Dee").await, world.user("Eve").await);
    for _ in 0..2 {
        let room = world.chat.group(ann, &[bob, eve], History::SinceJoining).await.id;
        world.chat.act(eve, RemoveParticipant { conversation: room, user: eve }).await.unwrap();
    }
    world.chat.announce(&UserEvent::UserContactAdded { user_id: ann, contact_id: cid }).await;
    // Who has somebody among their contacts is told of them, not the other way round.
    world.chat.announce(&UserEvent::UserContactAdded { user_id: dee, contact_id: ann }).await;
    world.settle().await;
    // What a look at each event finds, what the acquaintances are asked for, and what doesn't fit on a page.
    for (strangers, known) in [(2, 1), (150, 1), (150, 130)] {
        let mut later = world.reader(ann);
        later.catch_up().await;
        later.frames = None;
        let says = async |user_id, n: usize| {
            let text = Some(Personal::new(user_id, n.to_string()));
            let status = Availability::Away;
            world.chat.announce(&UserEvent::UserStatusChanged { user_id, status, text }).await;
        };
        for n in 0..strangers.max(known) {
            if n < strangers {
                says(if n % 2 == 0 { dee } else { eve }, n).await;
            }
            if n < known {
                says(bob, n).await;
                says(cid, n).await;
                // Nobody else's business.
                for user_id in [ann, bob] {
                    world.chat.announce(&UserEvent::UserContactRemoved { user_id, contact_id: dee }).await;
                }
            }
        }
        world.settle().await;
        later.catch_up().await;
        let heard: Vec<_> = later
            .heard
            .iter()
            .map(|event| match event["type"].as_str().unwrap() {
                "user.status-changed" => (event["data"]["userId"].clone(), event["data"]["text"].clone()),
                kind => (Value::from(kind), Value::Null),
            })
            .collect();
        let text = |n: usize| Value::from(n.to_string());
        let expected: Vec<_> = (0..known)
            .flat_map(|n| {
                let removed = (Value::from("user.contact-removed"), Value::Null);
                [(json!(bob), text(n)), (json!(cid), text(n)), removed]
            })
            .collect();
        assert_eq!(heard, expected, "{known} among {strangers} of strangers");
    }
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
