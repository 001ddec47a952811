//! A distributed Parlor: a process per service, as `cargo xtask cluster` starts it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;

use crate::binary::{parlor, xtask};
use crate::client::Api;
use crate::server::Options;
use crate::store;
use crate::wait::eventually;

/// A cluster of a test's own: all of it goes when it is dropped.
pub struct Cluster {
    folder: TempDir,
    status: Status,
}

/// What `cargo xtask cluster status --json` says.
#[derive(Debug, Clone, Default, Deserialize)]
struct Status {
    url: String,
    processes: Vec<Process>,
}

/// A process of a cluster.
#[derive(Debug, Clone, Deserialize)]
pub struct Process {
    name: String,
    pid: Option<i32>,
    address: Option<SocketAddr>,
    log: PathBuf,
    metrics: Option<SocketAddr>,
    environment: Option<BTreeMap<String, String>>,
    database: Option<String>,
}

impl Cluster {
    /// Starts one with PostgreSQL servers and a Kafka broker of its own, so that each can be stopped, and waits until it is ready.
    pub async fn start(options: &Options) -> Self {
        Self::make(&[], options).await
    }

    /// Starts one on servers that others use, too, and waits until it is ready.
    pub async fn on(postgres: &str, kafka: &str, options: &Options) -> Self {
        Self::make(&["--postgres", postgres, "--kafka", kafka], options).await
    }

    async fn make(servers: &[&str], options: &Options) -> Self {
        let folder =
            tempfile::Builder::new().prefix("parlor-cluster-").tempdir().expect("a temporary folder");
        // The user that PostgreSQL runs as must get through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), open).expect("our folder");
        let binary = parlor().to_str().expect("a path that is text");
        let mut arguments = vec!["up", "--port", "0", "--binary", binary];
        arguments.extend(servers);
        let mut settings = vec![
            format!("limits.enabled={}", options.limits),
            // What is slow on a busy machine is no failure.
            "http.min_position_wait_ms=20000".to_owned(),
            "http.deadline_ms=25000".to_owned(),
        ];
        settings.extend(options.settings.iter().map(|(name, value)| format!("{name}={value}")));
        for setting in &settings {
            arguments.extend(["--set", setting]);
        }
        // First, so that what was started before a failure is stopped.
        let mut cluster = Self { folder, status: Status::default() };
        succeed(cluster.folder.path(), &arguments).await;
        cluster.status = status(cluster.folder.path()).await;
        cluster
    }

    /// Where people reach it: the proxy's address.
    pub fn url(&self) -> String {
        self.status.url.clone()
    }

    /// Speaks to it, through the proxy.
    pub fn api(&self) -> Api {
        Api::new(&self.status.url)
    }

    /// Speaks to one of its processes, past the proxy.
    pub fn api_of(&self, name: &str) -> Api {
        Api::new(&format!("http://{}", self.process(name).address()))
    }

    /// Starts these parts, or everything that doesn't run, and waits until Parlor's processes among them are ready; gives how
    /// long that took.
    ///
    /// # Panics
    /// If something doesn't start; with what it logged.
    pub async fn up(&mut self, parts: &[&str]) -> Duration {
        let began = Instant::now();
        let binary = parlor().to_str().expect("a path that is text");
        succeed(self.folder.path(), &[&["up", "--binary", binary], parts].concat()).await;
        let took = began.elapsed();
        self.status = status(self.folder.path()).await;
        took
    }

    /// Stops these parts as an operator would.
    pub async fn down(&mut self, parts: &[&str]) {
        succeed(self.folder.path(), &[&["down"], parts].concat()).await;
        self.status = status(self.folder.path()).await;
    }

    /// One of its processes.
    ///
    /// # Panics
    /// If there is none of this name.
    pub fn process(&self, name: &str) -> &Process {
        let found = self.status.processes.iter().find(|process| process.name == name);
        found.unwrap_or_else(|| panic!("no {name} in {:?}", self.status))
    }

    /// The names of Parlor's own processes.
    pub fn parlors(&self) -> Vec<String> {
        let own = self.status.processes.iter().filter(|process| process.environment.is_some());
        own.map(|process| process.name.clone()).collect()
    }

    /// Sends a signal to a process, if it is there.
    pub fn signal(&self, name: &str, signal: Signal) {
        let process = self.process(name);
        if let Some(pid) = process.pid.and_then(Pid::from_raw).filter(|_| process.runs()) {
            // It may just have ended.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills a process (SIGKILL) and waits until it's gone.
    pub async fn kill(&self, name: &str) {
        self.signal(name, Signal::KILL);
        self.wait_for_end(name).await;
    }

    /// Waits until a process has ended.
    pub async fn wait_for_end(&self, name: &str) {
        eventually(&format!("{name} has ended"), async || (!self.process(name).runs()).then_some(())).await;
    }

    /// A process's data folder.
    pub fn data(&self, name: &str) -> PathBuf {
        self.process(name).environment()["PARLOR_DATA_DIR"].clone().into()
    }

    /// All that a process logged.
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(&self.process(name).log).unwrap_or_default()
    }

    /// The command line of `parlor` with the settings of one of the processes.
    pub fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(parlor());
        // Nothing of the developer's own settings.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PARLOR_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(self.folder.path()).envs(self.process(name).environment());
        command
    }

    /// The URL of a service's database.
    pub fn database_url(&self, service: &str) -> String {
        let name = if service == "chat" { "chat-1" } else { service };
        self.process(name).database.clone().expect("Parlor's processes have databases")
    }

    /// Ends all connections to the services' databases; gives how many there were.
    pub async fn end_database_connections(&self) -> i64 {
        let mut ended = 0;
        for service in crate::log::SERVICES {
            ended += store::end_connections(&self.database_url(service)).await;
        }
        ended
    }
}

impl Process {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address.unwrap_or_else(|| panic!("{} listens nowhere", self.name))
    }

    /// Where it tells its metrics.
    pub fn metrics(&self) -> SocketAddr {
        self.metrics.unwrap_or_else(|| panic!("{} has no metrics", self.name))
    }

    /// Whether it is there. One that has ended and that nobody has asked after isn't (proc(5)).
    pub fn runs(&self) -> bool {
        let Some(pid) = self.pid else { return false };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
        let state = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').next());
        !matches!(state, Some("Z" | "X"))
    }

    /// How much memory it holds, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        crate::single::resident_bytes(self.pid.expect("it runs").cast_unsigned())
    }

    /// How many files it has open.
    pub fn open_files(&self) -> usize {
        crate::single::open_files(self.pid.expect("it runs").cast_unsigned())
    }

    fn environment(&self) -> &BTreeMap<String, String> {
        self.environment.as_ref().unwrap_or_else(|| panic!("{} isn't Parlor", self.name))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in self.parlors() {
                let log = self.log(&name);
                let lines: Vec<_> = log.lines().collect();
                eprintln!(
                    "--- the end of the log of {name} ---\n{}",
                    lines[lines.len().saturating_sub(15)..].join("\n")
                );
            }
        }
        for name in self.parlors() {
            // Nothing that they could still do is wanted.
            self.signal(&name, Signal::KILL);
        }
        match command(self.folder.path(), &["down", "--delete"]).output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => eprintln!("a cluster stays behind: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => eprintln!("a cluster stays behind: {error}"),
        }
    }
}

async fn status(folder: &Path) -> Status {
    // It fails while something is down, and says what all the same.
    let output = run(folder, &["status", "--json"]).await;
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

async fn succeed(folder: &Path, arguments: &[&str]) {
    let output = run(folder, arguments).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo xtask cluster {arguments:?}: {}\n{said}", output.status);
}

async fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = command(folder, arguments);
    let running = tokio::task::spawn_blocking(move || command.output());
    running.await.expect("the command was waited for").expect("xtask can be started")
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(xtask());
    let (action, rest) = arguments.split_first().expect("an action");
    command.args(["cluster", action, "--folder"]).arg(folder).args(rest).stdin(Stdio::null());
    command
}
