//! `cargo xtask cluster`: Parlor as it runs on many machines, on this one.
//!
//! Every process is detached and outlives us; what runs is found again by the folder's state file. `up` only starts what
//! doesn't run, so it also repairs.

mod databases;
mod down;
mod kafka;
mod layout;
mod parlor;
mod process;
mod proxy;
mod state;
mod status;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};

use self::state::Folder;
use crate::Task;
use crate::workspace::target_dir;

/// Run a distributed Parlor on this machine: a process per service, PostgreSQL, Kafka, a reverse proxy
///
/// `up` starts a PostgreSQL server for each service and one for the keys, Apache Kafka, two chat
/// processes and one of each other service, and nginx with the configuration that deploy/ ships.
/// All listen on 127.0.0.1 only and go on when this command has ended. Their data, logs and settings
/// lie in `cluster` in cargo's target folder.
///
///     cargo xtask cluster up
///     cargo xtask cluster down
///
/// A part can be stopped and started alone, to see what the others make of it:
///
///     cargo xtask cluster down kafka
///     cargo xtask cluster up
#[derive(Parser)]
#[command(
    name = "cluster",
    verbatim_doc_comment,
    subcommand_value_name = "ACTION",
    subcommand_help_heading = "Actions"
)]
pub struct Cluster {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start what doesn't run yet, and wait until it is ready
    Up(up::Up),
    /// Stop all of it, or the parts that are named; data stay
    Down(down::Down),
    /// Show each process, and whether it is ready; fails if one isn't
    Status(status::Status),
}

/// Where a cluster lies.
#[derive(Args)]
struct Place {
    /// The cluster's folder [default: cluster, in cargo's target folder]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Place {
    /// Takes hold of it: one command at a time changes a cluster.
    fn open(&self) -> Result<Folder> {
        Folder::open(&self.path())
    }

    fn path(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(|| target_dir().join("cluster"))
    }
}

impl Task for Cluster {
    fn run(self) -> Result<ExitCode> {
        match self.action {
            Action::Up(up) => up.run()?,
            Action::Down(down) => down.run()?,
            Action::Status(status) => return status.run(),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The parts that were named, all of them where none was.
fn named(names: &[String], all: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        bail!("there is no {unknown} in this cluster; it consists of {}", all.join(", "));
    }
    Ok(all.iter().filter(|name| names.is_empty() || names.contains(name)).cloned().collect())
}
