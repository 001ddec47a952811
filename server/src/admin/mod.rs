//! What operators do on the command line: the same whether a running instance does it for them or nobody runs.

mod client;
pub(crate) mod console;
mod desk;
mod offline;
mod operator;
mod rebuilds;
mod say;
mod seen;
mod socket;

use cqrs_core::{Failure, StoreError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use client::ask_running;
pub use desk::Desk;
pub use operator::Operator;
pub use say::run;
pub use seen::CommandsSeen;
pub(crate) use socket::serve;
pub use socket::{SOCKET, listen};

use crate::http::health::Readiness;

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Task {
    /// Make the account with this address an administrator's.
    Promote {
        /// The address.
        email: String,
    },
    /// Make it an ordinary one again.
    Demote {
        /// The address.
        email: String,
    },
    /// Make a key for an application.
    CreateServiceKey {
        /// What the application is called.
        name: String,
    },
    /// Every application's key that was made.
    ListServiceKeys,
    /// Take a key out of force.
    RevokeServiceKey {
        /// Its id.
        id: Uuid,
    },
    /// How far views and reactors have come.
    Views,
    /// Make a view anew beside the live one.
    RebuildView {
        /// Its name.
        name: String,
    },
    /// What was set aside because it couldn't be handled.
    Parked,
    /// Try something that was set aside again, with all that waits behind it.
    RetryParked {
        /// Its id.
        id: String,
    },
    /// Give something that was set aside up for good.
    DropParked {
        /// Its id.
        id: String,
    },
    /// Whether the instance can do its work.
    Health,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The user whose role changed.
    User(Uuid),
    /// A new key: its id and its text, which is kept nowhere.
    Key {
        /// Its id.
        id: Uuid,
        /// What the application sends.
        key: String,
    },
    /// The keys that there are.
    Keys(Vec<ServiceKeyLine>),
    /// A reactor begins anew.
    BeginsAnew,
    /// It is done, and there is no more to say.
    Done,
    /// Views and reactors.
    Handlers(Vec<HandlerLine>),
    /// What was set aside.
    Parked(Vec<ParkedLine>),
    /// Health.
    Health(Readiness),
}

/// An application's key, without the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceKeyLine {
    /// Its id.
    pub id: Uuid,
    /// What the application is called.
    pub name: String,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// Whether it is out of force.
    pub revoked: bool,
}

/// How far a view or a reactor has come in one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerLine {
    /// Its service.
    pub service: String,
    /// Its name.
    pub name: String,
    /// What it is: `view`, `reactor`, or `follower` for what keeps nothing.
    pub kind: String,
    /// The log that it follows.
    pub source: String,
    /// The last position that it took in; nothing where that isn't known while nobody runs.
    pub position: Option<u64>,
    /// The log's newest position.
    pub head: u64,
    /// Why it stands still, if it does.
    pub error: Option<String>,
}

/// Something that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedLine {
    /// The service that keeps it, and its number there, as `user-12`.
    pub id: String,
    /// The reactor that couldn't handle it; nothing for a record that is no event.
    pub reactor: Option<String>,
    /// Where it came from: a log, or a topic and partition.
    pub source: String,
    /// Its place there.
    pub position: u64,
    /// What it is called.
    pub name: String,
    /// Why it was set aside.
    pub reason: String,
    /// Whether it is about to be tried again.
    pub retry: bool,
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Events taken in.
    pub done: u64,
    /// Events that there are.
    pub total: u64,
}

/// A line of a running instance's reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// It goes on.
    Progress(Progress),
    /// It has ended.
    Answer(Answer),
    /// It has failed, and why.
    Failed(String),
}

/// Why a task wasn't carried out, for the operator to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TaskError(String);

impl TaskError {
    fn new(detail: impl std::fmt::Display) -> Self {
        Self(detail.to_string())
    }
}

impl From<Failure> for TaskError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refused) => Self(refused.detail),
            other => Self::new(other),
        }
    }
}

impl From<StoreError> for TaskError {
    fn from(error: StoreError) -> Self {
        Self::new(error)
    }
}
