//! The notification service's process dies: chat doesn't notice, and what was missed is made up for.

use parlor_tests::{User, eventually};

use crate::stage::{cluster, journal, page, told_of};

const MESSAGES: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_notification_down_chat_goes_on_and_notifications_complete_afterwards() {
    let Some(mut cluster) = cluster().await else { return };
    let api = cluster.api();
    let (ann, bob) = (User::sign_up(&api, "Ann").await, User::sign_up(&api, "Bob").await);
    let room = ann.direct(&bob).await;

    cluster.kill("notification").await;
    let mut replies = Vec::new();
    for number in 0..MESSAGES {
        replies.push(ann.say(&room, &format!("number {number}")).await);
    }
    let (said, last) = journal(&replies);
    assert_eq!(page(&bob, &room, &last).await, said, "chat's own views go on");
    let away = bob.get("/v1/notifications").refused(503, "unavailable").await;
    assert!(away.header("retry-after").is_some(), "{away:?}");

    cluster.up(&["notification"]).await;
    eventually("each message is told of", async || {
        let told = told_of(&bob, &room).await;
        assert!(told <= MESSAGES, "{told} notifications of {MESSAGES} messages");
        (told == MESSAGES).then_some(())
    })
    .await;
}
