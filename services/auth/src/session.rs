//! A session's refresh tokens: one generation after the other, and what an old one means.
//!
//! Whether the session is live stands in its [`Account`](crate::account::Account).

use cqrs_core::{Aggregate, Event};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long the token before the current one is still answered, with the same next token: an honest client may refresh
/// twice at once, or lose an answer.
pub const GRACE: SignedDuration = SignedDuration::from_secs(10);

/// What happens to a session's tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all_fields = "camelCase")]
pub enum SessionEvent {
    /// The session began, with its first refresh token.
    #[serde(rename = "session.started")]
    Started {
        /// Whose it is.
        user: Uuid,
    },
    /// A refresh token was used, and there is a next one.
    #[serde(rename = "session.refreshed")]
    Refreshed {
        /// The next one's number.
        generation: u32,
        /// When.
        at: Timestamp,
    },
}

impl Event for SessionEvent {}

/// The present state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Whose it is; none if it never began.
    pub user: Option<Uuid>,
    /// The current refresh token's number.
    pub generation: u32,
    refreshed_at: Option<Timestamp>,
}

/// What a refresh token of a session is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// It's the current one.
    Current,
    /// It's the one before, shown within [`GRACE`] of being used.
    JustUsed,
    /// It was used before that: somebody has a copy.
    Reused,
    /// There was none of this number yet.
    Unknown,
}

impl Aggregate for Session {
    const CATEGORY: &'static str = "session";
    type Event = SessionEvent;
    /// A client that is always on refreshes some 300 times a day.
    const SNAPSHOT_EVERY: Option<u64> = Some(256);

    fn apply(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::Started { user } => self.user = Some(*user),
            SessionEvent::Refreshed { generation, at } => {
                self.generation = *generation;
                self.refreshed_at = Some(*at);
            }
        }
    }

    fn to_snapshot(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    fn from_snapshot(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

impl Session {
    /// What the token of this generation is worth now.
    pub fn judge(&self, generation: u32, now: Timestamp) -> TokenState {
        if self.user.is_none() || generation > self.generation {
            return TokenState::Unknown;
        }
        if generation == self.generation {
            return TokenState::Current;
        }
        // A clock set back counts as no time passed: the grace is short either way.
        let within = self.refreshed_at.is_some_and(|at| now.duration_since(at) <= GRACE);
        if generation + 1 == self.generation && within { TokenState::JustUsed } else { TokenState::Reused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn session() -> Session {
        let mut session = Session::default();
        session.apply(&SessionEvent::Started { user: Uuid::from_u128(1) });
        session.apply(&SessionEvent::Refreshed { generation: 1, at: at(0) });
        session.apply(&SessionEvent::Refreshed { generation: 2, at: at(100) });
        session
    }

    #[test]
    fn every_text_in_its_events_is_declared_personal_or_plain() {
        assert_eq!(cqrs_core::undeclared_text::<SessionEvent>(), Vec::<String>::new());
    }

    #[test]
    fn security_15_the_token_before_is_good_for_ten_seconds_and_any_older_one_is_reuse() {
        assert_eq!(session().judge(2, at(100)), TokenState::Current);
        assert_eq!(session().judge(2, at(9_999)), TokenState::Current);
        assert_eq!(session().judge(1, at(110)), TokenState::JustUsed);
        assert_eq!(session().judge(1, at(111)), TokenState::Reused);
        assert_eq!(session().judge(0, at(100)), TokenState::Reused);
        assert_eq!(session().judge(3, at(100)), TokenState::Unknown);
        assert_eq!(Session::default().judge(0, at(100)), TokenState::Unknown);
    }

    #[test]
    fn a_snapshot_is_the_same_session() {
        let bytes = session().to_snapshot().unwrap();
        assert_eq!(Session::from_snapshot(&bytes), Some(session()));
    }
}
