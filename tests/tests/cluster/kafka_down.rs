//! Kafka dies: every command is answered, and what services missed of each other is made up for afterwards.

use parlor_tests::{User, eventually};
use serde_json::json;

use crate::stage::{journal, page, told_of, whole_cluster};

const MESSAGES: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_kafka_down_every_command_is_answered_and_others_views_complete_afterwards() {
    let Some(mut cluster) = whole_cluster().await else { return };
    let api = cluster.api();
    let (ann, bob) = (User::sign_up(&api, "Ann").await, User::sign_up(&api, "Bob").await);
    let room = ann.direct(&bob).await;

    cluster.kill("kafka").await;
    let mut replies = Vec::new();
    for number in 0..MESSAGES {
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
    eventually("each message is told of", async || {
        let told = told_of(&bob, &room).await;
        assert!(told <= MESSAGES, "{told} notifications of {MESSAGES} messages");
        (told == MESSAGES).then_some(())
    })
    .await;
    // Whoever came meanwhile is known everywhere now.
    let with_cyd = ann.direct(&cyd).await;
    ann.say(&with_cyd, "welcome").await;
    let profile = cyd.get("/v1/users/me/profile").after(&cyd.registered).expect(200).await;
    assert_eq!(profile.text("displayName"), "Cyd");
}
