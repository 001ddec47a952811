//! A client that hands its requests to the router itself.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::bank::Bank;

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
    /// It is a problem document of this status and code.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) -> Value {
        let document = self.json();
        assert_eq!((self.status.as_u16(), document["code"].as_str()), (status, Some(code)), "{document}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(document["status"], status);
        assert_eq!(document["type"], format!("/docs/problems#{code}"));
        assert_eq!(document["requestId"].as_str(), self.header("x-request-id"));
        assert!(document["title"].as_str().is_some_and(|title| !title.is_empty()), "{document}");
        assert!(document["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{document}");
        document
    }
}

/// A request being put together; signed in as Alice unless said otherwise.
pub struct Ask {
    request: axum::http::request::Builder,
    body: Vec<u8>,
    signed_in: bool,
}

pub fn ask(method: &str, path: &str) -> Ask {
    Ask { request: Request::builder().method(method).uri(path), body: Vec::new(), signed_in: true }
}

impl Ask {
    /// The same request to another path.
    pub fn at(mut self, path: &str) -> Self {
        self.request = self.request.uri(path);
        self
    }
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.request = self.request.header(name, value.as_ref());
        self
    }
    pub fn nobody(mut self) -> Self {
        self.signed_in = false;
        self
    }
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.request = self.request.extension(value);
        self
    }
    pub fn json(self, body: impl AsRef<[u8]>) -> Self {
        self.header("content-type", "application/json").bytes(body)
    }
    pub fn bytes(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }
    pub async fn of(mut self, bank: &Bank) -> Reply {
        let body = std::mem::take(&mut self.body).into();
        self.send(bank, body).await
    }
    pub async fn send(self, bank: &Bank, body: Body) -> Reply {
        let request = if self.signed_in { self.header("authorization", "Bearer alice") } else { self };
        let request = request.request.body(body).unwrap();
        let response = bank.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: parts.status, headers: parts.headers, body }
    }
}
