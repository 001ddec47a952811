//! Why something wasn't done.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::{Deserialize, Serialize};

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// There is no session any more (it ended, or there was none): somebody has to sign in.
    #[error("nobody is signed in")]
    SignedOut,
    /// No answer came: nobody knows whether the request was carried out.
    #[error("the server gave no answer: {}", chain(&**.0))]
    Unanswered(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// An answer came that this client can't read; the text says what is wrong with it.
    #[error("the server's answer can't be read: {0}")]
    Unreadable(String),
    /// The tokens could not be kept or read.
    #[error("the token store failed: {0}")]
    Store(#[source] Arc<io::Error>),
    /// The call itself is wrong, and wasn't sent; the text says what to change.
    #[error("{0}")]
    Invalid(String),
}

/// An error and what it comes from: HTTP libraries say what happened at the very end of it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl Error {
    /// What a token store failed with.
    pub(crate) fn store(error: io::Error) -> Self {
        Self::Store(Arc::new(error))
    }

    /// Whether the same call may succeed if it is made again. Calls try again by themselves before they fail.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.is_passing(),
            Self::Unanswered(_) => true,
            Self::SignedOut | Self::Unreadable(_) | Self::Store(_) | Self::Invalid(_) => false,
        }
    }

    /// The server's refusal, if that is what it is.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// The refusal's stable code, such as `email-taken`.
    pub fn code(&self) -> Option<&str> {
        self.problem().map(|problem| problem.code.as_str())
    }

    /// The refusal's HTTP status.
    pub fn status(&self) -> Option<u16> {
        self.problem().map(|problem| problem.status)
    }

    /// When the server wants to be asked again, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.problem().and_then(|problem| problem.retry_after)
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        if error.is_builder() { Self::Invalid(chain(&error)) } else { Self::Unanswered(Arc::new(error)) }
    }
}

/// Why a request wasn't carried out: the problem document (RFC 9457) that the server answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail} ({status} {code})")]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Problem {
    /// What explains this kind of problem: a URI reference.
    pub r#type: String,
    /// The kind of problem in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here, and what to do.
    pub detail: String,
    /// Stable, to act on; `/docs/problems` lists them. `http-` and the status where something in between answered.
    pub code: String,
    /// The invalid fields.
    #[serde(default)]
    pub errors: Vec<InvalidField>,
    /// To be found in the server's log.
    pub request_id: String,
    /// When it may be tried again, if the server named a time.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

/// A field that isn't as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InvalidField {
    /// JSON pointer into the body, or the name of the parameter or header.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Problem {
    /// Whether the same request may succeed if it is sent again.
    pub fn is_passing(&self) -> bool {
        matches!(self.status, 408 | 429 | 502 | 503 | 504) || self.code == "command-in-flight"
    }

    /// What an answer that isn't a success says.
    pub(crate) fn of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after =
            retry_after.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        let described = serde_json::from_slice::<Self>(body);
        // A proxy in between answers with something else.
        let problem = described.unwrap_or_else(|_| Self {
            r#type: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Unknown").to_owned(),
            status: status.as_u16(),
            detail: format!("the server answered {status}"),
            code: format!("http-{}", status.as_u16()),
            errors: Vec::new(),
            request_id: String::new(),
            retry_after: None,
        });
        Self { status: status.as_u16(), retry_after, ..problem }
    }
}
