//! Where webhooks' messages go: to receivers whom the operator's authority vouches for, and nowhere from a copy that is tried
//! out.

use parlor_tests::cast::administrator;
use parlor_tests::{Options, Server, Store, User, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::receiver::{Receiver, certificate};

/// Settings by which this machine's receivers may be reached, and failures are short.
fn settings() -> Vec<(&'static str, String)> {
    vec![
        ("PARLOR_OUTBOUND_ALLOW_NETWORKS", "127.0.0.0/8".to_owned()),
        ("PARLOR_WEBHOOKS_FIRST_RETRY_MS", "20".to_owned()),
        ("PARLOR_WEBHOOKS_LONGEST_RETRY_SECONDS", "1".to_owned()),
    ]
}

/// Registers a receiver for messages; gives the webhook's route.
async fn register(admin: &User, receiver: &Receiver) -> String {
    let hook = json!({"url": receiver.url(), "events": ["chat.message-sent"]});
    let made = eventually("the other services are heard of", async || {
        let reply = admin.post("/v1/webhooks", &hook).send().await;
        (reply.status == 201).then_some(reply)
    })
    .await;
    format!("/v1/webhooks/{}", made.text("id"))
}

/// What was said, as the receiver was told.
fn told(receiver: &Receiver) -> Vec<Value> {
    receiver.taken().iter().map(|(_, body)| body["data"]["content"].clone()).collect()
}

/// Waits until a message came, as the only one, and its place is kept: before, it would come once more after a start.
async fn delivered(admin: &User, hook: &str, receiver: &Receiver, message: &str) {
    eventually("it comes and that is kept", async || {
        let lag = admin.get(hook).expect(200).await.json()["lag"].clone();
        (told(receiver) == [message] && lag == 0).then_some(())
    })
    .await;
}

/// The webhook as the console shows it: how it is, and what is wrong.
async fn shown(admin: &User) -> (Value, Value) {
    let overview = admin.get("/v1/admin/notification/overview").expect(200).await.json();
    let handlers = overview["handlers"].as_array().expect("handlers");
    let webhook = handlers.iter().find(|handler| handler["kind"] == "webhook");
    let webhook = webhook.unwrap_or_else(|| panic!("no webhook in {overview}"));
    (webhook["state"].clone(), webhook["error"].clone())
}

/// Somebody's own, signed in anew: at a server that was started again, or at a copy.
async fn at(server: &Server, user: &User) -> User {
    let mut user = User { api: server.api().clone(), ..user.clone() };
    user.sign_in().await;
    user
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_go_to_receivers_whom_the_operators_authority_vouches_for() {
    let (ours, theirs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (authority, another) = (certificate(ours.path()), certificate(theirs.path()));
    let receiver = Receiver::secure(ours.path()).await;
    let mut settings = settings();
    settings.push(("PARLOR_OUTBOUND_CA_FILE", authority.display().to_string()));
    let mut server = Server::start_with(Store::Sqlite, Options { settings, ..Options::default() }).await;
    let admin = administrator(&server).await;
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    let hook = register(&admin, &receiver).await;
    ann.say(&room, "over TLS").await;
    delivered(&admin, &hook, &receiver, "over TLS").await;
    eventually("the console says so", async || {
        (shown(&admin).await == (json!("live"), Value::Null)).then_some(())
    })
    .await;

    server.stop().await;
    server.set("PARLOR_OUTBOUND_CA_FILE", &another.display().to_string());
    server.start_again().await;
    let (admin, ann) = (at(&server, &admin).await, at(&server, &ann).await);
    ann.say(&room, "not to strangers").await;
    let refused = (json!("stuck"), json!("can't be connected to"));
    eventually("nobody vouches for it", async || (shown(&admin).await == refused).then_some(())).await;
    assert_eq!(told(&receiver), ["over TLS"]);

    server.stop().await;
    server.set("PARLOR_OUTBOUND_CA_FILE", &authority.display().to_string());
    server.start_again().await;
    let all = ["over TLS", "not to strangers"];
    eventually("it comes after all", async || (told(&receiver) == all).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_tried_out_sends_nothing_until_it_may() {
    let receiver = Receiver::plain(0).await;
    let options = || Options { settings: settings(), ..Options::default() };
    let server = Server::start_with(Store::Sqlite, options()).await;
    let admin = administrator(&server).await;
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    let hook = register(&admin, &receiver).await;
    ann.say(&room, "from the instance").await;
    delivered(&admin, &hook, &receiver, "from the instance").await;
    let file = server.folder().join("parlor.backup");
    server.run_ok(&["backup", file.to_str().unwrap()]).await;

    let mut copy = Server::prepare(Store::Sqlite, options()).await;
    copy.set("PARLOR_OUTBOUND_ENABLED", "false");
    copy.run_ok(&["restore", file.to_str().unwrap()]).await;
    copy.start_again().await;
    let (admin, ann, bob) = (at(&copy, &admin).await, at(&copy, &ann).await, at(&copy, &bob).await);
    ann.say(&room, "from the copy").await;
    eventually("whoever follows messages has come to it", async || {
        (bob.all("/v1/notifications", None).await.len() == 2).then_some(())
    })
    .await;
    assert_eq!(shown(&admin).await, (json!("paused"), Value::Null));
    copy.stop().await;
    assert_eq!(told(&receiver), ["from the instance"]);

    // That it was only held back shows that there was something to send.
    copy.set("PARLOR_OUTBOUND_ENABLED", "true");
    copy.start_again().await;
    let all = ["from the instance", "from the copy"];
    eventually("it comes once it may", async || (told(&receiver) == all).then_some(())).await;
}
