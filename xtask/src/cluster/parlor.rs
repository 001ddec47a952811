//! Parlor's processes: their configuration, their start, and whether they are ready.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::databases;
use super::layout::{KAFKA, KEYS, PARLORS, PROXY, SERVICES};
use super::process::{Process, last_lines, private};
use super::state::{Folder, State, metrics_of};
use crate::exec::pause;

/// How long processes may take until all of them are ready.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long to wait before saying what is being waited for.
const SILENCE: Duration = Duration::from_secs(10);

/// Starts those among `wanted` that don't run; gives them.
pub(super) fn start(folder: &Folder, state: &mut State, wanted: &[String]) -> Result<Vec<&'static str>> {
    configure(folder, state)?;
    let mut started = Vec::new();
    for (name, service) in PARLORS {
        if !wanted.iter().any(|wanted| wanted == name) || state.running(name).is_some() {
            continue;
        }
        let mut command = command(folder, state, name)?;
        command.args(["serve", service]);
        let process = Process::spawn(&mut command, &folder.log(name))?;
        state.processes.insert(name.to_owned(), process);
        started.push(name);
    }
    folder.save(state)?;
    Ok(started)
}

/// Waits until these are ready.
pub(super) fn wait_until_ready(folder: &Folder, state: &State, names: &[&'static str]) -> Result<()> {
    let (began, mut told) = (Instant::now(), false);
    let mut waiting: Vec<_> = names.to_vec();
    while !waiting.is_empty() {
        let mut reasons = String::new();
        let mut still = Vec::new();
        for name in waiting {
            if state.running(name).is_none() {
                bail!("{name} ended instead of starting:\n{}", last_lines(&folder.log(name)));
            }
            let address = state.known_address(name).context("what was started has an address")?;
            let readiness = readiness(address);
            if !readiness.ready {
                let _ = write!(reasons, "\n  {name}: {}", readiness.reason());
                still.push(name);
            }
        }
        waiting = still;
        if waiting.is_empty() {
            break;
        }
        if began.elapsed() > PATIENCE {
            let log = last_lines(&folder.log(waiting[0]));
            bail!(
                "not ready after {} s:{reasons}\nthe log of {} ends with\n{log}",
                PATIENCE.as_secs(),
                waiting[0]
            );
        }
        if began.elapsed() > SILENCE && !told {
            eprintln!("still waiting:{reasons}");
            told = true;
        }
        pause()?;
    }
    Ok(())
}

/// The command line of Parlor as this process, but for what it is to do.
fn command(folder: &Folder, state: &mut State, name: &str) -> Result<Command> {
    let mut command = Command::new(&state.binary);
    // Nothing of the developer's own settings.
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("PARLOR_") {
            command.env_remove(variable);
        }
    }
    command.current_dir(folder.path());
    for (key, value) in environment(folder, state, name)? {
        command.env(key, value);
    }
    Ok(command)
}

/// What a process has to itself.
pub(super) fn environment(
    folder: &Folder,
    state: &mut State,
    name: &str,
) -> Result<BTreeMap<String, String>> {
    let mut variables: BTreeMap<String, String> = state
        .settings
        .iter()
        .filter(|(key, _)| is_variable(key))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    for (variable, value) in [
        ("PARLOR_CONFIG", folder.join("parlor.toml").display().to_string()),
        ("PARLOR_DATA_DIR", folder.join(name).display().to_string()),
        ("PARLOR_LISTEN", state.address(name)?.to_string()),
        ("PARLOR_METRICS_LISTEN", state.address(&metrics_of(name))?.to_string()),
    ] {
        variables.insert(variable.to_owned(), value);
    }
    Ok(variables)
}

/// Writes what all of them share, and the instance's secret if there is none.
fn configure(folder: &Folder, state: &mut State) -> Result<()> {
    let secret = folder.join("instance.secret");
    if !secret.exists() {
        let mut random = [0_u8; 32];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        private(&secret)?.write_all(&random)?;
    }
    let urls = databases::urls(folder, state)?;
    let urls = urls.context("the PostgreSQL servers were never started: run `up` without names once")?;
    let kafka = state.address(KAFKA)?.to_string();
    let brokers = state.kafka.clone().unwrap_or(kafka);

    let mut text =
        "# Made by `cargo xtask cluster up`, anew each time. --set KEY=VALUE changes it.\n".to_owned();
    let public = format!("http://{}", state.address(PROXY)?);
    let mut table = toml::Table::new();
    let mut set = |key: &str, value: toml::Value| insert(&mut table, key, value);
    set("public_url", public.into())?;
    set("trusted_proxies", toml::Value::Array(vec!["127.0.0.1/32".into()]))?;
    set("secret_file", secret.display().to_string().into())?;
    set("store_url", urls[KEYS].clone().into())?;
    set("keys_store.url", urls[KEYS].clone().into())?;
    for service in SERVICES {
        for store in ["log_url", "views_url"] {
            set(&format!("{service}_store.{store}"), urls[service].clone().into())?;
        }
    }
    set("kafka.brokers", brokers.into())?;
    set("kafka.prefix", state.name.clone().into())?;
    for (key, value) in state.settings.iter().filter(|(key, _)| !is_variable(key)) {
        set(key, value_of(value))?;
    }
    text.push_str(&toml::to_string(&table)?);
    private(&folder.join("parlor.toml"))?.write_all(text.as_bytes())?;
    Ok(())
}

/// Whether a setting is given as a variable of the environment instead of a key.
fn is_variable(key: &str) -> bool {
    key.starts_with("PARLOR_")
}

/// Puts a value where the dotted key says.
fn insert(table: &mut toml::Table, key: &str, value: toml::Value) -> Result<()> {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
            Ok(())
        }
        Some((section, rest)) => {
            let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
            insert(section.as_table_mut().with_context(|| format!("{key} lies in no section"))?, rest, value)
        }
    }
}

/// A value as TOML where it is TOML, text otherwise.
fn value_of(text: &str) -> toml::Value {
    let read = format!("value = {text}").parse::<toml::Table>().ok();
    read.and_then(|mut table| table.remove("value")).unwrap_or_else(|| text.into())
}

/// What a process says of itself.
#[derive(Default, Deserialize)]
pub(super) struct Readiness {
    #[serde(skip)]
    pub(super) ready: bool,
    #[serde(default)]
    missing: Vec<String>,
}

impl Readiness {
    /// Why it isn't ready.
    pub(super) fn reason(&self) -> String {
        if self.missing.is_empty() { "no answer yet".to_owned() } else { self.missing.join("; ") }
    }
}

/// Asks `/health/ready`.
pub(super) fn readiness(address: SocketAddr) -> Readiness {
    ask(address).unwrap_or_default()
}

fn ask(address: SocketAddr) -> Option<Readiness> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET /health/ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut readiness: Readiness = serde_json::from_str(body).unwrap_or_default();
    readiness.ready = head.split(' ').nth(1) == Some("200");
    Some(readiness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_go_into_their_sections_with_their_types() {
        let mut table = toml::Table::new();
        for (key, text) in [("limits.enabled", "false"), ("http.deadline_ms", "250"), ("log.level", "debug")]
        {
            insert(&mut table, key, value_of(text)).unwrap();
        }
        assert_eq!(table["limits"]["enabled"].as_bool(), Some(false));
        assert_eq!(table["http"]["deadline_ms"].as_integer(), Some(250));
        assert_eq!(table["log"]["level"].as_str(), Some("debug"));
        assert!(insert(&mut table, "log.level.more", value_of("1")).is_err());
    }
}
