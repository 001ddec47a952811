//! What each may see and hasn't read, folded from the log as plainly as can be: lists, walked from the beginning. It
//! shares nothing with the projections but the events.

use std::collections::{BTreeMap, BTreeSet};

use cqrs_core::{Aggregate as _, Log as _, Position};
use parlor_chat::conversation::{Conversation, ConversationEvent};
use parlor_chat::membership::{Membership, MembershipEvent};
use parlor_chat::message::{Message, MessageEvent};
use parlor_chat::read_mark::{ReadMark, ReadMarkEvent};
use parlor_chat::values::History;
use uuid::Uuid;

use crate::support::Chat;

#[derive(Default)]
struct Said {
    id: Uuid,
    at: u64,
    sender: Uuid,
    /// What it said, from when on.
    wordings: Vec<(u64, String)>,
    deleted: bool,
}

/// One conversation, as far as the log tells.
#[derive(Default)]
pub struct Model {
    open: bool,
    said: Vec<Said>,
    /// For each person all positions at which something happened while they were in.
    present_at: BTreeMap<Uuid, BTreeSet<u64>>,
    present: BTreeSet<Uuid>,
    had_joined: BTreeSet<Uuid>,
    joined_at: BTreeMap<Uuid, u64>,
    read_to: BTreeMap<Uuid, u64>,
}

impl Model {
    /// Folds what the log holds of one conversation, which began after `start`.
    pub async fn of(chat: &Chat, conversation: Uuid, start: Position) -> Self {
        let (log, keyring) = (&chat.store.store.log, chat.store.store.executor.keyring());
        let events = log.read(start, 100_000).await.unwrap();
        let mut model = Self::default();
        for recorded in &events {
            let position = recorded.position.0;
            match &*recorded.category {
                Conversation::CATEGORY if recorded.stream == conversation => {
                    if let ConversationEvent::Created { history, .. } =
                        keyring.decode(recorded).await.unwrap()
                    {
                        model.open = history == History::All;
                    }
                }
                Membership::CATEGORY => {
                    model.member(conversation, position, &keyring.decode(recorded).await.unwrap());
                }
                ReadMark::CATEGORY => {
                    let ReadMarkEvent::Read { conversation: of, user, position, .. } =
                        keyring.decode(recorded).await.unwrap();
                    if of == conversation {
                        let mark = model.read_to.entry(user).or_default();
                        *mark = position.max(*mark);
                    }
                }
                Message::CATEGORY => {
                    let event = keyring.decode(recorded).await.unwrap();
                    model.message(conversation, position, recorded.stream, event);
                }
                _ => {}
            }
            for who in &model.present {
                model.present_at.entry(*who).or_default().insert(position);
            }
        }
        model
    }

    fn member(&mut self, conversation: Uuid, position: u64, event: &MembershipEvent) {
        match event {
            MembershipEvent::Added { conversation: of, user, .. } if *of == conversation => {
                self.present.insert(*user);
                self.joined_at.insert(*user, position);
                if self.had_joined.insert(*user) && self.open {
                    self.present_at.entry(*user).or_default().extend(1..=position);
                }
            }
            MembershipEvent::Removed { conversation: of, user } if *of == conversation => {
                self.present.remove(user);
            }
            _ => {}
        }
    }

    fn message(&mut self, conversation: Uuid, position: u64, id: Uuid, event: MessageEvent) {
        match event {
            MessageEvent::Sent { conversation: of, sender, content, .. } if of == conversation => {
                let wordings = vec![(position, content.text().to_owned())];
                self.said.push(Said { id, at: position, sender, wordings, deleted: false });
            }
            MessageEvent::Edited { content, .. } => {
                if let Some(said) = self.said.iter_mut().find(|said| said.id == id) {
                    said.wordings.push((position, content.text().to_owned()));
                }
            }
            MessageEvent::Deleted { .. } => {
                if let Some(said) = self.said.iter_mut().find(|said| said.id == id) {
                    said.deleted = true;
                }
            }
            MessageEvent::Sent { .. } => {}
        }
    }

    fn was_in(&self, who: Uuid, position: u64) -> bool {
        self.present_at.get(&who).is_some_and(|positions| positions.contains(&position))
    }

    /// Whether they are in now.
    pub fn includes(&self, who: Uuid) -> bool {
        self.present.contains(&who)
    }

    /// What they see, newest first: message and words, or none of a deleted one.
    pub fn seen_by(&self, who: Uuid) -> Vec<(Uuid, Option<String>)> {
        let visible = self.said.iter().rev().filter(|said| self.includes(who) && self.was_in(who, said.at));
        visible
            .map(|said| {
                let known = said.wordings.iter().rev().find(|(since, _)| self.was_in(who, *since));
                (said.id, known.filter(|_| !said.deleted).map(|(_, words)| words.clone()))
            })
            .collect()
    }

    /// How many of the others' messages they haven't read.
    pub fn unread_by(&self, who: Uuid) -> u64 {
        let read = self.read_to.get(&who).copied().unwrap_or(0);
        let since = read.max(self.joined_at.get(&who).copied().unwrap_or(0));
        self.said.iter().filter(|said| said.at > since && said.sender != who && !said.deleted).count() as u64
    }

    /// The messages there are, oldest first.
    pub fn ids(&self) -> Vec<Uuid> {
        self.said.iter().map(|said| said.id).collect()
    }
}
