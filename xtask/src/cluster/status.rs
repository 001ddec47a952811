//! `cargo xtask cluster status`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use super::layout::PARLORS;
use super::state::{Folder, State, metrics_of};
use super::{Place, databases, parlor};

/// How to show it.
#[derive(Args)]
pub(super) struct Status {
    #[command(flatten)]
    place: Place,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

/// A cluster as programs are told of it.
#[derive(Serialize)]
struct Report {
    /// Where people reach it: the proxy's address.
    url: String,
    /// Whether every process runs and is ready.
    ready: bool,
    /// Where settings, logs and data lie.
    folder: String,
    processes: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    /// `ready`, `running` (not ready, or nothing is known of that), `down`.
    state: &'static str,
    pid: Option<i32>,
    address: Option<String>,
    /// Why it isn't ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
    /// Where its output goes.
    log: String,
    /// Where it tells its metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<String>,
    /// Its settings: variables of its environment, beside the file that all share.
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<BTreeMap<String, String>>,
    /// The URL of its service's database.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
}

impl Status {
    pub(super) fn run(self) -> Result<ExitCode> {
        let folder = self.place.open()?;
        let Some(mut state) = folder.load()? else {
            bail!("there is no cluster in {}: cargo xtask cluster up", folder.path().display());
        };
        let report = report(&folder, &mut state)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            show(&report);
        }
        Ok(if report.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn report(folder: &Folder, state: &mut State) -> Result<Report> {
    let urls = databases::urls(folder, state)?.unwrap_or_default();
    let mut processes = Vec::new();
    for name in state.parts() {
        let process = state.running(&name);
        let service = PARLORS.iter().find(|(parlor, _)| *parlor == name).map(|(_, service)| *service);
        let address = state.known_address(&name);
        let readiness = service.zip(address).zip(process).map(|((_, address), _)| parlor::readiness(address));
        let state_of = match (&process, &readiness) {
            (None, _) => "down",
            (Some(_), Some(readiness)) if !readiness.ready => "running",
            (Some(_), _) => "ready",
        };
        let missing = readiness.filter(|readiness| !readiness.ready).map(|readiness| readiness.reason());
        let environment = match service {
            Some(_) => Some(parlor::environment(folder, state, &name)?),
            None => None,
        };
        processes.push(Row {
            state: state_of,
            pid: process.map(|process| process.pid),
            address: address.map(|address| address.to_string()),
            missing,
            log: folder.log(&name).display().to_string(),
            metrics: service.and(state.known_address(&metrics_of(&name))).map(|address| address.to_string()),
            environment,
            database: service.and_then(|service| urls.get(service).cloned()),
            name,
        });
    }
    Ok(Report {
        url: state.url().unwrap_or_default(),
        ready: processes.iter().all(|process| process.state == "ready"),
        folder: folder.path().display().to_string(),
        processes,
    })
}

fn show(report: &Report) {
    println!("{}\n", report.url);
    for row in &report.processes {
        let pid = row.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let line = format!(
            "{:<22} {:<8} {pid:>8}  {:<16}  {}",
            row.name,
            row.state,
            row.address.as_deref().unwrap_or("-"),
            row.missing.as_deref().unwrap_or_default()
        );
        println!("{}", line.trim_end());
    }
}
