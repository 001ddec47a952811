//! Somebody who uses Parlor.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Api, Call, Reply};
use crate::feed::Feed;

/// The password of everybody here.
pub const PASSWORD: &str = "a wren sings at noon";

/// Somebody signed in.
#[derive(Clone)]
pub struct User {
    /// Where.
    pub api: Api,
    /// Their id.
    pub id: String,
    /// Their e-mail address.
    pub email: String,
    /// Their name.
    pub name: String,
    /// Their access token.
    pub token: String,
    /// Their refresh token.
    pub refresh: String,
    /// Their session.
    pub session: String,
    /// What registering them wrote, for whoever needs a view to know them.
    pub registered: String,
}

impl User {
    /// Registers somebody by this name, and signs them in.
    pub async fn sign_up(api: &Api, name: &str) -> Self {
        let email = format!("{}@example.org", name.to_lowercase().replace(' ', "."));
        Self::sign_up_as(api, name, &email).await
    }

    /// Registers somebody by this name and address, and signs them in.
    pub async fn sign_up_as(api: &Api, name: &str, email: &str) -> Self {
        let body = json!({"email": email, "password": PASSWORD, "displayName": name});
        let reply = api.post("/v1/auth/register", &body).expect(201).await;
        let mut user = Self {
            api: api.clone(),
            id: reply.text("userId"),
            email: email.to_owned(),
            name: name.to_owned(),
            token: String::new(),
            refresh: String::new(),
            session: String::new(),
            registered: reply.position(),
        };
        user.sign_in().await;
        user
    }

    /// Signs in (again).
    pub async fn sign_in(&mut self) {
        let body = json!({"email": self.email, "password": PASSWORD});
        let reply = self.api.post("/v1/auth/login", &body).expect(200).await;
        assert_eq!(reply.text("userId"), self.id);
        self.take(&reply);
    }

    /// Takes over the tokens of an answer.
    pub fn take(&mut self, reply: &Reply) {
        self.token = reply.text("accessToken");
        self.refresh = reply.text("refreshToken");
        self.session = reply.text("sessionId");
    }

    /// What their `Authorization` header says.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// A request of theirs.
    pub fn call(&self, method: Method, path: &str) -> Call {
        self.api.call(method, path).token(&self.token)
    }

    /// A GET.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// A POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    /// A PUT of JSON.
    pub fn put(&self, path: &str, body: &Value) -> Call {
        self.call(Method::PUT, path).json(body)
    }

    /// A PATCH with JSON.
    pub fn patch(&self, path: &str, body: &Value) -> Call {
        self.call(Method::PATCH, path).json(body)
    }

    /// A DELETE.
    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// Begins a conversation of these two; gives its id.
    pub async fn direct(&self, other: &Self) -> String {
        let body = json!({"kind": "direct", "participants": [other.id]});
        let call = self.post("/v1/conversations", &body).after(&other.registered).after(&self.registered);
        let reply = call.send().await;
        assert!([200, 201].contains(&reply.status), "{reply:?}");
        reply.text("id")
    }

    /// Begins a group with these; gives its id.
    pub async fn group(&self, title: &str, others: &[&Self]) -> String {
        let participants: Vec<_> = others.iter().map(|other| &other.id).collect();
        let body = json!({"kind": "group", "title": title, "participants": participants});
        let call = self.post("/v1/conversations", &body).after(&self.registered);
        let call = others.iter().fold(call, |call, other| call.after(&other.registered));
        call.expect(201).await.text("id")
    }

    /// A request that says something.
    pub fn saying(&self, conversation: &str, content: &str) -> Call {
        self.post(&format!("/v1/conversations/{conversation}/messages"), &json!({"content": content}))
    }

    /// Says something.
    pub async fn say(&self, conversation: &str, content: &str) -> Reply {
        self.saying(conversation, content).expect(201).await
    }

    /// All of a list's items, page by page, once the view holds `after`; `path` may have a query string.
    pub async fn all(&self, path: &str, after: Option<&str>) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let call = match &cursor {
                None => self.get(&format!("{path}{joint}limit=200")),
                Some(cursor) => self.get(&format!("{path}{joint}limit=200&cursor={cursor}")),
            };
            let call = match after {
                Some(position) => call.after(position),
                None => call,
            };
            let reply = call.expect(200).await;
            items.extend(reply.items());
            match reply.json()["nextCursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return items,
            }
        }
    }

    /// All messages of a conversation that they may see, newest first.
    pub async fn messages(&self, conversation: &str, after: Option<&str>) -> Vec<Value> {
        self.all(&format!("/v1/conversations/{conversation}/messages"), after).await
    }

    /// How many messages they haven't read there.
    pub async fn unread(&self, conversation: &str, after: &str) -> u64 {
        let path = format!("/v1/conversations/{conversation}/unread-count");
        let reply = self.get(&path).after(after).expect(200).await;
        reply.json()["count"].as_u64().expect("a count")
    }

    /// What they find, newest first.
    pub async fn find(&self, query: &str, after: Option<&str>) -> Vec<Value> {
        self.all(&format!("/v1/messages/search?q={}", escape(query)), after).await
    }

    /// Their live feed from now on, or from this cursor on.
    pub async fn feed(&self, cursor: Option<&str>) -> Feed {
        Feed::open(self, cursor).await
    }
}

/// A text as part of a query string (RFC 3986).
pub fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(byte.into()),
            _ => write!(escaped, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    escaped
}
