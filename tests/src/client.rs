//! Requests and answers.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

/// Longer than any deadline of the server's, so that it's the server that gives up first.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A server's HTTP interface.
#[derive(Clone)]
pub struct Api {
    http: Client,
    base: String,
    asked: Arc<Mutex<BTreeSet<(String, String)>>>,
}

impl Api {
    /// At this address, such as `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Self {
        let http = Client::builder().no_proxy().build().expect("a client without TLS always works");
        Self { http, base: base.to_owned(), asked: Arc::default() }
    }

    /// Its address, such as `http://127.0.0.1:8080`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let bare = path.split('?').next().unwrap_or(path).to_owned();
        self.asked.lock().expect("nobody panics with it").insert((method.as_str().to_owned(), bare));
        Call(self.http.request(method, format!("{}{path}", self.base)))
    }

    /// A GET.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// A POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    /// Methods and paths of all requests so far.
    pub fn asked(&self) -> BTreeSet<(String, String)> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

/// A request that is being put together.
#[must_use]
pub struct Call(RequestBuilder);

impl Call {
    /// With this header.
    pub fn header(self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header's name");
        Self(self.0.header(name, HeaderValue::try_from(value).expect("a header's value")))
    }

    /// As whoever has this token.
    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With this idempotency key.
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Once the views hold this position.
    pub fn after(self, position: &str) -> Self {
        self.header("parlor-min-position", position)
    }

    /// If it is at this version.
    pub fn if_match(self, etag: &str) -> Self {
        self.header("if-match", etag)
    }

    /// With this body.
    pub fn json(self, body: &Value) -> Self {
        self.raw("application/json", body.to_string())
    }

    /// With any body at all.
    pub fn raw(self, content_type: &str, body: impl Into<Bytes>) -> Self {
        let call = self.header("content-type", content_type);
        Self(call.0.body(body.into()))
    }

    /// The request as such.
    pub fn builder(self) -> RequestBuilder {
        self.0
    }

    /// Sends it; fails if there is no whole answer.
    pub async fn attempt(self) -> Result<Reply, reqwest::Error> {
        let response = self.0.timeout(TIMEOUT).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, body: response.bytes().await? })
    }

    /// Sends it to a server that must answer.
    #[track_caller]
    pub fn send(self) -> impl Future<Output = Reply> + Send {
        let asked_at = Location::caller();
        async move {
            self.attempt().await.unwrap_or_else(|error| panic!("no answer: {error:?}, asked at {asked_at}"))
        }
    }

    /// Sends it; the answer must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> impl Future<Output = Reply> + Send {
        let asked_at = Location::caller();
        let sending = self.send();
        async move {
            let reply = sending.await;
            assert_eq!(reply.status, status, "asked at {asked_at}: {reply:?}");
            reply
        }
    }

    /// Sends it; it must be refused with this status and code, as a problem document.
    #[track_caller]
    pub fn refused(self, status: u16, code: &'static str) -> impl Future<Output = Reply> + Send {
        let asked_at = Location::caller();
        let sending = self.expect(status);
        async move {
            let reply = sending.await;
            let problem = reply.json();
            assert_eq!(problem["code"], code, "asked at {asked_at}: {problem}");
            assert_eq!(problem["status"], status, "{problem}");
            assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{reply:?}");
            for member in ["type", "title", "detail", "requestId"] {
                assert!(problem[member].is_string(), "{member} is missing: {problem}");
            }
            assert_eq!(problem["requestId"].as_str(), reply.header("x-request-id"), "{problem}");
            reply
        }
    }
}

/// An answer.
#[derive(Clone)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, to the byte.
    pub body: Bytes,
}

impl Reply {
    /// The same, if it has this status.
    ///
    /// # Panics
    /// With the answer, if it has another one.
    #[must_use]
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A text of the body.
    #[track_caller]
    pub fn text(&self, member: &str) -> String {
        let body = self.json();
        body[member].as_str().unwrap_or_else(|| panic!("no text {member} in {body}")).to_owned()
    }

    /// The items of a page.
    #[track_caller]
    pub fn items(&self) -> Vec<Value> {
        let body = self.json();
        body["items"].as_array().unwrap_or_else(|| panic!("no items in {body}")).clone()
    }

    /// What it wrote, or what the view held.
    #[track_caller]
    pub fn position(&self) -> String {
        self.header("parlor-position").unwrap_or_else(|| panic!("no Parlor-Position: {self:?}")).to_owned()
    }

    /// The resource's version.
    #[track_caller]
    pub fn etag(&self) -> String {
        self.header("etag").unwrap_or_else(|| panic!("no ETag: {self:?}")).to_owned()
    }

    /// Whether it is an earlier command's answer.
    pub fn replayed(&self) -> bool {
        self.header("idempotency-replayed") == Some("true")
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}
