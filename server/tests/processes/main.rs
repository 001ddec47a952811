//! A process for each service, on PostgreSQL and Kafka.

#![expect(clippy::unwrap_used, reason = "the helpers are part of the tests")]

mod installation;
mod kafka;

use serde_json::{Value, json};

use installation::{Answer, Installation, free_port, until};

const PASSWORD: &str = "three green parrots";

/// Somebody who is signed in, with what auth wrote last.
struct Person {
    id: String,
    token: String,
    written: String,
}

async fn registers(all: &Installation, name: &str) -> Person {
    let email = format!("{}@example.org", name.to_lowercase());
    let body = json!({"email": email, "password": PASSWORD, "displayName": name});
    let registered = all.call("auth", "POST", "/v1/auth/register", None, &[], Some(body)).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    let (id, token) = signs_in(all, &email).await;
    assert_eq!(json!(id), registered.body["userId"]);
    Person { id, token, written: registered.position.unwrap() }
}

async fn signs_in(all: &Installation, email: &str) -> (String, String) {
    let body = json!({"email": email, "password": PASSWORD});
    let answer = all.call("auth", "POST", "/v1/auth/login", None, &[], Some(body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
    (text("userId"), text("accessToken"))
}

/// The account once it has heard of its profile: auth → user → auth.
async fn profiled(all: &Installation, who: &Person) -> Value {
    until("the profile is made", async || {
        let me = all.call("auth", "GET", "/v1/auth/me", Some(&who.token), &[], None).await;
        (me.body["profile"] == "ready").then_some(me.body)
    })
    .await
}

async fn begins(all: &Installation, by: &Person, with: &Person, wanted: &[&str]) -> Answer {
    let body = json!({"kind": "group", "participants": [with.id], "title": "Crew"});
    all.call("chat", "POST", "/v1/conversations", Some(&by.token), wanted, Some(body)).await
}

#[tokio::test]
async fn what_one_process_was_told_every_other_one_knows_at_once() {
    let Some(all) = Installation::of_four().await else { return };
    let ann = registers(&all, "Ann").await;
    for n in 0..10 {
        // auth → Kafka → user's reactor → user's log → Kafka → chat's view of people.
        let bob = registers(&all, &format!("Bob{n}")).await;
        let begun = begins(&all, &ann, &bob, &[&ann.written, &bob.written]).await;
        assert_eq!(begun.status, 201, "{begun:?}");
        let path = format!("/v1/conversations/{}/messages", begun.body["id"].as_str().unwrap());
        let hello = Some(json!({"content": format!("hello @Bob{n}")}));
        let sent = all.call("chat", "POST", &path, Some(&ann.token), &[], hello).await;
        assert_eq!(sent.status, 201, "{sent:?}");
        // chat → Kafka → notification's reactor → its log → its view.
        let wanted = sent.position.unwrap();
        let inbox =
            all.call("notification", "GET", "/v1/notifications", Some(&bob.token), &[&wanted], None).await;
        let kinds: Vec<_> =
            inbox.body["items"].as_array().unwrap().iter().map(|told| &told["kind"]).collect();
        assert!(kinds.contains(&&json!("mention")), "{inbox:?}");
    }
    assert_eq!(profiled(&all, &ann).await["profileRefusal"], Value::Null);
    // What a process doesn't do it says.
    let elsewhere = all.call("chat", "GET", "/v1/users/me/profile", Some(&ann.token), &[], None).await;
    assert_eq!((elsewhere.status, &elsewhere.body["code"]), (421, &json!("misdirected-request")));
    let (well, said) = all.operate("chat", &["user", "promote", "ann@example.org"]);
    assert!(!well && said.contains("the auth service doesn't run in this process"), "{said}");
    let (well, said) = all.operate("auth", &["user", "promote", "ann@example.org"]);
    assert!(well, "{said}");
    let (well, said) = all.operate("chat", &["views", "status"]);
    assert!(well && said.contains("timeline") && !said.contains("inbox"), "{said}");
}

#[tokio::test]
async fn security_17_with_auth_down_tokens_go_on_and_ended_sessions_stay_refused_even_after_a_restart() {
    let Some(mut all) = Installation::of_four().await else { return };
    let ann = registers(&all, "Ann").await;
    let (_, ended) = signs_in(&all, "ann@example.org").await;
    let (well, key) = all.operate("auth", &["service-key", "create", "shop"]);
    assert!(well, "{key}");
    let key = key.lines().next().unwrap().to_owned();
    let asks = async |all: &Installation, token: &str| {
        all.call("chat", "GET", "/v1/conversations", Some(token), &[], None).await.status
    };
    assert_eq!(asks(&all, &ended).await, 200);
    let out = all.call("auth", "POST", "/v1/auth/logout", Some(&ended), &[], Some(json!({}))).await;
    assert_eq!(out.status, 204, "{out:?}");
    until("chat hears of the end", async || (asks(&all, &ended).await == 401).then_some(())).await;

    all.kill("auth");
    let unsigned = all.try_call("auth", "GET", "/health/live", None, &[], None).await;
    assert!(unsigned.is_none(), "{unsigned:?}");
    for _ in 0..2 {
        assert_eq!(asks(&all, &ann.token).await, 200);
        assert_eq!(asks(&all, &ended).await, 401);
        // An application is known too, and is no user.
        let body = json!({"userId": ann.id, "kind": "note", "title": "Hi", "body": "there"});
        let told = all.call("notification", "POST", "/v1/notifications", Some(&key), &[], Some(body)).await;
        assert_eq!(told.status, 201, "{told:?}");
        all.kill("chat");
        all.start_again("chat");
        all.ready("chat").await;
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_yet_is_named_and_waited_for() {
    let Some(mut all) = Installation::new().await else { return };
    let port = free_port();
    all.start_with("user", &["user"], &[("PARLOR_USER_STORE_LOG_URL", all.store_url(Some(port)))]);
    let unready = until("it is live, and not ready", async || {
        let answer = all.try_call("user", "GET", "/health/ready", None, &[], None).await?;
        answer.body["missing"].to_string().contains("the database of user").then_some(answer)
    })
    .await;
    assert_eq!(unready.status, 503);
    assert_eq!(all.call("user", "GET", "/health/live", None, &[], None).await.status, 200);
    let closed = all.call("user", "GET", "/v1/users/me/profile", None, &[], None).await;
    assert_eq!((closed.status, &closed.body["code"]), (503, &json!("unavailable")));

    // Now it comes.
    let forwarding = Installation::forward(port, all.postgres_address()).await;
    until("its routes are there", async || {
        let answer = all.call("user", "GET", "/v1/users/me/profile", None, &[], None).await;
        (answer.status == 401).then_some(())
    })
    .await;
    forwarding.abort();
}

#[tokio::test]
async fn two_processes_of_one_service_answer_for_each_other_and_one_answers_queries_only() {
    let Some(mut all) = Installation::of_four().await else { return };
    all.start("chat-too", &["chat"]);
    all.start("chat-queries", &["chat", "--only", "queries"]);
    for name in ["chat-too", "chat-queries"] {
        all.ready(name).await;
    }
    let (ann, bob) = (registers(&all, "Ann").await, registers(&all, "Bob").await);
    let begun = begins(&all, &ann, &bob, &[&ann.written, &bob.written]).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let path = format!("/v1/conversations/{}/messages", begun.body["id"].as_str().unwrap());
    for n in 0..10 {
        let process = ["chat", "chat-too"][n % 2];
        let body = Some(json!({"content": format!("message {n}")}));
        let sent = all.call(process, "POST", &path, Some(&ann.token), &[], body).await;
        assert_eq!(sent.status, 201, "{sent:?}");
        let wanted = sent.position.unwrap();
        for reads in ["chat", "chat-too", "chat-queries"] {
            let page = all.call(reads, "GET", &path, Some(&bob.token), &[&wanted], None).await;
            assert_eq!(page.body["items"][0]["id"], sent.body["id"], "{reads}: {page:?}");
        }
    }
    let body = Some(json!({"content": "no"}));
    let refused = all.call("chat-queries", "POST", &path, Some(&ann.token), &[], body).await;
    assert_eq!((refused.status, &refused.body["code"]), (421, &json!("misdirected-request")));
}

#[tokio::test]
async fn a_process_for_commands_and_one_for_queries_are_a_service_together() {
    let Some(mut all) = Installation::new().await else { return };
    let processes: [(&str, &[&str]); 4] = [
        ("auth", &["auth"]),
        ("user", &["user"]),
        ("chat", &["chat", "--only", "commands"]),
        ("chat-queries", &["chat", "--only", "queries"]),
    ];
    for (name, arguments) in processes {
        all.start(name, arguments);
    }
    for (name, _) in processes {
        all.ready(name).await;
    }
    let (ann, bob) = (registers(&all, "Ann").await, registers(&all, "Bob").await);
    let begun = begins(&all, &ann, &bob, &[&ann.written, &bob.written]).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let path = format!("/v1/conversations/{}/messages", begun.body["id"].as_str().unwrap());
    for n in 0..10 {
        let body = Some(json!({"content": format!("message {n}")}));
        let sent = all.call("chat", "POST", &path, Some(&ann.token), &[], body).await;
        assert_eq!(sent.status, 201, "{sent:?}");
        // The process that answers commands keeps the views that the other one reads.
        let page =
            all.call("chat-queries", "GET", &path, Some(&bob.token), &[&sent.position.unwrap()], None).await;
        assert_eq!(page.body["items"][0]["id"], sent.body["id"], "{page:?}");
    }
    let misdirected = json!("misdirected-request");
    let asked = all.call("chat", "GET", &path, Some(&bob.token), &[], None).await;
    assert_eq!((asked.status, &asked.body["code"]), (421, &misdirected));
    let said = Some(json!({"content": "no"}));
    let said = all.call("chat-queries", "POST", &path, Some(&ann.token), &[], said).await;
    assert_eq!((said.status, &said.body["code"]), (421, &misdirected));
}
