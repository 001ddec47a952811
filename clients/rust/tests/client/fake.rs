//! A server that answers as it is told.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use parlor_client::Builder;
use parlor_client::Parlor;
use serde_json::{Value, json};

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("headers are text here"))
    }
}

/// What it answers; dropped, there is no answer.
pub type Reply = Option<Response<Body>>;

/// The server, and what came to it.
#[derive(Clone)]
pub struct Fake {
    pub base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    /// Starts one that answers the nth request, counted from 1, as `answer` says.
    pub async fn start(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("it has one"));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let fake = Self { base, seen: Arc::clone(&seen) };
        let answer = Arc::new(answer);
        let app = Router::new().fallback(move |request: Request| {
            let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, 1 << 20).await.expect("a whole body");
                let url = parts.uri.query().unwrap_or_default();
                let request = Seen {
                    method: parts.method.to_string(),
                    path: parts.uri.path().to_owned(),
                    query: serde_urlencoded::from_str(url).expect("a query string"),
                    headers: parts.headers,
                    body: if body.is_empty() {
                        Value::Null
                    } else {
                        serde_json::from_slice(&body).expect("JSON")
                    },
                };
                let nth = {
                    let mut seen = seen.lock().expect("nobody panics with it");
                    seen.push(request.clone());
                    seen.len()
                };
                answer(&request, nth).unwrap_or_else(cut)
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        fake
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panics with it").clone()
    }

    /// Paths of all requests, in their order.
    pub fn paths(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.path).collect()
    }

    pub fn client(&self) -> Builder {
        Parlor::builder(&self.base)
    }
}

/// A connection that breaks in the middle of the answer.
fn cut() -> Response<Body> {
    let broken = futures::stream::iter([Ok("{\"half".to_owned()), Err(std::io::Error::other("cut"))]);
    Response::new(Body::from_stream(broken))
}

pub fn answer(status: u16, body: &Value) -> Reply {
    with(status, &[], body)
}

pub fn with(status: u16, headers: &[(&str, &str)], body: &Value) -> Reply {
    raw(status, headers, if body.is_null() { String::new() } else { body.to_string() })
}

pub fn raw(status: u16, headers: &[(&str, &str)], body: String) -> Reply {
    let response = headers
        .iter()
        .fold(Response::builder().status(status), |response, (name, value)| response.header(*name, *value));
    response.body(body.into()).ok()
}

pub fn problem(status: u16, code: &str, headers: &[(&str, &str)]) -> Reply {
    let body = json!({"type": format!("/docs/problems#{code}"), "title": code, "status": status, "detail": code,
        "code": code, "requestId": "r-1"});
    with(status, headers, &body)
}

/// The nth pair of tokens.
pub fn pair(n: u32, expires_in: u64) -> Value {
    json!({"accessToken": format!("access-{n}"), "refreshToken": format!("refresh-{n}"), "tokenType": "Bearer",
        "expiresIn": expires_in, "userId": "01890000-0000-7000-8000-00000000000a",
        "sessionId": "01890000-0000-7000-8000-00000000000b"})
}

pub fn empty_page() -> Value {
    json!({"items": [], "nextCursor": null})
}
