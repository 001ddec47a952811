//! Processes that outlive us, and are known again later.

use std::fs::{self, File, OpenOptions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::exec::pause;

/// How long a process may take to end when asked to. Parlor takes ten seconds at most.
const GRACE: Duration = Duration::from_secs(20);

/// A process, told from later ones that get the same number by when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// In the kernel's ticks since it booted; 0 where that can't be known.
    began: u64,
}

impl Process {
    /// Starts a program that goes on without us, its output in a file.
    pub(super) fn spawn(command: &mut Command, log: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Ctrl-C is for us.
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} could not be started", command.get_program().display()))?;
        let pid = i32::try_from(child.id()).context("process ids are small")?;
        Ok(Self { pid, began: stat(pid).map_or(0, |stat| stat.began) })
    }

    /// The process that has this number now.
    pub(super) fn of(pid: i32) -> Self {
        Self { pid, began: stat(pid).map_or(0, |stat| stat.began) }
    }

    /// Whether it is still there. One that has ended and that nobody has asked after isn't.
    pub(super) fn runs(self) -> bool {
        match stat(self.pid) {
            Some(stat) => stat.began == self.began && !stat.ended,
            // Without /proc, the number has to do.
            None if Path::new("/proc/self/stat").exists() => false,
            None => self.id().is_some_and(|pid| test_kill_process(pid).is_ok()),
        }
    }

    /// Asks it to end, even if it was halted.
    pub(super) fn ask_to_end(self, signal: Signal) {
        if let Some(pid) = self.id().filter(|_| self.runs()) {
            // It may just have ended.
            let _ = kill_process(pid, signal);
            let _ = kill_process(pid, Signal::CONT);
        }
    }

    /// Waits until it has ended; kills it if it takes too long.
    pub(super) fn wait_for_end(self) -> Result<()> {
        let asked = Instant::now();
        while self.runs() {
            if asked.elapsed() > GRACE
                && let Some(pid) = self.id()
            {
                let _ = kill_process(pid, Signal::KILL);
            }
            pause()?;
        }
        Ok(())
    }

    fn id(self) -> Option<Pid> {
        Pid::from_raw(self.pid)
    }
}

struct Stat {
    ended: bool,
    began: u64,
}

/// `state` and `starttime` of `/proc/PID/stat`, proc(5); the fields follow the name, which may hold anything, in parentheses.
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let ended = matches!(fields.next()?, "Z" | "X");
    Some(Stat { ended, began: fields.nth(18)?.parse().ok()? })
}

/// Whether somebody listens there.
pub(super) fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// The last lines of a log, for an error message.
pub(super) fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Makes or empties a file that only we may read, and opens it.
pub(super) fn private(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.with_context(|| format!("{} can't be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_number_and_beginning_until_it_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let process = Process::spawn(Command::new("sleep").arg("600"), &log).unwrap();
        assert!(process.runs());
        assert_eq!(Process::of(process.pid), process);
        if process.began != 0 {
            let later = Process { began: process.began + 1, ..process };
            assert!(!later.runs(), "another process with the same number is another one");
        }
        process.ask_to_end(Signal::TERM);
        process.wait_for_end().unwrap();
        assert!(!process.runs());
    }

    #[test]
    fn a_halted_process_ends_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::spawn(Command::new("sleep").arg("600"), &folder.path().join("log")).unwrap();
        kill_process(process.id().unwrap(), Signal::STOP).unwrap();
        process.ask_to_end(Signal::TERM);
        process.wait_for_end().unwrap();
        assert!(!process.runs());
    }
}
