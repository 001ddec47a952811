//! Views that are read from a streaming replica: what is told and waited for is what the replica holds.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Balances, balances, deposit, expected};
use cqrs_core::testing::keyring;
use cqrs_core::{EventBus, LeaseStore as _, Position, RunMode, StoreError};
use cqrs_sql::testing::{POSTGRES_URL, TestStore};
use cqrs_sql::{Location, Pool, ServiceStore, ViewsAt};
use tokio::sync::watch;
use uuid::Uuid;

/// A replica of the tests' server, made and started for one test.
struct Replica {
    folder: tempfile::TempDir,
    programs: PathBuf,
    /// Whom to become, since PostgreSQL refuses to run as root.
    owner: Option<(u32, u32)>,
    url: String,
}

/// The folder of PostgreSQL's programs on this machine.
fn programs() -> Option<PathBuf> {
    let has = |folder: &Path| ["pg_basebackup", "pg_ctl"].iter().all(|name| folder.join(name).exists());
    let told = Command::new("pg_config").arg("--bindir").output().ok();
    let told = told.map(|told| PathBuf::from(String::from_utf8_lossy(&told.stdout).trim()));
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten().flatten();
    let installed = versions.map(|version| version.path().join("bin"));
    told.into_iter().chain(installed).find(|folder| has(folder))
}

impl Replica {
    /// `None`, with a message, where there is no server or it can't be copied from here.
    async fn start() -> Option<Self> {
        let primary = std::env::var(POSTGRES_URL).ok().filter(|url| !url.is_empty())?;
        let Some(programs) = programs() else {
            eprintln!("skipped: pg_basebackup is not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let id = |which| {
            let id = Command::new("id").args([which, "postgres"]).output().ok()?;
            String::from_utf8_lossy(&id.stdout).trim().parse().ok()
        };
        let as_root =
            String::from_utf8_lossy(&Command::new("id").arg("-u").output().unwrap().stdout).trim() == "0";
        let owner = if as_root { Some((id("-u")?, id("-g")?)) } else { None };
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (before, after) = primary.split_once('@').unwrap();
        let database = after.split_once('/').map_or("postgres", |(_, database)| database);
        let url = format!("{before}@127.0.0.1:{port}/{database}");
        let replica = Self { folder, programs, owner, url };
        let copied = replica
            .command("pg_basebackup")
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-d", &primary, "-D"])
            .arg(replica.data())
            .output()
            .unwrap();
        if !copied.status.success() {
            eprintln!("skipped: the server can't be copied: {}", String::from_utf8_lossy(&copied.stderr));
            return None;
        }
        // At least as many as there, or it doesn't start.
        let connections: String =
            connected(&primary).await.query_one("SHOW max_connections", &[]).await.unwrap().get(0);
        let options = format!(
            "-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections={connections}"
        );
        let started = replica
            .command("pg_ctl")
            .args(["start", "--wait", "--silent", "-o", &options, "-l"])
            .arg(replica.folder.path().join("log"))
            .arg("-D")
            .arg(replica.data())
            // The server outlives the command and must not hold its pipes.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        let log = || std::fs::read_to_string(replica.folder.path().join("log")).unwrap_or_default();
        assert!(started.success(), "{}", log());
        Some(replica)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = match self.owner {
            None => Command::new(program),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.args([
                    format!("--reuid={user}"),
                    format!("--regid={group}"),
                    "--clear-groups".to_owned(),
                ]);
                command.arg(program);
                command
            }
        };
        command.current_dir(self.folder.path());
        command
    }

    /// Stops following the primary, or goes on.
    async fn follow(&self, on: bool) {
        let sql = if on { "SELECT pg_wal_replay_resume()" } else { "SELECT pg_wal_replay_pause()" };
        let client = connected(&self.url).await;
        client.execute(sql, &[]).await.unwrap();
        // It pauses when it next comes to look.
        let state = "SELECT pg_get_wal_replay_pause_state() = 'paused'";
        while !on && !client.query_one(state, &[]).await.unwrap().get::<_, bool>(0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let mut stop = self.command("pg_ctl");
        let _ = stop.args(["stop", "--mode=immediate", "--silent", "-D"]).arg(self.data()).status();
    }
}

async fn connected(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A process with its bus at work.
struct Process {
    store: ServiceStore,
    bus: EventBus,
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<()>,
}

async fn process(bank: &TestStore, views: ViewsAt, mode: RunMode) -> Result<Process, StoreError> {
    let log = bank.schemas()[0].from_another_process(4).unwrap();
    let store = TestStore::at("bank", log, views, vec![Balances::shared()], None).await?.store;
    let bus = store.subscribe_projections(&[]).build().unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn({
        let bus = bus.clone();
        async move { bus.run(stopped, mode).await }
    });
    Ok(Process { store, bus, stop, running })
}

impl Process {
    async fn reaches(&self, position: u64) {
        let mut at = self.bus.position("balances", "bank").unwrap();
        let reached = at.wait_for(|at| at.0 >= position);
        tokio::time::timeout(Duration::from_mins(1), reached).await.expect("it comes so far").unwrap();
    }

    fn shown(&self) -> Position {
        *self.bus.position("balances", "bank").unwrap().borrow()
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.running.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_read_from_a_replica_is_told_and_waited_for_as_far_as_the_replica_is() {
    let Some(replica) = Replica::start().await else { return };
    let Some(bank) = TestStore::on_postgres("bank", vec![Balances::shared()], None).await.unwrap() else {
        return;
    };
    let Location::Postgres { schema, .. } = bank.schemas()[1].location.clone() else { unreachable!() };
    let copy = || Location::Postgres { pool: Pool::new(&replica.url, 4).unwrap(), schema: schema.clone() };
    let kept = bank.schemas()[1].from_another_process(4).unwrap();

    // One process keeps the views and reads the copy; another only reads it.
    let keeper = process(&bank, ViewsAt::Copied { kept, copy: copy() }, RunMode::Follow).await.unwrap();
    for n in 1..=20 {
        deposit(&bank.store, n % 3, n as i64).await;
    }
    keeper.reaches(20).await;
    // Whatever it was told to do, it never gets the lease.
    let reader = process(&bank, ViewsAt::Read(copy()), RunMode::Follow).await.unwrap();
    let asked = reader.store.views.acquire("another", Uuid::nil(), Duration::from_secs(1)).await.unwrap();
    assert_eq!(asked, None);
    for process in [&keeper, &reader] {
        process.reaches(20).await;
        assert_eq!(balances(&process.store.views).await, expected(&bank.store).await);
    }

    // The copy falls behind: neither tells of more than is there to be read, wherever the view itself is.
    replica.follow(false).await;
    let before = balances(&reader.store.views).await;
    for n in 1..=10 {
        deposit(&bank.store, n % 3, n as i64).await;
    }
    let on_primary = async || bank.store.views.place_of("balances", "bank").await.unwrap();
    while on_primary().await < Position(30) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for process in [&keeper, &reader] {
        let mut waiting = process.bus.position("balances", "bank").unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(300), waiting.wait_for(|at| at.0 > 20)).await;
        assert!(waited.is_err(), "the copy isn't there yet");
        assert_eq!(process.shown(), Position(20));
        assert_eq!(process.store.views.place_of("balances", "bank").await.unwrap(), Position(20));
        assert_eq!(balances(&process.store.views).await, before);
    }
    replica.follow(true).await;
    for process in [&keeper, &reader] {
        process.reaches(30).await;
        assert_eq!(balances(&process.store.views).await, expected(&bank.store).await);
    }

    // A view that is rebuilt on the primary is found in the copy once it is swapped in there, too.
    replica.follow(false).await;
    bank.store.views.rebuild("balances", &[bank.store.source()], &keyring(), |_| {}).await.unwrap();
    for process in [&keeper, &reader] {
        assert_eq!(balances(&process.store.views).await, expected(&bank.store).await, "the view before it");
    }
    replica.follow(true).await;
    deposit(&bank.store, 1, 1).await;
    for process in [&keeper, &reader] {
        process.reaches(31).await;
        assert_eq!(balances(&process.store.views).await, expected(&bank.store).await);
    }
    keeper.stop().await;
    reader.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_only_reads_views_makes_none() {
    let Some(bank) = TestStore::on_postgres("bank", Vec::new(), None).await.unwrap() else { return };
    let at = || ViewsAt::Read(bank.schemas()[1].from_another_process(4).unwrap());
    let early = process(&bank, at(), RunMode::Observe).await.err().unwrap();
    assert!(
        matches!(&early, StoreError::Unavailable(detail) if detail.contains("balances")),
        "it may pass: {early}"
    );
    let views = bank.schemas()[1].from_another_process(4).unwrap();
    let keeper = process(&bank, views.into(), RunMode::Follow).await.unwrap();
    deposit(&bank.store, 1, 5).await;
    let reader = process(&bank, at(), RunMode::Observe).await.unwrap();
    reader.reaches(1).await;
    assert_eq!(balances(&reader.store.views).await, expected(&bank.store).await);
    let rebuilt = reader.store.views.rebuild("balances", &[bank.store.source()], &keyring(), |_| {}).await;
    assert!(rebuilt.is_err_and(|error| error.to_string().contains("only reads")));
    keeper.stop().await;
    reader.stop().await;
}
