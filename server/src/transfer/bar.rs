//! How far it is, on a terminal.

use std::time::Duration;

use indicatif::ProgressBar;

use crate::bars;

/// One bar for each step; none where standard error isn't a terminal.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A step of `total` records.
    pub(super) fn of_records(step: &str, total: u64) -> Self {
        Self::new(step, total, "{human_pos} of {human_len} records, {rate}")
    }

    /// A step of `total` bytes.
    pub(super) fn of_bytes(step: &str, total: u64) -> Self {
        Self::new(step, total, "{bytes} of {total_bytes}, {binary_bytes_per_sec}")
    }

    fn new(step: &str, total: u64, counts: &str) -> Self {
        let form = format!("{{msg:22}} {{bar:30}} {{percent:>3}} %  {counts}, {{eta}} left");
        let bar = ProgressBar::new(total).with_style(bars::style(&form)).with_message(step.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// So many more are done.
    pub(super) fn add(&self, count: u64) {
        self.0.inc(count);
    }

    /// So many are done of as many as are known by now.
    pub(super) fn set(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// What it is about now.
    pub(super) fn about(&self, step: String) {
        self.0.set_message(step);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
