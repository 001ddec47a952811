//! A chat process is killed: whoever was online through it alone goes offline for those at the others, with when they were
//! last seen, and comes back wherever they connect next.

use std::time::Duration;

use parlor_tests::{Socket, User};
use serde_json::Value;
use tokio::time::timeout;

use crate::stage::{cluster, say_until_acknowledged};

/// What a process says of its people holds for 15 s, is looked at every 5 s, and who goes has 5 s to come back.
const IN_TIME: Duration = Duration::from_secs(15 + 5 + 5 + 5);

/// Waits until a connection says that somebody is so; gives all of it.
async fn shows(socket: &mut Socket, who: &User, status: &str) -> Value {
    let shown = async {
        loop {
            let presence = socket.until("presence").await.data;
            if presence["userId"] == who.id.as_str() && presence["status"] == status {
                return presence;
            }
        }
    };
    timeout(IN_TIME, shown).await.unwrap_or_else(|_| panic!("{} isn't {status} in time", who.name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_online_through_a_killed_process_goes_offline_with_when_they_were_last_seen() {
    let Some(cluster) = cluster().await else { return };
    let api = cluster.api();
    let (ann, bob) = (User::sign_up(&api, "Ann").await, User::sign_up(&api, "Bob").await);
    let room = ann.direct(&bob).await;
    let at = |user: &User, process: &str| User { api: cluster.api_of(process), ..user.clone() };
    let mut bobs = Socket::of(&at(&bob, "chat-2"), None).await;
    bobs.until("caught-up").await;
    let mut anns = Socket::of(&at(&ann, "chat-1"), None).await;
    anns.until("caught-up").await;
    shows(&mut bobs, &ann, "online").await;
    let before = ann.say(&room, "here").await.text("createdAt");

    cluster.kill("chat-1").await;
    // She is still shown online; whoever writes to her meanwhile waits for nothing.
    say_until_acknowledged(&bob, &room, "are you there?", "one").await;
    let gone = shows(&mut bobs, &ann, "offline").await;
    let after = say_until_acknowledged(&bob, &room, "she has gone", "two").await.text("createdAt");
    let last_seen = gone["lastSeenAt"].as_str().unwrap_or_else(|| panic!("no time in {gone}"));
    assert!((&*before..=&*after).contains(&last_seen), "{before} {last_seen} {after}");
    let path = format!("/v1/presence?users={}", ann.id);
    let asked = at(&bob, "chat-2").get(&path).expect(200).await.json()["items"][0].clone();
    assert_eq!(asked["status"], "offline", "{asked}");

    // She comes back elsewhere, from where she was: what was said meanwhile is there, once.
    let mut anns = Socket::of(&at(&ann, "chat-2"), anns.cursor()).await;
    let mut missed = Vec::new();
    while missed.len() < 3 {
        missed.push(anns.until("chat.message-sent").await.data["content"].clone());
    }
    assert_eq!(missed, ["here", "are you there?", "she has gone"]);
    shows(&mut bobs, &ann, "online").await;
}
