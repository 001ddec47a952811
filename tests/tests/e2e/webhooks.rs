//! Webhooks through kills: nothing is left out, nothing comes out of order, and what comes again says so.

use std::collections::BTreeSet;

use parlor_tests::cast::administrator;
use parlor_tests::{Dice, Options, Server, Store, User, eventually};
use serde_json::{Value, json};

use crate::receiver::Receiver;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_misses_nothing_through_kills_on_sqlite() {
    a_webhook_misses_nothing(Store::Sqlite, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_misses_nothing_through_kills_on_postgresql() {
    if let Some(store) = Store::postgres() {
        a_webhook_misses_nothing(store, 3).await;
    }
}

/// Messages between two kills.
const MESSAGES: usize = 12;

async fn a_webhook_misses_nothing(store: Store, kills: usize) {
    let mut dice = Dice::new("webhooks through kills");
    let receiver = Receiver::plain(7).await;
    let settings = vec![
        ("PARLOR_OUTBOUND_ALLOW_NETWORKS", "127.0.0.0/8".to_owned()),
        ("PARLOR_WEBHOOKS_FIRST_RETRY_MS", "20".to_owned()),
    ];
    let mut server = Server::start_with(store, Options { settings, ..Options::default() }).await;
    let admin = administrator(&server).await;
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    let hook = json!({"url": receiver.url(), "events": ["chat.message-sent"]});
    let made = eventually("the other services are heard of", async || {
        let reply = admin.post("/v1/webhooks", &hook).send().await;
        (reply.status == 201).then_some(reply)
    })
    .await;

    let mut said = Vec::new();
    for round in 0..kills {
        for number in 0..MESSAGES {
            let reply = ann.say(&room, &format!("{round}.{number}")).await;
            said.push(reply.text("id"));
        }
        // Wherever the deliveries are just then.
        let goal = said.len() - dice.below(MESSAGES);
        let some = async || (receiver.taken().len() >= goal).then_some(());
        eventually("deliveries go on", some).await;
        server.kill().await;
        server.start_again().await;
    }
    let last = said.last().cloned().unwrap();
    let message = |body: &Value| body["data"]["messageId"].as_str().unwrap_or_default().to_owned();
    eventually("the last message is delivered", async || {
        receiver.taken().iter().any(|(_, body)| message(body) == last).then_some(())
    })
    .await;

    let taken = receiver.taken();
    let (mut ids, mut first) = (BTreeSet::new(), Vec::new());
    for (id, body) in &taken {
        if ids.insert(id.clone()) {
            first.push(message(body));
        }
    }
    assert_eq!(first, said, "each once, in the order in which they were said");
    let path = format!("/v1/webhooks/{}", made.text("id"));
    let mut admin = admin;
    admin.sign_in().await;
    eventually("nothing is left to deliver", async || {
        let shown = admin.get(&path).send().await;
        (shown.status == 200 && shown.json()["lag"] == 0 && shown.json()["state"] == "active").then_some(())
    })
    .await;
}
