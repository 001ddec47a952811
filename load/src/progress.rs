//! How a load goes, on the terminal: a line that moves, or, where that isn't a terminal, a line now and then.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use parking_lot::Mutex;

use crate::outcome::{Second, millis};

/// How many seconds one plain line is for.
const PLAIN: u64 = 5;

/// What is shown of one load.
#[derive(Clone)]
pub(crate) struct Progress {
    state: Arc<Mutex<State>>,
}

struct State {
    what: String,
    bar: Option<ProgressBar>,
    threads: usize,
    /// What was told of seconds that others still have to tell of, or that are for the next plain line.
    seconds: u64,
    sum: Second,
    told: u64,
}

impl Progress {
    /// Of a load of so long on so many threads.
    pub(crate) fn new(what: &str, duration: Duration, threads: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(duration.as_secs().max(1));
            let style =
                ProgressStyle::with_template("{prefix:<24} {bar:24.cyan/dim} {pos:>3}/{len} s  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
            bar.set_prefix(what.to_owned());
            bar
        });
        let state =
            State { what: what.to_owned(), bar, threads, seconds: 0, sum: Second::default(), told: 0 };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Takes note of what one thread saw in a second.
    pub(crate) fn second(&self, second: &Second) {
        let mut state = self.state.lock();
        state.sum.done += second.done;
        state.sum.failed += second.failed;
        // All have the same bounds.
        let _ = state.sum.latencies.add(&second.latencies);
        state.told += 1;
        if !state.told.is_multiple_of(state.threads as u64) {
            return;
        }
        state.seconds += 1;
        let every = if state.bar.is_some() { 1 } else { PLAIN };
        if state.seconds < every {
            return;
        }
        let text = line(&state.sum, state.seconds);
        match &state.bar {
            Some(bar) => {
                bar.inc(1);
                bar.set_message(text);
            }
            None => eprintln!("{} {text}", state.what),
        }
        state.seconds = 0;
        state.sum = Second::default();
    }

    /// Takes the moving line away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.state.lock().bar {
            bar.finish_and_clear();
        }
    }
}

/// So many seconds in words.
fn line(sum: &Second, seconds: u64) -> String {
    let failed = if sum.failed > 0 { format!("  {} failed", HumanCount(sum.failed)) } else { String::new() };
    format!(
        "{:>8}/s  p50 {:>7.2} ms  p99 {:>7.2} ms{failed}",
        HumanCount(sum.done / seconds.max(1)).to_string(),
        millis(&sum.latencies, 0.5),
        millis(&sum.latencies, 0.99),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_for_all_its_seconds_and_names_failures_only_if_there_are_some() {
        let mut sum = Second { done: 12_340, ..Second::default() };
        sum.latencies.record(2_000).unwrap();
        assert!(line(&sum, 5).starts_with("   2,468/s  p50    2.0"), "{}", line(&sum, 5));
        assert!(!line(&sum, 5).contains("failed"));
        assert!(line(&Second { failed: 3, ..sum }, 5).ends_with("3 failed"));
    }
}
