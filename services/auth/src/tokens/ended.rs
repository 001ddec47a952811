//! The sessions that ended while an access token of theirs may still be about.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use parking_lot::RwLock;
use tokio::sync::watch;
use uuid::Uuid;

use super::access::MAX_LIFETIME;

/// Ended sessions, each kept until its last access token would have expired anyway. So it holds what ended within the last
/// five minutes, however long the process runs.
#[derive(Debug, Default)]
pub struct EndedSessions {
    kept: RwLock<Kept>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    until: HashMap<Uuid, Timestamp>,
    /// In order of arrival, to forget the oldest without looking at all.
    arrivals: VecDeque<(Uuid, Timestamp)>,
}

impl EndedSessions {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A session ended at `ended_at`; its tokens are refused from now on. Saying so twice changes nothing.
    pub fn end(&self, session: Uuid, ended_at: Timestamp, now: Timestamp) {
        let until = ended_at.saturating_add(MAX_LIFETIME).unwrap_or(Timestamp::MAX);
        let mut kept = self.kept.write();
        while let Some(&(oldest, expires)) = kept.arrivals.front()
            && expires <= now
        {
            kept.arrivals.pop_front();
            if kept.until.get(&oldest).is_some_and(|until| *until <= now) {
                kept.until.remove(&oldest);
            }
        }
        if until <= now || kept.until.get(&session).is_some_and(|known| *known >= until) {
            return;
        }
        kept.until.insert(session, until);
        kept.arrivals.push_back((session, until));
        drop(kept);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Changes whenever another session has ended: whoever holds a connection open looks then whether it was theirs
    /// ([`EndedSessions::contains`]).
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether the session has ended.
    pub fn contains(&self, session: Uuid) -> bool {
        self.kept.read().until.contains_key(&session)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.kept.read().until.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_ended_session_is_kept_until_its_last_token_has_expired() {
        let ended = EndedSessions::new();
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        ended.end(one, at(1_000), at(1_000));
        ended.end(one, at(1_000), at(1_001));
        assert!(ended.contains(one));
        assert!(!ended.contains(other));
        ended.end(other, at(1_299), at(1_299));
        assert!(ended.contains(one));
        ended.end(Uuid::from_u128(3), at(1_300), at(1_300));
        assert!(!ended.contains(one));
        assert!(ended.contains(other));
    }

    #[test]
    fn security_17_whoever_holds_a_connection_is_woken_once_for_each_ended_session() {
        let ended = EndedSessions::new();
        let mut changes = ended.changes();
        assert!(!changes.has_changed().unwrap());
        ended.end(Uuid::from_u128(1), at(1_000), at(1_000));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        ended.end(Uuid::from_u128(1), at(1_000), at(1_001));
        assert!(!changes.has_changed().unwrap(), "it was known");
    }

    #[test]
    fn what_ended_long_ago_is_not_kept_at_all() {
        let ended = EndedSessions::new();
        ended.end(Uuid::from_u128(1), at(1_000), at(5_000));
        assert!(ended.is_empty());
    }

    #[test]
    fn it_stays_small_however_many_end() {
        let ended = EndedSessions::new();
        for n in 0..10_000_u32 {
            let now = at(i64::from(n));
            ended.end(Uuid::from_u128(u128::from(n)), now, now);
        }
        assert_eq!(ended.len(), 300);
        assert_eq!(ended.kept.read().arrivals.len(), 300);
    }
}
