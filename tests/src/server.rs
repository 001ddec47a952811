//! A running Parlor, in one process or several.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::Api;
use crate::cluster::Cluster;
use crate::place::Place;
use crate::single::Single;
use crate::store::Store;
use crate::wait::{PATIENCE, within};

/// How a server is to run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Rate limits, which tests that aren't about them do without.
    pub limits: bool,
    /// Other settings, as environment variables.
    pub settings: Vec<(&'static str, String)>,
}

/// A server of a test's own: its data, its logs and its processes all go when it is dropped.
///
/// To a test, a cluster is one server: its address is the proxy's, it is killed and stopped as a whole, and operator commands
/// go to the process that they concern.
pub struct Server {
    store: Store,
    api: Api,
    runs: Runs,
}

enum Runs {
    InOne(Box<Single>),
    InSeveral(Box<Cluster>),
}

impl Server {
    /// Starts one without rate limits on empty stores, and waits until it is ready.
    pub async fn start(store: Store) -> Self {
        Self::start_with(store, Options::default()).await
    }

    /// Starts one on empty stores, and waits until it is ready.
    pub async fn start_with(store: Store, options: Options) -> Self {
        if let Store::Cluster { postgres, kafka } = &store {
            let cluster = Cluster::on(postgres, kafka, &options).await;
            return Self { api: cluster.api(), store, runs: Runs::InSeveral(Box::new(cluster)) };
        }
        let mut server = Self::prepare(store, options).await;
        server.start_again().await;
        server
    }

    /// Everything but the start, of a server in one process.
    pub async fn prepare(store: Store, options: Options) -> Self {
        let single = Single::prepare(&store, options).await;
        Self { store, api: single.api.clone(), runs: Runs::InOne(Box::new(single)) }
    }

    /// An empty place for the same instance, in one process, with a data folder of this name; to be there, it must go there.
    pub async fn place(&self, store: &Store, data: &str) -> Place {
        self.single().place(store, data).await
    }

    /// From its next start on it runs there; gives where it ran until now.
    pub fn go_to(&mut self, place: Place) -> Place {
        match &mut self.runs {
            Runs::InOne(single) => single.go_to(place),
            Runs::InSeveral(_) => panic!("a cluster stays where it is"),
        }
    }

    /// Where its stores are, as `parlor move` is told.
    pub fn url(&self) -> String {
        self.single().url()
    }

    /// The folder that its data folder is in.
    pub fn folder(&self) -> &Path {
        self.single().folder()
    }

    fn single(&self) -> &Single {
        match &self.runs {
            Runs::InOne(single) => single,
            Runs::InSeveral(_) => panic!("a cluster isn't in one place"),
        }
    }

    /// Sets another environment variable for its next start, if it is in one process.
    pub fn set(&mut self, name: &'static str, value: &str) {
        if let Runs::InOne(single) = &mut self.runs {
            single.set(name, value);
        }
    }

    /// The store that it runs on.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Speaks to it.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Where it tells its metrics; of a cluster, those of a chat process.
    pub fn metrics_address(&self) -> SocketAddr {
        match &self.runs {
            Runs::InOne(single) => single.metrics_address(),
            Runs::InSeveral(cluster) => cluster.process("chat-1").metrics(),
        }
    }

    /// Where each of its processes tells its metrics.
    pub fn metrics_addresses(&self) -> Vec<SocketAddr> {
        match &self.runs {
            Runs::InOne(single) => vec![single.metrics_address()],
            Runs::InSeveral(cluster) => {
                cluster.parlors().iter().map(|name| cluster.process(name).metrics()).collect()
            }
        }
    }

    /// Its data folder; of a cluster, that of the auth process.
    pub fn data(&self) -> PathBuf {
        match &self.runs {
            Runs::InOne(single) => single.data(),
            Runs::InSeveral(cluster) => cluster.data("auth"),
        }
    }

    /// The URL of a service's PostgreSQL database, if it runs on one.
    pub fn database_url(&self, service: &str) -> Option<String> {
        match &self.runs {
            Runs::InOne(single) => single.database_url(),
            Runs::InSeveral(cluster) => Some(cluster.database_url(service)),
        }
    }

    /// Ends its connections to PostgreSQL; gives how many there were.
    pub async fn end_database_connections(&self) -> i64 {
        match &self.runs {
            Runs::InOne(single) => single.end_database_connections().await,
            Runs::InSeveral(cluster) => cluster.end_database_connections().await,
        }
    }

    /// Starts it (again), and waits until it is ready; gives how long that took.
    ///
    /// # Panics
    /// If it ends instead, or isn't ready in time; with what it logged.
    pub async fn start_again(&mut self) -> Duration {
        match &mut self.runs {
            Runs::InOne(single) => single.start_again().await,
            Runs::InSeveral(cluster) => cluster.up(&[]).await,
        }
    }

    /// Starts it without waiting for anything; a cluster is waited for all the same.
    pub async fn spawn(&mut self) {
        match &mut self.runs {
            Runs::InOne(single) => single.spawn(),
            Runs::InSeveral(cluster) => drop(cluster.up(&[]).await),
        }
    }

    /// Runs an operator command against its data, to the end.
    ///
    /// In a cluster the process that it concerns is asked. What concerns every process is what each of them says, one after the
    /// other; what only some know succeeds where one of them did.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let commands = match (&self.runs, arguments) {
            (Runs::InOne(single), _) => vec![single.command(arguments)],
            (Runs::InSeveral(cluster), ["views", ..]) => {
                ["auth", "user", "chat-1", "notification"].map(|name| cluster.command(name, arguments)).into()
            }
            (Runs::InSeveral(cluster), _) => vec![cluster.command("auth", arguments)],
        };
        let mut all: Option<Output> = None;
        for mut command in commands {
            command.stdin(Stdio::null());
            let running = tokio::task::spawn_blocking(move || command.output());
            let output = running.await.expect("the command was waited for").expect("parlor can be started");
            all = Some(match all {
                Some(mut all) if all.status.success() == output.status.success() => {
                    all.stdout.extend(output.stdout);
                    all.stderr.extend(output.stderr);
                    all
                }
                Some(all) if all.status.success() => all,
                _ => output,
            });
        }
        all.expect("there is a command at least")
    }

    /// Runs an operator command that must succeed; gives what it printed.
    pub async fn run_ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "parlor {arguments:?}: {}\n{out}\n{err}", output.status);
        out.into_owned()
    }

    /// The command line of `parlor` with this server's settings; of a cluster, those of a chat process.
    pub fn command(&self, arguments: &[&str]) -> Command {
        match &self.runs {
            Runs::InOne(single) => single.command(arguments),
            Runs::InSeveral(cluster) => cluster.command("chat-1", arguments),
        }
    }

    /// How much memory it holds, in bytes; of a cluster, a chat process.
    pub fn resident_bytes(&self) -> u64 {
        match &self.runs {
            Runs::InOne(single) => single.resident_bytes(),
            Runs::InSeveral(cluster) => cluster.process("chat-1").resident_bytes(),
        }
    }

    /// How many files it has open, connections among them; of a cluster, a chat process.
    pub fn open_files(&self) -> usize {
        match &self.runs {
            Runs::InOne(single) => single.open_files(),
            Runs::InSeveral(cluster) => cluster.process("chat-1").open_files(),
        }
    }

    /// Kills it (SIGKILL), every process of a cluster at once, and waits until it's gone.
    pub async fn kill(&mut self) {
        match &mut self.runs {
            Runs::InOne(single) => single.kill(),
            Runs::InSeveral(cluster) => {
                let names = cluster.parlors();
                for name in &names {
                    cluster.signal(name, Signal::KILL);
                }
                for name in &names {
                    cluster.wait_for_end(name).await;
                }
            }
        }
    }

    /// Halts it (SIGSTOP), so that it does nothing more, whatever the kernel still does for it.
    ///
    /// # Panics
    /// In a cluster.
    pub async fn halt(&self) {
        match &self.runs {
            Runs::InOne(single) => single.halt().await,
            Runs::InSeveral(_) => panic!("a cluster has several processes to halt"),
        }
    }

    /// Asks it to stop (SIGTERM); in a cluster, every process.
    pub fn ask_to_stop(&self) {
        match &self.runs {
            Runs::InOne(single) => single.ask_to_stop(),
            Runs::InSeveral(cluster) => {
                for name in cluster.parlors() {
                    cluster.signal(&name, Signal::TERM);
                }
            }
        }
    }

    /// Waits until it has ended by itself; gives how, or `None` if it goes on. How a cluster's processes ended is nobody's to
    /// know, since nobody here is their parent.
    pub async fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        match &mut self.runs {
            Runs::InOne(single) => single.ended(patience).await,
            Runs::InSeveral(cluster) => {
                let names = cluster.parlors();
                let ended = async || names.iter().all(|name| !cluster.process(name).runs()).then_some(());
                within(patience, ended).await.map(|()| ExitStatus::default())
            }
        }
    }

    /// Stops it as an operator would, and waits until it has ended well.
    pub async fn stop(&mut self) {
        self.ask_to_stop();
        let asked = Instant::now();
        let Some(status) = self.ended(PATIENCE).await else {
            panic!("parlor goes on {:?} after it was asked to stop:\n{}", asked.elapsed(), self.log());
        };
        assert!(status.success(), "parlor stopped with {status}:\n{}", self.log());
    }

    /// All that it logged.
    pub fn log(&self) -> String {
        match &self.runs {
            Runs::InOne(single) => single.log(),
            Runs::InSeveral(cluster) => cluster.parlors().iter().map(|name| cluster.log(name)).collect(),
        }
    }

    /// The mails that it wrote, oldest first.
    pub fn mails(&self) -> Vec<String> {
        let Ok(folder) = fs::read_dir(self.data().join("mail")) else { return Vec::new() };
        let mut paths: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).expect("a mail can be read")).collect()
    }
}

/// Every file under a folder with its content, to see whether anything changed.
pub fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder can be listed").flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("a file has a type"));
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let content = fs::read(&path).expect("a file can be read");
                found.push((path, content));
            }
        }
    }
    found.sort();
    found
}
