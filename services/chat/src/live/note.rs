//! What the chat processes of an installation tell each other: who is connected where, and who is typing.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A note, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The process that tells it.
    pub(super) process: Uuid,
    #[serde(flatten)]
    pub(super) word: Word,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Word {
    /// These are connected to the process, for a while from now.
    Here { users: Vec<Uuid> },
    /// This one isn't any more.
    Gone { user: Uuid },
    /// A process that has just started asks who is connected.
    Who,
    /// Somebody who may is typing there.
    Typing { conversation: Uuid, user: Uuid },
}

impl Note {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a note has string keys and nothing that can't be written")
    }

    /// None for what a later version may say.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_and_an_unknown_one_is_none() {
        let user = Uuid::from_u128(1);
        for word in [
            Word::Here { users: vec![user] },
            Word::Gone { user },
            Word::Who,
            Word::Typing { conversation: Uuid::from_u128(2), user },
        ] {
            let note = Note { process: Uuid::from_u128(3), word };
            assert_eq!(Note::from_bytes(&note.to_bytes()), Some(note));
        }
        assert_eq!(Note::from_bytes(b"{\"process\":\"x\",\"type\":\"sings\"}"), None);
    }
}
