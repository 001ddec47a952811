//! How far somebody has read a conversation.
//!
//! Apart from the membership, whose stream every message guards: reading while writing is what people do all day, and
//! must not make one's own messages be decided again (`docs/adr/0010-read-marks-apart.md`).

use cqrs_core::{Aggregate, Event, Position, derived_id};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What happens to a read mark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum ReadMarkEvent {
    /// It advanced.
    #[serde(rename = "messages.read")]
    Read {
        /// Which conversation.
        conversation: Uuid,
        /// Who read.
        user: Uuid,
        /// Up to which message.
        up_to: Uuid,
        /// That message's position.
        position: u64,
    },
}

impl Event for ReadMarkEvent {}

/// How far one person has read one conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadMark {
    /// The position of the newest message read; 0 before the first.
    pub position: Position,
}

impl ReadMark {
    /// The id of the stream that tells of this person's reading of this conversation.
    pub fn id(conversation: Uuid, user: Uuid) -> Uuid {
        derived_id("parlor read mark v1", &[conversation.as_bytes(), user.as_bytes()])
    }
}

impl Aggregate for ReadMark {
    const CATEGORY: &'static str = "read-mark";
    type Event = ReadMarkEvent;

    fn apply(&mut self, event: &ReadMarkEvent) {
        let ReadMarkEvent::Read { position, .. } = event;
        self.position = self.position.max(Position(*position));
    }

    // Somebody who reads as they go leaves a mark per message.
    const SNAPSHOT_EVERY: Option<u64> = Some(256);

    fn to_snapshot(&self) -> Option<Vec<u8>> {
        Some(self.position.0.to_be_bytes().to_vec())
    }

    fn from_snapshot(bytes: &[u8]) -> Option<Self> {
        let position = u64::from_be_bytes(bytes.try_into().ok()?);
        Some(Self { position: Position(position) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<ReadMarkEvent>(), Vec::<String>::new());
    }

    #[test]
    fn a_snapshot_reads_back_as_the_mark_it_was_taken_of() {
        let mark = ReadMark { position: Position(1 << 40) };
        assert_eq!(mark.to_snapshot().and_then(|bytes| ReadMark::from_snapshot(&bytes)), Some(mark));
        assert_eq!(ReadMark::from_snapshot(b"short"), None);
    }
}
