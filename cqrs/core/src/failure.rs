//! Why a command or query was not carried out.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// How a refusal is to be understood by the caller; the edge maps it to its protocol's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// The value is well-formed but not acceptable.
    Invalid,
    /// The caller is not signed in, or not any more.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// The thing doesn't exist, or the caller may not know that it does.
    NotFound,
    /// The state of things stands against it.
    Conflict,
    /// It is gone for good.
    Gone,
    /// Too often; later again.
    TooManyRequests,
}

/// A named refusal of the domain: one variant per reason, in the domain's words.
pub trait Refusal: std::error::Error + Send + Sync + 'static {
    /// A stable kebab-case code for clients to act on.
    fn code(&self) -> &'static str;
    /// What kind of refusal it is.
    fn kind(&self) -> RefusalKind;
    /// The JSON pointer of the field that is to blame, if one is.
    fn pointer(&self) -> Option<&'static str> {
        None
    }
    /// How long to wait before trying again, where waiting helps.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
    /// Whether a repeat of the same idempotent command that meets this refusal gets the first answer again.
    /// Not so where the caller has lost access since: by default, wherever the refusal hides or forbids.
    fn permits_replay(&self) -> bool {
        !matches!(self.kind(), RefusalKind::NotFound | RefusalKind::Forbidden | RefusalKind::Unauthenticated)
    }
}

/// For commands that are never refused.
impl Refusal for std::convert::Infallible {
    fn code(&self) -> &'static str {
        match *self {}
    }
    fn kind(&self) -> RefusalKind {
        match *self {}
    }
}

/// One invalid field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer into the request's body, or the name of the parameter.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl FieldError {
    /// An error at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { pointer: pointer.into(), detail: detail.to_string() }
    }
}

/// A refusal as data, detached from its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Stable code.
    pub code: &'static str,
    /// Kind.
    pub kind: RefusalKind,
    /// What is wrong and what to do, for people.
    pub detail: String,
    /// The fields to blame.
    pub errors: Vec<FieldError>,
    /// How long to wait before trying again.
    pub retry_after: Option<Duration>,
    /// See [`Refusal::permits_replay`].
    pub permits_replay: bool,
}

/// Why a command or query failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The domain refused.
    #[error("{}: {}", .0.code, .0.detail)]
    Refused(Box<Refused>),
    /// `If-Match` named another version than the current one.
    #[error("the resource is at version {current}, not {expected}")]
    VersionMismatch {
        /// What the client expected.
        expected: u64,
        /// What it is.
        current: u64,
    },
    /// Others were faster, again and again, until the retries ran out.
    #[error("others changed the same thing at the same time; try again")]
    Contended,
    /// The idempotency key was used before, with another content.
    #[error("this idempotency key was used before with another content")]
    KeyReused,
    /// The first command with this key is still running.
    #[error("the first command with this idempotency key is still running")]
    InFlight,
    /// The view hasn't come to the position asked for in time.
    #[error("the view has not reached the requested position yet")]
    ViewBehind,
    /// The token or cursor belongs to a log that was restored since.
    #[error("the token is of an earlier epoch of the log; read anew")]
    EpochChanged,
    /// A token or cursor that this instance didn't make.
    #[error("the token is malformed or was not issued here")]
    BadToken,
    /// The deadline passed; whether the command took effect is settled by repeating it with its key.
    #[error("not answered within the deadline")]
    DeadlineExceeded,
    /// A store can't be reached or is overloaded.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The disk is full.
    #[error("the storage is full")]
    StorageFull,
    /// Keys aren't at hand; whoever handles events loads them and tries again.
    #[error("keys of {} persons are not loaded", .0.len())]
    MissingKeys(Vec<uuid::Uuid>),
    /// A defect. The detail is for the log, never for the client.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Failure {
    /// An internal failure from any error.
    pub fn internal(error: impl fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }

    /// A refusal for an invalid value at `pointer`.
    pub fn invalid(pointer: &str, detail: impl fmt::Display) -> Self {
        Self::Refused(Box::new(Refused {
            code: "invalid-value",
            kind: RefusalKind::Invalid,
            detail: detail.to_string(),
            errors: vec![FieldError::new(pointer, detail)],
            retry_after: None,
            permits_replay: true,
        }))
    }

    /// The refusal that hides whether something exists.
    pub fn not_found(detail: impl fmt::Display) -> Self {
        Self::Refused(Box::new(Refused {
            code: "not-found",
            kind: RefusalKind::NotFound,
            detail: detail.to_string(),
            errors: Vec::new(),
            retry_after: None,
            permits_replay: false,
        }))
    }

    /// The refusal of a caller who is known and lacks the role.
    pub fn forbidden(detail: impl fmt::Display) -> Self {
        Self::Refused(Box::new(Refused {
            code: "forbidden",
            kind: RefusalKind::Forbidden,
            detail: detail.to_string(),
            errors: Vec::new(),
            retry_after: None,
            permits_replay: false,
        }))
    }
}

impl<R: Refusal> From<R> for Failure {
    fn from(refusal: R) -> Self {
        let detail = refusal.to_string();
        let errors = refusal.pointer().map(|pointer| FieldError::new(pointer, &detail)).into_iter().collect();
        Self::Refused(Box::new(Refused {
            code: refusal.code(),
            kind: refusal.kind(),
            errors,
            retry_after: refusal.retry_after(),
            permits_replay: refusal.permits_replay(),
            detail,
        }))
    }
}

/// Why a store couldn't do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Out of reach, shutting down or overloaded; trying again may help.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// The disk is full.
    #[error("the storage is full")]
    Full,
    /// What is stored can't be read as what it should be.
    #[error("stored data is corrupt or newer than this version: {0}")]
    Corrupt(String),
    /// Anything else: a defect.
    #[error("store failed: {0}")]
    Other(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(detail) => Self::Unavailable(detail),
            StoreError::Full => Self::StorageFull,
            StoreError::Corrupt(_) | StoreError::Other(_) => Self::internal(error),
        }
    }
}
