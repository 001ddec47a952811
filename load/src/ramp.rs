//! How much a server can take: the rate is raised until the 99th percentile breaks its bound, then halved in on from both sides.

use serde::Serialize;

/// By how much the rate is raised while it holds.
const FACTOR: f64 = 1.5;
/// How often the distance between the last rate that held and the first that didn't is halved: to a thirtieth of it.
const HALVINGS: u32 = 5;
/// No machine takes more than this many requests a second from one tool, nor is less than this one worth a measurement.
const RATES: (f64, f64) = (1.0, 1_000_000.0);
/// What share of the requests that were due must have been answered well in time.
const KEPT: f64 = 0.98;

/// What came of one rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Requests a second that were due.
    pub rate: f64,
    /// Requests a second that were answered well.
    pub per_second: f64,
    /// The 99th percentile, in milliseconds.
    pub p99_ms: f64,
    /// Requests that weren't answered well.
    pub failed: u64,
}

impl Step {
    /// Whether it is what one wants: all answered well, as many as were due, and fast enough.
    pub fn holds(&self, bound_ms: f64) -> bool {
        self.failed == 0 && self.p99_ms <= bound_ms && self.per_second >= self.rate * KEPT
    }
}

/// Measures at one rate after the other, beginning with `from`, and gives the highest that held with the 99th percentile within
/// `bound_ms`: the equilibrium. None if not even one request a second held.
///
/// # Errors
/// What measuring gives.
pub async fn ramp(
    from: f64,
    bound_ms: f64,
    mut measure: impl AsyncFnMut(f64) -> anyhow::Result<Step>,
) -> anyhow::Result<Option<Step>> {
    let (mut held, mut broke): (Option<Step>, Option<f64>) = (None, None);
    let mut rate = from.clamp(RATES.0, RATES.1);
    let mut halvings = 0;
    while halvings < HALVINGS {
        let step = measure(rate).await?;
        if step.holds(bound_ms) {
            held = Some(step);
        } else {
            broke = Some(rate);
        }
        rate = match (&held, broke) {
            (Some(held), None) if held.rate >= RATES.1 => break,
            (Some(held), None) => (held.rate * FACTOR).min(RATES.1),
            (None, Some(broke)) if broke <= RATES.0 => break,
            (None, Some(broke)) => (broke / 2.0).max(RATES.0),
            (Some(held), Some(broke)) => {
                halvings += 1;
                // As good as the same.
                if broke - held.rate < 1.0 {
                    break;
                }
                f64::midpoint(held.rate, broke)
            }
            (None, None) => break,
        };
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ramps on a server that keeps up until `capacity`.
    async fn on(capacity: f64, from: f64) -> (Option<f64>, usize) {
        let mut steps = 0;
        let found = ramp(from, 20.0, async |rate| {
            steps += 1;
            let p99_ms = if rate <= capacity { 3.0 } else { 900.0 };
            Ok(Step { rate, per_second: rate.min(capacity), p99_ms, failed: 0 })
        });
        (found.await.unwrap().map(|step| step.rate), steps)
    }

    #[tokio::test]
    async fn the_equilibrium_is_found_from_below_and_from_above() {
        for from in [100.0, 1_234.0, 50_000.0] {
            let (found, steps) = on(1_234.0, from).await;
            let found = found.unwrap();
            assert!((1_234.0 * 0.96..=1_234.0).contains(&found), "{found} from {from}");
            assert!(steps < 20, "{steps} steps from {from}");
        }
        assert_eq!(on(0.0, 100.0).await.0, None);
    }

    #[tokio::test]
    async fn a_rate_with_errors_or_that_is_not_kept_does_not_hold() {
        let good = Step { rate: 100.0, per_second: 99.9, p99_ms: 20.0, failed: 0 };
        assert!(good.holds(20.0));
        assert!(!Step { failed: 1, ..good }.holds(20.0));
        assert!(!Step { per_second: 90.0, ..good }.holds(20.0));
        assert!(!Step { p99_ms: 20.1, ..good }.holds(20.0));
    }
}
