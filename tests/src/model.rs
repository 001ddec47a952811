//! A naive model of chat: what a room must show to its members, folded from what its clients know was acknowledged. It
//! shares nothing with the projections that it judges, and looks everything up in plain lists.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

/// A message as everybody who was there all along must see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its id.
    pub id: String,
    /// Its place in the log.
    pub position: u64,
    /// Who said it.
    pub sender: String,
    /// What it says by now; nothing if it was deleted.
    pub content: Option<String>,
}

impl Said {
    /// What a page, an answer or a live event shows.
    #[track_caller]
    pub fn shown(message: &Value) -> Self {
        let text = |member: &str| message[member].as_str().map(str::to_owned);
        let position = text("position").and_then(|position| position.parse().ok());
        let deleted = !message["deletedAt"].is_null();
        let content = text("content");
        assert_eq!(content.is_none(), deleted, "content goes when a message is deleted: {message}");
        Self {
            id: text("id").unwrap_or_else(|| panic!("no id: {message}")),
            position: position.unwrap_or_else(|| panic!("no position: {message}")),
            sender: text("senderId").unwrap_or_else(|| panic!("no sender: {message}")),
            content,
        }
    }
}

/// A conversation whose members stay.
#[derive(Debug, Clone, Default)]
pub struct Room {
    said: BTreeMap<u64, Said>,
    marks: HashMap<String, u64>,
}

impl Room {
    /// A message was acknowledged.
    ///
    /// # Panics
    /// If there is another one at its position.
    pub fn say(&mut self, message: Said) {
        let id = message.id.clone();
        let before = self.said.insert(message.position, message);
        assert!(before.is_none(), "two messages at the position of {id}: {before:?}");
    }

    /// An edit was acknowledged.
    pub fn edit(&mut self, id: &str, content: &str) {
        let said = self.said_mut(id);
        if said.content.is_some() {
            said.content = Some(content.to_owned());
        }
    }

    /// A deletion was acknowledged.
    pub fn delete(&mut self, id: &str) {
        self.said_mut(id).content = None;
    }

    /// Somebody read up to this message.
    pub fn read(&mut self, who: &str, id: &str) {
        let position = self.said_mut(id).position;
        let mark = self.marks.entry(who.to_owned()).or_default();
        *mark = (*mark).max(position);
    }

    /// All messages, newest first.
    pub fn page(&self) -> Vec<Said> {
        self.said.values().rev().cloned().collect()
    }

    /// How many somebody hasn't read.
    pub fn unread(&self, who: &str) -> u64 {
        let mark = self.marks.get(who).copied().unwrap_or(0);
        let unread = |said: &&Said| said.position > mark && said.sender != who && said.content.is_some();
        self.said.values().filter(unread).count() as u64
    }

    fn said_mut(&mut self, id: &str) -> &mut Said {
        let said = self.said.values_mut().find(|said| said.id == id);
        said.unwrap_or_else(|| panic!("{id} was never acknowledged"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> Room {
        let mut room = Room::default();
        for (position, sender) in [(3, "ann"), (5, "bob"), (9, "ann")] {
            let (id, content) = (format!("m{position}"), Some("hello".to_owned()));
            room.say(Said { id, position, sender: sender.to_owned(), content });
        }
        room
    }

    #[test]
    fn unread_is_what_others_said_after_the_mark_and_did_not_delete() {
        let mut room = room();
        assert_eq!((room.unread("ann"), room.unread("bob"), room.unread("eve")), (1, 2, 3));
        room.read("bob", "m5");
        room.read("bob", "m3");
        assert_eq!(room.unread("bob"), 1, "a mark never goes back");
        room.delete("m9");
        assert_eq!((room.unread("bob"), room.unread("eve")), (0, 2));
    }

    #[test]
    fn what_is_deleted_stays_deleted_and_in_its_place() {
        let mut room = room();
        room.edit("m5", "hallo");
        room.delete("m3");
        room.edit("m3", "again");
        let page: Vec<_> =
            room.page().into_iter().map(|said| (said.position, said.content.unwrap_or_default())).collect();
        assert_eq!(page, [(9, "hello".into()), (5, "hallo".into()), (3, String::new())]);
    }
}
