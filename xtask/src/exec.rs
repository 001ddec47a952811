//! Runs other programs: shows what runs, says how it failed, and ends it when the user ends us.
//!
//! Signals only set a flag here, so that what holds something (a database server, a temporary folder) gives it back
//! in its `Drop` as always. A second signal ends the process at once.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// 128 + SIGINT, what shells report for Ctrl-C.
pub const INTERRUPTED_CODE: u8 = 130;

/// How often a running program is looked at; adds at most this much to its time.
const POLL: Duration = Duration::from_millis(20);

/// How long an interrupted program may take to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(10);

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The user asked to stop (Ctrl-C, SIGTERM, SIGHUP).
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// From here on, the first signal makes [`run`] fail with [`Interrupted`].
pub fn catch_interrupts() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the shutdown looks at the flag before the same signal sets it, so it takes a second one.
        signal_hook::flag::register_conditional_shutdown(
            signal,
            i32::from(INTERRUPTED_CODE),
            Arc::clone(&INTERRUPTED),
        )?;
        signal_hook::flag::register(signal, Arc::clone(&INTERRUPTED))?;
    }
    Ok(())
}

/// Fails with [`Interrupted`] once a signal came; for loops that wait.
pub fn check_interrupted() -> Result<(), Interrupted> {
    if INTERRUPTED.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
}

/// Waits a moment, for loops that wait on something that can't be waited on.
pub fn pause() -> Result<(), Interrupted> {
    std::thread::sleep(POLL);
    check_interrupted()
}

/// Prints the command line, runs it with our output and no input, and fails unless it succeeds.
pub fn run(command: &mut Command) -> Result<()> {
    let (child, line) = start(command)?;
    ended_well(supervise(child)?, &line)
}

/// The same, and shows each line that it wrote to its standard output to `reader`, too, once it has ended.
pub fn run_reading(command: &mut Command, mut reader: impl FnMut(&str)) -> Result<()> {
    let (mut child, line) = start(command.stdout(Stdio::piped()))?;
    let printed = child.stdout.take().context("it has an output")?;
    let (lines, written) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(printed).split(b'\n').map_while(std::io::Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            println!("{line}");
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    let status = supervise(child)?;
    // Whatever outlives the program may keep its output open.
    let told = std::iter::from_fn(|| written.recv_timeout(GRACE).ok());
    told.for_each(|line| reader(&line));
    ended_well(status, &line)
}

fn start(command: &mut Command) -> Result<(Child, String)> {
    check_interrupted()?;
    let line = command_line(command);
    eprintln!("$ {line}");
    // A group of its own, so that an interruption reaches what the program started, too.
    let child = command.stdin(Stdio::null()).process_group(0).spawn();
    Ok((child.with_context(|| format!("`{line}` could not be started"))?, line))
}

fn ended_well(status: ExitStatus, line: &str) -> Result<()> {
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Runs a short command silently and gives what it printed, trimmed. Its complaints are in the error.
pub fn output(command: &mut Command) -> Result<String> {
    let line = command_line(command);
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("`{line}` could not be started"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` ended with {}\n{}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn supervise(mut child: Child) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            check_interrupted()?;
            return Ok(status);
        }
        if pause().is_err() {
            end_group(&mut child, Signal::TERM)?;
            return Err(Interrupted.into());
        }
    }
}

/// Asks the group of `child` to end, and kills it if it won't.
pub fn end_group(child: &mut Child, signal: Signal) -> Result<()> {
    let group = Pid::from_child(child);
    // It may just have ended by itself, and then there is no such group.
    let _ = kill_process_group(group, signal);
    let asked = Instant::now();
    while child.try_wait()?.is_none() {
        if asked.elapsed() > GRACE {
            let _ = kill_process_group(group, Signal::KILL);
            child.wait()?;
            break;
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// The folder of the first such program on PATH, links followed: a link there may be all that is on PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found =
        std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())?;
    std::fs::canonicalize(found).ok()?.parent().map(Path::to_owned)
}

/// The command as one would type it, with the variables that were set for it.
fn command_line(command: &Command) -> String {
    let mut line = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            let _ = write!(line, "{}={} ", name.display(), quoted(&value.to_string_lossy()));
        }
    }
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    line.push_str(&program.to_string_lossy());
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&quoted(&argument.to_string_lossy()));
    }
    line
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+.,/:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_shows_variables_and_quotes_what_a_shell_would_split() {
        let mut command = Command::new("/somewhere/bin/cargo");
        command.args(["doc", "a b"]).env("RUSTDOCFLAGS", "-D warnings").env_remove("GONE");
        assert_eq!(command_line(&command), "RUSTDOCFLAGS='-D warnings' cargo doc 'a b'");
    }

    #[test]
    fn a_failed_command_is_named_with_its_status_and_its_complaint() {
        let error = output(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("exit status: 3") && told.contains("broken"), "{told}");
    }

    #[test]
    fn ending_a_group_ends_the_program_that_leads_it() {
        let mut child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        end_group(&mut child, Signal::TERM).unwrap();
        assert!(!child.wait().unwrap().success());
    }
}
