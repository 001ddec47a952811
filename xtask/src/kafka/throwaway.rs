//! A broker for one run of the tests.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use super::node::{Node, Ports, answers};
use crate::exec::{end_group, pause};

/// How long a fresh broker may take until it answers.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A Kafka broker in a temporary folder; dropped, it's stopped and removed. It also stops when this process is killed.
pub struct Throwaway {
    node: Node,
    ports: Ports,
    server: Child,
    // After `server`: fields are dropped in order, and the folder is the server's.
    _folder: TempDir,
}

impl Throwaway {
    /// Makes and starts one, and waits until it answers.
    pub fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("parlor-kafka-").tempdir()?;
        let node = Node::at(folder.path().to_owned())?;
        let ports = node.make().context("the Kafka for tests could not be made")?;
        let mut server = spawn(&node, true)?;
        wait_until_ready(&node, ports, &mut server).inspect_err(|_| {
            let _ = end_group(&mut server, Signal::KILL);
        })?;
        println!("Kafka {} for the tests is up", super::distribution::VERSION);
        Ok(Self { node, ports, server, _folder: folder })
    }

    /// Where tests reach it, without encryption or passwords.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.plain)
    }

    /// Where tests reach it over TLS: `user:password@host:port?ca=FILE`.
    pub fn secure_address(&self) -> Result<String> {
        self.node.secure_address(self.ports)
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        // Nothing that it could still write is wanted.
        if let Err(error) = end_group(&mut self.server, Signal::KILL) {
            eprintln!("the Kafka for tests could not be stopped: {error:#}");
        }
    }
}

/// Starts a broker in the background.
pub fn spawn(node: &Node, dies_with_us: bool) -> Result<Child> {
    let log = File::create(node.log())?;
    let mut command = if dies_with_us { node.command_that_dies_with_us() } else { node.command() };
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C is for us; we stop it when it isn't needed any more.
        .process_group(0)
        .spawn()
        .context("Kafka could not be started")
}

/// Waits until a broker that was started answers.
pub fn wait_until_ready(node: &Node, ports: Ports, server: &mut Child) -> Result<()> {
    let began = Instant::now();
    while !answers(ports.plain) {
        if let Some(status) = server.try_wait()? {
            bail!("Kafka ended with {status}\n{}", node.last_words());
        }
        if began.elapsed() > START_LIMIT {
            bail!("Kafka didn't answer after {} s\n{}", START_LIMIT.as_secs(), node.last_words());
        }
        pause()?;
    }
    Ok(())
}
