//! The chat service's rows.

use std::collections::BTreeSet;

use parlor_tests::{Server, Store, User};
use reqwest::Method;
use serde_json::{Value, json};

use super::{NOBODY, assert_all_asked, assert_command, assert_query, assert_time, members, no_body};

#[tokio::test]
async fn the_chat_service_keeps_its_contract_on_sqlite() {
    contract(Store::Sqlite).await;
}

#[tokio::test]
async fn the_chat_service_keeps_its_contract_on_postgresql() {
    if let Some(store) = Store::postgres() {
        contract(store).await;
    }
}

async fn contract(store: Store) {
    let server = Server::start(store).await;
    let api = server.api();
    let (ann, bob, eve) =
        (User::sign_up(api, "Ann").await, User::sign_up(api, "Bob").await, User::sign_up(api, "Eve").await);
    beginning(&ann, &bob).await;
    settings(&ann, &bob, &eve).await;
    listing(&ann, &bob, &eve).await;
    participants(&ann, &bob, &eve).await;
    history_for_all(&ann, &bob, &eve).await;
    sending(&ann, &bob, &eve).await;
    paging(&ann, &bob, &eve).await;
    reading(&ann, &bob).await;
    searching(&ann, &bob, &eve).await;
    listening(&ann, &bob, &eve).await;
    assert_all_asked(api, &["/v1/conversations", "/v1/unread-count", "/v1/messages", "/v1/stream"]).await;
}

/// Live delivery opens by a header or a ticket; who types is told to those who are in, and recorded nowhere.
async fn listening(ann: &User, bob: &User, eve: &User) {
    let room = ann.direct(bob).await;
    let mut feed = ann.feed(None).await;
    feed.until("caught-up").await;
    let typing = format!("/v1/conversations/{room}/typing");
    bob.call(Method::POST, &typing).expect(204).await;
    eve.call(Method::POST, &typing).refused(404, "not-found").await;
    let told = feed.until("typing").await.pop().unwrap();
    assert_eq!((told.cursor, &told.data), (None, &json!({"conversationId": room, "userId": bob.id})));

    let issued = ann.call(Method::POST, "/v1/stream/ticket").expect(201).await.json();
    assert_eq!(members(&issued), ["expiresIn", "ticket"]);
    let path = format!("/v1/stream?ticket={}", issued["ticket"].as_str().unwrap());
    let opened = ann.api.get(&path).builder().send().await.unwrap();
    assert_eq!(opened.status().as_u16(), 200);
    ann.api.get(&path).refused(401, "unauthenticated").await;
}

const CONVERSATION: [&str; 10] = [
    "createdAt",
    "id",
    "kind",
    "lastMessage",
    "participantCount",
    "participants",
    "title",
    "unreadCount",
    "updatedAt",
    "history",
];

#[track_caller]
fn assert_conversation(shown: &Value) {
    for member in CONVERSATION {
        assert!(shown.get(member).is_some(), "{member} is missing: {shown}");
    }
    assert_time(&shown["createdAt"]);
    assert_time(&shown["updatedAt"]);
}

async fn beginning(ann: &User, bob: &User) {
    let body = json!({"kind": "group", "participants": [bob.id], "title": "First"});
    let call =
        || ann.post("/v1/conversations", &body).key("begin-1").after(&ann.registered).after(&bob.registered);
    let begun = call().expect(201).await;
    assert_command(&begun);
    let shown = begun.json();
    assert_conversation(&shown);
    assert_eq!((&shown["kind"], &shown["title"]), (&json!("group"), &json!("First")));
    assert_eq!(shown["lastMessage"], Value::Null);
    let of = |shown: &Value| -> BTreeSet<String> {
        shown["participants"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of(&shown), BTreeSet::from([ann.id.clone(), bob.id.clone()]), "the creator is in it");
    let again = call().expect(201).await;
    assert!(again.replayed());
    assert_eq!(again.body, begun.body);
    let seen = bob.get(&format!("/v1/conversations/{}", begun.text("id"))).after(&begun.position());
    assert_eq!(of(&seen.expect(200).await.json()), of(&shown));

    let unknown = json!({"kind": "group", "participants": [NOBODY]});
    ann.post("/v1/conversations", &unknown).refused(422, "unknown-participant").await;
    for participants in [json!([]), json!([bob.id, NOBODY])] {
        let body = json!({"kind": "direct", "participants": participants});
        let reply = ann.post("/v1/conversations", &body).expect(422).await.json();
        assert_eq!(reply["code"], "invalid-value", "{reply}");
    }
    ann.post("/v1/conversations", &json!({"kind": "choir", "participants": []})).expect(422).await;
    let body = json!({"kind": "direct", "participants": [bob.id]});
    let first = ann.post("/v1/conversations", &body).expect(201).await;
    let second = ann.post("/v1/conversations", &body).expect(200).await;
    assert_eq!(first.text("id"), second.text("id"));
}

async fn settings(ann: &User, bob: &User, eve: &User) {
    let room = ann.group("Named", &[bob]).await;
    let path = format!("/v1/conversations/{room}");
    let shown = ann.get(&path).after(&ann.say(&room, "hello").await.position()).expect(200).await;
    assert_query(&shown);
    assert_conversation(&shown.json());
    assert_eq!(
        members(&shown.json()["lastMessage"]),
        ["content", "createdAt", "id", "position", "senderId", "type"]
    );
    let renamed = ann.patch(&path, &json!({"title": "Renamed"})).if_match(&shown.etag()).expect(200).await;
    assert_command(&renamed);
    assert_eq!(renamed.json()["title"], "Renamed");
    assert_ne!(renamed.etag(), shown.etag());
    let stale = ann.patch(&path, &json!({"title": "Too late"})).if_match(&shown.etag());
    let stale = stale.refused(412, "version-mismatch").await.json();
    assert_eq!(format!("\"{}\"", stale["currentVersion"]), renamed.etag());
    let now = bob.get(&path).after(&renamed.position()).expect(200).await;
    assert_eq!((&now.json()["title"], now.etag()), (&json!("Renamed"), renamed.etag()));
    bob.patch(&path, &json!({"title": "Mine"})).refused(403, "not-an-admin").await;
    for (method, path) in [("GET", path.clone()), ("GET", format!("/v1/conversations/{NOBODY}"))] {
        let call = eve.call(method.parse().unwrap(), &path);
        call.refused(404, "not-found").await;
    }
    eve.patch(&path, &json!({"title": "Mine"})).refused(404, "not-found").await;
    ann.get("/v1/conversations/not-an-id").expect(404).await;
}

async fn listing(ann: &User, bob: &User, eve: &User) {
    let mut rooms = Vec::new();
    for number in 0..5 {
        rooms.push(eve.group(&format!("Listed {number}"), &[ann, bob]).await);
    }
    // What was said last comes first.
    let mut last = String::new();
    for index in [3, 0, 4, 1, 2] {
        last = eve.say(&rooms[index], "news").await.position();
    }
    let expected: Vec<_> = [2, 1, 4, 0, 3].map(|index: usize| rooms[index].clone()).into();
    let mut cursor = String::new();
    let mut listed = Vec::new();
    for _ in 0..3 {
        let page = bob.get(&format!("/v1/conversations?limit=2{cursor}")).after(&last).expect(200).await;
        assert_query(&page);
        page.items().iter().for_each(assert_conversation);
        listed.extend(page.items().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        cursor = format!("&cursor={}", page.text("nextCursor"));
    }
    assert_eq!(listed[..5], expected);
    let all = bob.all("/v1/conversations", Some(&last)).await;
    let ids: BTreeSet<_> = all.iter().map(|item| item["id"].to_string()).collect();
    assert_eq!(ids.len(), all.len(), "each once");
}

async fn participants(ann: &User, bob: &User, eve: &User) {
    let room = ann.group("Participants", &[bob]).await;
    let base = format!("/v1/conversations/{room}/participants");
    let added = ann.put(&format!("{base}/{}", eve.id), &json!({"role": "member"})).after(&eve.registered);
    let added = added.expect(204).await;
    assert_command(&added);
    ann.put(&format!("{base}/{}", eve.id), &no_body()).expect(204).await;
    let said = ann.say(&room, "hello").await;
    let read = bob.put(&format!("/v1/conversations/{room}/read"), &json!({"upTo": said.text("id")}));
    let read = read.expect(204).await;
    let page = ann.get(&base).after(&read.position()).expect(200).await;
    assert_query(&page);
    let of = |user: &User| {
        let items = page.items();
        items.into_iter().find(|item| item.to_string().contains(&user.id)).expect("they are in it")
    };
    assert_eq!((&of(ann)["role"], &of(ann)["displayName"]), (&json!("admin"), &json!("Ann")));
    assert_eq!((&of(eve)["role"], &of(eve)["displayName"]), (&json!("member"), &json!("Eve")));
    assert_eq!(of(bob)["readPosition"], said.json()["position"]);
    ann.put(&format!("{base}/{NOBODY}"), &no_body()).refused(422, "unknown-participant").await;
    ann.put(&format!("{base}/{}", eve.id), &json!({"role": "queen"})).expect(422).await;
    let left = eve.delete(&format!("{base}/{}", eve.id)).expect(204).await;
    eve.get(&base).after(&left.position()).refused(404, "not-found").await;
    ann.delete(&format!("{base}/{NOBODY}")).refused(404, "not-found").await;
    let direct = ann.direct(bob).await;
    let own = format!("/v1/conversations/{direct}/participants/{}", ann.id);
    ann.delete(&own).refused(409, "direct-conversation").await;
    let add = format!("/v1/conversations/{direct}/participants/{}", eve.id);
    ann.put(&add, &no_body()).refused(409, "direct-conversation").await;
}

async fn history_for_all(ann: &User, bob: &User, eve: &User) {
    let body = json!({"kind": "group", "participants": [bob.id], "title": "Open", "history": "all"});
    let room = ann.post("/v1/conversations", &body).expect(201).await.text("id");
    ann.say(&room, "before Eve").await;
    let path = format!("/v1/conversations/{room}/participants/{}", eve.id);
    ann.put(&path, &no_body()).after(&eve.registered).expect(204).await;
    let last = ann.say(&room, "with Eve").await;
    let seen = eve.messages(&room, Some(&last.position())).await;
    assert_eq!(seen.len(), 2, "all of it where history is all: {seen:?}");
}

async fn sending(ann: &User, bob: &User, eve: &User) {
    let room = ann.direct(bob).await;
    let path = format!("/v1/conversations/{room}/messages");
    let id = "01890aaa-bbbb-7ccc-8ddd-000000000001";
    let body = json!({"content": "picked", "type": "text", "id": id});
    let sent = ann.post(&path, &body).expect(201).await;
    assert_command(&sent);
    let shown = sent.json();
    assert_eq!(
        members(&shown),
        ["content", "conversationId", "createdAt", "id", "position", "senderId", "type"]
    );
    assert_time(&shown["createdAt"]);
    assert!(shown["position"].as_str().unwrap().bytes().all(|byte| byte.is_ascii_digit()));
    assert_eq!(shown["id"], id);
    let again = ann.post(&path, &body).send().await;
    assert!([200, 201].contains(&again.status), "{again:?}");
    assert_eq!(again.json(), shown, "the same id again is the same message");
    ann.post(&path, &json!({"content": "other", "id": id})).refused(409, "message-id-taken").await;
    let reply = ann.post(&path, &json!({"content": "reply", "replyTo": id})).expect(201).await;
    assert_eq!(reply.json()["replyTo"], id);
    ann.post(&path, &json!({"content": "reply", "replyTo": NOBODY})).refused(422, "unknown-reply-to").await;
    for content in ["", &"x".repeat(4_001)] {
        let reply = ann.post(&path, &json!({"content": content})).expect(422).await.json();
        assert_eq!(reply["errors"][0]["pointer"], "/content", "{reply}");
    }
    let longest = "𝄞".repeat(4_000);
    assert_eq!(ann.say(&room, &longest).await.text("content"), longest);
    ann.post(&path, &json!({"content": "x", "type": "video"})).expect(422).await;
    eve.post(&path, &json!({"content": "x"})).refused(404, "not-found").await;

    let message = format!("{path}/{}", reply.text("id"));
    let edited = ann.patch(&message, &json!({"content": "edited"})).expect(200).await;
    assert_command(&edited);
    assert_eq!(edited.json()["content"], "edited");
    assert_time(&edited.json()["editedAt"]);
    assert_eq!(edited.json()["createdAt"], reply.json()["createdAt"]);
    bob.patch(&message, &json!({"content": "x"})).refused(403, "not-the-author").await;
    eve.patch(&message, &json!({"content": "x"})).refused(404, "not-found").await;
    bob.delete(&message).expect(403).await;
    let deleted = ann.delete(&message).expect(204).await;
    assert_command(&deleted);
    let shown =
        bob.get(&format!("{path}?around={}", reply.text("id"))).after(&deleted.position()).expect(200).await;
    let gone = shown.items().into_iter().find(|item| item["id"] == reply.json()["id"]).expect("it stays");
    assert_eq!(members(&gone), ["deletedAt", "id", "position", "senderId"]);
    ann.patch(&message, &json!({"content": "x"})).expect(404).await;
    ann.delete(&format!("{path}/{NOBODY}")).refused(404, "not-found").await;
    // In a group an admin deletes anybody's.
    let group = ann.group("Moderated", &[bob]).await;
    let theirs = bob.say(&group, "rude").await.text("id");
    ann.delete(&format!("/v1/conversations/{group}/messages/{theirs}")).expect(204).await;
}

async fn paging(ann: &User, bob: &User, eve: &User) {
    let room = ann.group("Paged", &[bob]).await;
    let mut sent = Vec::new();
    let mut last = String::new();
    for number in 0..12 {
        let reply = ann.say(&room, &number.to_string()).await;
        sent.push(reply.json());
        last = reply.position();
    }
    sent.reverse();
    let path = format!("/v1/conversations/{room}/messages");
    let ask = async |query: &str| bob.get(&format!("{path}?{query}")).after(&last).expect(200).await;
    let all = ask("").await;
    assert_query(&all);
    assert_eq!((all.items(), &all.json()["nextCursor"]), (sent.clone(), &Value::Null));
    let mut paged = Vec::new();
    let mut query = "limit=5".to_owned();
    loop {
        let page = ask(&query).await;
        paged.extend(page.items());
        match page.json()["nextCursor"].as_str() {
            Some(cursor) => query = format!("limit=5&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(paged, sent, "by cursor");
    let mut paged = Vec::new();
    for offset in [0, 5, 10, 15] {
        paged.extend(ask(&format!("limit=5&offset={offset}")).await.items());
    }
    assert_eq!(paged, sent, "by offset");
    let middle = sent[6]["id"].as_str().unwrap();
    assert_eq!(ask(&format!("limit=3&before={middle}")).await.items(), sent[7..10]);
    assert_eq!(ask(&format!("limit=3&after={middle}")).await.items(), sent[3..6]);
    assert_eq!(ask(&format!("limit=3&around={middle}")).await.items(), sent[5..8]);
    for query in
        ["limit=0", "limit=201", "limit=-1", "limit=9223372036854775808", "cursor=nonsense", "colour=blue"]
    {
        bob.get(&format!("{path}?{query}")).expect(422).await;
    }
    // Another conversation's cursor, and one cut short.
    let cursor = ask("limit=5").await.text("nextCursor");
    let other = ann.group("Other", &[bob, eve]).await;
    let there = ann.say(&other, "hello").await.position();
    let elsewhere = format!("/v1/conversations/{other}/messages?cursor={cursor}");
    bob.get(&elsewhere).after(&there).expect(422).await;
    bob.get(&format!("{path}?cursor={}", &cursor[..cursor.len() - 3])).expect(422).await;
    eve.get(&path).refused(404, "not-found").await;
}

async fn reading(ann: &User, bob: &User) {
    let room = ann.group("Read", &[bob]).await;
    let mut ids = Vec::new();
    let mut last = String::new();
    for number in 0..4 {
        let reply = ann.say(&room, &number.to_string()).await;
        ids.push(reply.text("id"));
        last = reply.position();
    }
    let path = format!("/v1/conversations/{room}/read");
    assert_eq!(bob.unread(&room, &last).await, 4);
    for (up_to, left) in [(1, 2), (0, 2), (2, 1), (3, 0)] {
        let read = bob.put(&path, &json!({"upTo": ids[up_to]})).expect(204).await;
        assert_command(&read);
        assert_eq!(bob.unread(&room, &read.position()).await, left, "it only ever advances");
    }
    bob.put(&path, &json!({"upTo": NOBODY})).refused(422, "unknown-message").await;
    let counts = bob.get("/v1/unread-count").expect(200).await;
    assert_query(&counts);
    let counts = counts.json();
    let each = counts["conversations"].as_object().unwrap();
    let sum: u64 = each.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(counts["total"], sum);
    assert!(sum > 0 && each.get(&room).is_none_or(|count| *count == 0), "{counts}");
}

async fn searching(ann: &User, bob: &User, eve: &User) {
    let (both, alone) = (ann.direct(bob).await, ann.group("Alone", &[]).await);
    ann.say(&both, "Die Straße nach Zürich").await;
    bob.say(&both, "die STRASSE").await;
    let last = ann.say(&alone, "meine Straße").await.position();
    let ids = |items: Vec<Value>| -> Vec<String> {
        items.iter().map(|item| item["content"].as_str().unwrap().to_owned()).collect()
    };
    let query = |more: &str| format!("/v1/messages/search?q=strasse{more}");
    let found = ann.get(&query("")).after(&last).expect(200).await;
    assert_query(&found);
    assert_eq!(ids(found.items()), ["meine Straße", "die STRASSE", "Die Straße nach Zürich"]);
    let found = ann.get(&query(&format!("&conversationId={both}"))).expect(200).await.items();
    assert_eq!(ids(found), ["die STRASSE", "Die Straße nach Zürich"]);
    let found =
        ann.get(&query(&format!("&conversationId={both}&senderId={}", bob.id))).expect(200).await.items();
    assert_eq!(ids(found), ["die STRASSE"]);
    let found = bob.get(&query("")).after(&last).expect(200).await.items();
    assert_eq!(ids(found), ["die STRASSE", "Die Straße nach Zürich"], "only what the caller may read");
    assert_eq!(eve.get(&query("")).after(&last).expect(200).await.items().len(), 0);
    let first = ann.get(&query("&limit=2")).expect(200).await;
    let rest = ann.get(&query(&format!("&limit=2&cursor={}", first.text("nextCursor")))).expect(200).await;
    assert_eq!(ids(rest.items()), ["Die Straße nach Zürich"]);
    ann.get("/v1/messages/search").expect(422).await;
}
