//! What a load came to: in words, as JSON, and as a plot.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::outcome::{Of, Outcome, millis};
use crate::plot::Plot;
use crate::ramp::Step;

/// Everything that is reported.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// The tool and its version.
    pub(crate) tool: String,
    pub(crate) target: String,
    pub(crate) mix: String,
    pub(crate) clients: usize,
    /// Requests a second that were due; nothing in a closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    pub(crate) kinds: BTreeMap<String, KindReport>,
    /// Requests sent more than a millisecond after they were due.
    pub(crate) late: u64,
    pub(crate) client_cpu_microseconds_per_request: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) live: Option<LiveReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ramp: Option<RampReport>,
    pub(crate) verified: VerifiedReport,
    pub(crate) timeline: Vec<Moment>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KindReport {
    pub(crate) done: u64,
    errors: BTreeMap<String, u64>,
    /// From when each was due.
    latency: Latency,
    /// From when each was sent.
    service: Latency,
    bytes: u64,
}

/// Milliseconds.
#[expect(clippy::struct_field_names, reason = "the unit is part of what readers of the JSON see")]
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Latency {
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LiveReport {
    pub(crate) sockets: usize,
    pub(crate) deliveries: u64,
    /// From when a message was due to when another member's socket had it.
    pub(crate) latency: Latency,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RampReport {
    pub(crate) p99_bound_ms: f64,
    /// The highest rate that held.
    pub(crate) equilibrium: Option<f64>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerifiedReport {
    pub(crate) holds: bool,
    pub(crate) acknowledged: u64,
    pub(crate) read_back: u64,
    /// Messages without an answer that turned out to have been stored.
    pub(crate) unanswered_but_stored: u64,
    pub(crate) wrong: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Moment {
    second: usize,
    done: u64,
    failed: u64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| millis(histogram, quantile);
        Self { p50_ms: at(0.5), p90_ms: at(0.9), p99_ms: at(0.99), p999_ms: at(0.999), max_ms: at(1.0) }
    }
}

impl From<&Of> for KindReport {
    fn from(of: &Of) -> Self {
        Self {
            done: of.done,
            errors: of.errors.clone(),
            latency: Latency::of(&of.latencies),
            service: Latency::of(&of.service),
            bytes: of.bytes,
        }
    }
}

/// What happened second by second.
pub(crate) fn timeline(outcome: &Outcome) -> Vec<Moment> {
    let moments = outcome.seconds.iter().enumerate().map(|(n, second)| Moment {
        second: n,
        done: second.done,
        failed: second.failed,
        p50_ms: millis(&second.latencies, 0.5),
        p99_ms: millis(&second.latencies, 0.99),
    });
    moments.collect()
}

/// The kinds by their names.
pub(crate) fn kinds(outcome: &Outcome) -> BTreeMap<String, KindReport> {
    outcome.kinds.iter().map(|(kind, of)| (kind.name().to_owned(), of.into())).collect()
}

impl Report {
    /// In words.
    pub(crate) fn text(&self) -> String {
        let mut text = match self.rate {
            Some(rate) => format!("Open loop, {rate:.0} requests a second due"),
            None => format!("Closed loop of {} connections", self.clients),
        };
        let _ = writeln!(text, ", {:.0} s: {:.0} a second answered well\n", self.seconds, self.per_second);
        let _ = writeln!(
            text,
            "{:<8} {:>10} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "", "done", "failed", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"
        );
        let mut row = |name: &str, done: u64, failed: u64, of: &Latency| {
            let _ = writeln!(
                text,
                "{name:<8} {done:>10} {failed:>8} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
                of.p50_ms, of.p90_ms, of.p99_ms, of.p999_ms, of.max_ms
            );
        };
        for (name, kind) in &self.kinds {
            row(name, kind.done, kind.errors.values().sum(), &kind.latency);
        }
        if let Some(live) = &self.live {
            row("live", live.deliveries, 0, &live.latency);
        }
        for (name, kind) in &self.kinds {
            for (what, count) in &kind.errors {
                let _ = writeln!(text, "{name}: {what} ({count} times)");
            }
        }
        if self.late > 0 {
            let _ = writeln!(
                text,
                "{} requests were sent more than 1 ms late, for want of a free connection or of processor time; latencies count \
                 from when they were due",
                self.late
            );
        }
        if let Some(ramp) = &self.ramp {
            text.push('\n');
            for step in &ramp.steps {
                let _ = writeln!(
                    text,
                    "{:>10.0}/s  p99 {:>8.2} ms  {}",
                    step.rate,
                    step.p99_ms,
                    if step.holds(ramp.p99_bound_ms) { "holds" } else { "breaks" }
                );
            }
            let _ = match ramp.equilibrium {
                Some(rate) => {
                    writeln!(
                        text,
                        "Equilibrium: {rate:.0} requests a second with p99 within {} ms",
                        ramp.p99_bound_ms
                    )
                }
                None => writeln!(text, "No rate held with p99 within {} ms", ramp.p99_bound_ms),
            };
        }
        let verified = &self.verified;
        if verified.holds {
            let _ = writeln!(
                text,
                "\nVerified: {} messages were acknowledged, and each is there once, as it was sent",
                verified.acknowledged
            );
        }
        text
    }

    /// As SVG: the ramp's steps if there was one, the latencies second by second otherwise.
    pub(crate) fn plot(&self) -> String {
        if let Some(ramp) = &self.ramp {
            let mut steps: Vec<_> = ramp.steps.iter().map(|step| (step.rate, step.p99_ms)).collect();
            steps.sort_by(|a, b| a.0.total_cmp(&b.0));
            let bound = steps.iter().map(|(rate, _)| (*rate, ramp.p99_bound_ms)).collect();
            return Plot::new("p99 by rate", "requests due per second", "ms")
                .line("p99", steps)
                .line("bound", bound)
                .svg();
        }
        let line = |of: fn(&Moment) -> f64| {
            self.timeline
                .iter()
                .filter(|moment| moment.done > 0)
                .map(|moment| (moment.second as f64, of(moment)))
                .collect()
        };
        Plot::new(&format!("{}: {:.0} a second", self.mix, self.per_second), "seconds", "ms")
            .line("p50", line(|moment| moment.p50_ms))
            .line("p99", line(|moment| moment.p99_ms))
            .svg()
    }
}
