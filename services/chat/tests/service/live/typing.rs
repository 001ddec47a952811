//! Who is typing: told to those who are there, and recorded nowhere.

use std::sync::Arc;

use cqrs_core::{Broadcast as _, Failure, InProcess, Log as _};
use parlor_chat::live::LiveOptions;
use parlor_chat::remove_participant::RemoveParticipant;
use parlor_chat::values::History;
use serde_json::Value;

use super::{Reader, World, options};
use crate::support::{Chat, code};

fn is_typing(frame: &Value) -> bool {
    frame["type"] == "typing"
}

#[tokio::test]
async fn the_others_are_told_in_every_process_and_nothing_is_recorded() {
    let between = InProcess::default();
    let shared = || LiveOptions { broadcast: Arc::new(between.clone()), ..options() };
    let world = World::on(Chat::start().await, shared());
    let second = world.another(shared());
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let (cid, eve) = (world.user("Cid").await, world.user("Eve").await);
    let room = world.chat.group(ann, &[bob, cid], History::SinceJoining).await.id;
    world.chat.group(ann, &[eve], History::SinceJoining).await;
    world.settle().await;
    let mut readers = [ann, bob, eve].map(|who| world.reader(who));
    let mut elsewhere = Reader::of(&second.live, cid);
    for reader in readers.iter_mut().chain([&mut elsewhere]) {
        reader.catch_up().await;
    }
    let head = *world.chat.store.store.log.head().borrow();
    world.live.typing(ann, room).await.unwrap();
    for reader in [&mut readers[1], &mut elsewhere] {
        let frame = reader.see(is_typing).await;
        let expected = serde_json::json!({"conversationId": room, "userId": ann});
        assert_eq!((&frame["data"], frame.get("cursor")), (&expected, None));
    }
    assert_eq!(*world.chat.store.store.log.head().borrow(), head);
    // By then it would have come to the others, too.
    world.chat.say(ann, room, "there").await;
    readers[0].hear(1).await;
    assert!(!readers[0].passed.iter().any(is_typing), "nobody is told of themselves");
    readers[2].look(100);
    assert!(!readers[2].passed.iter().any(is_typing), "who isn't in is told nothing");
}

#[tokio::test]
async fn security_30_whether_somebody_may_type_there_is_asked_each_time() {
    let world = World::start().await;
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let (eve, room) =
        (world.user("Eve").await, world.chat.group(ann, &[bob], History::SinceJoining).await.id);
    world.live.typing(bob, room).await.unwrap();
    assert_eq!(code(world.live.typing(eve, room).await), "not-found");
    assert_eq!(code(world.live.typing(bob, eve).await), "not-found");
    world.chat.act(ann, RemoveParticipant { conversation: room, user: bob }).await.unwrap();
    // At once, whatever the views know by now.
    assert_eq!(code(world.live.typing(bob, room).await), "not-found");
}

#[tokio::test]
async fn who_types_too_fast_is_told_so() {
    let world = World::start().await;
    let ann = world.user("Ann").await;
    let room = world.chat.group(ann, &[], History::SinceJoining).await.id;
    let mut last = Ok(());
    for _ in 0..30 {
        last = world.live.typing(ann, room).await;
    }
    assert!(matches!(last, Err(Failure::Refused(refused)) if refused.code == "too-many-requests"));
}

#[tokio::test]
async fn what_other_versions_say_between_processes_is_ignored() {
    let between = InProcess::default();
    let world =
        World::on(Chat::start().await, LiveOptions { broadcast: Arc::new(between.clone()), ..options() });
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let room = world.chat.group(ann, &[bob], History::SinceJoining).await.id;
    world.settle().await;
    let mut reader = world.reader(bob);
    reader.catch_up().await;
    for note in [&b""[..], b"{", b"{\"process\":\"7\",\"type\":\"typing\"}", &[0xff; 40]] {
        between.tell(note.to_vec());
    }
    world.live.typing(ann, room).await.unwrap();
    reader.see(is_typing).await;
}
