//! Kafka dies: every command is answered, and what services missed of each other is made up for afterwards.

use std::time::Duration;

use parlor_tests::{User, eventually, length};
use serde_json::json;

use crate::stage::{journal, page, told_of, whole_cluster};

const MESSAGES: usize = 50;

/// How long Kafka stays away: longer than clients wait for one answer of the brokers, and at least as long as it takes to send all.
fn outage() -> Duration {
    Duration::from_secs(length("PARLOR_TEST_OUTAGE_SECONDS", 8) as u64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_kafka_down_every_command_is_answered_and_others_views_complete_afterwards() {
    let Some(mut cluster) = whole_cluster().await else { return };
    let api = cluster.api();
    let (mut ann, mut bob) = (User::sign_up(&api, "Ann").await, User::sign_up(&api, "Bob").await);
    let room = ann.direct(&bob).await;

    cluster.kill("kafka").await;
    let mut replies = Vec::new();
    let mut beat = tokio::time::interval(outage() / MESSAGES as u32 + Duration::from_millis(1));
    for number in 0..MESSAGES {
        beat.tick().await;
        // A token lives for five minutes at most, an outage may be longer.
        if number % 10 == 0 {
            ann.sign_in().await;
            bob.sign_in().await;
        }
        replies.push(ann.say(&room, &format!("number {number}")).await);
    }
    // A command of each service, and queries that wait for what was written in the same service.
    let cyd = User::sign_up(&api, "Cyd").await;
    let bio = ann.patch("/v1/users/me/profile", &json!({"bio": "sings"})).expect(200).await;
    let shown = ann.get("/v1/users/me/profile").after(&bio.position()).expect(200).await;
    assert_eq!(shown.text("bio"), "sings");
    let quiet = bob.get("/v1/notifications/preferences").expect(200).await.json();
    bob.put("/v1/notifications/preferences", &quiet).expect(200).await;
    let (said, last) = journal(&replies);
    assert_eq!(page(&bob, &room, &last).await, said);
    assert_eq!(told_of(&bob, &room).await, 0, "nothing reaches the other service meanwhile");

    cluster.up(&["kafka"]).await;
    let back = std::time::Instant::now();
    eventually("each message is told of", async || {
        let told = told_of(&bob, &room).await;
        assert!(told <= MESSAGES, "{told} notifications of {MESSAGES} messages");
        (told == MESSAGES).then_some(())
    })
    .await;
    println!("{MESSAGES} messages sent without Kafka, told of within {:.1?} of its return", back.elapsed());
    // Whoever came meanwhile is known everywhere now.
    let with_cyd = ann.direct(&cyd).await;
    ann.say(&with_cyd, "welcome").await;
    let profile = cyd.get("/v1/users/me/profile").after(&cyd.registered).expect(200).await;
    assert_eq!(profile.text("displayName"), "Cyd");
}
