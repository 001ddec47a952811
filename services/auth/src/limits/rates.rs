//! How many tries in which time, by address and by account.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use serde::{Deserialize, Serialize};

use super::{AccountKey, Origin, TooMany, whole_seconds};

/// Beyond this many keys at once, further ones share buckets.
const MAX_KEYS: usize = 100_000;
/// How many such shared buckets there are.
const SHARED: u8 = 255;
/// Keys whose bucket is full again are dropped after this many checks.
const SWEEP_EVERY: u32 = 1024;

/// So many in this time, and after a pause all of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many.
    pub tries: NonZeroU32,
    /// In how many seconds.
    pub seconds: NonZeroU32,
}

impl Rate {
    /// So many in so many seconds. Zero counts as one.
    pub const fn new(tries: u32, seconds: u32) -> Self {
        const fn at_least_one(n: u32) -> NonZeroU32 {
            match NonZeroU32::new(n) {
                Some(n) => n,
                None => NonZeroU32::MIN,
            }
        }
        Self { tries: at_least_one(tries), seconds: at_least_one(seconds) }
    }

    fn quota(self) -> Quota {
        let period = Duration::from_secs(self.seconds.get().into()) / self.tries.get();
        Quota::with_period(period.max(Duration::from_nanos(1)))
            .expect("a period of a nanosecond or more")
            .allow_burst(self.tries)
    }
}

/// The rates in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateSettings {
    /// Whether any is (`PARLOR_LIMITS_ENABLED`): off for load tests.
    pub enabled: bool,
    /// Sign-ins from one address.
    pub sign_in_per_address: Rate,
    /// Sign-ins to one account from one address: by both, so that nobody can use up another's.
    pub sign_in_per_account: Rate,
    /// Registrations from one address.
    pub register_per_address: Rate,
    /// Password resets asked for from one address.
    pub reset_per_address: Rate,
    /// Password resets asked for one account, from anywhere: a mailbox can be flooded.
    pub reset_per_account: Rate,
    /// Tokens shown (refresh, reset links, verification links) from one address.
    pub token_per_address: Rate,
}

impl Default for RateSettings {
    /// Generous for an office behind one address, tight for a guesser.
    fn default() -> Self {
        Self {
            enabled: true,
            sign_in_per_address: Rate::new(60, 60),
            sign_in_per_account: Rate::new(10, 60),
            register_per_address: Rate::new(30, 3_600),
            reset_per_address: Rate::new(20, 3_600),
            reset_per_account: Rate::new(5, 3_600),
            token_per_address: Rate::new(300, 60),
        }
    }
}

/// What somebody tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// To sign in to an account.
    SignIn(AccountKey),
    /// To register.
    Register,
    /// To have a password reset.
    RequestReset(AccountKey),
    /// To use a token: refresh, reset or verify.
    UseToken,
}

/// How one stands with a limit, as the `RateLimit` and `RateLimit-Policy` header fields tell it
/// (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The limit's name.
    pub policy: &'static str,
    /// The rate.
    pub rate: Rate,
    /// Tries left just now.
    pub remaining: u32,
    /// Until there is another one, or all of them where some are left.
    pub reset: Duration,
}

impl Standing {
    /// The value of `RateLimit-Policy`.
    pub fn policy_field(&self) -> String {
        format!("\"{}\";q={};w={}", self.policy, self.rate.tries, self.rate.seconds)
    }

    /// The value of `RateLimit`.
    pub fn limit_field(&self) -> String {
        format!("\"{}\";r={};t={}", self.policy, self.remaining, self.reset.as_secs())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Address(Origin),
    Account(AccountKey),
    Both(AccountKey, Origin),
    /// Many keys that came when there was no more room.
    Shared(u8),
}

/// The limits of one process. Behind a proxy that spreads requests over several, each has its own.
pub struct Rates<C: Clock = MonotonicClock> {
    enabled: bool,
    clock: C,
    sign_in_per_address: Bucket<C>,
    sign_in_per_account: Bucket<C>,
    register_per_address: Bucket<C>,
    reset_per_address: Bucket<C>,
    reset_per_account: Bucket<C>,
    token_per_address: Bucket<C>,
}

impl Rates {
    /// With these settings, on the machine's monotonic clock.
    pub fn new(settings: &RateSettings) -> Self {
        Self::with_clock(settings, MonotonicClock)
    }
}

impl<C: Clock + Clone> Rates<C> {
    /// On another clock.
    pub fn with_clock(settings: &RateSettings, clock: C) -> Self {
        let bucket = |policy, rate| Bucket::new(policy, rate, MAX_KEYS, clock.clone());
        Self {
            enabled: settings.enabled,
            sign_in_per_address: bucket("sign-in-per-address", settings.sign_in_per_address),
            sign_in_per_account: bucket("sign-in-per-account", settings.sign_in_per_account),
            register_per_address: bucket("register-per-address", settings.register_per_address),
            reset_per_address: bucket("reset-per-address", settings.reset_per_address),
            reset_per_account: bucket("reset-per-account", settings.reset_per_account),
            token_per_address: bucket("token-per-address", settings.token_per_address),
            clock,
        }
    }

    /// Counts one try, and refuses it if there have been too many. Gives the tightest limit's standing; `None` where
    /// limits are off.
    pub fn check(&self, action: Action, origin: Origin) -> Result<Option<Standing>, TooMany> {
        let result = self.count(action, origin);
        match &result {
            Ok(standing) => standing.iter().for_each(|standing| super::telling::note(*standing)),
            Err(refused) => refused.standing.iter().for_each(|standing| super::telling::note(*standing)),
        }
        result
    }

    fn count(&self, action: Action, origin: Origin) -> Result<Option<Standing>, TooMany> {
        if !self.enabled {
            return Ok(None);
        }
        let from = Key::Address(origin);
        let (first, second) = match action {
            Action::SignIn(account) => (
                (&self.sign_in_per_address, from),
                Some((&self.sign_in_per_account, Key::Both(account, origin))),
            ),
            Action::Register => ((&self.register_per_address, from), None),
            Action::RequestReset(account) => {
                ((&self.reset_per_address, from), Some((&self.reset_per_account, Key::Account(account))))
            }
            Action::UseToken => ((&self.token_per_address, from), None),
        };
        let standing = first.0.check(first.1, &self.clock)?;
        let Some((bucket, key)) = second else { return Ok(Some(standing)) };
        let other = bucket.check(key, &self.clock)?;
        Ok(Some(if other.remaining < standing.remaining { other } else { standing }))
    }
}

impl<C: Clock> std::fmt::Debug for Rates<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rates").field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

type Limiter<C> = RateLimiter<Key, DefaultKeyedStateStore<Key>, C, StateInformationMiddleware>;

struct Bucket<C: Clock> {
    policy: &'static str,
    rate: Rate,
    limiter: Limiter<C>,
    max_keys: usize,
    checks: AtomicU32,
    full: AtomicBool,
}

impl<C: Clock> Bucket<C> {
    fn new(policy: &'static str, rate: Rate, max_keys: usize, clock: C) -> Self {
        let store = DefaultKeyedStateStore::default();
        let limiter = Limiter::new(rate.quota(), store, clock);
        Self { policy, rate, limiter, max_keys, checks: AtomicU32::new(0), full: AtomicBool::new(false) }
    }

    fn check(&self, key: Key, clock: &C) -> Result<Standing, TooMany> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.limiter.retain_recent();
            self.full.store(self.limiter.len() >= self.max_keys, Ordering::Relaxed);
        }
        let key = if self.full.load(Ordering::Relaxed) { shared(&key) } else { key };
        match self.limiter.check_key(&key) {
            Ok(snapshot) => {
                let remaining = snapshot.remaining_burst_capacity();
                let used = self.rate.tries.get().saturating_sub(remaining);
                let reset = whole_seconds(self.rate.quota().replenish_interval() * used);
                Ok(Standing { policy: self.policy, rate: self.rate, remaining, reset })
            }
            Err(not_until) => {
                let retry_after = whole_seconds(not_until.wait_time_from(clock.now()));
                let standing =
                    Standing { policy: self.policy, rate: self.rate, remaining: 0, reset: retry_after };
                Err(TooMany { retry_after, standing: Some(standing) })
            }
        }
    }
}

/// One of a fixed number of keys, so that a flood of addresses takes no more memory, at the price that some wait for others.
fn shared(key: &Key) -> Key {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    Key::Shared((hasher.finish() % u64::from(SHARED)) as u8)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::email::Email;

    fn origin(n: u32) -> Origin {
        Origin::from(IpAddr::V4(Ipv4Addr::from_bits(n)))
    }

    fn account(name: &str) -> AccountKey {
        AccountKey::of(&Email::parse(&format!("{name}@example.org")).unwrap())
    }

    fn rates() -> (Rates<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let settings = RateSettings {
            sign_in_per_address: Rate::new(5, 60),
            sign_in_per_account: Rate::new(3, 60),
            ..RateSettings::default()
        };
        (Rates::with_clock(&settings, clock.clone()), clock)
    }

    #[test]
    fn security_5_sign_ins_to_an_account_from_an_address_are_limited_and_told_when_to_come_back() {
        let (rates, clock) = rates();
        let try_in = |address| rates.check(Action::SignIn(account("ann")), origin(address));
        assert_eq!(try_in(1).unwrap().unwrap().remaining, 2);
        assert_eq!(try_in(1).unwrap().unwrap().remaining, 1);
        assert_eq!(try_in(1).unwrap().unwrap().remaining, 0);
        let refused = try_in(1).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(20));
        let standing = refused.standing.unwrap();
        assert_eq!(standing.policy_field(), "\"sign-in-per-account\";q=3;w=60");
        assert_eq!(standing.limit_field(), "\"sign-in-per-account\";r=0;t=20");
        clock.advance(Duration::from_secs(20));
        assert!(try_in(1).is_ok());
        assert!(try_in(1).is_err());
    }

    #[test]
    fn security_7_one_who_uses_up_an_accounts_tries_does_not_use_up_anothers() {
        let (rates, _) = rates();
        for _ in 0..10 {
            let _ = rates.check(Action::SignIn(account("ann")), origin(1));
        }
        assert!(rates.check(Action::SignIn(account("ann")), origin(2)).is_ok());
    }

    #[test]
    fn security_5_sign_ins_from_an_address_are_limited_whatever_the_account() {
        let (rates, _) = rates();
        for name in ["a", "b", "c", "d", "e"] {
            assert!(rates.check(Action::SignIn(account(name)), origin(1)).is_ok());
        }
        let refused = rates.check(Action::SignIn(account("f")), origin(1)).unwrap_err();
        assert_eq!(refused.standing.unwrap().policy, "sign-in-per-address");
        assert!(rates.check(Action::SignIn(account("f")), origin(2)).is_ok());
        assert!(rates.check(Action::Register, origin(1)).is_ok(), "other actions are counted apart");
    }

    #[test]
    fn a_mailbox_is_not_flooded_with_resets_from_many_addresses() {
        let (rates, _) = rates();
        let ask = |address| rates.check(Action::RequestReset(account("ann")), origin(address));
        assert!((0..5).all(|address| ask(address).is_ok()));
        assert_eq!(ask(6).unwrap_err().standing.unwrap().policy, "reset-per-account");
    }

    #[test]
    fn switched_off_nothing_is_limited() {
        let rates = Rates::new(&RateSettings { enabled: false, ..RateSettings::default() });
        for _ in 0..1_000 {
            assert_eq!(rates.check(Action::Register, origin(1)), Ok(None));
        }
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory_and_still_meets_limits() {
        let clock = FakeRelativeClock::default();
        let bucket = Bucket::new("test", Rate::new(2, 60), 2_000, clock.clone());
        let refused = (0..20_000).filter(|n| bucket.check(Key::Address(origin(*n)), &clock).is_err()).count();
        assert!(
            bucket.limiter.len() <= 2_000 + SWEEP_EVERY as usize + SHARED as usize,
            "{}",
            bucket.limiter.len()
        );
        assert!(refused > 0, "those that share a bucket wait for each other");
        clock.advance(Duration::from_mins(10));
        for n in 0..SWEEP_EVERY {
            let _ = bucket.check(Key::Address(origin(n % 4)), &clock);
        }
        assert!(bucket.limiter.len() < 500, "and it is given back");
        assert!(!bucket.full.load(Ordering::Relaxed));
    }
}
