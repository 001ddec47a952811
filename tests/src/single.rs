//! Parlor in one process.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::binary::parlor;
use crate::client::Api;
use crate::place::Place;
use crate::server::Options;
use crate::store::{Database, Store};
use crate::wait::{PATIENCE, eventually, within};

/// The longest that a server may take to say whether it is ready.
const ANSWER: Duration = Duration::from_secs(5);

/// A process with all four services; its data, its log and itself go when it is dropped.
pub(crate) struct Single {
    store: &'static str,
    options: Options,
    database: Option<Database>,
    folder: TempDir,
    /// The data folder's name in it.
    data: String,
    address: SocketAddr,
    metrics: SocketAddr,
    process: Option<Child>,
    pub(crate) api: Api,
}

impl Single {
    /// Everything but the start.
    pub(crate) async fn prepare(store: &Store, options: Options) -> Self {
        let database = match store {
            Store::Sqlite => None,
            Store::Postgres(url) | Store::Cluster { postgres: url, .. } => Some(Database::create(url).await),
        };
        let folder = tempfile::Builder::new().prefix("parlor-e2e-").tempdir().expect("a temporary folder");
        let [address, metrics] = [(); 2].map(|()| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
        let api = Api::new(&format!("http://{address}"));
        let data = "data".to_owned();
        Self { store: store.name(), options, database, folder, data, address, metrics, process: None, api }
    }

    /// An empty place for the same instance, with a data folder of this name.
    pub(crate) async fn place(&self, store: &Store, data: &str) -> Place {
        Place::new(store, &self.folder.path().join(data), data).await
    }

    /// From its next start on it runs there; gives where it ran until now.
    pub(crate) fn go_to(&mut self, place: Place) -> Place {
        assert!(self.process.is_none(), "it runs");
        let url = self.url();
        let store = std::mem::replace(&mut self.store, place.store);
        let database = std::mem::replace(&mut self.database, place.database);
        Place { store, database, data: std::mem::replace(&mut self.data, place.data), url }
    }

    /// Where its stores are, as `parlor move` is told.
    pub(crate) fn url(&self) -> String {
        self.database_url().unwrap_or_else(|| format!("sqlite:{}", self.data().display()))
    }

    /// The folder that its data folder is in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.options.settings.push((name, value.to_owned()));
    }

    /// Where it tells its metrics.
    pub(crate) fn metrics_address(&self) -> SocketAddr {
        self.metrics
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join(&self.data)
    }

    /// The URL of its PostgreSQL database, if it runs on one.
    pub(crate) fn database_url(&self) -> Option<String> {
        self.database.as_ref().map(Database::url)
    }

    /// Ends its connections to PostgreSQL; gives how many there were.
    pub(crate) async fn end_database_connections(&self) -> i64 {
        match &self.database {
            Some(database) => database.end_connections().await,
            None => 0,
        }
    }

    /// Starts it (again), and waits until it is ready; gives how long that took.
    ///
    /// # Panics
    /// If it ends instead, or isn't ready in time; with what it logged.
    pub(crate) async fn start_again(&mut self) -> Duration {
        self.spawn();
        let since = Instant::now();
        let api = self.api.clone();
        let process = self.process.as_mut().expect("it was just started");
        let mut said = Vec::new();
        let ready = within(PATIENCE, async || {
            if let Some(status) = process.try_wait().expect("a child can be waited for") {
                return Some(Err(status));
            }
            let asked = tokio::time::timeout(ANSWER, api.get("/health/ready").attempt()).await;
            let answer = match asked {
                Ok(Ok(reply)) if reply.status == 200 => return Some(Ok(())),
                Ok(Ok(reply)) => format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body)),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {ANSWER:?}"),
            };
            if said.last() != Some(&answer) {
                said.push(answer);
            }
            None
        });
        match ready.await {
            Some(Ok(())) => since.elapsed(),
            Some(Err(status)) => {
                panic!("parlor ended with {status} instead of starting:\n{}", self.log_tail())
            }
            None => panic!("parlor isn't ready after {PATIENCE:?}, it said {said:#?}:\n{}", self.log_tail()),
        }
    }

    /// Starts it without waiting for anything.
    pub(crate) fn spawn(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.log_path()).expect("a log file");
        let errors = log.try_clone().expect("a log file");
        let mut command = self.command(&["serve"]);
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        self.process = Some(child.expect("parlor can be started"));
    }

    /// The command line of `parlor` with this server's settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(parlor());
        // Nothing of the developer's own settings.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PARLOR_") {
                command.env_remove(name);
            }
        }
        let store = self.database_url().unwrap_or_else(|| "sqlite:".to_owned());
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("PARLOR_LISTEN", self.address.to_string())
            .env("PARLOR_DATA_DIR", self.data())
            .env("PARLOR_STORE_URL", store)
            .env("PARLOR_LIMITS_ENABLED", self.options.limits.to_string())
            .env("PARLOR_METRICS_LISTEN", self.metrics.to_string())
            // What is slow on a busy machine is no failure.
            .env("PARLOR_HTTP_MIN_POSITION_WAIT_MS", "20000")
            .env("PARLOR_HTTP_DEADLINE_MS", "25000");
        for (name, value) in &self.options.settings {
            command.env(name, value);
        }
        command
    }

    /// How much memory it holds, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        resident_bytes(self.process.as_ref().expect("it runs").id())
    }

    /// How many files it has open.
    pub(crate) fn open_files(&self) -> usize {
        open_files(self.process.as_ref().expect("it runs").id())
    }

    /// Kills it (SIGKILL) and waits until it's gone.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("a child can be killed");
        process.wait().expect("a child can be waited for");
    }

    /// Halts it (SIGSTOP), and waits until none of its threads does anything but wait for a disk.
    pub(crate) async fn halt(&self) {
        let process = self.process.as_ref().expect("it runs");
        kill_process(Pid::from_child(process), Signal::STOP).expect("a child can be signalled");
        let is_halted = || thread_states(process.id()).iter().all(|state| ['T', 'D'].contains(state));
        eventually("the server is halted", async || is_halted().then_some(())).await;
    }

    /// Asks it to stop (SIGTERM).
    pub(crate) fn ask_to_stop(&self) {
        let process = self.process.as_ref().expect("it runs");
        kill_process(Pid::from_child(process), Signal::TERM).expect("a child can be signalled");
    }

    /// Waits until it has ended by itself; gives how, or `None` if it goes on.
    pub(crate) async fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let process = self.process.as_mut()?;
        let status = within(patience, async || process.try_wait().expect("a child can be waited for")).await;
        if status.is_some() {
            self.process = None;
        }
        status
    }

    /// All that it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("parlor.log")
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Single {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Both fail only if it has ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the end of parlor's log on {} ---\n{}", self.store, self.log_tail());
        }
    }
}

/// A port nobody listens on, below those that the system gives to outgoing connections: a server that is killed and
/// started again finds it free.
fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries that run at the same time begin at different places.
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).expect("less than COUNT");
    for _ in 0..COUNT {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free")
}

/// How many files a process has open: `fd` of proc(5).
pub(crate) fn open_files(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).expect("its files").count()
}

/// What each thread of a process does: `task/*/stat` of proc(5).
fn thread_states(process: u32) -> Vec<char> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("its threads");
    let state = |thread: fs::DirEntry| {
        // One that has just ended has none.
        let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
        // After its name, which may hold anything.
        stat.rsplit(") ").next()?.chars().next()
    };
    threads.filter_map(|thread| state(thread.ok()?)).collect()
}

/// How much memory a process holds, in bytes: `VmRSS` of proc(5).
pub(crate) fn resident_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kib = line.trim().trim_end_matches("kB").trim();
    kib.parse::<u64>().expect("a number") * 1024
}
