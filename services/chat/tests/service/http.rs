//! The routes: codes, headers and shapes of the contract.

use parlor_chat::values::History;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::Chat;

fn id(value: &Value) -> Uuid {
    value["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_conversation_over_http_from_beginning_to_end() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let begin = json!({"kind": "group", "participants": [bob], "title": "Crew"});
    let created = chat.call(ann, "POST", "/v1/conversations", Some(begin)).await;
    assert_eq!((created.status.as_u16(), created.headers["etag"].to_str().unwrap()), (201, "\"1\""));
    assert!(created.headers.contains_key("parlor-position"));
    let room = format!("/v1/conversations/{}", id(&created.body));
    let messages = format!("{room}/messages");

    let sent = chat.call(bob, "POST", &messages, Some(json!({"content": "hello"}))).await;
    assert_eq!(sent.status, 201, "{}", sent.body);
    let keys: Vec<_> = sent.body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["content", "conversationId", "createdAt", "id", "position", "senderId", "type"]);
    assert!(sent.body["position"].is_string());
    chat.project().await;

    let page = chat.call(ann, "GET", &messages, None).await;
    assert_eq!((page.status.as_u16(), &page.body["items"][0]), (200, &sent.body));
    assert_eq!(page.headers["cache-control"], "no-store");
    let unread = chat.call(ann, "GET", &format!("{room}/unread-count"), None).await;
    assert_eq!(unread.body, json!({"count": 1}));
    let all = chat.call(ann, "GET", "/v1/unread-count", None).await;
    assert_eq!(all.body, json!({"total": 1, "conversations": {created.body["id"].as_str().unwrap(): 1}}));
    let read = chat.call(ann, "PUT", &format!("{room}/read"), Some(json!({"upTo": sent.body["id"]}))).await;
    assert_eq!((read.status.as_u16(), read.body), (204, Value::Null));

    let message = format!("{messages}/{}", id(&sent.body));
    let edited = chat.call(bob, "PATCH", &message, Some(json!({"content": "hello!"}))).await;
    assert_eq!((edited.status.as_u16(), &edited.body["content"]), (200, &json!("hello!")));
    assert_eq!(edited.body["position"], sent.body["position"]);
    assert_eq!(chat.call(ann, "PATCH", &message, Some(json!({"content": "no"}))).await.status, 403);
    assert_eq!(chat.call(ann, "DELETE", &message, None).await.status, 204);
    chat.project().await;
    let page = chat.call(bob, "GET", &messages, None).await;
    let left = page.body["items"][0].as_object().unwrap();
    let keys: Vec<_> = left.keys().cloned().collect();
    assert_eq!(keys, ["deletedAt", "id", "position", "senderId"]);
    assert_eq!(left["senderId"], json!(bob));

    let one = chat.call(bob, "GET", &room, None).await;
    assert_eq!((one.status.as_u16(), one.headers["etag"].to_str().unwrap()), (200, "\"1\""));
    assert_eq!((&one.body["title"], &one.body["lastMessage"]), (&json!("Crew"), &Value::Null));
}

#[tokio::test]
async fn a_rename_goes_by_version() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let room = chat.group(ann, &[bob], History::SinceJoining).await.id;
    let path = format!("/v1/conversations/{room}");
    let rename = |title: &str| Some(json!({"title": title}));
    let first = chat.call_with(ann, "PATCH", &path, &[("if-match", "\"1\"")], rename("Crew")).await;
    assert_eq!((first.status.as_u16(), first.headers["etag"].to_str().unwrap()), (200, "\"2\""));
    assert_eq!(first.body["title"], "Crew");
    let stale = chat.call_with(ann, "PATCH", &path, &[("if-match", "\"1\"")], rename("Gang")).await;
    assert_eq!((stale.status.as_u16(), &stale.body["code"]), (412, &json!("version-mismatch")));
    assert_eq!(chat.call(bob, "PATCH", &path, rename("Gang")).await.status, 403);
    chat.project().await;
    let seen = chat.call(bob, "GET", &path, None).await;
    assert_eq!((&seen.body["title"], seen.headers["etag"].to_str().unwrap()), (&json!("Crew"), "\"2\""));
}

#[tokio::test]
async fn strangers_and_former_members_get_404_on_every_route() {
    let chat = Chat::start().await;
    let (ann, bob, eve) = (chat.user("Ann").await, chat.user("Bob").await, chat.user("Eve").await);
    let room = chat.group(ann, &[bob], History::All).await.id;
    let message = chat.say(ann, room, "hello").await.id;
    chat.act(bob, parlor_chat::remove_participant::RemoveParticipant { conversation: room, user: bob })
        .await
        .unwrap();
    chat.project().await;
    let hello = || Some(json!({"content": "hello"}));
    let routes = |root: String| {
        vec![
            ("GET", root.clone(), None),
            ("PATCH", root.clone(), Some(json!({"title": "x"}))),
            ("GET", format!("{root}/participants"), None),
            ("GET", format!("{root}/participants?cursor=x"), None),
            ("PUT", format!("{root}/participants/{eve}"), Some(json!({}))),
            ("DELETE", format!("{root}/participants/{ann}"), None),
            ("POST", format!("{root}/messages"), hello()),
            ("GET", format!("{root}/messages"), None),
            ("GET", format!("{root}/messages?around={message}"), None),
            ("GET", format!("{root}/messages?cursor=x"), None),
            ("PATCH", format!("{root}/messages/{message}"), hello()),
            ("DELETE", format!("{root}/messages/{message}"), None),
            ("PUT", format!("{root}/read"), Some(json!({"upTo": message}))),
            ("GET", format!("{root}/unread-count"), None),
        ]
    };
    for who in [bob, eve] {
        for (method, path, body) in routes(format!("/v1/conversations/{room}")) {
            let answer = chat.call(who, method, &path, body).await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
            assert_eq!(answer.body["code"], "not-found", "{method} {path}");
        }
    }
    // One that never was answers alike.
    for (method, path, body) in routes(format!("/v1/conversations/{}", Uuid::from_u128(404))) {
        assert_eq!(chat.call(ann, method, &path, body).await.status, 404, "{method} {path}");
    }
}

#[tokio::test]
async fn bad_input_names_the_field_and_stores_nothing() {
    let chat = Chat::start().await;
    let ann = chat.user("Ann").await;
    let room = chat.group(ann, &[], History::SinceJoining).await.id;
    let before = *cqrs_core::Log::head(&*chat.store.store.log).borrow();
    let messages = format!("/v1/conversations/{room}/messages");
    let bad = [
        ("POST", messages.clone(), json!({"content": ""}), "/content"),
        ("POST", messages.clone(), json!({"content": "x".repeat(4001)}), "/content"),
        ("POST", messages.clone(), json!({"content": "a\0"}), "/content"),
        ("POST", messages.clone(), json!({"content": "a", "replyTo": ann}), "/replyTo"),
        ("POST", messages.clone(), json!({"content": "a", "type": "sticker"}), "/type"),
        ("POST", "/v1/conversations".to_owned(), json!({"kind": "club", "participants": []}), "/kind"),
        (
            "POST",
            "/v1/conversations".to_owned(),
            json!({"kind": "direct", "participants": []}),
            "/participants",
        ),
        (
            "POST",
            "/v1/conversations".to_owned(),
            json!({"kind": "group", "participants": ["x"]}),
            "/participants/0",
        ),
    ];
    for (method, path, body, pointer) in bad {
        let answer = chat.call(ann, method, &path, Some(body.clone())).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.body);
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}");
    }
    chat.project().await;
    for query in ["limit=0", "limit=201", "limit=-1", "cursor=x", "offset=-1", "before=x", "colour=red"] {
        let answer = chat.call(ann, "GET", &format!("{messages}?{query}"), None).await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.body);
    }
    assert_eq!(*cqrs_core::Log::head(&*chat.store.store.log).borrow(), before);
}

#[tokio::test]
async fn a_cursor_of_another_conversation_is_refused() {
    let chat = Chat::start().await;
    let ann = chat.user("Ann").await;
    let rooms = [
        chat.group(ann, &[], History::SinceJoining).await.id,
        chat.group(ann, &[], History::SinceJoining).await.id,
    ];
    for room in rooms {
        chat.say(ann, room, "one").await;
        chat.say(ann, room, "two").await;
    }
    chat.project().await;
    let page = chat.call(ann, "GET", &format!("/v1/conversations/{}/messages?limit=1", rooms[0]), None).await;
    let cursor = page.body["nextCursor"].as_str().unwrap();
    let path = |room: Uuid| format!("/v1/conversations/{room}/messages?cursor={cursor}");
    assert_eq!(chat.call(ann, "GET", &path(rooms[0]), None).await.body["items"][0]["content"], "one");
    assert_eq!(chat.call(ann, "GET", &path(rooms[1]), None).await.status, 422);
}

#[tokio::test]
async fn a_command_with_a_key_takes_effect_once_and_answers_alike_until_access_is_lost() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let room = chat.group(ann, &[bob], History::SinceJoining).await.id;
    let path = format!("/v1/conversations/{room}/messages");
    let key = [("idempotency-key", "k1")];
    let hello = || Some(json!({"content": "hello"}));
    let first = chat.call_with(bob, "POST", &path, &key, hello()).await;
    let again = chat.call_with(bob, "POST", &path, &key, hello()).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!((first.body, again.headers["idempotency-replayed"].to_str().unwrap()), (again.body, "true"));
    let leave = format!("/v1/conversations/{room}/participants/{bob}");
    let key2 = [("idempotency-key", "k2")];
    assert_eq!(chat.call_with(bob, "DELETE", &leave, &key2, None).await.status, 204);
    // The answer to one's own leaving may be lost and asked for again; nothing else may.
    assert_eq!(chat.call_with(bob, "DELETE", &leave, &key2, None).await.status, 204);
    assert_eq!(chat.call(bob, "DELETE", &leave, None).await.status, 404);
    assert_eq!(chat.call_with(bob, "POST", &path, &key, hello()).await.status, 404);
    chat.project().await;
    assert_eq!(chat.call(ann, "GET", &path, None).await.body["items"].as_array().unwrap().len(), 1);
}

#[test]
fn every_route_of_the_contract_is_described_with_what_it_answers() {
    let (_, mut api) = parlor_chat::routes().split_for_parts();
    cqrs_http::openapi::complete(&mut api);
    let api = serde_json::to_value(&api).unwrap();
    let routes = [
        ("post", "/v1/conversations", "201"),
        ("get", "/v1/conversations", "200"),
        ("get", "/v1/conversations/{id}", "200"),
        ("patch", "/v1/conversations/{id}", "200"),
        ("get", "/v1/conversations/{id}/participants", "200"),
        ("put", "/v1/conversations/{id}/participants/{userId}", "204"),
        ("delete", "/v1/conversations/{id}/participants/{userId}", "204"),
        ("post", "/v1/conversations/{id}/messages", "201"),
        ("get", "/v1/conversations/{id}/messages", "200"),
        ("patch", "/v1/conversations/{id}/messages/{messageId}", "200"),
        ("delete", "/v1/conversations/{id}/messages/{messageId}", "204"),
        ("put", "/v1/conversations/{id}/read", "204"),
        ("get", "/v1/conversations/{id}/unread-count", "200"),
        ("get", "/v1/unread-count", "200"),
    ];
    for (method, path, status) in routes {
        let operation = &api["paths"][path][method];
        assert!(operation["summary"].is_string(), "{method} {path} has no summary");
        assert!(operation["responses"][status].is_object(), "{method} {path} has no {status}");
        assert!(operation["security"].is_array(), "{method} {path} asks for no sign-in");
    }
}

#[tokio::test]
async fn a_message_has_nothing_that_if_match_could_mean() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let begin = json!({"kind": "group", "participants": [bob], "title": "Crew"});
    let created = chat.call(ann, "POST", "/v1/conversations", Some(begin)).await;
    let messages = format!("/v1/conversations/{}/messages", id(&created.body));
    for version in ["\"7\"", "\"1\""] {
        let hello = Some(json!({"content": "hello"}));
        let sent = chat.call_with(bob, "POST", &messages, &[("if-match", version)], hello).await;
        assert_eq!(sent.status, 201, "{version}: {}", sent.body);
    }
}
