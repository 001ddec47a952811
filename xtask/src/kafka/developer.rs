//! The broker that a developer starts and stops, with data that stay.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::node::{Node, answers};
use super::throwaway::{spawn, wait_until_ready};
use crate::exec::pause;
use crate::workspace::target_dir;

/// How long a broker may take to close its files.
const STOP_LIMIT: Duration = Duration::from_secs(30);

pub(super) fn up() -> Result<String> {
    let node = Node::at(folder())?;
    let ports = node.make()?;
    if !answers(ports.plain) {
        let mut server = spawn(&node, false)?;
        fs::write(pid_file(), server.id().to_string())?;
        wait_until_ready(&node, ports, &mut server)?;
    }
    Ok(format!("127.0.0.1:{}", ports.plain))
}

pub(super) fn url(secure: bool) -> Result<String> {
    let node = Node::at(folder())?;
    match node.ports() {
        Some(ports) if answers(ports.plain) && secure => node.secure_address(ports),
        Some(ports) if answers(ports.plain) => Ok(format!("127.0.0.1:{}", ports.plain)),
        _ => bail!("the development broker doesn't run: cargo xtask kafka up"),
    }
}

pub(super) fn down(delete: bool) -> Result<()> {
    if let Some(pid) = running()? {
        kill_process(pid, Signal::TERM)?;
        let asked = Instant::now();
        while test_kill_process(pid).is_ok() {
            if asked.elapsed() > STOP_LIMIT {
                kill_process(pid, Signal::KILL)?;
                break;
            }
            pause()?;
        }
        fs::remove_file(pid_file())?;
    }
    if delete && folder().exists() {
        fs::remove_dir_all(folder())?;
    }
    Ok(())
}

/// The broker's process, if it still is one: the number may have gone to somebody else since.
fn running() -> Result<Option<Pid>> {
    let Ok(text) = fs::read_to_string(pid_file()) else { return Ok(None) };
    let pid =
        text.trim().parse().ok().and_then(Pid::from_raw).context("kafka/pid holds no process's number")?;
    let ports = Node::at(folder())?.ports();
    let alive = test_kill_process(pid).is_ok() && ports.is_some_and(|ports| answers(ports.plain));
    Ok(alive.then_some(pid))
}

fn folder() -> PathBuf {
    target_dir().join("kafka")
}

fn pid_file() -> PathBuf {
    folder().join("pid")
}
