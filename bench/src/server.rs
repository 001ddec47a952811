//! The server under measurement: a process of its own, with a store of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hyper::Method;
use tempfile::TempDir;

use crate::client::Client;

/// A running process, killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    pub(crate) data: Option<TempDir>,
    database: Option<Database>,
}

/// A database made for one run.
pub(crate) struct Database {
    pub(crate) url: String,
}

impl Database {
    /// Makes a database on the server at `url`.
    pub(crate) async fn create(url: &str) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        let name = format!("parlor_bench_{}", std::process::id());
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await?;
        let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
        let host = base.rsplit_once('/').map_or(base, |(host, _)| host);
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Self { url: format!("{host}/{name}{query}") })
    }
}

fn free_address() -> anyhow::Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

impl Server {
    /// Starts Parlor on an empty store.
    pub(crate) async fn parlor(binary: &Path, database: Option<Database>) -> anyhow::Result<Self> {
        Self::parlor_on(binary, tempfile::tempdir()?, database).await
    }

    /// Starts Parlor on a store that is there already.
    pub(crate) async fn parlor_on(
        binary: &Path,
        data: TempDir,
        database: Option<Database>,
    ) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(binary);
        command
            .arg("serve")
            .env("PARLOR_LISTEN", &address)
            .env("PARLOR_METRICS_LISTEN", free_address()?)
            .env("PARLOR_DATA_DIR", data.path())
            .env("PARLOR_LIMITS_ENABLED", "false")
            // Many sockets, few people.
            .env("PARLOR_LIVE_CONNECTIONS_PER_USER", "100000")
            .env("PARLOR_LOG_LEVEL", "warn");
        if let Some(database) = &database {
            command.env("PARLOR_STORE_URL", &database.url);
        }
        let mut server = Self::spawn(command, address).await?;
        server.data = Some(data);
        server.database = database;
        Ok(server)
    }

    /// Starts the echo server.
    pub(crate) async fn echo() -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["echo", &address]);
        Self::spawn(command, address).await
    }

    async fn spawn(mut command: Command, address: String) -> anyhow::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        let mut server = Self { child, address, data: None, database: None };
        server.wait_until_ready().await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended at once: {status}");
            }
            if let Ok(mut client) = Client::connect(&self.address, None).await
                && let Ok((status, _)) = client.call(Method::GET, "/health/ready", &[], "").await
                && status.is_success()
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the server wasn't ready within 30 s")
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Ends the process and gives its data folder and database back, to be looked at further.
    pub(crate) fn stop(mut self) -> anyhow::Result<(Option<TempDir>, Option<Database>)> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        self.child.wait()?;
        Ok((self.data.take(), self.database.take()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended where `stop` was called.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
