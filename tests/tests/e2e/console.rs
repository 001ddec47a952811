//! What administrators see of an instance and do to it, over the API, wherever its services run.

use parlor_tests::{Cast, Reply, Server, Store, User, eventually};
use reqwest::Method;
use serde_json::{Value, json};

/// The request's trace, which what it sets off shares.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
/// Said by somebody, and nobody else's business.
const SECRET: &str = "the key lies under the third stone";

#[tokio::test]
async fn administrators_follow_a_command_through_the_services_on_sqlite() {
    follow_a_command(Store::Sqlite).await;
}

#[tokio::test]
async fn administrators_follow_a_command_through_the_services_on_postgresql() {
    if let Some(store) = Store::postgres() {
        follow_a_command(store).await;
    }
}

async fn way(admin: &User, service: &str, id: &str) -> Value {
    admin.get(&format!("/v1/admin/{service}/ways/{id}")).expect(200).await.json()
}

async fn overview(admin: &User, service: &str) -> Value {
    admin.get(&format!("/v1/admin/{service}/overview")).expect(200).await.json()
}

/// Whether everybody who follows `log` has come to `position`, in whatever service they are.
async fn taken_in(admin: &User, log: &str, position: u64) -> Option<()> {
    for service in ["auth", "user", "chat", "notification"] {
        let shown = overview(admin, service).await;
        for handler in shown["handlers"].as_array().expect("handlers") {
            let at: u64 = handler["position"].as_str().expect("a position").parse().expect("a number");
            if handler["follows"] == log && at < position {
                return None;
            }
        }
    }
    Some(())
}

async fn follow_a_command(store: Store) {
    let alone = matches!(store, Store::Sqlite);
    let server = Server::start(store).await;
    let cast = Cast::of(&server).await;
    let admin = &cast.admin;
    let trace = format!("00-{TRACE}-b7ad6b7169203331-01");
    let saying = cast.owner.saying(&cast.group, &format!("@Member {SECRET}"));
    let message = saying.header("traceparent", &trace).expect(201).await.text("id");

    let made = eventually("the notification is made", async || {
        let notified = way(admin, "notification", TRACE).await;
        (!notified["events"].as_array().expect("events").is_empty()).then_some(notified)
    })
    .await;
    let sent = way(admin, "chat", TRACE).await;
    assert_eq!(sent["complete"], true, "{sent}");
    let (sent_event, made_event) = (&sent["events"][0], &made["events"][0]);
    assert_eq!(
        (&sent_event["type"], &made_event["type"]),
        (&json!("message.sent"), &json!("notification.created"))
    );
    assert_eq!((&sent_event["stream"], &sent_event["causation"]), (&json!(message), &Value::Null));
    assert_eq!(made_event["causation"], sent_event["publicId"], "one caused the other: {made}");
    assert_eq!(sent_event["actor"], json!({"kind": "user", "id": cast.owner.id}));
    assert_eq!(
        (sent["events"].as_array().unwrap().len(), sent["correlation"].as_str().unwrap().replace('-', "")),
        (1, TRACE.to_owned())
    );
    // An event leads to its command as well.
    let by_event = way(admin, "chat", sent_event["id"].as_str().unwrap()).await;
    assert_eq!(by_event["events"], sent["events"]);
    if alone {
        // Of several processes of a service another one may remember it.
        let names = |way: &Value| way["commands"][0]["name"].clone();
        assert_eq!(
            (names(&sent), names(&by_event)),
            (json!("chat.send-message"), json!("chat.send-message"))
        );
    }
    let position: u64 = sent_event["position"].as_str().unwrap().parse().unwrap();
    eventually("all take it in", async || taken_in(admin, "chat", position).await).await;

    reads_the_log(&cast, &message).await;
    rebuilds_a_view(admin).await;
    ends_a_session(&cast).await;
}

async fn events(admin: &User, query: &str) -> Reply {
    admin.get(&format!("/v1/admin/chat/events?{query}")).expect(200).await
}

fn positions(items: &[Value]) -> Vec<u64> {
    items.iter().map(|event| event["position"].as_str().unwrap().parse().unwrap()).collect()
}

async fn reads_the_log(cast: &Cast, message: &str) {
    let admin = &cast.admin;
    for n in 0..4 {
        cast.owner.say(&cast.group, &format!("{SECRET} {n}")).await;
    }
    let all = events(admin, "type=message.*&limit=200").await.items();
    let newest_first = positions(&all);
    assert!(newest_first.len() >= 5 && newest_first.is_sorted_by(|a, b| a > b), "{newest_first:?}");
    assert!(all.iter().all(|event| event["type"].as_str().unwrap().starts_with("message.")), "{all:?}");

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = events(admin, &format!("type=message.*&limit=2{cursor}")).await.json();
        paged.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(positions(&paged), newest_first, "page by page it is the same");

    let at = |event: &Value| event["at"].as_str().unwrap().to_owned();
    let (from, to) = (at(&all[2]), at(&all[1]));
    let between = events(admin, &format!("type=message.*&from={from}&to={to}")).await.items();
    let expected: Vec<_> =
        all.iter().filter(|event| (from.clone()..=to.clone()).contains(&at(event))).cloned().collect();
    assert_eq!(positions(&between), positions(&expected));

    let stream = events(admin, &format!("stream=message/{message}")).await.items();
    assert_eq!(stream.len(), 1, "{stream:?}");
    assert_eq!((&stream[0]["data"]["content"], &stream[0]["version"]), (&json!("•••"), &json!(1)));
    for service in ["auth", "user", "chat", "notification"] {
        let page = admin.get(&format!("/v1/admin/{service}/events?limit=200")).expect(200).await;
        let text = String::from_utf8_lossy(&page.body).into_owned();
        for personal in [SECRET, "example.org", "Owner", "$argon2"] {
            assert!(!text.contains(personal), "{service} shows {personal}");
        }
    }
    admin.get("/v1/admin/chat/events?stream=message").refused(422, "invalid-value").await;
    admin.get("/v1/admin/payments/events").refused(404, "not-found").await;
}

async fn rebuilds_a_view(admin: &User) {
    let path = "/v1/admin/user/views/users/rebuild";
    admin.get("/v1/admin/user/views/timeline/rebuild").refused(404, "not-found").await;
    let begun = admin.post(path, &json!({})).expect(202).await.json();
    assert_eq!((&begun["view"], &begun["service"]), (&json!("users"), &json!("user")));
    let ended = eventually("it ends", async || {
        let now = admin.get(path).expect(200).await.json();
        (now["state"] != "running").then_some(now)
    })
    .await;
    assert_eq!((&ended["state"], &ended["done"]), (&json!("done"), &ended["total"]), "{ended}");
    let found = admin.get("/v1/admin/user/users?search=owner").expect(200).await.items();
    assert_eq!(found.len(), 1, "the rebuilt view answers: {found:?}");
}

async fn ends_a_session(cast: &Cast) {
    let account = format!("/v1/admin/auth/accounts/{}", cast.member.id);
    let session = format!("{account}/sessions/{}", cast.member.session);
    let listed = cast.admin.get(&account).expect(200).await.json();
    assert!(
        listed["sessions"].as_array().unwrap().iter().any(|one| one["id"] == cast.member.session),
        "{listed}"
    );
    let ended = cast.admin.call(Method::DELETE, &session).key("once").expect(204).await;
    let again = cast.admin.call(Method::DELETE, &session).key("once").expect(204).await;
    assert!(again.replayed() && !ended.replayed());
    cast.member.get("/v1/auth/me").expect(401).await;
    let rest = cast.admin.get(&account).after(&ended.position()).expect(200).await.json();
    assert!(
        rest["sessions"].as_array().unwrap().iter().all(|one| one["id"] != cast.member.session),
        "{rest}"
    );
}

#[tokio::test]
async fn administrators_try_what_is_parked_again_and_give_it_up() {
    let mut server = Server::start(Store::Sqlite).await;
    let mut admin = Cast::of(&server).await.admin;
    let parked = "/v1/admin/notification/parked";
    assert_eq!(admin.get(parked).expect(200).await.items(), Vec::<Value>::new());
    server.stop().await;
    // As a reactor would that met something it can't handle, and a topic with a stranger's record.
    let log = rusqlite::Connection::open(server.data().join("notification/log.db")).unwrap();
    log.execute_batch(
        "INSERT INTO parked (consumer, source, part, position, stream, name, reason) VALUES
           ('notify-of-chat', 'chat.public', -1, 1000000, x'00000000000000000000000000000001', 'message-sent.v1', 'poison');
         INSERT INTO parked (consumer, source, part, position, name, reason) VALUES
           ('', 'parlor.chat.v1', 3, 99, 'weather.v1', 'not ours')",
    )
    .unwrap();
    drop(log);
    server.start_again().await;
    admin.sign_in().await;

    let listed = admin.get(parked).expect(200).await.items();
    let told = |n: usize| (&listed[n]["reactor"], &listed[n]["reason"], &listed[n]["position"]);
    assert_eq!(told(0), (&json!("notify-of-chat"), &json!("poison"), &json!("1000000")));
    assert_eq!(told(1), (&Value::Null, &json!("not ours"), &json!("99")));
    assert_eq!(overview(&admin, "notification").await["parked"], 2);
    let page = admin.get(&format!("{parked}?limit=1")).expect(200).await.json();
    let next = format!("{parked}?limit=1&cursor={}", page["nextCursor"].as_str().unwrap());
    assert_eq!(admin.get(&next).expect(200).await.items()[0], listed[1]);

    let path = |n: usize| format!("{parked}/{}", listed[n]["id"]);
    admin.post(&format!("{}/retry", path(1)), &json!({})).refused(404, "not-found").await;
    admin.post(&format!("{}/retry", path(0)), &json!({})).expect(202).await;
    eventually("it is tried, and says why it stays", async || {
        let now = admin.get(parked).expect(200).await.items();
        now[0]["reason"].as_str().unwrap().contains("doesn't hold it").then_some(())
    })
    .await;
    for n in [0, 1] {
        admin.delete(&path(n)).expect(204).await;
        admin.delete(&path(n)).refused(404, "not-found").await;
    }
    assert_eq!(overview(&admin, "notification").await["parked"], 0);
}
