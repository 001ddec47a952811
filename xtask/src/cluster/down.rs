//! `cargo xtask cluster down`.

use std::fs;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use rustix::process::Signal;

use super::layout::{KAFKA, PARLORS, PROXY};
use super::{Place, databases, named, proxy};

/// What to stop.
#[derive(Args)]
pub(super) struct Down {
    /// Parts to stop, as `status` names them [default: all]
    #[arg(value_name = "PART")]
    parts: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// Remove all data, logs and settings, too
    #[arg(long, conflicts_with = "parts")]
    delete: bool,
}

impl Down {
    pub(super) fn run(self) -> Result<()> {
        if !self.place.path().exists() {
            return Ok(());
        }
        let folder = self.place.open()?;
        let Some(mut state) = folder.load()? else {
            if self.delete && fs::read_dir(folder.path())?.count() > 1 {
                bail!("{} holds no cluster; it stays as it is", folder.path().display());
            }
            return Ok(());
        };
        let parts = named(&self.parts, &state.parts())?;
        let chosen = |name: &str| parts.iter().any(|part| part == name);

        // In the opposite order of the start: who stops last still finds what it needs.
        let mut ending = Vec::new();
        if let Some(process) = state.running(PROXY).filter(|_| chosen(PROXY)) {
            proxy::ask_to_end(process);
            ending.push(process);
        }
        for (name, _) in PARLORS {
            if let Some(process) = state.running(name).filter(|_| chosen(name)) {
                process.ask_to_end(Signal::TERM);
                ending.push(process);
            }
        }
        for process in ending {
            process.wait_for_end()?;
        }
        if let Some(process) = state.running(KAFKA).filter(|_| chosen(KAFKA)) {
            process.ask_to_end(Signal::TERM);
            process.wait_for_end()?;
        }
        let servers: Vec<_> = parts.iter().filter(|name| name.starts_with("postgres-")).collect();
        databases::down(&folder, &servers)?;
        for part in &parts {
            state.processes.remove(part);
        }
        folder.save(&state)?;
        if self.delete {
            databases::drop_foreign(&state)?;
            fs::remove_dir_all(folder.path())
                .with_context(|| format!("{} can't be removed", folder.path().display()))?;
        }
        Ok(())
    }
}
