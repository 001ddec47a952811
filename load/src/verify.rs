//! Whether what was acknowledged is what is read back: a fast wrong answer is no answer.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use parlor_client::{Message, MessageItem};
use uuid::Uuid;

use crate::outcome::{Acknowledged, Outcome, fingerprint};
use crate::world::World;

/// Conversations read at the same time, and messages of a page.
const AT_ONCE: usize = 4;
const PAGE: u8 = 200;
/// How many of what is wrong are named.
const NAMED: usize = 5;
/// How long to wait between one look and the next.
const PAUSE: Duration = Duration::from_millis(100);

/// What came of reading everything back.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    /// Messages that were read.
    pub read: u64,
    /// Of those, messages of which nobody knew whether they had been stored.
    pub unknown: u64,
    /// What is wrong, in words; the first few, and how many more.
    pub wrong: Vec<String>,
    /// Until everything acknowledged could be read.
    pub took: Duration,
}

impl Verified {
    /// Whether everything acknowledged is there, once, where it was sent, in the words in which it was sent, and nothing else is.
    pub fn holds(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Reads every conversation of the load from its end to its beginning, as its first member, and compares. Views may lag behind what
/// was acknowledged, so what is missing is looked for again until `within` has passed.
///
/// # Errors
/// If a page can't be read.
pub async fn verify(world: &World, outcome: &Outcome, within: Duration) -> anyhow::Result<Verified> {
    let began = Instant::now();
    let mut acknowledged: BTreeMap<u32, Vec<Acknowledged>> = BTreeMap::new();
    for one in &outcome.acknowledged {
        acknowledged.entry(one.room).or_default().push(*one);
    }
    let acknowledged = &acknowledged;
    let rooms: Vec<Compared> = stream::iter(0..world.rooms.len() as u32)
        .map(|room| async move {
            let expected = acknowledged.get(&room).map(Vec::as_slice).unwrap_or_default();
            let unknown = outcome.unknown.get(&room).copied().unwrap_or_default();
            loop {
                let read = read(world, room).await?;
                let compared = compare(room, expected, unknown, &read);
                // Only what is missing may still come.
                if compared.missing == 0
                    || compared.wrong.len() > compared.missing
                    || began.elapsed() > within
                {
                    return anyhow::Ok(compared);
                }
                tokio::time::sleep(PAUSE).await;
            }
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let mut verified = Verified {
        acknowledged: outcome.acknowledged.len() as u64,
        took: began.elapsed(),
        ..Verified::default()
    };
    let mut wrong = 0;
    for room in rooms {
        verified.read += room.read;
        verified.unknown += room.unknown;
        wrong += room.wrong.len();
        let left = NAMED.saturating_sub(verified.wrong.len());
        verified.wrong.extend(room.wrong.into_iter().take(left));
    }
    if wrong > NAMED {
        verified.wrong.push(format!("and {} more", wrong - NAMED));
    }
    Ok(verified)
}

/// A message as it was read: its id and its content's fingerprint.
type Read = (Uuid, u64);

async fn read(world: &World, room: u32) -> anyhow::Result<Vec<Read>> {
    let room = &world.rooms[room as usize];
    let reader = room.members.first().context("a conversation has nobody in it")?;
    let mut items = world.people[*reader].parlor.messages(room.id).limit(PAGE).all();
    let mut read = Vec::new();
    while let Some(item) = items.try_next().await.context("reading back what was acknowledged")? {
        if let MessageItem::Message(Message { id, content, .. }) = &item {
            read.push((*id, fingerprint(content)));
        }
    }
    Ok(read)
}

/// A conversation, compared.
#[derive(Debug, Default)]
struct Compared {
    read: u64,
    unknown: u64,
    missing: usize,
    wrong: Vec<String>,
}

fn compare(room: u32, expected: &[Acknowledged], unknown: u64, read: &[Read]) -> Compared {
    let mut compared = Compared { read: read.len() as u64, ..Compared::default() };
    let mut left: HashMap<Uuid, (u64, u32)> = HashMap::with_capacity(expected.len());
    for one in expected {
        if left.insert(one.id, (one.content, 0)).is_some() {
            compared.wrong.push(format!("two messages were acknowledged with the id {}", one.id));
        }
    }
    for (id, content) in read {
        match left.get_mut(id) {
            None if compared.unknown < unknown => compared.unknown += 1,
            None => compared.wrong.push(format!("conversation {room} has message {id}, which nobody sent")),
            Some((said, seen)) => {
                *seen += 1;
                if *seen == 2 {
                    compared.wrong.push(format!("conversation {room} has message {id} twice"));
                } else if said != content {
                    compared.wrong.push(format!("message {id} doesn't say what was sent"));
                }
            }
        }
    }
    for (id, _) in left.iter().filter(|(_, (_, seen))| *seen == 0) {
        compared.missing += 1;
        compared.wrong.push(format!("message {id} was acknowledged and isn't in conversation {room}"));
    }
    compared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_doubled_altered_or_made_up_is_wrong() {
        let id = Uuid::from_u128;
        let sent = [(1, 10), (2, 20)].map(|(n, content)| Acknowledged { id: id(n), room: 0, content });
        let wrong = |unknown, read: &[Read]| compare(0, &sent, unknown, read).wrong.join("; ");
        assert_eq!(wrong(0, &[(id(2), 20), (id(1), 10)]), "");
        assert!(wrong(0, &[(id(1), 10)]).contains("isn't in conversation"));
        assert!(wrong(0, &[(id(1), 10), (id(2), 20), (id(2), 20)]).contains("twice"));
        assert!(wrong(0, &[(id(1), 10), (id(2), 21)]).contains("doesn't say"));
        assert!(wrong(0, &[(id(1), 10), (id(2), 20), (id(3), 20)]).contains("nobody sent"));
        // Whether the third was stored nobody knows: its answer never came.
        assert_eq!(wrong(1, &[(id(1), 10), (id(2), 20), (id(3), 20)]), "");
    }
}
