//! What follows on failed sign-ins: whoever fails waits, ever longer, and nobody can make another wait.
//!
//! Failures are counted for each account and address together, which slows one guesser down, and for each account over all
//! addresses, which ends guessing from many: after [`MAX_CONSECUTIVE`] in a row (NIST SP 800-63B-4 §3.2.2) one try in
//! [`LONGEST_WAIT`] is let through from addresses that never signed in to the account. An address that did is not held up
//! by it, so a guesser can't lock out the account's owner where they usually are; elsewhere, a password reset helps.

use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use quick_cache::unsync::Cache;

use super::{AccountKey, Origin, TooMany, whole_seconds};

/// Failures in a row, from anywhere, before unknown addresses are slowed down.
const MAX_CONSECUTIVE: u32 = 100;
/// Failures in a row from one address that cost no wait.
const FREE: u32 = 5;
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// Accounts, and pairs of account and address, that are remembered; the least used make room.
const REMEMBERED: usize = 50_000;

/// Counts failed sign-ins. One in a process; what it knows is gone with it.
pub struct FailureGuard {
    state: Mutex<State>,
    enabled: bool,
}

struct State {
    pairs: Cache<(AccountKey, Origin), Failures>,
    accounts: Cache<AccountKey, Failures>,
    known: Cache<(AccountKey, Origin), ()>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

/// A try that was let through. It counts as failed until it is said to have succeeded, so that a thousand at once are
/// counted before the first is answered.
#[derive(Debug)]
#[must_use = "say whether it succeeded"]
pub struct Attempt {
    account: AccountKey,
    origin: Origin,
}

impl FailureGuard {
    /// One that has seen nothing; switched off, it lets all through.
    pub fn new(enabled: bool) -> Self {
        let state = State {
            pairs: Cache::new(REMEMBERED),
            accounts: Cache::new(REMEMBERED),
            known: Cache::new(REMEMBERED),
        };
        Self { state: Mutex::new(state), enabled }
    }

    /// Lets a try through, or tells how long to wait. It tells the same whether or not there is such an account.
    pub fn attempt(&self, account: AccountKey, origin: Origin, now: Timestamp) -> Result<Attempt, TooMany> {
        let attempt = Attempt { account, origin };
        if !self.enabled {
            return Ok(attempt);
        }
        let mut state = self.state.lock();
        let known = state.known.get(&(account, origin)).is_some();
        let pair = state.pairs.get(&(account, origin)).copied();
        let all = state.accounts.get(&account).copied();
        let wait_pair = pair.map_or(Duration::ZERO, |failures| failures.wait(now, backoff));
        let wait_all =
            all.filter(|_| !known).map_or(Duration::ZERO, |failures| failures.wait(now, slow_down));
        let wait = wait_pair.max(wait_all);
        if !wait.is_zero() {
            return Err(TooMany { retry_after: whole_seconds(wait), standing: None });
        }
        state.pairs.insert((account, origin), Failures::one_more(pair, now));
        if !known {
            state.accounts.insert(account, Failures::one_more(all, now));
        }
        Ok(attempt)
    }

    /// It was the password: failures are forgotten, the address is known from now on.
    pub fn succeeded(&self, attempt: &Attempt) {
        let mut state = self.state.lock();
        state.pairs.remove(&(attempt.account, attempt.origin));
        state.accounts.remove(&attempt.account);
        state.known.insert((attempt.account, attempt.origin), ());
    }

    /// It wasn't decided, as when the machine was too busy to look: it doesn't count.
    pub fn undecided(&self, attempt: &Attempt) {
        let mut state = self.state.lock();
        if let Some(mut pair) = state.pairs.get_mut(&(attempt.account, attempt.origin)) {
            pair.count = pair.count.saturating_sub(1);
        }
        if let Some(mut all) = state.accounts.get_mut(&attempt.account) {
            all.count = all.count.saturating_sub(1);
        }
    }

    /// The account's owner proved themselves otherwise, by a reset: nothing is held against it any more.
    pub fn forget(&self, account: AccountKey) {
        self.state.lock().accounts.remove(&account);
    }
}

impl Failures {
    fn one_more(before: Option<Self>, now: Timestamp) -> Self {
        Self { count: before.map_or(0, |failures| failures.count).saturating_add(1), last: now }
    }

    /// What is left to wait. A clock that was set back counts as if the time had passed, rather than an hour's lock-out.
    fn wait(self, now: Timestamp, rule: fn(u32) -> Duration) -> Duration {
        let Ok(passed) = Duration::try_from(now.duration_since(self.last)) else { return Duration::ZERO };
        rule(self.count).saturating_sub(passed)
    }
}

fn backoff(failures: u32) -> Duration {
    match failures.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(more) => Duration::from_secs(1 << more.min(10)).min(LONGEST_WAIT),
    }
}

fn slow_down(failures: u32) -> Duration {
    if failures < MAX_CONSECUTIVE { Duration::ZERO } else { LONGEST_WAIT }
}

impl std::fmt::Debug for FailureGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FailureGuard").field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::email::Email;

    fn from(n: u32) -> Origin {
        Origin::from(IpAddr::V4(Ipv4Addr::from_bits(n)))
    }

    fn ann() -> AccountKey {
        AccountKey::of(&Email::parse("ann@example.org").unwrap())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn wait(guard: &FailureGuard, origin: Origin, now: Timestamp) -> u64 {
        guard.attempt(ann(), origin, now).err().map_or(0, |refused| refused.retry_after.as_secs())
    }

    #[test]
    fn the_first_failures_cost_nothing_and_then_each_costs_twice_as_much() {
        let guard = FailureGuard::new(true);
        assert!((0..5).all(|_| wait(&guard, from(1), at(0)) == 0));
        assert_eq!(wait(&guard, from(1), at(0)), 1);
        assert_eq!(wait(&guard, from(1), at(1)), 0, "after the wait one more is let through");
        assert_eq!(wait(&guard, from(1), at(1)), 2);
        let mut now = 1;
        let mut longest = 0;
        for _ in 0..20 {
            let seconds = wait(&guard, from(1), at(now));
            longest = longest.max(seconds);
            now += i64::try_from(seconds).unwrap();
            assert_eq!(wait(&guard, from(1), at(now)), 0);
        }
        assert_eq!(longest, 900);
    }

    #[test]
    fn security_7_after_100_failures_in_a_row_unknown_addresses_get_one_try_in_a_quarter_of_an_hour() {
        let guard = FailureGuard::new(true);
        let tried = (0..5_000).filter(|n| wait(&guard, from(*n), at(0)) == 0).count();
        assert_eq!(tried, 100);
        assert_eq!(wait(&guard, from(9_999), at(899)), 1);
        assert_eq!(wait(&guard, from(9_999), at(900)), 0);
        assert_eq!(wait(&guard, from(9_998), at(900)), 900);
    }

    #[test]
    fn security_7_the_owner_signs_in_from_where_they_did_before_while_others_guess() {
        let guard = FailureGuard::new(true);
        let home = guard.attempt(ann(), from(1), at(0)).unwrap();
        guard.succeeded(&home);
        for n in 0..5_000 {
            let _ = guard.attempt(ann(), from(100 + n), at(10));
        }
        assert_ne!(wait(&guard, from(2), at(10)), 0, "a new address waits");
        let home = guard.attempt(ann(), from(1), at(10)).expect("the known one doesn't");
        guard.succeeded(&home);
        assert_eq!(wait(&guard, from(2), at(10)), 0, "and a success ends the row");
    }

    #[test]
    fn security_7_a_known_address_is_slowed_down_by_its_own_failures() {
        let guard = FailureGuard::new(true);
        guard.succeeded(&guard.attempt(ann(), from(1), at(0)).unwrap());
        assert_eq!((0..50).filter(|_| wait(&guard, from(1), at(0)) == 0).count(), 5);
    }

    #[test]
    fn a_reset_lets_the_owner_in_from_anywhere() {
        let guard = FailureGuard::new(true);
        for n in 0..200 {
            let _ = guard.attempt(ann(), from(100 + n), at(0));
        }
        assert_ne!(wait(&guard, from(1), at(0)), 0);
        guard.forget(ann());
        assert_eq!(wait(&guard, from(1), at(0)), 0);
    }

    #[test]
    fn what_was_not_decided_does_not_count() {
        let guard = FailureGuard::new(true);
        for _ in 0..500 {
            let attempt = guard.attempt(ann(), from(1), at(0)).unwrap();
            guard.undecided(&attempt);
        }
        assert_eq!(wait(&guard, from(1), at(0)), 0);
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let guard = FailureGuard::new(true);
        assert_eq!((0..50).filter(|_| wait(&guard, from(1), at(7_200)) == 0).count(), 5);
        assert_eq!(wait(&guard, from(1), at(0)), 0);
    }

    #[test]
    fn switched_off_it_lets_all_through() {
        let guard = FailureGuard::new(false);
        assert!((0..1_000).all(|_| wait(&guard, from(1), at(0)) == 0));
    }
}
