//! Who is there: connected to this process or another one, and not choosing to seem away.
//!
//! Each process tells the others who is connected to it, now and again; what isn't told again doesn't hold, so that the
//! people of a process that was killed are gone a little later ([`Rhythm::holds`]). What follows from that is kept in memory; only when
//! somebody was last seen is stored.

pub mod get_presence;
mod keep;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use parlor_contracts::user::Availability;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::event::LiveEvent;
use super::told::Passing;

pub(super) use get_presence::PresenceItem;
pub(super) use keep::keep;

/// How presence beats.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    /// How often a process says who is connected to it. 5 s unless set.
    pub again: Duration,
    /// How long that holds: several times as long. 15 s unless set.
    pub holds: Duration,
    /// Who comes back within this time wasn't away: a token is renewed, a train leaves a tunnel. 5 s unless set.
    pub grace: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { again: Duration::from_secs(5), holds: Duration::from_secs(15), grace: Duration::from_secs(5) }
    }
}

/// In a conversation where more people are connected to a process than this, its people aren't told of each coming and
/// going.
pub(super) const CROWD: usize = 250;
/// How many people a connection is told of at its beginning, at most.
pub(super) const KNOWN: usize = 2_000;

/// What is known of who is there.
pub(super) struct Presence {
    /// This process, as its notes name it.
    process: Uuid,
    rhythm: Rhythm,
    state: Mutex<State>,
    woken: Notify,
}

#[derive(Default)]
struct State {
    /// Those connected to other processes, by user and process: until when that holds.
    elsewhere: HashMap<Uuid, HashMap<Uuid, Instant>>,
    /// Those connected to this one, as the others were told.
    told: HashSet<Uuid>,
    /// Those who are there, and how. Nobody who is `Offline`.
    present: HashMap<Uuid, Availability>,
    /// Those of whom it is to be looked whether they still are, and when.
    due: HashMap<Uuid, Instant>,
}

/// What is to be told the other processes of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    Nothing,
    Here,
    Gone,
}

impl Presence {
    pub(super) fn new(process: Uuid, rhythm: Rhythm) -> Self {
        Self { process, rhythm, state: Mutex::default(), woken: Notify::new() }
    }

    /// Somebody has come.
    pub(super) fn came(&self, user: Uuid) {
        self.look_at(user, Instant::now());
    }

    /// Somebody has gone, perhaps for a moment only.
    pub(super) fn went(&self, user: Uuid) {
        self.look_at(user, Instant::now() + self.rhythm.grace);
    }

    /// Somebody said how they are.
    pub(super) fn said(&self, user: Uuid) {
        self.look_at(user, Instant::now());
    }

    fn look_at(&self, user: Uuid, at: Instant) {
        self.state.lock().due.insert(user, at);
        self.woken.notify_one();
    }

    /// Those who are to be looked at by now.
    fn take_due(&self, now: Instant) -> Vec<Uuid> {
        let mut due = Vec::new();
        self.state.lock().due.retain(|user, at| {
            let later = *at > now;
            if !later {
                due.push(*user);
            }
            later
        });
        due
    }

    /// When the next one is to be looked at.
    fn next_due(&self) -> Option<Instant> {
        self.state.lock().due.values().min().copied()
    }

    /// Another process says that they are connected to it.
    fn hear_of(&self, process: Uuid, users: &[Uuid], now: Instant) {
        let mut state = self.state.lock();
        for user in users {
            let processes = state.elsewhere.entry(*user).or_default();
            if processes.insert(process, now + self.rhythm.holds).is_none() {
                state.due.entry(*user).or_insert(now);
            }
        }
        drop(state);
        self.woken.notify_one();
    }

    /// Another process says that one isn't connected to it any more.
    fn hear_of_leaving(&self, process: Uuid, user: Uuid, now: Instant) {
        let mut state = self.state.lock();
        if state.drop_word(user, |of, _| *of == process) {
            state.due.insert(user, now);
        }
        drop(state);
        self.woken.notify_one();
    }

    /// Lets go of what wasn't said again in time.
    fn expire(&self, now: Instant) {
        let mut state = self.state.lock();
        let users: Vec<Uuid> = state.elsewhere.keys().copied().collect();
        for user in users {
            if state.drop_word(user, |_, until| *until < now) {
                state.due.insert(user, now);
            }
        }
    }

    fn is_elsewhere(&self, user: Uuid) -> bool {
        self.state.lock().elsewhere.contains_key(&user)
    }

    /// Whether it matters here how somebody says they are.
    pub(super) fn concerns(&self, user: Uuid) -> bool {
        let state = self.state.lock();
        state.told.contains(&user) || state.elsewhere.contains_key(&user)
    }

    /// Notes whether somebody is connected to this process; gives what the others are to be told.
    fn note_here(&self, user: Uuid, here: bool) -> Telling {
        let mut state = self.state.lock();
        match here {
            true if state.told.insert(user) => Telling::Here,
            false if state.told.remove(&user) => Telling::Gone,
            _ => Telling::Nothing,
        }
    }

    /// Notes how somebody is.
    fn note(&self, user: Uuid, now: Availability) {
        let mut state = self.state.lock();
        match now {
            Availability::Offline => state.present.remove(&user),
            there => state.present.insert(user, there),
        };
    }

    /// How somebody is.
    pub(super) fn of(&self, user: Uuid) -> Availability {
        self.state.lock().present.get(&user).copied().unwrap_or_default()
    }

    /// Whether anybody is there.
    pub(super) fn is_anybody(&self) -> bool {
        !self.state.lock().present.is_empty()
    }

    /// Those connected to this process, as the others were told.
    fn here(&self) -> Vec<Uuid> {
        self.state.lock().told.iter().copied().collect()
    }

    /// Those of them who are there for others to see.
    fn seen_here(&self) -> Vec<Uuid> {
        let state = self.state.lock();
        state.told.iter().filter(|user| state.present.contains_key(user)).copied().collect()
    }
}

impl State {
    /// Drops some processes' word of a user; whether that was the last that held.
    fn drop_word(&mut self, user: Uuid, over: impl Fn(&Uuid, &Instant) -> bool) -> bool {
        let Some(processes) = self.elsewhere.get_mut(&user) else { return false };
        processes.retain(|process, until| !over(process, until));
        let none = processes.is_empty();
        if none {
            self.elsewhere.remove(&user);
        }
        none
    }
}

/// How somebody is, as a frame says it; when they were last seen only if they aren't there.
pub(super) fn frame(
    user: Uuid,
    status: Availability,
    last_seen: Option<Timestamp>,
    at: Timestamp,
) -> Option<LiveEvent> {
    let last_seen_at = last_seen.filter(|_| status == Availability::Offline);
    let presence = PresenceItem { user_id: user, status, last_seen_at };
    LiveEvent::of(&Passing::Presence(presence), at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Uuid = Uuid::from_u128(1);
    const HERE: Uuid = Uuid::from_u128(10);
    const THERE: Uuid = Uuid::from_u128(11);
    const ELSEWHERE: Uuid = Uuid::from_u128(12);

    #[test]
    fn what_another_process_says_holds_until_it_says_otherwise_or_nothing_for_long() {
        let (presence, now) = (Presence::new(HERE, Rhythm::default()), Instant::now());
        let Rhythm { again, holds, .. } = presence.rhythm;
        presence.hear_of(THERE, &[ANN], now);
        presence.hear_of(ELSEWHERE, &[ANN], now);
        assert_eq!(presence.take_due(now), [ANN]);
        presence.hear_of_leaving(THERE, ANN, now);
        assert!(presence.is_elsewhere(ANN), "one of two connections is left");
        assert_eq!(presence.take_due(now), Vec::<Uuid>::new());
        presence.hear_of(ELSEWHERE, &[ANN], now + again);
        presence.expire(now + holds + Duration::from_secs(1));
        assert!(presence.is_elsewhere(ANN), "it was said again");
        presence.expire(now + again + holds + Duration::from_secs(1));
        assert!(!presence.is_elsewhere(ANN));
        assert_eq!(presence.take_due(now + again + holds + Duration::from_secs(1)), [ANN]);
    }

    #[test]
    fn who_comes_back_at_once_was_not_away() {
        let presence = Presence::new(HERE, Rhythm::default());
        presence.went(ANN);
        assert_eq!(presence.take_due(Instant::now()), Vec::<Uuid>::new());
        presence.came(ANN);
        assert_eq!(presence.take_due(Instant::now()), [ANN]);
        assert_eq!(presence.take_due(Instant::now() + 2 * presence.rhythm.grace), Vec::<Uuid>::new());
    }

    #[test]
    fn the_others_are_told_of_changes_only() {
        let presence = Presence::new(HERE, Rhythm::default());
        let tellings = [true, true, false, false].map(|here| presence.note_here(ANN, here));
        assert_eq!(tellings, [Telling::Here, Telling::Nothing, Telling::Gone, Telling::Nothing]);
    }
}
