//! A server that stays: a developer's own, and those of `cargo xtask cluster`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::binaries::Binaries;
use super::cluster::Cluster;
use crate::exec::output;
use crate::workspace::target_dir;

/// A PostgreSQL server in a folder, started and stopped at will, with data that stay.
pub struct Lasting {
    folder: PathBuf,
    cluster: Cluster,
}

impl Lasting {
    /// The server of this folder, whether it was made or not.
    pub fn at(folder: PathBuf) -> Result<Self> {
        Ok(Self { cluster: Cluster::at(folder.clone())?, folder })
    }

    /// Starts it unless it runs, and gives its URL; made if it wasn't.
    pub fn up(&self) -> Result<String> {
        self.up_at(None)
    }

    /// The same, on this port if it is free.
    pub fn up_at(&self, port: Option<u16>) -> Result<String> {
        if !self.runs() {
            if self.cluster.url().is_none() {
                self.cluster.make()?;
            }
            if let Some(port) = port {
                self.cluster.prefer(port)?;
            }
            self.start()?;
        }
        self.cluster.url().context("a cluster that was started has a URL")
    }

    /// Its URL if it runs.
    pub fn url(&self) -> Option<String> {
        self.runs().then(|| self.cluster.url()).flatten()
    }

    /// The URL that it had when it ran last; `None` if it was never made.
    pub fn last_url(&self) -> Option<String> {
        self.cluster.url()
    }

    /// Stops it; `delete` removes its data, too.
    pub fn down(&self, delete: bool) -> Result<()> {
        if self.runs() {
            output(self.cluster.pg_ctl("stop").args(["--mode", "fast", "--wait"]))?;
        }
        if delete && self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        Ok(())
    }

    /// The process that leads it, if it runs (PostgreSQL's `src/include/utils/pidfile.h`, `LOCK_FILE_LINE_PID`).
    pub fn pid(&self) -> Option<i32> {
        if !self.runs() {
            return None;
        }
        let file = fs::read_to_string(self.cluster.data().join("postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    fn start(&self) -> Result<()> {
        let cluster = &self.cluster;
        let port = cluster.choose_port()?;
        // pg_ctl gives them to a shell.
        let options: Vec<String> = cluster
            .options(port)
            .iter()
            .map(|option| format!("'{}'", option.replace('\'', r"'\''")))
            .collect();
        output(
            cluster
                .pg_ctl("start")
                .args(["--wait", "--silent", "--log"])
                .arg(cluster.log())
                .args(["--options", &options.join(" ")]),
        )
        .map(drop)
        .with_context(|| format!("PostgreSQL could not be started\n{}", cluster.last_words()))
    }

    fn runs(&self) -> bool {
        output(&mut self.cluster.pg_ctl("status")).is_ok()
    }
}

/// Runs SQL on any server with `psql`, and gives what it printed.
pub fn sql(url: &str, sql: &str) -> Result<String> {
    let psql = Binaries::find_or_install()?.program("psql");
    output(
        Command::new(psql)
            .args([url, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"])
            .args(["--command", sql]),
    )
}

pub(super) fn up() -> Result<String> {
    developers()?.up()
}

pub(super) fn url() -> Result<String> {
    let Some(url) = developers()?.url() else {
        bail!("the development server doesn't run: cargo xtask postgres up");
    };
    Ok(url)
}

pub(super) fn down(delete: bool) -> Result<()> {
    developers()?.down(delete)
}

fn developers() -> Result<Lasting> {
    Lasting::at(target_dir().join("postgres"))
}
