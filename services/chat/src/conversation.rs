//! A conversation's settings. Who is in it is no part of them: each membership is a stream of its own, so that a busy
//! room's joins, reads and messages don't conflict with one another.

use cqrs_core::{Aggregate, Event, Personal, derived_id};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{History, Kind};

/// What happens to a conversation's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum ConversationEvent {
    /// It began.
    #[serde(rename = "conversation.created")]
    Created {
        /// Of what kind.
        kind: Kind,
        /// What it is called; about whoever wrote it.
        #[serde(default)]
        title: Option<Personal<String>>,
        /// What newcomers see.
        history: History,
        /// Who began it.
        creator: Uuid,
    },
    /// It is called something else.
    #[serde(rename = "conversation.renamed")]
    Renamed {
        /// What; about whoever wrote it.
        #[serde(default)]
        title: Option<Personal<String>>,
    },
}

impl Event for ConversationEvent {}

/// A conversation's settings.
#[derive(Debug, Clone, Default)]
pub struct Conversation {
    /// Its kind.
    pub kind: Kind,
    /// What it is called.
    pub title: Option<Personal<String>>,
    /// What newcomers see of what was said before.
    pub history: History,
    /// Who began it.
    pub creator: Uuid,
}

impl Conversation {
    /// The title as text.
    pub fn title_text(&self) -> Option<String> {
        self.title.as_ref().and_then(|title| title.get().cloned())
    }
}

impl Aggregate for Conversation {
    const CATEGORY: &'static str = "conversation";
    type Event = ConversationEvent;

    fn apply(&mut self, event: &ConversationEvent) {
        match event {
            ConversationEvent::Created { kind, title, history, creator } => {
                *self = Self { kind: *kind, title: title.clone(), history: *history, creator: *creator };
            }
            ConversationEvent::Renamed { title } => self.title.clone_from(title),
        }
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.title.as_ref().map_or(0, |title| title.text().len())
    }
}

/// The id of the direct conversation between two people, the same whoever begins it: two racing creations meet in
/// one stream.
pub fn direct_conversation_id(a: Uuid, b: Uuid) -> Uuid {
    let (first, second) = if a <= b { (a, b) } else { (b, a) };
    derived_id("parlor direct conversation v1", &[first.as_bytes(), second.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<ConversationEvent>(), Vec::<String>::new());
    }

    #[test]
    fn a_pair_has_one_direct_conversation_whoever_begins_it() {
        let [a, b, c] = [1, 2, 3].map(Uuid::from_u128);
        assert_eq!(direct_conversation_id(a, b), direct_conversation_id(b, a));
        assert_ne!(direct_conversation_id(a, b), direct_conversation_id(a, c));
    }
}
