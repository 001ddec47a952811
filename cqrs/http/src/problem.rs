//! Failures as problem documents (RFC 9457), `application/problem+json`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use cqrs_core::{Failure, FieldError, RefusalKind, Refused};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::catalogue::title_of;

/// The media type of problem documents.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Where a problem's `type` points if nothing else is configured.
pub(crate) const DEFAULT_BASE: &str = "/docs/problems";
/// Where waiting helps and nobody knows how long: a second.
const SOON: Duration = Duration::from_secs(1);

/// Why a request wasn't carried out, for the client.
///
/// As a response it carries itself along, so that [`layer`](crate::layer()) can complete it with the request's id
/// and log what the client must not see.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    extensions: Map<String, Value>,
    headers: HeaderMap,
    /// For the log only.
    cause: Option<String>,
}

/// The document as it is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    r#type: String,
    title: Cow<'static, str>,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(flatten)]
    extensions: &'a Map<String, Value>,
}

impl Problem {
    /// A problem with this code; its title comes from the [catalogue](crate::PROBLEMS) or is the code in words.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            extensions: Map::new(),
            headers: HeaderMap::new(),
            cause: None,
        }))
    }

    /// A defect: `cause` goes into the log, and nothing of it to the client.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let mut problem = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal-error",
            "Something went wrong here; the request id helps to find it in the log.",
        );
        problem.0.cause = Some(cause.to_string());
        problem
    }

    /// Adds a field that is to blame.
    #[must_use]
    pub fn with_error(mut self, error: FieldError) -> Self {
        self.0.errors.push(error);
        self
    }

    /// Adds an extension member (RFC 9457 §3.2), as `currentVersion`.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.0.extensions.insert(member.to_owned(), value.into());
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Says when to try again, in whole seconds, rounded up, at least one.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let seconds = HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX));
        self.with_header(RETRY_AFTER, seconds)
    }

    /// The status it is answered with.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Its code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// What it says to people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The fields to blame.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// What the client must not see, for the log.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// Makes `response` say this. Headers that it has already stay, so that `Allow` and the like survive.
    pub(crate) fn write(self, response: &mut Response, base: &str, request_id: Option<&str>) {
        let Inner { status, code, detail, errors, extensions, headers, .. } = *self.0;
        let document = Document {
            r#type: format!("{base}#{code}"),
            title: title_of(code),
            status: status.as_u16(),
            detail: &detail,
            code,
            request_id,
            errors: &errors,
            extensions: &extensions,
        };
        // Strings and maps with string keys can always be written.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        *response.status_mut() = status;
        *response.body_mut() = Body::from(body);
        response.headers_mut().remove(CONTENT_LENGTH);
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        response.headers_mut().extend(headers);
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        self.clone().write(&mut response, DEFAULT_BASE, None);
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let detail = failure.to_string();
        match failure {
            Failure::Refused(refused) => Self::from(*refused),
            Failure::VersionMismatch { expected, current } => {
                Self::new(StatusCode::PRECONDITION_FAILED, "version-mismatch", detail)
                    .with("expectedVersion", expected)
                    .with("currentVersion", current)
            }
            Failure::Contended => Self::new(StatusCode::CONFLICT, "concurrent-update", detail),
            Failure::KeyReused => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", detail)
            }
            Failure::InFlight => {
                Self::new(StatusCode::CONFLICT, "command-in-flight", detail).retry_after(SOON)
            }
            Failure::ViewBehind => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "view-behind", detail).retry_after(SOON)
            }
            Failure::EpochChanged => Self::new(StatusCode::GONE, "epoch-changed", detail),
            Failure::BadToken => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-token", detail),
            Failure::DeadlineExceeded => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "deadline-exceeded", detail).retry_after(SOON)
            }
            Failure::Unavailable(_) => {
                let public = "A store can't be reached or has too much to do; try again.";
                let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", public);
                problem.0.cause = Some(detail);
                problem.retry_after(SOON)
            }
            Failure::StorageFull => Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage-full", detail),
            Failure::MissingKeys(_) | Failure::Internal(_) => Self::internal(detail),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match refused.kind {
            RefusalKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            RefusalKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            RefusalKind::Forbidden => StatusCode::FORBIDDEN,
            RefusalKind::NotFound => StatusCode::NOT_FOUND,
            RefusalKind::Conflict => StatusCode::CONFLICT,
            RefusalKind::Gone => StatusCode::GONE,
            RefusalKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        };
        let mut problem = Self::new(status, refused.code, refused.detail);
        problem.0.errors = refused.errors;
        if status == StatusCode::UNAUTHORIZED {
            problem = problem.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        match refused.retry_after {
            Some(wait) => problem.retry_after(wait),
            None if status == StatusCode::TOO_MANY_REQUESTS => problem.retry_after(SOON),
            None => problem,
        }
    }
}
