//! Commands on arrival: who asks, under which key, with what body.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use cqrs_core::{Actor, Context};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::edge::Edge;
use crate::headers;
use crate::json;
use crate::problem::Problem;
use crate::request::RequestInfo;

/// A signed-in caller's command: its context and its body.
///
/// Who asks is found out first, before anything is read. The body is strict JSON in `application/json`: unknown fields
/// are refused where `T` has `deny_unknown_fields`, as it should. An empty body reads as `{}`.
#[derive(Debug, Clone)]
pub struct Input<T> {
    /// Who asks, and under which ids, key and expectations.
    pub cx: Context,
    /// What is asked for.
    pub body: T,
}

/// The command of a caller who needn't be signed in (registration, sign-in, password reset).
#[derive(Debug, Clone)]
pub struct OpenInput<T> {
    /// Under which ids, key and expectations; the actor is [`Actor::Anonymous`].
    pub cx: Context,
    /// What is asked for.
    pub body: T,
}

/// The body of a command that has none. `{}` is accepted too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoBody {}

impl<T> Input<T> {
    /// The same, its idempotency key ignored: for commands that are safe to repeat and whose answer must not be kept.
    #[must_use]
    pub fn ignoring_key(mut self) -> Self {
        self.cx.idempotency = None;
        self
    }
}

impl<T> OpenInput<T> {
    /// The same, its idempotency key ignored: for commands that are safe to repeat and whose answer must not be kept.
    #[must_use]
    pub fn ignoring_key(mut self) -> Self {
        self.cx.idempotency = None;
        self
    }
}

impl<S, T> FromRequest<S> for Input<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
    Edge: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let edge = Edge::from_ref(state);
        let (parts, body) = request.into_parts();
        let mut cx = edge.signed_in(&parts).await?;
        let bytes = read(&edge, &parts, body, &mut cx).await?;
        Ok(Self { cx, body: json::parse(&bytes)? })
    }
}

impl<S, T> FromRequest<S> for OpenInput<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
    Edge: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let edge = Edge::from_ref(state);
        let (parts, body) = request.into_parts();
        let options = edge.options();
        let mut cx = RequestInfo::of(&parts, options).context(Actor::Anonymous, options);
        let bytes = read(&edge, &parts, body, &mut cx).await?;
        Ok(Self { cx, body: json::parse(&bytes)? })
    }
}

/// Reads the command's headers into the context, and gives its body.
async fn read(edge: &Edge, parts: &Parts, body: Body, cx: &mut Context) -> Result<Bytes, Problem> {
    cx.if_match = headers::if_match(&parts.headers)?;
    cx.wanted = headers::wanted(&parts.headers, edge.tokens())?;
    let bytes = read_body(edge, parts, body, cx).await?;
    cx.idempotency = headers::idempotency(parts, &bytes)?;
    Ok(bytes)
}

/// How much of a body that is too large is read all the same, and for how long.
const DISCARDED_BYTES: usize = 8 * 1024 * 1024;
const DISCARDED_FOR: Duration = Duration::from_secs(2);

/// Reads a body away. A client that is still sending when the connection closes sees a broken connection and not the
/// answer (RFC 9112, section 9.6); so most get the time to finish.
async fn discard(body: Body) {
    let mut body = Limited::new(body, DISCARDED_BYTES);
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    // Past the time the connection closes on the client, as it would have at once.
    let _ = tokio::time::timeout(DISCARDED_FOR, all).await;
}

async fn read_body(edge: &Edge, parts: &Parts, body: Body, cx: &Context) -> Result<Bytes, Problem> {
    let limit = edge.options().max_body;
    let too_large = || {
        let detail = format!("the body is larger than {limit} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", detail).with("maxBytes", limit)
    };
    let announced =
        parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        discard(body).await;
        return Err(too_large());
    }
    let whole = Limited::new(body, limit).collect();
    let read = match cx.deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), whole).await.map_err(|_| {
            let detail = "the request's body didn't arrive in time";
            Problem::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", detail)
        })?,
        None => whole.await,
    };
    let bytes = match read {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
        Err(_) => {
            let detail = "the request's body broke off";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail));
        }
    };
    if !bytes.is_empty() {
        require_plain_json(&parts.headers)?;
    }
    Ok(bytes)
}

/// 415 unless the body is `application/json`, not encoded.
fn require_plain_json(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported = |detail: &'static str| {
        Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail))
    };
    if headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return unsupported("the body must come without a Content-Encoding");
    }
    let media_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let essence = media_type.split(|byte| *byte == b';').next().unwrap_or_default();
    if !essence.trim_ascii().eq_ignore_ascii_case(b"application/json") {
        return unsupported("the body must be application/json");
    }
    Ok(())
}
