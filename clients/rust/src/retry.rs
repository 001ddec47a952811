//! How long to wait before the next attempt.

use std::time::Duration;

/// How pauses grow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// The first pause at most.
    pub(crate) first: Duration,
    /// Any pause at most.
    pub(crate) most: Duration,
}

impl Backoff {
    /// Between attempts of one call.
    pub(crate) const CALL: Self = Self { first: Duration::from_millis(200), most: Duration::from_secs(5) };
    /// Between connections of a feed.
    pub(crate) const FEED: Self = Self { first: Duration::from_millis(250), most: Duration::from_secs(15) };

    /// The pause after this many failures, 0 for the first: twice as long each time, with jitter so that many clients don't
    /// come back together.
    pub(crate) fn pause(self, failures: u32) -> Duration {
        self.pause_at(failures, rand::random::<f64>())
    }

    /// The same, `chance` being from 0 to 1.
    fn pause_at(self, failures: u32, chance: f64) -> Duration {
        let grown = self.first.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
        grown.min(self.most).mul_f64(0.5 + chance / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_most_and_halve_by_chance_at_most() {
        let pauses =
            |chance| [0, 1, 2, 10, 31, 32, u32::MAX].map(|n| Backoff::CALL.pause_at(n, chance).as_millis());
        assert_eq!(pauses(1.0), [200, 400, 800, 5_000, 5_000, 5_000, 5_000]);
        assert_eq!(pauses(0.0), [100, 200, 400, 2_500, 2_500, 2_500, 2_500]);
    }
}
