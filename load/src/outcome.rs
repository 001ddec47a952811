//! What a load came to.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use uuid::Uuid;

use crate::work::Kind;

/// The longest latency that is told apart from longer ones: a minute, in microseconds.
const LONGEST: u64 = 60_000_000;

/// A histogram of microseconds, to three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("these bounds are sound")
}

/// Records microseconds.
pub(crate) fn record(histogram: &mut Histogram<u64>, took: Duration) {
    histogram.saturating_record((took.as_micros() as u64).clamp(1, LONGEST));
}

/// A quantile in milliseconds.
pub fn millis(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    if histogram.is_empty() { 0.0 } else { histogram.value_at_quantile(quantile) as f64 / 1000.0 }
}

/// A message that the server said it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// The id that it was given.
    pub id: Uuid,
    /// Its conversation, by its number in [`World::rooms`](crate::World::rooms).
    pub room: u32,
    /// Of what it says: [`fingerprint`].
    pub content: u64,
}

/// By which a message's content is known again.
pub fn fingerprint(content: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// What became of one kind of request.
#[derive(Debug, Clone)]
pub struct Of {
    /// How many were answered well.
    pub done: u64,
    /// How many weren't, by what was wrong.
    pub errors: BTreeMap<String, u64>,
    /// Microseconds from when each was due (closed loop: sent) to its answer's last byte. Those that weren't answered well count
    /// too: nobody is served by a quick refusal.
    pub latencies: Histogram<u64>,
    /// Microseconds from when each was sent: what a load that waits for the server would have seen.
    pub service: Histogram<u64>,
    /// Bytes of the answers' contents.
    pub bytes: u64,
}

impl Default for Of {
    fn default() -> Self {
        Self { done: 0, errors: BTreeMap::new(), latencies: histogram(), service: histogram(), bytes: 0 }
    }
}

impl Of {
    /// How many weren't answered well.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.bytes += other.bytes;
        for (what, count) in &other.errors {
            *self.errors.entry(what.clone()).or_default() += count;
        }
        // All have the same bounds.
        let _ = self.latencies.add(&other.latencies);
        let _ = self.service.add(&other.service);
    }
}

/// What happened in one second.
#[derive(Debug, Clone)]
pub struct Second {
    /// Requests answered well.
    pub done: u64,
    /// Requests that weren't.
    pub failed: u64,
    /// Their latencies, to two digits.
    pub latencies: Histogram<u64>,
}

impl Default for Second {
    fn default() -> Self {
        let latencies = Histogram::new_with_bounds(1, LONGEST, 2).expect("these bounds are sound");
        Self { done: 0, failed: 0, latencies }
    }
}

/// What a load came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// From its start to the last answer.
    pub took: Duration,
    /// By kind of request.
    pub kinds: BTreeMap<Kind, Of>,
    /// Second by second, by when the answers came.
    pub seconds: Vec<Second>,
    /// What the server said it holds.
    pub acknowledged: Vec<Acknowledged>,
    /// Messages of which nobody knows whether they were stored, by conversation: the connection broke before the answer, or the
    /// answer was an error of the server.
    pub unknown: BTreeMap<u32, u64>,
    /// Requests that were sent more than a millisecond after they were due, since no connection was free or the tool was busy.
    pub late: u64,
    /// Processor time of the load itself.
    pub cpu: Duration,
}

impl Outcome {
    /// Requests answered well.
    pub fn done(&self) -> u64 {
        self.kinds.values().map(|of| of.done).sum()
    }

    /// Requests that weren't.
    pub fn failed(&self) -> u64 {
        self.kinds.values().map(Of::failed).sum()
    }

    /// What was wrong, with how often.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.all().errors
    }

    /// Requests answered well per second.
    pub fn per_second(&self) -> f64 {
        self.done() as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// All kinds as one.
    pub fn all(&self) -> Of {
        self.kinds.values().fold(Of::default(), |mut all, of| {
            all.add(of);
            all
        })
    }

    /// Processor time of the load itself for each request, in microseconds.
    pub fn cpu_us_per_request(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / (self.done() + self.failed()).max(1) as f64
    }

    /// Counts another's in: another thread's, or a later load's (which `follows`).
    pub fn add(&mut self, other: Self, follows: bool) {
        self.took = if follows { self.took + other.took } else { self.took.max(other.took) };
        for (kind, of) in &other.kinds {
            self.kinds.entry(*kind).or_default().add(of);
        }
        let from = if follows { self.seconds.len() } else { 0 };
        for (n, second) in other.seconds.into_iter().enumerate() {
            if self.seconds.len() <= from + n {
                self.seconds.push(second);
            } else {
                let own = &mut self.seconds[from + n];
                own.done += second.done;
                own.failed += second.failed;
                let _ = own.latencies.add(&second.latencies);
            }
        }
        self.acknowledged.extend(other.acknowledged);
        for (room, count) in other.unknown {
            *self.unknown.entry(room).or_default() += count;
        }
        self.late += other.late;
        self.cpu += other.cpu;
    }

    /// The second that begins so long after the start.
    pub(crate) fn second(&mut self, at: Duration) -> &mut Second {
        let n = at.as_secs() as usize;
        while self.seconds.len() <= n {
            self.seconds.push(Second::default());
        }
        &mut self.seconds[n]
    }
}
