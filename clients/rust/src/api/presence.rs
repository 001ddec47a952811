//! What is told and not kept: who is there, who is typing, and tickets for live connections.

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Availability, Call, Parlor};

/// How some people are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PresenceAnswer {
    /// Those of whom the caller may know it, in the order asked for.
    pub items: Vec<Presence>,
}

/// How somebody is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Presence {
    /// Who.
    pub user_id: Uuid,
    /// How they are while they are connected; offline otherwise, or if they chose to seem so.
    pub status: Availability,
    /// When they were last connected, if that is known and they aren't now.
    pub last_seen_at: Option<Timestamp>,
}

/// Opens one live connection, without a token in its address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Ticket {
    /// For `?ticket=` of `/v1/stream` or `/v1/ws`; good once.
    pub ticket: String,
    /// For how many seconds.
    pub expires_in: u64,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl Parlor {
    /// A ticket by which somebody who can't send headers, a browser's `EventSource` say, opens one live connection as this
    /// user. Feeds of this library need none.
    pub fn issue_ticket(&self) -> Call<Ticket> {
        self.call(Method::POST, "/v1/stream/ticket").retries(0)
    }

    /// How some people are, 100 at most: of those who are in a conversation with the caller, or have the caller among their
    /// contacts. Others are left out.
    pub fn presence(&self, users: impl IntoIterator<Item = Uuid>) -> Call<PresenceAnswer> {
        let users: Vec<_> = users.into_iter().map(|user| user.to_string()).collect();
        self.call(Method::GET, "/v1/presence").query("users", users.join(","))
    }

    /// Tells the others in a conversation that one is typing; said again every few seconds as long as it is so. Nothing is
    /// recorded, and nobody misses it: it isn't tried again.
    pub fn tell_typing(&self, conversation: Uuid) -> Call<()> {
        self.call(Method::POST, format!("/v1/conversations/{conversation}/typing")).retries(0)
    }
}
