//! One command or query.

use std::fmt::Display;
use std::future::IntoFuture;
use std::marker::PhantomData;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Parlor, Result, new_id};

/// What is sent, in every attempt alike.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Bytes>,
    /// Sent without a token.
    pub(crate) open: bool,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) if_match: Option<String>,
    /// Positions that the server waits for.
    pub(crate) after: Vec<String>,
    pub(crate) retries: Option<u32>,
}

impl Request {
    pub(crate) fn is_command(&self) -> bool {
        self.method != Method::GET
    }
}

/// A command or query that is sent when it is awaited, and gives `T`.
///
/// Whatever may pass (no answer, 429, 502, 503, 504) is tried again; a command has one effect nevertheless, for all attempts
/// carry the same key.
#[must_use = "it is sent when it is awaited"]
#[derive(Debug)]
pub struct Call<T> {
    parlor: Parlor,
    request: Request,
    /// Why it can't be sent.
    invalid: Option<Error>,
    gives: PhantomData<fn() -> T>,
}

/// What a call gave, with what its headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// What it gave.
    pub body: T,
    /// The resource's version, for [`Call::if_match`].
    pub etag: Option<String>,
    /// What the command wrote, or what the view held that the query read, for [`Call::after`].
    pub position: Option<String>,
    /// Whether it is an earlier command's answer, to the same idempotency key.
    pub replayed: bool,
    /// The request's id, to be found in the server's log.
    pub request_id: Option<String>,
}

impl<T> Call<T> {
    pub(crate) fn new(parlor: Parlor, method: Method, path: String) -> Self {
        let idempotency_key = (method != Method::GET).then(|| new_id().to_string());
        let request = Request {
            method,
            path,
            query: Vec::new(),
            body: None,
            open: false,
            idempotency_key,
            if_match: None,
            after: Vec::new(),
            retries: None,
        };
        Self { parlor, request, invalid: None, gives: PhantomData }
    }

    /// The key of a command: a repeat with the same one, be it of another process, has no second effect. A new one unless
    /// given; the same for all attempts.
    pub fn idempotency_key(mut self, key: impl Display) -> Self {
        self.request.idempotency_key = Some(key.to_string());
        self
    }

    /// Refused, with the code `version-mismatch`, unless the resource is at this version ([`Answer::etag`]).
    pub fn if_match(mut self, etag: impl Into<String>) -> Self {
        self.request.if_match = Some(etag.into());
        self
    }

    /// Carried out once this is seen: a position of another client's, say ([`Answer::position`]).
    pub fn after(mut self, position: impl Into<String>) -> Self {
        self.request.after.push(position.into());
        self
    }

    /// How often it is sent again at most.
    pub fn retries(mut self, retries: u32) -> Self {
        self.request.retries = Some(retries);
        self
    }

    /// With this parameter in the query string, instead of an earlier value of it.
    pub fn query(mut self, name: &'static str, value: impl Display) -> Self {
        self.request.query.retain(|(given, _)| *given != name);
        self.request.query.push((name, value.to_string()));
        self
    }

    /// With this as JSON in the body.
    pub fn body(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(body) {
            Ok(text) => self.request.body = Some(text.into()),
            Err(error) => self.invalid = Some(Error::Invalid(format!("the body is no JSON: {error}"))),
        }
        self
    }

    /// Sent without a token.
    pub(crate) fn open(mut self) -> Self {
        self.request.open = true;
        self
    }
}

impl<T: DeserializeOwned> Call<T> {
    /// Sends it, and gives what the headers say as well.
    pub async fn answer(self) -> Result<Answer<T>> {
        if let Some(error) = self.invalid {
            return Err(error);
        }
        let (headers, body) = self.parlor.carry_out(&self.request).await?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        // Nothing is `()`, or `None`; and who expects nothing doesn't mind what a newer server says there.
        let nothing = body.is_empty() || size_of::<T>() == 0;
        let text: &[u8] = if nothing { b"null" } else { &body };
        let body = serde_json::from_slice(text).map_err(|error| {
            Error::Unreadable(format!("{} {}: {error}", self.request.method, self.request.path))
        })?;
        Ok(Answer {
            body,
            etag: header("etag"),
            position: header("parlor-position"),
            replayed: header("idempotency-replayed").as_deref() == Some("true"),
            request_id: header("x-request-id"),
        })
    }
}

impl<T> Clone for Call<T> {
    fn clone(&self) -> Self {
        let Self { parlor, request, invalid, gives } = self;
        Self { parlor: parlor.clone(), request: request.clone(), invalid: invalid.clone(), gives: *gives }
    }
}

impl<T: DeserializeOwned + Send + 'static> IntoFuture for Call<T> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'static, Result<T>>;

    fn into_future(self) -> Self::IntoFuture {
        async move { Ok(self.answer().await?.body) }.boxed()
    }
}
