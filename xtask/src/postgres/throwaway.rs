//! A server for one run of the tests.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use super::cluster::Cluster;
use crate::exec::{end_group, pause};

/// How long a fresh server may take until it answers.
const START_LIMIT: Duration = Duration::from_mins(1);

/// How often to try again when someone took the port between our look and the server's start.
const TRIES: u32 = 3;

/// A PostgreSQL server in a temporary folder; dropped, it's stopped and removed. It also stops when this process is
/// killed.
pub struct Throwaway {
    cluster: Cluster,
    server: Child,
    url: String,
    // After `server`: fields are dropped in order, and the folder is the server's.
    _folder: TempDir,
}

impl Throwaway {
    /// Makes and starts one, and waits until it takes connections.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same with settings such as `shared_buffers=1GB`.
    pub fn start_with(settings: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("parlor-postgres-").tempdir()?;
        let cluster = Cluster::at(folder.path().to_owned())?;
        cluster.make().context("the PostgreSQL for tests could not be made")?;
        let mut tried = 1;
        let server = loop {
            match start(&cluster, settings) {
                Ok(server) => break server,
                Err(error) if error.is::<crate::exec::Interrupted>() || tried == TRIES => return Err(error),
                Err(error) => println!("{error:#}\ntrying again"),
            }
            tried += 1;
        };
        let url = cluster.url().context("a cluster that was started has a URL")?;
        println!("PostgreSQL {} for the tests is up", cluster.binaries.version);
        Ok(Self { cluster, server, url, _folder: folder })
    }

    /// Where tests reach it, as a superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The authority that vouches for it, as a file.
    pub fn authority(&self) -> PathBuf {
        self.cluster.authority()
    }

    /// One of the programs that came with it, such as `pgbench`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.cluster.binaries.program(name)
    }

    /// Such as `15.18`.
    pub fn version(&self) -> &str {
        &self.cluster.binaries.version
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        // PostgreSQL's immediate shutdown: nothing that it could still write is wanted.
        if let Err(error) = end_group(&mut self.server, Signal::QUIT) {
            eprintln!("the PostgreSQL for tests could not be stopped: {error:#}");
        }
    }
}

fn start(cluster: &Cluster, settings: &[&str]) -> Result<Child> {
    let port = cluster.choose_port()?;
    let log = File::create(cluster.log())?;
    let mut server = cluster
        .owner
        .command_that_dies_with_us(cluster.binaries.program("postgres"))
        .arg("-D")
        .arg(cluster.data())
        .args(cluster.options(port))
        .args(settings.iter().map(|setting| format!("-c{setting}")))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C is for us; we stop it when the tests have ended.
        .process_group(0)
        .spawn()
        .context("PostgreSQL could not be started")?;
    wait_until_ready(cluster, &mut server).inspect_err(|_| {
        let _ = end_group(&mut server, Signal::QUIT);
    })?;
    Ok(server)
}

/// The server writes its state into the eighth line of `postmaster.pid`, which is what `pg_ctl --wait` goes by
/// (PostgreSQL's `src/include/utils/pidfile.h`, `LOCK_FILE_LINE_PM_STATUS`).
fn wait_until_ready(cluster: &Cluster, server: &mut Child) -> Result<()> {
    let pid_file = cluster.data().join("postmaster.pid");
    let began = Instant::now();
    loop {
        let state = std::fs::read_to_string(&pid_file).unwrap_or_default();
        if state.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
            return Ok(());
        }
        if let Some(status) = server.try_wait()? {
            bail!("PostgreSQL ended with {status}\n{}", cluster.last_words());
        }
        if began.elapsed() > START_LIMIT {
            bail!("PostgreSQL was not ready after {} s\n{}", START_LIMIT.as_secs(), cluster.last_words());
        }
        pause()?;
    }
}
