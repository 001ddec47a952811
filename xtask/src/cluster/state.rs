//! A cluster's folder, and what is known of it from one command to the next.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::layout::{KAFKA, PARLORS, PROXY, databases, server_of};
use super::process::{Process, private};
use crate::exec::pause;

/// A cluster, as long as nobody else may change it.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// How the cluster was made, and what runs of it.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct State {
    /// The binary that Parlor's processes run.
    pub(super) binary: PathBuf,
    /// Tells it from other clusters on the same servers, in the names of databases and topics.
    pub(super) name: String,
    /// The URL of a PostgreSQL server that isn't the cluster's own.
    pub(super) postgres: Option<String>,
    /// The addresses of Kafka brokers that aren't the cluster's own.
    pub(super) kafka: Option<String>,
    /// Further settings of Parlor's processes.
    pub(super) settings: BTreeMap<String, String>,
    /// The ports of what listens, by name.
    pub(super) ports: BTreeMap<String, u16>,
    /// What was started, by name.
    pub(super) processes: BTreeMap<String, Process>,
}

impl Folder {
    /// Waits until no other command is at work on this cluster.
    pub(super) fn open(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("{} can't be made", path.display()))?;
        let path = fs::canonicalize(path)?;
        let lock = File::create(path.join("lock"))?;
        let mut told = false;
        while let Err(TryLockError::WouldBlock) = lock.try_lock() {
            if !told {
                eprintln!("waiting for another command to be done with {}", path.display());
                told = true;
            }
            pause()?;
        }
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Something in it.
    pub(super) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Where a process's output goes.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.log"))
    }

    /// What is known; `None` if there is no cluster here.
    pub(super) fn load(&self) -> Result<Option<State>> {
        let file = self.path.join("cluster.json");
        match fs::read(&file) {
            Ok(text) => {
                let state = serde_json::from_slice(&text);
                Ok(Some(state.with_context(|| format!("{} can't be understood", file.display()))?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Remembers it, whole or not at all.
    pub(super) fn save(&self, state: &State) -> Result<()> {
        let fresh = self.path.join("cluster.json.new");
        private(&fresh)?.write_all(&serde_json::to_vec_pretty(state)?)?;
        Ok(fs::rename(fresh, self.path.join("cluster.json"))?)
    }
}

impl State {
    /// The names of everything that belongs to it, in the order in which it is started.
    pub(super) fn parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if self.postgres.is_none() {
            parts.extend(databases().map(server_of));
        }
        if self.kafka.is_none() {
            parts.push(KAFKA.to_owned());
        }
        parts.extend(PARLORS.iter().map(|(name, _)| (*name).to_owned()));
        parts.push(PROXY.to_owned());
        parts
    }

    /// A part's process, if it runs.
    pub(super) fn running(&self, name: &str) -> Option<Process> {
        self.processes.get(name).copied().filter(|process| process.runs())
    }

    /// Where a part listens, on a port of its own that stays the same.
    pub(super) fn address(&mut self, name: &str) -> Result<SocketAddr> {
        let port = if let Some(port) = self.ports.get(name) {
            *port
        } else {
            let port = free_port(&self.ports)?;
            self.ports.insert(name.to_owned(), port);
            port
        };
        Ok(local(port))
    }

    /// Where a part listens, if that is settled.
    pub(super) fn known_address(&self, name: &str) -> Option<SocketAddr> {
        self.ports.get(name).copied().map(local)
    }

    /// Where people reach it.
    pub(super) fn url(&self) -> Option<String> {
        self.known_address(PROXY).map(|address| format!("http://{address}"))
    }
}

/// The name under which a process's metrics are served.
pub(super) fn metrics_of(name: &str) -> String {
    format!("{name}/metrics")
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A port nobody listens on, below those that the system gives to outgoing connections: a process that is started again
/// finds it free.
fn free_port(taken: &BTreeMap<String, u16>) -> Result<u16> {
    const FIRST: u16 = 9_500;
    const COUNT: u16 = 10_000;
    // Clusters that are started at the same time begin at different places.
    let start = u16::try_from(std::process::id().wrapping_mul(37) % u32::from(COUNT))?;
    (0..COUNT)
        .map(|step| FIRST + (start + step) % COUNT)
        .find(|port| !taken.values().any(|taken| taken == port) && TcpListener::bind(local(*port)).is_ok())
        .context("no port is free")
}
