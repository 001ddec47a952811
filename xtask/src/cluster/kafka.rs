//! The broker.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::layout::KAFKA;
use super::process::{Process, last_lines};
use super::state::{Folder, State};
use crate::exec::pause;
use crate::kafka::node::{Node, answers};

/// How long a broker may take until it answers.
const PATIENCE: Duration = Duration::from_mins(1);

/// Starts it unless it runs, and waits until it answers.
pub(super) fn up(folder: &Folder, state: &mut State) -> Result<()> {
    if state.kafka.is_some() || state.running(KAFKA).is_some() {
        return Ok(());
    }
    let node = Node::at(folder.join(KAFKA))?;
    let ports = node.make().context("Kafka could not be made")?;
    state.ports.insert(KAFKA.to_owned(), ports.plain);
    // We ourselves turn into it, so that its process is the one that we know.
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["kafka", "node"]).arg(folder.join(KAFKA));
    let log = folder.log(KAFKA);
    let process = Process::spawn(&mut command, &log)?;
    state.processes.insert(KAFKA.to_owned(), process);
    folder.save(state)?;
    let began = Instant::now();
    while !answers(ports.plain) {
        if !process.runs() {
            bail!("Kafka ended as soon as it had begun:\n{}", last_lines(&log));
        }
        if began.elapsed() > PATIENCE {
            bail!("Kafka doesn't answer after {} s:\n{}", PATIENCE.as_secs(), last_lines(&log));
        }
        pause()?;
    }
    Ok(())
}
