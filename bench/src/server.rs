//! The server under measurement: a process of its own, with a store of its own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use parlor_load::cpu;
use tempfile::TempDir;

use crate::results::Cpu;

/// A running process, killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    binary: PathBuf,
    data: Option<TempDir>,
    database: Option<Database>,
}

/// A database made for one run.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) url: String,
    /// The server's first process, whose children work for its clients; none if it runs elsewhere.
    process: Option<u32>,
}

impl Database {
    /// Makes a database on the server at `url`.
    pub(crate) async fn create(url: &str) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
            .await
            .with_context(|| format!("no PostgreSQL at {url}"))?;
        tokio::spawn(connection);
        let name = format!("parlor_bench_{}", std::process::id());
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await?;
        let backend: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
        let process = cpu::parent(backend.unsigned_abs());
        let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
        let host = base.rsplit_once('/').map_or(base, |(host, _)| host);
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Self { url: format!("{host}/{name}{query}"), process })
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Server {
    /// Starts Parlor on an empty store.
    pub(crate) fn parlor(binary: &Path, database: Option<Database>) -> anyhow::Result<Self> {
        Self::parlor_on(binary, tempfile::tempdir()?, database)
    }

    /// Starts Parlor on a store that is there already.
    pub(crate) fn parlor_on(
        binary: &Path,
        data: TempDir,
        database: Option<Database>,
    ) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = parlor_command(binary, data.path(), database.as_ref());
        command
            .arg("serve")
            .env("PARLOR_LISTEN", address.to_string())
            .env("PARLOR_METRICS_LISTEN", free_address()?.to_string())
            .env("PARLOR_LIMITS_ENABLED", "false")
            // Many sockets, few people.
            .env("PARLOR_LIVE_CONNECTIONS_PER_USER", "100000")
            .env("PARLOR_LOG_LEVEL", "warn");
        let mut server = Self::spawn(command, address, binary)?;
        server.data = Some(data);
        server.database = database;
        Ok(server)
    }

    /// Starts the echo server.
    pub(crate) fn echo() -> anyhow::Result<Self> {
        let address = free_address()?;
        let binary = std::env::current_exe()?;
        let mut command = Command::new(&binary);
        command.args(["echo", &address.to_string()]);
        Self::spawn(command, address, &binary)
    }

    fn spawn(mut command: Command, address: SocketAddr, binary: &Path) -> anyhow::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        let mut server = Self { child, address, binary: binary.to_owned(), data: None, database: None };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended at once: {status}");
            }
            if is_ready(self.address).unwrap_or(false) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the server wasn't ready within 30 s")
    }

    /// Where it answers, as a URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A key with which people are made.
    pub(crate) fn service_key(&self) -> anyhow::Result<String> {
        let data = self.data.as_ref().context("the echo has no keys")?;
        let mut command = parlor_command(&self.binary, data.path(), self.database.as_ref());
        let output = command.args(["service-key", "create", "bench"]).output()?;
        ensure!(
            output.status.success(),
            "parlor service-key create: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let said = String::from_utf8(output.stdout)?;
        let key = said.split_whitespace().find(|word| word.starts_with("psk_"));
        Ok(key.with_context(|| format!("parlor service-key create printed no key: {said}"))?.to_owned())
    }

    /// Views and reactors that don't hold everything yet, as `parlor views status` shows them.
    pub(crate) fn lagging(&self) -> anyhow::Result<Vec<String>> {
        let data = self.data.as_ref().context("the echo has no views")?;
        let mut command = parlor_command(&self.binary, data.path(), self.database.as_ref());
        let output = command.args(["views", "status"]).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            said.contains("STATE"),
            "parlor views status: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let behind = |line: &&str| line.ends_with(" behind") || line.contains("stands still");
        Ok(said.lines().filter(behind).map(str::to_owned).collect())
    }

    /// Processor time that it and its database have used so far.
    pub(crate) fn cpu(&self) -> Option<Cpu> {
        let server = cpu::of(self.child.id())?.as_secs_f64();
        let database = match &self.database {
            Some(database) => cpu::of_family(database.process?)?.as_secs_f64(),
            None => 0.0,
        };
        Some(Cpu { server, database })
    }

    /// The process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> Option<u64> {
        resident_kib(self.child.id())
    }

    /// Ends the process and gives its data folder and database back, to be looked at further.
    pub(crate) fn stop(mut self) -> anyhow::Result<(TempDir, Option<Database>)> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        self.child.wait()?;
        let data = self.data.take().context("the server had no data folder")?;
        Ok((data, self.database.take()))
    }
}

/// A process's resident memory, in KiB.
pub(crate) fn resident_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The binary with what it keeps where.
pub(crate) fn parlor_command(binary: &Path, data: &Path, database: Option<&Database>) -> Command {
    let mut command = Command::new(binary);
    command.env("PARLOR_DATA_DIR", data);
    if let Some(database) = database {
        command.env("PARLOR_STORE_URL", &database.url);
    }
    command
}

fn is_ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET /health/ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended where `stop` was called.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
