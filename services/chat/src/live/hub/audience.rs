//! Who is connected, what they may see, and how an event reaches their queues.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::super::event::Effect;
use super::super::feed::{Stay, Stays};
use super::super::source::{Places, Source};
use super::{Close, Counts, QueueLimits, Queued, Routed, Waiting};

/// How many changes of memberships are remembered.
const REMEMBERED: usize = 20_000;

/// The hub's end of a connection.
pub(super) struct Outlet {
    pub(super) id: u64,
    pub(super) queue: mpsc::Sender<Waiting>,
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) close: watch::Sender<Option<Close>>,
}

/// Somebody who is connected.
#[derive(Default)]
pub(super) struct Viewer {
    pub(super) stays: HashMap<Uuid, Vec<Stay>>,
    pub(super) outlets: Vec<Outlet>,
}

impl Viewer {
    fn sees(&self, conversation: Uuid, position: u64) -> bool {
        let stays = self.stays.get(&conversation);
        stays.is_some_and(|stays| stays.iter().any(|stay| stay.since < position && position < stay.until))
    }

    pub(super) fn is_in(&self, conversation: Uuid) -> bool {
        let last = self.stays.get(&conversation).and_then(|stays| stays.last());
        last.is_some_and(|stay| stay.until == Stay::OPEN)
    }

    /// Takes a change in, unless it is known already.
    fn take(&mut self, conversation: Uuid, change: Change) {
        let stays = self.stays.entry(conversation).or_default();
        match change {
            Change::Joined { at, since } => {
                if stays.last().is_none_or(|last| last.added < at) {
                    stays.push(Stay { added: at, since, until: Stay::OPEN });
                }
            }
            Change::Left { at } => {
                if let Some(last) = stays.last_mut().filter(|last| last.added < at) {
                    last.until = last.until.min(at);
                }
            }
        }
    }
}

/// How a membership changes.
#[derive(Debug, Clone, Copy)]
enum Change {
    Joined { at: u64, since: u64 },
    Left { at: u64 },
}

/// A change of late.
struct Remembered {
    position: u64,
    conversation: Uuid,
    person: Uuid,
    change: Change,
}

/// All that the hub knows.
pub(super) struct Audience {
    pub(super) places: Places,
    /// Who of those connected is in a conversation.
    pub(super) rooms: HashMap<Uuid, HashSet<Uuid>>,
    pub(super) viewers: HashMap<Uuid, Viewer>,
    /// All changes of memberships after `remembered_from`.
    changes: VecDeque<Remembered>,
    pub(super) remembered_from: u64,
    pub(super) next: u64,
    pub(super) stopping: bool,
    figures: Arc<Counts>,
}

impl Audience {
    /// Nobody, as of `places`.
    pub(super) fn nobody(places: Places, figures: Arc<Counts>) -> Self {
        Self {
            places,
            rooms: HashMap::new(),
            viewers: HashMap::new(),
            changes: VecDeque::new(),
            remembered_from: places.get(Source::Chat),
            next: 0,
            stopping: false,
            figures,
        }
    }

    /// Takes in somebody's stays, brought to the present place.
    pub(super) fn admit(&mut self, user: Uuid, known: &Stays) {
        let mut viewer = Viewer::default();
        for (conversation, stay) in &known.all {
            viewer.stays.entry(*conversation).or_default().push(*stay);
        }
        let since = self.changes.partition_point(|change| change.position <= known.not_before);
        for change in self.changes.range(since..).filter(|change| change.person == user) {
            viewer.take(change.conversation, change.change);
        }
        for conversation in viewer.stays.keys().filter(|conversation| viewer.is_in(**conversation)) {
            self.rooms.entry(*conversation).or_default().insert(user);
        }
        self.viewers.insert(user, viewer);
    }

    /// Remembers a change of memberships; who joined is in the room from now on.
    pub(super) fn take(&mut self, routed: &Routed) {
        let (person, change) = match routed.effect {
            Effect::Joined(person, since) => (person, Change::Joined { at: routed.position, since }),
            Effect::Left(person) => (person, Change::Left { at: routed.position }),
            Effect::None | Effect::About(_) => return,
        };
        let (position, conversation) = (routed.position, routed.conversation);
        if self.changes.len() == REMEMBERED
            && let Some(oldest) = self.changes.pop_front()
        {
            self.remembered_from = oldest.position;
        }
        self.changes.push_back(Remembered { position, conversation, person, change });
        if let Some(viewer) = self.viewers.get_mut(&person) {
            viewer.take(conversation, change);
            if matches!(change, Change::Joined { .. }) {
                self.rooms.entry(conversation).or_default().insert(person);
            }
        }
    }

    /// Who left is in the room until they have heard of it.
    pub(super) fn leave(&mut self, routed: &Routed) {
        if let Effect::Left(person) = routed.effect {
            self.out_of_room(routed.conversation, person);
        }
    }

    fn out_of_room(&mut self, conversation: Uuid, person: Uuid) {
        if let Some(room) = self.rooms.get_mut(&conversation) {
            room.remove(&person);
            if room.is_empty() {
                self.rooms.remove(&conversation);
            }
        }
    }

    pub(super) fn deliver_in_room(&mut self, routed: &Routed, limits: QueueLimits) {
        let Some(room) = self.rooms.get(&routed.conversation) else { return };
        let sees = |person: &Uuid| match routed.effect {
            Effect::About(message) => {
                self.viewers.get(person).is_some_and(|viewer| viewer.sees(routed.conversation, message))
            }
            _ => true,
        };
        let audience: Vec<Uuid> = room.iter().copied().filter(sees).collect();
        let queued = Queued { source: Source::Chat, position: routed.position, event: routed.event.clone() };
        for person in audience {
            self.deliver(person, &queued, limits);
        }
    }

    /// Puts an event into all queues of one person; a full one is closed.
    pub(super) fn deliver(&mut self, person: Uuid, queued: &Queued, limits: QueueLimits) {
        let Some(viewer) = self.viewers.get(&person) else { return };
        self.figures.handed(viewer.outlets.len() as u64);
        let mut gone = Vec::new();
        for outlet in &viewer.outlets {
            let weight = queued.event.weight();
            let waiting = outlet.waiting.fetch_add(weight, Ordering::Relaxed);
            let put = || outlet.queue.try_send(Waiting::Event(queued.clone()));
            if waiting + weight > limits.bytes || put().is_err() {
                outlet.close.send_replace(Some(Close::TooSlow));
                gone.push(outlet.id);
            }
        }
        if !gone.is_empty() {
            self.detach(person, &gone);
        }
    }

    pub(super) fn detach(&mut self, user: Uuid, ids: &[u64]) {
        let Some(viewer) = self.viewers.get_mut(&user) else { return };
        viewer.outlets.retain(|outlet| !ids.contains(&outlet.id));
        if viewer.outlets.is_empty()
            && let Some(viewer) = self.viewers.remove(&user)
        {
            for conversation in viewer.stays.keys() {
                self.out_of_room(*conversation, user);
            }
        }
    }
}
