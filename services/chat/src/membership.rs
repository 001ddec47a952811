//! A membership: one person in one conversation, in a stream of its own.
//!
//! Its stream is as long as the person's comings and goings, so that all of it can be read where it matters exactly
//! when somebody was in: see [`Stays`].

use cqrs_core::{Aggregate, Event, Executor, Failure, Personal, Position, RecordedEvent, derived_id};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{History, Kind, Role};

/// What happens to a membership.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum MembershipEvent {
    /// The person is in the conversation from now on.
    #[serde(rename = "participant.added")]
    Added {
        /// Which conversation.
        conversation: Uuid,
        /// Who.
        user: Uuid,
        /// What they may do.
        role: Role,
        /// The conversation's kind, for those who hear of the joining alone.
        kind: Kind,
        /// Its title at this time, likewise.
        #[serde(default)]
        title: Option<Personal<String>>,
        /// What newcomers see.
        history: History,
    },
    /// They may do more, or less.
    #[serde(rename = "participant.role-changed")]
    RoleChanged {
        /// Which conversation.
        conversation: Uuid,
        /// Who.
        user: Uuid,
        /// What they may do now.
        role: Role,
    },
    /// They left or were removed.
    #[serde(rename = "participant.removed")]
    Removed {
        /// Which conversation.
        conversation: Uuid,
        /// Who.
        user: Uuid,
    },
}

impl Event for MembershipEvent {}

/// One person's membership in one conversation.
#[derive(Debug, Clone, Default)]
pub struct Membership {
    /// What they may do; `None` while they aren't in.
    pub role: Option<Role>,
}

impl Membership {
    /// The id of the stream that tells of this person in this conversation.
    pub fn id(conversation: Uuid, user: Uuid) -> Uuid {
        derived_id("parlor membership v1", &[conversation.as_bytes(), user.as_bytes()])
    }

    /// Whether they are in.
    pub fn is_in(&self) -> bool {
        self.role.is_some()
    }

    /// Whether they are in as an admin.
    pub fn is_admin(&self) -> bool {
        self.role == Some(Role::Admin)
    }
}

impl Aggregate for Membership {
    const CATEGORY: &'static str = "membership";
    type Event = MembershipEvent;

    fn apply(&mut self, event: &MembershipEvent) {
        match event {
            MembershipEvent::Added { role, .. } | MembershipEvent::RoleChanged { role, .. } => {
                self.role = Some(*role);
            }
            MembershipEvent::Removed { .. } => self.role = None,
        }
    }
}

/// When somebody was in a conversation, by the log itself and not by a view.
///
/// Whether a message once sent can be seen by somebody who is in doesn't change any more: a later joining opens
/// nothing older. So this may be looked up before a decision that checks only that they still are in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stays(Vec<(Position, Option<Position>)>);

impl Stays {
    /// Reads them from the log.
    pub async fn load(executor: &Executor, conversation: Uuid, user: Uuid) -> Result<Self, Failure> {
        let stream = Membership::stream(Membership::id(conversation, user));
        let events = executor.log().read_stream(stream, 0).await?;
        let mut stays = Self::default();
        for recorded in &events {
            stays.take(recorded, &executor.keyring().decode(recorded).await?);
        }
        Ok(stays)
    }

    fn take(&mut self, recorded: &RecordedEvent, event: &MembershipEvent) {
        match event {
            MembershipEvent::Added { history, .. } => {
                let first = self.0.is_empty();
                let since = if first && *history == History::All { Position(0) } else { recorded.position };
                self.0.push((since, None));
            }
            MembershipEvent::Removed { .. } => {
                if let Some((_, until)) = self.0.last_mut() {
                    *until = Some(recorded.position);
                }
            }
            MembershipEvent::RoleChanged { .. } => {}
        }
    }

    /// Whether what happened at `position` lies within one of them.
    pub fn cover(&self, position: Position) -> bool {
        self.0.iter().any(|(since, until)| *since < position && until.is_none_or(|until| position < until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<MembershipEvent>(), Vec::<String>::new());
    }
}
