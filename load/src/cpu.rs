//! Processor time: of this process, and of others on this machine.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What this process has used so far.
pub fn own() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or(0))
}

/// What another process has used so far, to the hundredth of a second; none where that can't be seen (no `/proc`).
pub fn of(process: u32) -> Option<Duration> {
    let (_, fields) = stat(process)?;
    // utime and stime, the 14th and 15th fields of `/proc/PID/stat` (proc(5)), 12th and 13th after the name.
    Some(ticks(&fields, 11)? + ticks(&fields, 12)?)
}

/// What a process and its children have used so far, those that have ended included: PostgreSQL is such a family.
pub fn of_family(parent: u32) -> Option<Duration> {
    let (_, fields) = stat(parent)?;
    let ended = ticks(&fields, 13)? + ticks(&fields, 14)?;
    let mut used = of(parent)? + ended;
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let process = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(process) = process
            && let Some((of_parent, _)) = stat(process)
            && of_parent == parent
        {
            used += of(process).unwrap_or_default();
        }
    }
    Some(used)
}

/// The parent of a process.
pub fn parent(process: u32) -> Option<u32> {
    stat(process).map(|(parent, _)| parent)
}

/// Its parent, and the fields after its name.
fn stat(process: u32) -> Option<(u32, Vec<String>)> {
    let line = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name is in brackets and may itself hold any character.
    let (_, fields) = line.rsplit_once(") ")?;
    let fields: Vec<String> = fields.split_whitespace().map(str::to_owned).collect();
    Some((fields.get(1)?.parse().ok()?, fields))
}

/// A field in clock ticks, of which Linux has 100 a second for `/proc` (`USER_HZ`).
fn ticks(fields: &[String], at: usize) -> Option<Duration> {
    Some(Duration::from_millis(fields.get(at)?.parse::<u64>().ok()? * 10))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn work_shows_in_the_time_that_was_used() {
        let (before, seen) = (own(), of(std::process::id()).expect("there is /proc"));
        let mut x = 1_u64;
        while own() < before + Duration::from_millis(60) {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        let after = of(std::process::id()).expect("there is /proc");
        assert!(after >= seen + Duration::from_millis(30), "{seen:?} {after:?} {x}");
        assert_eq!(of(u32::MAX), None);
    }
}
