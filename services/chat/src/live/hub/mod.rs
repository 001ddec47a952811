//! Who is connected, and what goes to whom: everything under one lock, and nothing that waits.
//!
//! An event finds its connections by conversation → who is connected → their connections, so that it costs what is
//! connected and not how many are in. The hub knows the stays of those connected only: read from the view when they come,
//! and from then on changed by the log's own events, in their order. Changes of late are remembered, for the view may be
//! behind.

mod audience;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use self::audience::{Audience, Outlet};
use super::event::{Effect, LiveEvent};
use super::feed::Stays;
use super::presence::{CROWD, Presence};
use super::source::{Places, Source};

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The reader is slower than what happens; resuming loses nothing.
    TooSlow,
    /// The token has expired, or its session has ended.
    SignedOut,
    /// The view that resuming needs is behind, or a store doesn't answer.
    Unavailable,
    /// This process stops.
    Stopping,
}

/// An event on its way to one connection.
#[derive(Clone)]
pub(super) struct Queued {
    pub(super) source: Source,
    pub(super) position: u64,
    pub(super) event: Arc<LiveEvent>,
}

/// What waits for one connection.
#[derive(Clone)]
pub(super) enum Waiting {
    /// An event of the feed.
    Event(Queued),
    /// Something that passes: it has no place, and is lost where it can't be taken.
    Passing(Arc<LiveEvent>),
}

/// How much may wait for one connection.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// How many events. 1,024 unless set.
    pub events: usize,
    /// How many bytes, about. 2 MiB unless set.
    pub bytes: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { events: 1_024, bytes: 2 * 1024 * 1024 }
    }
}

/// The connection's end.
pub(super) struct Attached {
    hub: Arc<Hub>,
    user: Uuid,
    id: u64,
    /// As of when: what comes later comes through the queue, what came before doesn't.
    pub(super) places: Places,
    queue: mpsc::Receiver<Waiting>,
    waiting: Arc<AtomicUsize>,
    pub(super) close: watch::Receiver<Option<Close>>,
}

impl Attached {
    /// What comes next, or why nothing does any more.
    pub(super) async fn next(&mut self) -> Result<Waiting, Close> {
        // What waits for who is too slow isn't said any more: resuming says it.
        let next = tokio::select! {
            biased;
            _ = self.close.wait_for(Option::is_some) => None,
            next = self.queue.recv() => next,
        };
        let next = next.ok_or_else(|| self.close.borrow().unwrap_or(Close::TooSlow))?;
        if let Waiting::Event(queued) = &next {
            self.waiting.fetch_sub(queued.event.weight(), Ordering::Relaxed);
        }
        Ok(next)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.hub.detach(self.user, self.id);
    }
}

/// What the hub makes of an event that it was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interest {
    /// It is behind: nobody connected cared.
    Passed,
    /// Somebody is to hear of it.
    Wanted,
}

/// One event of chat's, to be routed.
pub(super) struct Routed {
    pub(super) position: u64,
    pub(super) conversation: Uuid,
    pub(super) effect: Effect,
    pub(super) event: Arc<LiveEvent>,
}

/// Why somebody can't be attached yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotYet {
    /// Nothing is known of their stays.
    Unknown,
    /// Their stays are known as of before what is remembered.
    TooOld,
    /// Their stays are known as of a later time than the hub's.
    TooNew,
    /// There will be no more connections.
    Stopping,
}

/// See the module.
pub(super) struct Hub {
    inner: Mutex<Audience>,
    chat: watch::Sender<u64>,
    limits: QueueLimits,
    presence: Arc<Presence>,
    figures: Arc<Counts>,
}

/// What was done since the start.
#[derive(Debug, Default)]
struct Counts {
    handed: AtomicU64,
}

impl Counts {
    fn handed(&self, connections: u64) {
        if connections > 0 {
            self.handed.fetch_add(connections, Ordering::Relaxed);
            metrics::counter!("live_events_total").increment(connections);
        }
    }
}

impl Hub {
    /// A hub that has come to `places` without anybody connected.
    pub(super) fn new(places: Places, limits: QueueLimits, presence: Arc<Presence>) -> Self {
        let figures = Arc::new(Counts::default());
        let inner = Audience::nobody(places, figures.clone());
        let chat = watch::Sender::new(places.get(Source::Chat));
        Self { inner: Mutex::new(inner), chat, limits, presence, figures }
    }

    pub(super) fn places(&self) -> Places {
        self.inner.lock().places
    }

    /// How far it has come in chat's log, to wait on.
    pub(super) fn chat_place(&self) -> watch::Receiver<u64> {
        self.chat.subscribe()
    }

    /// Moves a source's place forward once all before it is routed.
    pub(super) fn advance(&self, source: Source, position: u64) {
        self.inner.lock().places.advance(source, position);
        if source == Source::Chat {
            self.chat.send_if_modified(|place| {
                let moved = *place < position;
                *place = position.max(*place);
                moved
            });
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.inner.lock().viewers.is_empty()
    }

    /// Attaches one more connection of somebody; their stays are needless if they are connected already.
    pub(super) fn attach(self: &Arc<Self>, user: Uuid, known: Option<&Stays>) -> Result<Attached, NotYet> {
        let mut inner = self.inner.lock();
        if inner.stopping {
            return Err(NotYet::Stopping);
        }
        if !inner.viewers.contains_key(&user) {
            let known = known.ok_or(NotYet::Unknown)?;
            if known.not_before < inner.remembered_from {
                return Err(NotYet::TooOld);
            }
            if known.not_after > inner.places.get(Source::Chat) {
                return Err(NotYet::TooNew);
            }
            inner.admit(user, known);
            self.presence.came(user);
        }
        inner.next += 1;
        let (id, places) = (inner.next, inner.places);
        let (queue, receiver) = mpsc::channel(self.limits.events);
        let (close, closed) = watch::channel(None);
        let waiting = Arc::new(AtomicUsize::new(0));
        let outlet = Outlet { id, queue, waiting: waiting.clone(), close };
        inner.viewers.entry(user).or_default().outlets.push(outlet);
        drop(inner);
        Ok(Attached { hub: self.clone(), user, id, places, queue: receiver, waiting, close: closed })
    }

    /// Whether anybody connected is in the conversation; if not, the event at `position` is behind.
    pub(super) fn pass_unless_wanted(&self, conversation: Uuid, position: u64) -> Interest {
        let mut inner = self.inner.lock();
        if inner.rooms.contains_key(&conversation) {
            return Interest::Wanted;
        }
        inner.places.advance(Source::Chat, position);
        Interest::Passed
    }

    /// Routes an event of chat's.
    pub(super) fn route(&self, routed: &Routed) {
        let mut inner = self.inner.lock();
        inner.take(routed);
        inner.deliver_in_room(routed, self.limits);
        inner.leave(routed);
        inner.places.advance(Source::Chat, routed.position);
    }

    /// Routes the beginning of a conversation: all of it goes to all who are in from the beginning. At once, so that nobody
    /// comes in between.
    pub(super) fn open(&self, opening: &[Routed]) {
        let mut inner = self.inner.lock();
        for routed in opening {
            inner.take(routed);
        }
        for routed in opening {
            inner.deliver_in_room(routed, self.limits);
            inner.places.advance(Source::Chat, routed.position);
        }
    }

    /// Routes another service's event to all of `persons` and to all who are in one of `conversations`.
    pub(super) fn tell(&self, queued: &Queued, persons: &[Uuid], conversations: &[Uuid]) {
        let mut inner = self.inner.lock();
        let mut told: HashSet<Uuid> =
            persons.iter().copied().filter(|person| inner.viewers.contains_key(person)).collect();
        for conversation in conversations {
            told.extend(inner.rooms.get(conversation).into_iter().flatten());
        }
        for person in told {
            inner.deliver(person, queued, self.limits);
        }
        inner.places.advance(queued.source, queued.position);
    }

    /// Routes an event to one person, if they are in the conversation that it comes from, if it comes from one.
    pub(super) fn tell_one(&self, queued: &Queued, person: Uuid, conversation: Option<Uuid>) {
        let mut inner = self.inner.lock();
        let viewer = inner.viewers.get(&person);
        if viewer.is_some_and(|viewer| conversation.is_none_or(|id| viewer.is_in(id))) {
            inner.deliver(person, queued, self.limits);
        }
        inner.places.advance(queued.source, queued.position);
    }

    /// How many events were handed to connections so far, one for each.
    pub(super) fn handed(&self) -> u64 {
        self.figures.handed.load(Ordering::Relaxed)
    }

    pub(super) fn is_connected(&self, user: Uuid) -> bool {
        self.inner.lock().viewers.contains_key(&user)
    }

    /// The conversations that somebody who is connected is in.
    pub(super) fn conversations_of(&self, user: Uuid) -> Option<Vec<Uuid>> {
        let inner = self.inner.lock();
        let viewer = inner.viewers.get(&user)?;
        Some(viewer.stays.keys().filter(|conversation| viewer.is_in(**conversation)).copied().collect())
    }

    /// Those connected who are in a conversation, but for `user`.
    pub(super) fn those_in(&self, conversation: Uuid, user: Uuid) -> Vec<Uuid> {
        let inner = self.inner.lock();
        let room = inner.rooms.get(&conversation).into_iter().flatten();
        room.filter(|other| **other != user).copied().collect()
    }

    /// Those connected who are among `contacts` or in one of `conversations`, unless that is a crowd, but for `user`.
    pub(super) fn those_with(&self, user: Uuid, contacts: &[Uuid], conversations: &[Uuid]) -> Vec<Uuid> {
        let inner = self.inner.lock();
        let rooms = conversations.iter().filter_map(|conversation| inner.rooms.get(conversation));
        let mut found: HashSet<Uuid> = rooms.filter(|room| room.len() <= CROWD).flatten().copied().collect();
        found.extend(contacts.iter().filter(|contact| inner.viewers.contains_key(contact)));
        found.remove(&user);
        found.into_iter().collect()
    }

    /// Shows something that passes to all connections of these, as far as they can take it now.
    pub(super) fn show(&self, event: &Arc<LiveEvent>, persons: &[Uuid]) {
        let inner = self.inner.lock();
        let viewers = persons.iter().filter_map(|person| inner.viewers.get(person));
        for outlet in viewers.flat_map(|viewer| &viewer.outlets) {
            // Nothing that passes is a reason to lose a connection.
            if outlet.queue.capacity() > self.limits.events / 2 {
                let _ = outlet.queue.try_send(Waiting::Passing(event.clone()));
            }
        }
    }

    fn detach(&self, user: Uuid, id: u64) {
        let mut inner = self.inner.lock();
        inner.detach(user, &[id]);
        let gone = !inner.viewers.contains_key(&user);
        drop(inner);
        if gone {
            self.presence.went(user);
        }
    }

    /// Closes all connections, and takes no more.
    pub(super) fn stop(&self) {
        let mut inner = self.inner.lock();
        inner.stopping = true;
        for outlet in inner.viewers.values().flat_map(|viewer| &viewer.outlets) {
            outlet.close.send_replace(Some(Close::Stopping));
        }
    }
}
