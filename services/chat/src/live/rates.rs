//! How often somebody may do what leaves no trace.

use std::num::NonZeroU32;
use std::time::Duration;

use cqrs_core::{Failure, RefusalKind, Refused};
use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use uuid::Uuid;

/// So many a second, and after a pause more at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub(super) per_second: NonZeroU32,
    pub(super) at_once: NonZeroU32,
}

impl Rate {
    /// Zero counts as one.
    pub(super) const fn new(per_second: u32, at_once: u32) -> Self {
        const fn at_least_one(n: u32) -> NonZeroU32 {
            match NonZeroU32::new(n) {
                Some(n) => n,
                None => NonZeroU32::MIN,
            }
        }
        Self { per_second: at_least_one(per_second), at_once: at_least_one(at_once) }
    }

    pub(super) fn quota(self) -> Quota {
        Quota::per_second(self.per_second).allow_burst(self.at_once)
    }
}

/// One rate for each person.
pub(super) struct Rates(RateLimiter<Uuid, DefaultKeyedStateStore<Uuid>, DefaultClock>);

impl Rates {
    pub(super) fn new(rate: Rate) -> Self {
        Self(RateLimiter::keyed(rate.quota()))
    }

    /// Counts once more; 429 if that is too often.
    pub(super) fn check(&self, user: Uuid) -> Result<(), Failure> {
        self.0.check_key(&user).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            Failure::Refused(Box::new(Refused {
                code: "too-many-requests",
                kind: RefusalKind::TooManyRequests,
                detail: "too often; a little later again".to_owned(),
                errors: Vec::new(),
                retry_after: Some(Duration::from_secs(wait.as_secs() + 1)),
                permits_replay: false,
            }))
        })
    }

    /// Forgets those who may do it as often as anybody again.
    pub(super) fn sweep(&self) {
        self.0.retain_recent();
    }
}
