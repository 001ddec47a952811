//! Steady load (H6): nine reads for each message sent, in an open loop at 70 % of what a closed loop of the same people reaches, for
//! minutes; latencies from when each request was due, and memory meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use parlor_load::plot::Plot;
use parlor_load::{Mix, Pace, millis};

use crate::Steady;
use crate::load::{Bench, usual};
use crate::results::{Check, Part, Row};
use crate::server::{Server, resident_kib};

/// Connections, each of another person: so many that the open loop needn't wait for one. The closed loop has the same, for
/// what one person reads again is remembered: fewer people reach more.
const CLIENTS: usize = 128;
/// What share of the maximum is steady.
const SHARE: f64 = 0.70;
/// By how much memory may have grown between the second fifth of the time and the last, and be called flat.
const FLAT: f64 = 1.10;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Measures and prints.
pub(crate) async fn run(options: Steady) -> anyhow::Result<()> {
    let common = &options.common;
    let mut part = Part::new("steady", common)?;
    let mix: Mix = "send=10,read=60,list=30".parse().map_err(anyhow::Error::msg)?;
    let mut bench = Bench::on(Server::parlor(&common.parlor, None)?, usual(common)).await?;
    bench.fill(common.rooms as u64 * 50).await?;
    let (most, cpu) = bench.load(bench.closed(mix.clone(), CLIENTS, common.duration())).await?;
    part.add(Row::new("90 % reads, 10 % messages, closed loop", "SQLite", CLIENTS, &most, cpu));

    let rate = most.per_second() * SHARE;
    let duration = Duration::from_secs(options.minutes * 60).max(common.duration());
    let mut load = bench.closed(mix, CLIENTS, duration);
    load.pace = Pace::Open { rate };
    let memory = Memory::watch(bench.server.process());
    let (outcome, cpu) = bench.load(load).await?;
    let memory = memory.stop().await?;
    let work = format!("90 % reads, 10 % messages, open loop at {rate:.0} a second");
    part.add(Row::new(&work, "SQLite", CLIENTS, &outcome, cpu));
    let (all, minutes) = (outcome.all(), duration.as_secs_f64() / 60.0);
    let work = format!("90/10 at 70 % of the maximum, {minutes:.1} minutes");
    part.check(Check::at_most("H6", &work, "ms p99", millis(&all.latencies, 0.99), 20.0));
    part.check(Check::at_most("H6", &work, "ms p99.9", millis(&all.latencies, 0.999), 100.0));
    part.check(Check::at_most("H6", &work, "errors", outcome.failed() as f64, 0.0));
    let (early, late) = (median(fifth(&memory, 1)), median(fifth(&memory, 4)));
    part.check(Check::at_most(
        "H6",
        &format!("{work}: memory, last fifth beside the second"),
        "×",
        late / early,
        FLAT,
    ));
    part.note(format!(
        "{:.0} MiB resident in the second fifth of the time, {:.0} MiB in the last; {} requests were sent more than 1 ms late.",
        early / 1024.0,
        late / 1024.0,
        outcome.late
    ));
    part.note(format!("SQLite: {}", bench.verify().await?));
    let line = |quantile: f64| {
        let seconds = outcome.seconds.iter().enumerate().filter(|(_, second)| second.done > 0);
        seconds.map(|(n, second)| (n as f64, millis(&second.latencies, quantile))).collect::<Vec<_>>()
    };
    let svg = Plot::new("Latency at 70 % of the maximum, from when each was due", "seconds", "ms")
        .line("p50", line(0.5))
        .line("p99", line(0.99))
        .svg();
    part.plot(common, "steady-latency", "Latency second by second", &svg)?;
    let memory = memory.iter().enumerate().map(|(n, kib)| (n as f64, *kib / 1024.0)).collect();
    let svg =
        Plot::new("Resident memory of the server meanwhile", "seconds", "MiB").line("resident", memory).svg();
    part.plot(common, "steady-memory", "Resident memory second by second", &svg)?;
    part.finish(common)
}

/// A process's memory, looked at again and again.
struct Memory {
    seen: Arc<Mutex<Vec<f64>>>,
    stop: Arc<AtomicBool>,
    looking: tokio::task::JoinHandle<()>,
}

impl Memory {
    fn watch(process: u32) -> Self {
        let (seen, stop): (Arc<Mutex<Vec<f64>>>, Arc<AtomicBool>) = Default::default();
        let (samples, stopped) = (seen.clone(), stop.clone());
        let looking = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                samples.lock().extend(resident_kib(process).map(|kib| kib as f64));
                tokio::time::sleep(LOOK).await;
            }
        });
        Self { seen, stop, looking }
    }

    /// What was seen, in KiB.
    async fn stop(self) -> anyhow::Result<Vec<f64>> {
        self.stop.store(true, Ordering::Relaxed);
        self.looking.await?;
        let seen = std::mem::take(&mut *self.seen.lock());
        (!seen.is_empty()).then_some(seen).context("the server's memory can't be seen")
    }
}

/// The nth fifth, from nought, of what was seen.
fn fifth(seen: &[f64], nth: usize) -> &[f64] {
    let (from, to) = (seen.len() * nth / 5, seen.len() * (nth + 1) / 5);
    if from < to { &seen[from..to] } else { seen }
}

fn median(seen: &[f64]) -> f64 {
    let mut sorted = seen.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_grows_shows_between_its_fifths() {
        let seen: Vec<f64> = (0..100).map(f64::from).collect();
        assert!((median(fifth(&seen, 1)) - 30.0).abs() < 0.1 && (median(fifth(&seen, 4)) - 90.0).abs() < 0.1);
        assert!((median(fifth(&[7.0], 4)) - 7.0).abs() < 0.1);
    }
}
