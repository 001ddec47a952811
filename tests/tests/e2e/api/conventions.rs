//! What all routes share: errors, keys, positions, headers.

use parlor_tests::{Server, Store, User};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn all_routes_share_their_conventions_on_sqlite() {
    contract(Store::Sqlite).await;
}

#[tokio::test]
async fn all_routes_share_their_conventions_on_postgresql() {
    if let Some(store) = Store::postgres() {
        contract(store).await;
    }
}

async fn contract(store: Store) {
    let server = Server::start(store).await;
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    bodies(&server, &ann, &room).await;
    keys(&ann, &room).await;
    positions(&ann, &bob, &room).await;
    headers(&server, &ann).await;
    let kept = ann.messages(&room, None).await;
    assert!(
        !kept.iter().any(|message| message["content"] == "stored?"),
        "nothing refused was stored: {kept:?}"
    );
}

async fn bodies(server: &Server, ann: &User, room: &str) {
    let path = format!("/v1/conversations/{room}/messages");
    let post = |kind: &str, body: &[u8]| ann.call(Method::POST, &path).raw(kind, body.to_vec());
    for malformed in
        ["", "{", "{\"content\": \"stored?\"} x", "\u{feff}{\"content\": \"stored?\"}", "nonsense"]
    {
        post("application/json", malformed.as_bytes()).expect(400).await;
    }
    post("application/json", b"{\"content\": \"\xff\"}").expect(400).await;
    let deep = format!("{{\"content\": {}{}}}", "[".repeat(1_000), "]".repeat(1_000));
    let deep = post("application/json", deep.as_bytes()).send().await;
    assert!([400, 422].contains(&deep.status), "{deep:?}");
    let unknown =
        post("application/json", b"{\"content\": \"stored?\", \"colour\": \"blue\"}").expect(422).await;
    assert_eq!(unknown.json()["errors"][0]["pointer"], "/colour", "{unknown:?}");
    for wrong in ["{}", "{\"content\": 7}", "{\"content\": null}", "[]", "\"stored?\""] {
        let reply = post("application/json", wrong.as_bytes()).send().await;
        assert!([400, 422].contains(&reply.status), "{wrong}: {reply:?}");
    }
    post("text/plain", b"{\"content\": \"stored?\"}").refused(415, "unsupported-media-type").await;
    let large = format!("{{\"content\": \"{}\"}}", "x".repeat(1_100_000));
    post("application/json", large.as_bytes()).expect(413).await;
    ann.call(Method::PATCH, "/v1/unread-count").expect(405).await;
    server.api().get("/v1/nothing-here").refused(404, "not-found").await;
}

async fn keys(ann: &User, room: &str) {
    for key in ["", " ", "two words", &"k".repeat(256)] {
        let reply = ann.saying(room, "stored?").header("idempotency-key", key).send().await;
        assert_eq!(reply.status, 422, "{key:?}: {reply:?}");
    }
    let longest = "k".repeat(255);
    let first = ann.saying(room, "kept").key(&longest).expect(201).await;
    assert!(!first.replayed());
    let again = ann.saying(room, "kept").key(&longest).expect(201).await;
    assert!(again.replayed());
    assert_eq!(
        (again.body, again.headers.get("parlor-position")),
        (first.body, first.headers.get("parlor-position"))
    );
    ann.saying(room, "stored?").key(&longest).refused(422, "idempotency-key-reused").await;
}

async fn positions(ann: &User, bob: &User, room: &str) {
    let sent = ann.say(room, "positions").await;
    // Several, joined by commas or in headers of their own, of any service.
    let both = format!("{},{}", sent.position(), ann.registered);
    let page = bob.get(&format!("/v1/conversations/{room}/messages?limit=1"));
    let page = page.after(&both).after(&bob.registered).expect(200).await;
    assert_eq!(page.items()[0]["content"], "positions");
    // What a query answered with can be waited for, too.
    bob.get("/v1/conversations").after(&page.position()).expect(200).await;
    for token in ["nonsense", "", &sent.position()[1..]] {
        bob.get("/v1/conversations").header("parlor-min-position", token).expect(422).await;
    }
    // Commands wait as well.
    bob.saying(room, "after").after(&sent.position()).expect(201).await;
}

async fn headers(server: &Server, ann: &User) {
    let own = ann.get("/v1/auth/me").header("x-request-id", "mine-1").expect(200).await;
    assert_eq!(own.header("x-request-id"), Some("mine-1"));
    let made = ann.get("/v1/auth/me").expect(200).await;
    assert!(made.header("x-request-id").is_some_and(|id| !id.is_empty()));
    let unsigned = server.api().post("/v1/conversations", &json!({})).expect(401).await;
    assert!(unsigned.header("www-authenticate").is_some_and(|said| said.starts_with("Bearer")));
    ann.get("/v1/users/me/profile").if_match("not a version").send().await;
    let bad = ann.patch("/v1/users/me/profile", &json!({"bio": "x"})).if_match("not a version");
    bad.after(&ann.registered).expect(422).await;
}
