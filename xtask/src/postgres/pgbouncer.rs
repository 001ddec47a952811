//! A PgBouncer in transaction mode for one run of the tests.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use super::owner::Owner;
use crate::debian;
use crate::exec::{end_group, output, pause};

/// How long it may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Stands in front of a server; dropped, it is stopped and removed.
pub struct PgBouncer {
    process: Child,
    url: String,
    version: String,
    // After `process`: fields are dropped in order, and the folder is the process's.
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts one in front of the server at `server`, a URL with user and password, and waits until it takes connections.
    pub fn start(server: &str) -> Result<Self> {
        let (program, version) = find_or_install()?;
        let owner = Owner::choose()?;
        let server = Server::of(server)?;
        let folder = tempfile::Builder::new().prefix("parlor-pgbouncer-").tempdir()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let (users, settings) = (folder.path().join("users"), folder.path().join("pgbouncer.ini"));
        fs::write(&users, format!("\"{}\" \"{}\"\n", server.user, server.password))?;
        fs::write(&settings, server.settings(port, folder.path()))?;
        for path in [users.as_path(), settings.as_path(), folder.path()] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
            owner.give(path)?;
        }
        let log = folder.path().join("log");
        let mut process = owner
            .command_that_dies_with_us(&program)
            .arg("--quiet")
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for us; we stop it when the tests have ended.
            .process_group(0)
            .spawn()
            .context("PgBouncer could not be started")?;
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if process.try_wait()?.is_some() || began.elapsed() > START_LIMIT {
                let _ = end_group(&mut process, Signal::TERM);
                bail!("PgBouncer didn't start\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
            pause()?;
        }
        let url =
            format!("postgres://{}:{}@127.0.0.1:{port}/{}", server.user, server.password, server.database);
        Ok(Self { process, url, version, _folder: folder })
    }

    /// Where tests reach it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Such as `1.18.0`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Err(error) = end_group(&mut self.process, Signal::TERM) {
            eprintln!("PgBouncer could not be stopped: {error:#}");
        }
    }
}

/// The server behind it.
struct Server<'a> {
    user: &'a str,
    password: &'a str,
    host: &'a str,
    port: &'a str,
    database: &'a str,
}

impl<'a> Server<'a> {
    fn of(url: &'a str) -> Result<Self> {
        let parts = || {
            let (credentials, rest) = url.split_once("://")?.1.rsplit_once('@')?;
            let (user, password) = credentials.split_once(':')?;
            let (address, database) = rest.split_once('/').unwrap_or((rest, "postgres"));
            let (host, port) = address.rsplit_once(':').unwrap_or((address, "5432"));
            Some(Self { user, password, host, port, database: database.split('?').next()? })
        };
        parts().context("PgBouncer needs a URL of the form postgres://user:password@host:port/database")
    }

    /// Nothing is said to be ignored: Parlor must ask for nothing that a pooler refuses.
    fn settings(&self, port: u16, folder: &Path) -> String {
        let folder = folder.display();
        format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {folder}/users\nlogfile = {folder}/log\n\
             pool_mode = transaction\ndefault_pool_size = 20\nmax_client_conn = 1000\n",
            self.host, self.port
        )
    }
}

/// PgBouncer's program and its version.
fn find_or_install() -> Result<(String, String)> {
    if let Some(found) = find() {
        return Ok(found);
    }
    let otherwise = "PgBouncer is needed and was not found. Debian, Ubuntu: apt-get install pgbouncer";
    debian::install("PgBouncer", "pgbouncer", &[], otherwise)?;
    find().context("Debian's pgbouncer gave no such program")
}

fn find() -> Option<(String, String)> {
    // Debian's place for it is on root's PATH only.
    ["pgbouncer", "/usr/sbin/pgbouncer"].into_iter().find_map(|program| {
        let said = output(Command::new(program).arg("--version")).ok()?;
        let version = said.lines().next()?.split_whitespace().nth(1)?;
        Some((program.to_owned(), version.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_url_is_taken_apart() {
        let server = Server::of("postgres://me:secret@db.example.org:6000/parlor?sslmode=disable").unwrap();
        let parts = [server.user, server.password, server.host, server.port, server.database];
        assert_eq!(parts, ["me", "secret", "db.example.org", "6000", "parlor"]);
        assert!(Server::of("postgres://db.example.org/parlor").is_err());
    }
}
