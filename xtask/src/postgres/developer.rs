//! The server that a developer starts and stops, with data that stay.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::cluster::Cluster;
use crate::exec::output;
use crate::workspace::target_dir;

pub(super) fn up() -> Result<String> {
    let cluster = cluster()?;
    if !runs(&cluster) {
        if cluster.url().is_none() {
            cluster.make()?;
        }
        start(&cluster)?;
    }
    cluster.url().context("a cluster that was started has a URL")
}

pub(super) fn url() -> Result<String> {
    let cluster = cluster()?;
    if !runs(&cluster) {
        bail!("the development server doesn't run: cargo xtask postgres up");
    }
    cluster.url().context("a cluster that runs has a URL")
}

pub(super) fn down(delete: bool) -> Result<()> {
    let cluster = cluster()?;
    if runs(&cluster) {
        output(cluster.pg_ctl("stop").args(["--mode", "fast", "--wait"]))?;
    }
    if delete && folder().exists() {
        fs::remove_dir_all(folder())?;
    }
    Ok(())
}

fn start(cluster: &Cluster) -> Result<()> {
    let port = cluster.choose_port()?;
    // pg_ctl gives them to a shell.
    let options: Vec<String> =
        cluster.options(port).iter().map(|option| format!("'{}'", option.replace('\'', r"'\''"))).collect();
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

fn runs(cluster: &Cluster) -> bool {
    output(&mut cluster.pg_ctl("status")).is_ok()
}

fn cluster() -> Result<Cluster> {
    Cluster::at(folder())
}

fn folder() -> std::path::PathBuf {
    target_dir().join("postgres")
}
