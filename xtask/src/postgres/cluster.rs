//! A database cluster in a folder: made once, then started on a port.
//!
//! It has the C locale, under which text must work alike as on any other, and PostgreSQL's own durability: Parlor
//! refuses a server with `fsync` off.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::binaries::Binaries;
use super::certificate;
use super::owner::Owner;
use crate::exec::output;
use crate::secret::{random_password, write_private};

const USER: &str = "parlor";

/// PostgreSQL makes it in every cluster; tests make their own beside it.
const DATABASE: &str = "postgres";

/// The longest path of a Unix socket on Linux is 107 bytes (`unix(7)`), of which PostgreSQL's own name takes some.
const LONGEST_SOCKET_FOLDER: usize = 80;

pub(super) struct Cluster {
    folder: PathBuf,
    pub(super) binaries: Binaries,
    pub(super) owner: Owner,
}

impl Cluster {
    /// The cluster of this folder, whether it was made or not.
    pub(super) fn at(folder: PathBuf) -> Result<Self> {
        Ok(Self { folder, binaries: Binaries::find_or_install()?, owner: Owner::choose()? })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Holds the URL of the cluster, password and all: for our eyes only.
    fn url_file(&self) -> PathBuf {
        self.folder.join("url")
    }

    /// The authority that vouches for the server.
    pub(super) fn authority(&self) -> PathBuf {
        certificate::authority(&self.folder)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }

    /// The URL that the cluster had when it was started last; none if it was never made.
    pub(super) fn url(&self) -> Option<String> {
        fs::read_to_string(self.url_file()).ok()
    }

    /// Makes the cluster. Its user has a password, since other users of the machine reach the port as well.
    pub(super) fn make(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        self.owner.give(&self.folder)?;
        self.owner.must_reach(&self.folder)?;
        for folder in [self.data(), self.socket_folder()] {
            fs::create_dir(&folder)?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
            self.owner.give(&folder)?;
        }
        let password = random_password()?;
        let password_file = self.folder.join("password");
        write_private(&password_file, &password)?;
        self.owner.give(&password_file)?;
        let made = output(
            self.owner
                .command(self.binaries.program("initdb"))
                .arg("--pgdata")
                .arg(self.data())
                .arg("--pwfile")
                .arg(&password_file)
                .args(["--username", USER, "--auth", "scram-sha-256"])
                .args(["--encoding", "UTF8", "--locale", "C"])
                // Making the cluster again is cheaper than syncing it; what runs on it later is synced as ever.
                .args(["--no-sync", "--no-instructions"]),
        );
        fs::remove_file(&password_file)?;
        made?;
        certificate::make(&self.folder, &self.owner)?;
        self.remember(&password, 0)
    }

    /// Has this port chosen next, if it is free then.
    pub(super) fn prefer(&self, port: u16) -> Result<()> {
        let (password, _) = self.remembered().context("the cluster was not made completely")?;
        self.remember(&password, port)
    }

    /// The port to start on: the last one while it's free, so that a URL that someone noted keeps working.
    pub(super) fn choose_port(&self) -> Result<u16> {
        let (password, last) = self.remembered().context("the cluster was not made completely")?;
        let port = match TcpListener::bind(("127.0.0.1", last)) {
            Ok(listener) => listener.local_addr()?.port(),
            Err(_) => TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port(),
        };
        self.remember(&password, port)?;
        Ok(port)
    }

    /// The server's settings that differ from PostgreSQL's own.
    pub(super) fn options(&self, port: u16) -> Vec<String> {
        let socket = self.socket_folder();
        let socket = if socket.as_os_str().len() > LONGEST_SOCKET_FOLDER { Path::new("") } else { &socket };
        let mut options = vec![
            "-clisten_addresses=127.0.0.1".to_owned(),
            format!("-cport={port}"),
            format!("-cunix_socket_directories={}", socket.display()),
            // Tests run at once, each with pools of its own.
            "-cmax_connections=500".to_owned(),
        ];
        options.extend(certificate::options(&self.folder));
        options
    }

    pub(super) fn pg_ctl(&self, action: &str) -> Command {
        let mut command = self.owner.command(self.binaries.program("pg_ctl"));
        command.arg(action).arg("--pgdata").arg(self.data());
        command
    }

    /// What the server said last, for an error message.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    fn socket_folder(&self) -> PathBuf {
        self.folder.join("socket")
    }

    fn remember(&self, password: &str, port: u16) -> Result<()> {
        write_private(&self.url_file(), &format!("postgres://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"))
    }

    fn remembered(&self) -> Option<(String, u16)> {
        let url = self.url()?;
        let (password, rest) = url.strip_prefix(&format!("postgres://{USER}:"))?.split_once('@')?;
        let port = rest.strip_prefix("127.0.0.1:")?.split('/').next()?.parse().ok()?;
        Some((password.to_owned(), port))
    }
}
