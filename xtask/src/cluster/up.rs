//! `cargo xtask cluster up`.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::layout::{KAFKA, PROXY};
use super::state::{Folder, State};
use super::{Place, databases, kafka, named, parlor, proxy};
use crate::exec::run;
use crate::workspace::{cargo, target_dir};

/// What a cluster is made of, where it is to be otherwise than usual. It is remembered.
#[derive(Args)]
pub(super) struct Up {
    /// Parts to start, as `status` names them [default: all]
    #[arg(value_name = "PART")]
    parts: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// The proxy's port; 0 for any that is free [default: 8080, or what it was]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Build and run Parlor unoptimised: quicker to build
    #[arg(long)]
    dev: bool,
    /// Run this binary instead of building one
    #[arg(long, value_name = "FILE", conflicts_with = "dev")]
    binary: Option<PathBuf>,
    /// Make the databases on this PostgreSQL server instead of on own ones
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Use these Kafka brokers instead of an own one
    #[arg(long, value_name = "HOST:PORT,…")]
    kafka: Option<String>,
    /// A setting of Parlor's processes, by its key or its variable; may be repeated [as in: --set limits.enabled=false]
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

impl Up {
    pub(super) fn run(self) -> Result<()> {
        let folder = self.place.open()?;
        let mut state = match folder.load()? {
            Some(state) => state,
            None => State { name: fresh_name(), ..State::default() },
        };
        self.apply(&mut state)?;
        let parts = named(&self.parts, &state.parts())?;
        self.build(&mut state)?;
        folder.save(&state)?;

        databases::up(&folder, &mut state, &parts)?;
        folder.save(&state)?;
        databases::make(&folder, &state)?;
        if parts.iter().any(|part| part == KAFKA) {
            kafka::up(&folder, &mut state)?;
            folder.save(&state)?;
        }
        let started = parlor::start(&folder, &mut state, &parts)?;
        if parts.iter().any(|part| part == PROXY) {
            proxy::up(&folder, &mut state)?;
        }
        parlor::wait_until_ready(&folder, &state, &started)?;
        folder.save(&state)?;
        println!("{}", state.url().context("the proxy has an address")?);
        tell(&folder, &state);
        Ok(())
    }

    /// Changes what was asked for, and leaves the rest as it was.
    fn apply(&self, state: &mut State) -> Result<()> {
        for setting in &self.settings {
            let Some((key, value)) = setting.split_once('=') else {
                bail!("--set {setting}: there is no value; write --set KEY=VALUE");
            };
            state.settings.insert(key.trim().to_owned(), value.trim().to_owned());
        }
        for (given, known, flag) in
            [(&self.postgres, &mut state.postgres, "--postgres"), (&self.kafka, &mut state.kafka, "--kafka")]
        {
            if given.is_some() && given != known && !state.processes.is_empty() {
                bail!(
                    "{flag} can only be given to a cluster that is new: `cargo xtask cluster down --delete` first"
                );
            }
            if given.is_some() {
                known.clone_from(given);
            }
        }
        let known = state.ports.get(PROXY).copied();
        let port = self.port.or(known).unwrap_or(8080);
        if state.running(PROXY).is_none() {
            settle(&mut state.ports, port, known)?;
        } else if Some(port) != known {
            bail!("the proxy runs on another port: `cargo xtask cluster down {PROXY}` first");
        }
        Ok(())
    }

    fn build(&self, state: &mut State) -> Result<()> {
        if let Some(binary) = &self.binary {
            state.binary =
                fs::canonicalize(binary).with_context(|| format!("{} isn't there", binary.display()))?;
            return Ok(());
        }
        if self.parts.is_empty() || !state.binary.is_file() {
            let mut command = cargo();
            // The whole workspace's features, so that nothing is compiled a second time after the tests.
            command.args(["build", "--quiet", "--workspace", "--bin", "parlor"]);
            if !self.dev {
                command.arg("--release");
            }
            run(&mut command)?;
            state.binary = target_dir().join(if self.dev { "debug" } else { "release" }).join("parlor");
        }
        Ok(())
    }
}

/// Settles the proxy's port, before anything is started for it.
fn settle(ports: &mut BTreeMap<String, u16>, port: u16, known: Option<u16>) -> Result<()> {
    if port == 0 {
        // Whatever is free, and stays.
        if known.is_none() {
            ports.remove(PROXY);
        }
        return Ok(());
    }
    TcpListener::bind(("127.0.0.1", port)).with_context(|| {
        format!("port {port} is taken; name another one with --port, or have one chosen with --port 0")
    })?;
    ports.insert(PROXY.to_owned(), port);
    Ok(())
}

/// Where to look, for people; programs read what stands on the standard output.
fn tell(folder: &Folder, state: &State) {
    let Some(url) = state.url() else { return };
    eprintln!(
        "\nParlor answers at {url}; its API is described at {url}/docs.\n\
         Settings, logs and data lie in {}.\n\
         cargo xtask cluster status shows each process; cargo xtask cluster down stops them.",
        folder.path().display()
    );
}

/// Short, and fit for names of databases and topics.
fn fresh_name() -> String {
    format!("parlor_{}", uuid())
}

fn uuid() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).take(12).collect();
    if digits.is_empty() { std::process::id().to_string() } else { digits }
}
