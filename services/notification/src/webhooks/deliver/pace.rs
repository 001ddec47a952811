//! How often and how long it is tried.

use std::time::Duration;

use jiff::Timestamp;

/// The pauses between tries, and when there are no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// The pause after the first failure; each is twice the one before.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
    /// How often an event is tried before the webhook is parked.
    pub tries: u32,
    /// How long it is tried before the webhook is parked.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            longest: Duration::from_hours(1),
            tries: 100,
            patience: Duration::from_hours(72),
        }
    }
}

/// The longest that a receiver may ask to be left alone.
const LONGEST_ASKED: Duration = Duration::from_hours(24);

impl Pace {
    /// The pause after the `tries`-th failure: doubled each time, up to a fifth shorter by `chance` (0 to 1), so that many who
    /// failed together don't come back together; never shorter than the receiver asked for.
    pub fn pause(&self, tries: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let doubled =
            2_u32.checked_pow(tries.saturating_sub(1)).and_then(|factor| self.first.checked_mul(factor));
        let pause = doubled.map_or(self.longest, |pause| pause.min(self.longest));
        let pause = pause.mul_f64(1.0 - 0.2 * chance.clamp(0.0, 1.0));
        asked.map_or(pause, |asked| pause.max(asked.min(LONGEST_ASKED)))
    }

    /// Whether an event that was tried `tries` times since `since` is tried no more.
    pub fn is_over(&self, tries: u32, since: Timestamp, now: Timestamp) -> bool {
        let lasted = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        tries >= self.tries || lasted >= self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_honour_the_receiver() {
        let pace = Pace::default();
        let pauses: Vec<u64> = (1..=4).map(|tries| pace.pause(tries, None, 0.0).as_secs()).collect();
        assert_eq!(pauses, [5, 10, 20, 40]);
        assert_eq!(pace.pause(40, None, 0.0), pace.longest);
        assert_eq!(pace.pause(1, None, 1.0), Duration::from_secs(4));
        assert_eq!(pace.pause(1, Some(Duration::from_mins(2)), 1.0), Duration::from_mins(2));
        assert_eq!(pace.pause(1, Some(Duration::from_secs(1)), 0.0), Duration::from_secs(5));
        assert_eq!(pace.pause(1, Some(Duration::from_hours(900)), 0.0), LONGEST_ASKED);
    }

    #[test]
    fn tries_or_age_end_it() {
        let (pace, since) = (Pace::default(), Timestamp::UNIX_EPOCH);
        let later = |hours| since + jiff::SignedDuration::from_hours(hours);
        assert!(!pace.is_over(99, since, later(71)));
        assert!(pace.is_over(100, since, since));
        assert!(pace.is_over(1, since, later(72)));
    }
}
