//! When requests are due.

use std::time::Duration;

/// How requests follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Each connection asks as soon as it was answered: as fast as the server can. Latencies count from when a request was sent.
    Closed,
    /// So many requests a second, whatever becomes of those before. Latencies count from when a request was due, for a request that
    /// waits because the server is slow is late to who wanted it ("coordinated omission", Gil Tene).
    Open {
        /// Requests per second.
        rate: f64,
    },
}

/// When the requests of one thread are due, counted from the load's start: every `of`th, beginning with the `nth`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    rate: f64,
    nth: u64,
    of: u64,
    total: u64,
}

impl Schedule {
    pub(crate) fn new(rate: f64, duration: Duration, nth: usize, of: usize) -> Self {
        let total = (rate * duration.as_secs_f64()).floor() as u64;
        Self { rate, nth: nth as u64, of: of.max(1) as u64, total }
    }

    /// When this thread's nth request is due, unless the load has ended by then.
    pub(crate) fn due(&self, n: u64) -> Option<Duration> {
        let n = n * self.of + self.nth;
        (n < self.total).then(|| Duration::from_secs_f64(n as f64 / self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_a_rate_evenly_and_end_with_it() {
        let second = Duration::from_secs(1);
        let due = |nth| {
            let schedule = Schedule::new(10.0, second, nth, 3);
            (0..).map_while(move |n| schedule.due(n)).collect::<Vec<_>>()
        };
        let mut all = [due(0), due(1), due(2)].concat();
        all.sort_unstable();
        let even: Vec<_> = (0..10).map(|n| second.mul_f64(f64::from(n) / 10.0)).collect();
        assert_eq!(all, even);
    }
}
