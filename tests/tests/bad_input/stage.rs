//! Somebody signed in beside somebody else, and what is stored of what they do.

use std::collections::BTreeMap;

use parlor_tests::cast::service_key;
use parlor_tests::{Call, Reply, Server, Store, User};
use reqwest::Method;
use serde_json::{Value, json};

/// A running server with Ann, Bob, a group and a message.
pub struct Stage {
    /// The server.
    pub server: Server,
    /// Who asks.
    pub ann: User,
    /// Somebody else.
    pub bob: User,
    /// An application's key.
    pub key: String,
    /// Ann's group, which Bob is in.
    pub group: String,
    /// A message of Ann's.
    pub message: String,
}

/// What is stored and shown: how far each log has come, and what Ann and Bob see.
#[derive(Debug, PartialEq)]
pub struct Stored {
    logs: Vec<(&'static str, u64)>,
    shown: BTreeMap<String, Value>,
}

impl Stage {
    /// Sets it up.
    pub async fn new() -> Self {
        let server = Server::start(Store::Sqlite).await;
        let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
        let key = service_key(&server).await;
        let group = ann.group("Choir", &[&bob]).await;
        let message = ann.say(&group, "sound").await.text("id");
        Self { server, ann, bob, key, group, message }
    }

    /// A request of Ann's, or of the application's where only it may ask.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let path = path.replace("{group}", &self.group).replace("{message}", &self.message);
        let path = path.replace("{bob}", &self.bob.id);
        let token = match (&method, path.as_str()) {
            (&Method::POST, "/v1/users" | "/v1/notifications" | "/v1/auth/tokens") => &self.key,
            _ => &self.ann.token,
        };
        self.ann.api.call(method, &path).token(token)
    }

    /// What is stored by now, once everything has come to rest.
    pub async fn stored(&self) -> Stored {
        let logs = parlor_tests::log::settled(&self.server).await;
        let mut shown = BTreeMap::new();
        for user in [&self.ann, &self.bob] {
            for path in [
                "/v1/auth/me",
                "/v1/users/me/profile",
                "/v1/users/me/contacts",
                "/v1/conversations?limit=200",
                "/v1/unread-count",
                "/v1/notifications?limit=200",
                "/v1/notifications/preferences",
                &format!("/v1/conversations/{}/messages?limit=200", self.group),
                &format!("/v1/conversations/{}/participants", self.group),
            ] {
                let mut page = user.get(path).expect(200).await.json();
                // Cursors are sealed anew each time.
                page.as_object_mut().unwrap().remove("nextCursor");
                shown.insert(format!("{} {path}", user.name), page);
            }
        }
        Stored { logs, shown }
    }
}

/// A problem document with this status and code.
#[track_caller]
pub fn assert_problem(reply: &Reply, status: u16, code: &str, what: &str) -> Value {
    assert_eq!(reply.status, status, "{what}: {}", brief(reply));
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{what}: {}", brief(reply));
    assert!(reply.body.len() < 2_048, "{what}: a long answer: {}", brief(reply));
    let problem = reply.json();
    assert_eq!(problem["code"], code, "{what}: {problem}");
    assert_eq!(problem["status"], status, "{what}: {problem}");
    for member in ["type", "title", "detail", "requestId"] {
        assert!(problem[member].is_string(), "{what}: {member} is missing: {problem}");
    }
    problem
}

/// The same, naming the field.
#[track_caller]
pub fn assert_field(reply: &Reply, code: &str, pointer: &str, what: &str) {
    let problem = assert_problem(reply, 422, code, what);
    assert_eq!(problem["errors"][0]["pointer"], pointer, "{what}: {problem}");
    let detail = problem["errors"][0]["detail"].as_str().unwrap_or_default();
    assert!(!detail.is_empty() && !detail.contains(" at line "), "{what}: {problem}");
}

/// An answer's beginning, for messages.
pub fn brief(reply: &Reply) -> String {
    let text = String::from_utf8_lossy(&reply.body);
    format!("{} {}", reply.status, text.chars().take(400).collect::<String>())
}

/// Every command that takes a body, with a sound one.
pub fn commands(stage: &Stage) -> Vec<(Method, &'static str, Value)> {
    let password = parlor_tests::user::PASSWORD;
    vec![
        (
            Method::POST,
            "/v1/auth/register",
            json!({"email": "next@example.org", "password": password, "displayName": "Next"}),
        ),
        (
            Method::POST,
            "/v1/auth/login",
            json!({"email": stage.ann.email, "password": password, "device": "d"}),
        ),
        (Method::POST, "/v1/auth/refresh", json!({"refreshToken": "t"})),
        (Method::POST, "/v1/auth/logout", json!({"everywhere": false})),
        (Method::POST, "/v1/auth/password-reset", json!({"email": stage.ann.email})),
        (Method::POST, "/v1/auth/password-reset/confirm", json!({"token": "t", "newPassword": password})),
        (Method::POST, "/v1/auth/introspect", json!({"token": "t"})),
        (Method::POST, "/v1/auth/verify-email", json!({"token": "t"})),
        (Method::PUT, "/v1/auth/password", json!({"currentPassword": password, "newPassword": password})),
        (Method::PUT, "/v1/auth/email", json!({"email": "new@example.org", "currentPassword": password})),
        (Method::POST, "/v1/auth/tokens", json!({"userId": stage.bob.id, "device": "d"})),
        (
            Method::POST,
            "/v1/users",
            json!({"displayName": "Made", "email": "m@example.org", "externalId": "m", "bio": "b", "avatarUrl": "https://example.org/a"}),
        ),
        (
            Method::PATCH,
            "/v1/users/me/profile",
            json!({"displayName": "Ann", "bio": "b", "avatarUrl": "https://example.org/a"}),
        ),
        (Method::PUT, "/v1/users/me/status", json!({"status": "busy", "text": "t"})),
        (
            Method::POST,
            "/v1/conversations",
            json!({"kind": "group", "title": "T", "participants": [stage.bob.id], "history": "all"}),
        ),
        (Method::PATCH, "/v1/conversations/{group}", json!({"title": "T"})),
        (Method::PUT, "/v1/conversations/{group}/participants/{bob}", json!({"role": "admin"})),
        (
            Method::POST,
            "/v1/conversations/{group}/messages",
            json!({"content": "c", "type": "text", "id": "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000", "replyTo": stage.message}),
        ),
        (Method::PATCH, "/v1/conversations/{group}/messages/{message}", json!({"content": "c"})),
        (Method::PUT, "/v1/conversations/{group}/read", json!({"upTo": stage.message})),
        (
            Method::POST,
            "/v1/notifications",
            json!({"userId": stage.bob.id, "kind": "k", "title": "t", "body": "b", "link": "/l"}),
        ),
        (
            Method::PUT,
            "/v1/notifications/preferences",
            json!({"kinds": {"group": "all"}, "quietHours": {"from": "22:00", "to": "07:00", "timeZone": "Europe/Berlin"}}),
        ),
    ]
}
