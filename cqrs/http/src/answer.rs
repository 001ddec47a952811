//! Answers as responses.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use cqrs_core::{Outcome, Reply};
use serde::Serialize;

use crate::headers::{IDEMPOTENCY_REPLAYED, POSITION, TRUE};
use crate::problem::Problem;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What is private stays out of caches.
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A command's answer. The body is sent as it was written, so that a repeat gets the very same bytes.
pub(crate) fn of_command(reply: Reply, position: &str) -> Response {
    let status = match reply.outcome {
        Outcome::Created => StatusCode::CREATED,
        Outcome::Accepted => StatusCode::ACCEPTED,
        Outcome::Done if reply.body.is_empty() => StatusCode::NO_CONTENT,
        Outcome::Done => StatusCode::OK,
    };
    let mut response = base(status, reply.body, reply.version, position);
    if reply.replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, TRUE);
    }
    response
}

/// A query's answer.
pub(crate) fn of_query<T: Serialize>(
    answer: &T,
    version: Option<u64>,
    position: &str,
) -> Result<Response, Problem> {
    let body = serde_json::to_vec(answer).map_err(Problem::internal)?;
    Ok(base(StatusCode::OK, body, version, position))
}

fn base(status: StatusCode, body: Vec<u8>, version: Option<u64>, position: &str) -> Response {
    let has_body = !body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, NO_STORE);
    if has_body {
        headers.insert(CONTENT_TYPE, JSON);
    }
    // Tokens are base64url, and ETags digits: always valid values.
    if let Ok(position) = HeaderValue::from_str(position) {
        headers.insert(POSITION, position);
    }
    if let Some(version) = version.filter(|version| *version > 0)
        && let Ok(etag) = HeaderValue::try_from(format!("\"{version}\""))
    {
        headers.insert(ETAG, etag);
    }
    response
}
