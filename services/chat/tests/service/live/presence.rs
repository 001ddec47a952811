//! Who is told of whom that they are there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cqrs_core::{Broadcast, InProcess};
use http_body_util::BodyExt as _;
use parlor_chat::live::LiveOptions;
use parlor_chat::values::History;
use parlor_contracts::user::{Availability, UserEvent};
use serde_json::Value;
use tokio::sync::broadcast;
use tower::ServiceExt as _;
use uuid::Uuid;

use super::{Reader, World, options};

fn is(user: Uuid, status: &str) -> impl Fn(&Value) -> bool {
    let data = (Value::from(user.to_string()), Value::from(status));
    move |frame| {
        frame["type"] == "presence"
            && (&frame["data"]["userId"], &frame["data"]["status"]) == (&data.0, &data.1)
    }
}

/// What `viewer` is answered of these users.
async fn asked(world: &World, viewer: Uuid, users: &[Uuid]) -> Vec<Value> {
    let (router, _) = parlor_chat::live::routes(world.live.clone()).split_for_parts();
    let router = cqrs_http::layer(router.with_state(world.chat.edge.clone()), world.chat.edge.options());
    let users = users.iter().map(Uuid::to_string).collect::<Vec<_>>().join(",");
    let request = axum::http::Request::get(format!("/v1/presence?users={users}"))
        .header("authorization", format!("Bearer {viewer}"))
        .body(axum::body::Body::empty());
    let response = router.oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    body["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn who_comes_and_goes_is_told_to_those_they_know_and_to_nobody_else() {
    let world = World::start().await;
    let mut people = Vec::new();
    for name in ["Ann", "Bob", "Cid", "Dee", "Eve"] {
        people.push(world.user(name).await);
    }
    let [ann, bob, cid, dee, eve] = people.try_into().unwrap();
    world.chat.group(ann, &[bob], History::SinceJoining).await;
    // Ann has Cid among her contacts; Dee has Ann among theirs, which tells Dee nothing.
    world.chat.announce(&UserEvent::UserContactAdded { user_id: ann, contact_id: cid }).await;
    world.chat.announce(&UserEvent::UserContactAdded { user_id: dee, contact_id: ann }).await;
    world.settle().await;
    let mut readers = [bob, cid, dee, eve].map(|who| world.reader(who));
    for reader in &mut readers {
        reader.catch_up().await;
    }
    let [mut of_bob, mut of_cid, mut of_dee, mut of_eve] = readers;
    let mut of_ann = world.reader(ann);
    of_ann.catch_up().await;
    let there = of_ann.see(is(bob, "online")).await;
    assert_eq!(there.get("cursor"), None, "it is nothing to resume from");
    of_bob.see(is(ann, "online")).await;
    of_cid.see(is(ann, "online")).await;
    for (viewer, sees) in [(ann, 1), (bob, 1), (cid, 1), (dee, 0), (eve, 0)] {
        assert_eq!(asked(&world, viewer, &[ann]).await.len(), sees);
    }
    of_ann.frames = None;
    let gone = of_bob.see(is(ann, "offline")).await;
    let last_seen = gone["data"]["lastSeenAt"].clone();
    assert!(last_seen.is_string());
    of_cid.see(is(ann, "offline")).await;
    assert_eq!(asked(&world, bob, &[eve, ann]).await[0]["lastSeenAt"], last_seen);
    // Whatever was for Dee and Eve has come by the time that this has.
    for (reader, user_id) in [(&mut of_dee, dee), (&mut of_eve, eve)] {
        world.chat.announce(&UserEvent::UserContactRemoved { user_id, contact_id: bob }).await;
        reader.hear(1).await;
        assert_eq!(reader.passed, Vec::<Value>::new());
    }
    assert!(of_cid.passed.is_empty(), "{:?}", of_cid.passed);
}

#[tokio::test]
async fn somebody_is_as_they_say_and_who_chose_to_seem_away_seems_so() {
    let world = World::start().await;
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    world.chat.group(ann, &[bob], History::SinceJoining).await;
    world.settle().await;
    let say = async |status| {
        world.chat.announce(&UserEvent::UserStatusChanged { user_id: ann, status, text: None }).await;
        world.settle().await;
    };
    let (mut of_ann, mut of_bob) = (world.reader(ann), world.reader(bob));
    of_bob.catch_up().await;
    of_ann.catch_up().await;
    of_bob.see(is(ann, "online")).await;
    say(Availability::Busy).await;
    of_bob.see(is(ann, "busy")).await;
    say(Availability::Offline).await;
    of_bob.see(is(ann, "offline")).await;
    let hidden = asked(&world, bob, &[ann]).await;
    // Connected anew, she still seems away, and isn't seen.
    of_ann.catch_up().await;
    let mut later = world.reader(bob);
    later.catch_up().await;
    assert_eq!(asked(&world, bob, &[ann]).await, hidden);
    say(Availability::Away).await;
    of_bob.see(is(ann, "away")).await;
    later.see(is(ann, "away")).await;
    assert_eq!(later.passed, Vec::<Value>::new(), "nothing else was told of her");
}

/// A process's way to the others, which may be cut as by a kill.
#[derive(Clone)]
struct Cut(InProcess, Arc<AtomicBool>);

impl Broadcast for Cut {
    fn tell(&self, note: Vec<u8>) {
        if !self.1.load(Ordering::SeqCst) {
            self.0.tell(note);
        }
    }
    fn listen(&self) -> broadcast::Receiver<Arc<[u8]>> {
        self.0.listen()
    }
}

#[tokio::test]
async fn processes_tell_each_other_who_is_connected_and_those_of_a_killed_one_are_gone() {
    let between = InProcess::default();
    let first = LiveOptions { broadcast: Arc::new(between.clone()), ..options() };
    let world = World::on(crate::support::Chat::start().await, first);
    let killed = Arc::new(AtomicBool::new(false));
    let second =
        world.another(LiveOptions { broadcast: Arc::new(Cut(between, killed.clone())), ..options() });
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    world.chat.group(ann, &[bob], History::SinceJoining).await;
    world.settle().await;
    let (mut here, mut there) = (world.reader(bob), Reader::of(&second.live, ann));
    here.catch_up().await;
    there.catch_up().await;
    here.see(is(ann, "online")).await;
    there.see(is(bob, "online")).await;
    assert_eq!(asked(&world, bob, &[ann]).await[0]["status"], "online");
    // Who moves to another process was never away.
    let mut moved = world.reader(ann);
    moved.catch_up().await;
    there.frames = None;
    there.connect();
    moved.frames = None;
    killed.store(true, Ordering::SeqCst);
    let gone = here.see(|frame| is(ann, "offline")(frame) || is(ann, "online")(frame)).await;
    assert_eq!(gone["data"]["status"], "offline");
    assert!(gone["data"]["lastSeenAt"].is_string());
}
