//! The notification service's rows.

use parlor_tests::{Server, Store, User, eventually};
use serde_json::{Value, json};

use super::{
    NOBODY, administrator, assert_all_asked, assert_command, assert_query, assert_time, members, no_body,
    service_key,
};

#[tokio::test]
async fn the_notification_service_keeps_its_contract_on_sqlite() {
    contract(Store::Sqlite).await;
}

#[tokio::test]
async fn the_notification_service_keeps_its_contract_on_postgresql() {
    if let Some(store) = Store::postgres() {
        contract(store).await;
    }
}

async fn contract(store: Store) {
    let server = Server::start(store).await;
    let api = server.api();
    let admin = administrator(&server).await;
    let key = service_key(&server).await;
    let (ann, bob) = (User::sign_up(api, "Ann").await, User::sign_up(api, "Bob").await);
    telling(&server, &admin, &key, &ann, &bob).await;
    preferring(&ann, &bob).await;
    pushing(&ann, &bob).await;
    assert_all_asked(api, &["/v1/notifications"]).await;
}

/// A browser is named once however often it is said, seen by its owner alone, and let go of.
async fn pushing(ann: &User, bob: &User) {
    let key = ann.get("/v1/notifications/push/key").expect(200).await;
    assert_eq!(members(&key.json()), ["publicKey"]);
    let all = "/v1/notifications/push/subscriptions";
    // The keys are those of the example in RFC 8291.
    let body = json!({"endpoint": "https://push.example.invalid/ann", "keys": {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    }});
    let made = ann.post(all, &body).expect(201).await;
    assert_command(&made);
    assert_eq!(ann.post(all, &body).expect(201).await.text("id"), made.text("id"));
    let shown = ann.get(all).after(&made.position()).expect(200).await;
    assert_query(&shown);
    let [browser] = &shown.items()[..] else { panic!("{shown:?}") };
    assert_eq!(members(browser), ["createdAt", "current", "id", "service"]);
    assert_eq!(
        (&browser["service"], &browser["current"]),
        (&json!("https://push.example.invalid"), &json!(true))
    );
    assert_eq!(bob.get(all).expect(200).await.items(), Vec::<Value>::new());
    let one = format!("{all}/{}", made.text("id"));
    bob.delete(&one).refused(404, "not-found").await;
    ann.delete(&one).expect(204).await;
    assert_eq!(ann.get(all).expect(200).await.items(), Vec::<Value>::new());
}

async fn telling(server: &Server, admin: &User, key: &str, ann: &User, bob: &User) {
    let body = |title: &str| json!({"userId": ann.id, "kind": "invoice", "title": title, "body": "Due on Friday.", "link": "/invoices/7"});
    let made =
        server.api().post("/v1/notifications", &body("First")).token(key).key("invoice-7").expect(201).await;
    assert_command(&made);
    assert_eq!(members(&made.json()), ["id"]);
    let again =
        server.api().post("/v1/notifications", &body("First")).token(key).key("invoice-7").expect(201).await;
    assert!(again.replayed());
    assert_eq!(again.body, made.body);
    let second = admin.post("/v1/notifications", &body("Second")).expect(201).await;
    bob.post("/v1/notifications", &body("Third")).expect(403).await;
    let bad = json!({"userId": ann.id, "kind": "invoice", "title": "", "body": "x"});
    let bad = admin.post("/v1/notifications", &bad).expect(422).await.json();
    assert_eq!(bad["errors"][0]["pointer"], "/title", "{bad}");

    let upto = second.position();
    let page = ann.get("/v1/notifications").after(&upto).expect(200).await;
    assert_query(&page);
    let invoices = |items: Vec<Value>| -> Vec<Value> {
        items.into_iter().filter(|item| item["kind"] == "invoice").collect()
    };
    let shown = invoices(page.items());
    let titles: Vec<_> = shown.iter().map(|item| item["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Second", "First"], "newest first");
    assert_eq!((&shown[1]["body"], &shown[1]["link"]), (&json!("Due on Friday."), &json!("/invoices/7")));
    assert_eq!(shown[1]["read"], false);
    assert_time(&shown[1]["createdAt"]);
    let count = async |after: &str| {
        let reply = ann.get("/v1/notifications/unread-count").after(after).expect(200).await;
        assert_query(&reply);
        reply.json()["count"].as_u64().unwrap()
    };
    let before = count(&upto).await;
    assert_eq!(before, page.items().len() as u64);
    let path = format!("/v1/notifications/{}/read", made.text("id"));
    let read = ann.put(&path, &no_body()).expect(204).await;
    assert_command(&read);
    ann.put(&path, &no_body()).expect(204).await;
    assert_eq!(count(&read.position()).await, before - 1);
    let unread = invoices(ann.get("/v1/notifications?unread=true").expect(200).await.items());
    assert_eq!(unread.len(), 1);
    assert_eq!(unread[0]["title"], "Second");
    bob.put(&path, &no_body()).refused(404, "not-found").await;
    ann.put(&format!("/v1/notifications/{NOBODY}/read"), &no_body()).refused(404, "not-found").await;
    let all = ann.post("/v1/notifications/read-all", &no_body()).expect(204).await;
    assert_eq!(count(&all.position()).await, 0);
    let first = ann.get("/v1/notifications?limit=1").expect(200).await;
    let next =
        ann.get(&format!("/v1/notifications?limit=1&cursor={}", first.text("nextCursor"))).expect(200).await;
    assert_ne!(first.items()[0]["id"], next.items()[0]["id"]);
}

async fn preferring(ann: &User, bob: &User) {
    let path = "/v1/notifications/preferences";
    let start = ann.get(path).expect(200).await;
    assert_query(&start);
    assert_eq!(start.json()["kinds"]["group"], "mentions", "groups start at mentions");
    assert_eq!(start.json()["kinds"]["direct"], "all");
    let (quiet, loud) = (ann.group("Quiet", &[bob]).await, ann.group("Loud", &[bob]).await);
    let mut wanted = bob.get(path).expect(200).await.json();
    wanted["conversations"] = json!({&quiet: "none", &loud: "all"});
    let set = bob.put(path, &wanted).expect(200).await;
    assert_command(&set);
    assert_eq!(bob.get(path).after(&set.position()).expect(200).await.json(), wanted);
    ann.say(&quiet, "@Bob in the quiet room").await;
    ann.say(&loud, "to everybody in the loud room").await;
    // One source in order: once the second message has been worked on, so has the first.
    eventually("the loud room is heard", async || {
        let items = bob.get("/v1/notifications?limit=200").expect(200).await.items();
        items.iter().any(|item| item["body"].as_str().unwrap_or_default().contains("loud room")).then_some(())
    })
    .await;
    let items = bob.get("/v1/notifications?limit=200").expect(200).await.items();
    assert!(
        !items.iter().any(|item| item["body"].as_str().unwrap_or_default().contains("quiet room")),
        "{items:?}"
    );

    for (member, value) in [
        ("quietHours", json!({"from": "25:00", "to": "07:00", "timeZone": "Europe/Berlin"})),
        ("quietHours", json!({"from": "22:00", "to": "07:00", "timeZone": "Middle/Earth"})),
        ("muteUntil", json!("tomorrow")),
        ("kinds", json!({"direct": "loudly"})),
        ("colour", json!("blue")),
    ] {
        let mut body = start.json();
        body[member] = value;
        let reply = ann.put(path, &body).expect(422).await.json();
        let pointer = reply["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned();
        assert!(pointer.starts_with(&format!("/{member}")), "{reply}");
    }
    let mut body = start.json();
    body["quietHours"] = json!({"from": "22:00", "to": "07:00", "timeZone": "Europe/Berlin"});
    body["muteUntil"] = json!("2020-01-01T00:00:00.000Z");
    let set = ann.put(path, &body).expect(200).await;
    assert_eq!(ann.get(path).after(&set.position()).expect(200).await.json(), body);
}
