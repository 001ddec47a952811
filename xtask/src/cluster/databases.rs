//! A database for each service, each on a server of its own unless another one was named.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::layout::{databases, server_of};
use super::process::Process;
use super::state::{Folder, State};
use crate::postgres::{Lasting, sql};

/// Whom the database is for, and its URL.
pub(super) type Urls = BTreeMap<&'static str, String>;

/// Starts the servers among `wanted` that don't run.
pub(super) fn up(folder: &Folder, state: &mut State, wanted: &[String]) -> Result<()> {
    if state.postgres.is_some() {
        return Ok(());
    }
    let mut missing = Vec::new();
    for server in databases().map(server_of) {
        if wanted.contains(&server) && state.running(&server).is_none() {
            missing.push((state.address(&server)?.port(), server));
        }
    }
    // Made at once: most of it is waiting for initdb.
    let started: Vec<Result<(String, Process)>> = std::thread::scope(|scope| {
        let starting: Vec<_> = missing
            .into_iter()
            .map(|(port, server)| scope.spawn(move || start(folder, server, port)))
            .collect();
        starting.into_iter().map(|thread| thread.join().expect("nothing panics there")).collect()
    });
    for server in started {
        let (server, process) = server?;
        state.processes.insert(server, process);
    }
    Ok(())
}

fn start(folder: &Folder, name: String, port: u16) -> Result<(String, Process)> {
    let server = Lasting::at(folder.join(&name))?;
    server.up_at(Some(port)).with_context(|| format!("{name} could not be started"))?;
    let pid = server.pid().with_context(|| format!("{name} ended as soon as it had begun"))?;
    Ok((name, Process::of(pid)))
}

/// Stops these servers, at once: each writes what it has in memory first.
pub(super) fn down(folder: &Folder, servers: &[&String]) -> Result<()> {
    std::thread::scope(|scope| {
        let stopping: Vec<_> = servers
            .iter()
            .map(|server| scope.spawn(move || Lasting::at(folder.join(server))?.down(false)))
            .collect();
        stopping.into_iter().try_for_each(|thread| thread.join().expect("nothing panics there"))
    })
}

/// The URLs of all databases; `None` if one of the servers was never made.
pub(super) fn urls(folder: &Folder, state: &State) -> Result<Option<Urls>> {
    let mut urls = Urls::new();
    for database in databases() {
        let url = match &state.postgres {
            Some(server) => Some(of_database(server, &name_of(state, database))),
            None => Lasting::at(folder.join(server_of(database)))?
                .last_url()
                .map(|url| of_database(&url, "parlor")),
        };
        let Some(url) = url else { return Ok(None) };
        urls.insert(database, url);
    }
    Ok(Some(urls))
}

/// Makes the databases that aren't there. Those of servers that don't run are left for another time.
pub(super) fn make(folder: &Folder, state: &State) -> Result<()> {
    for (database, url) in urls(folder, state)?.into_iter().flatten() {
        if state.postgres.is_none() && state.running(&server_of(database)).is_none() {
            continue;
        }
        let (server, name) = (admin_of(state, folder, database)?, url.rsplit('/').next().unwrap_or_default());
        let name = name.split('?').next().unwrap_or(name);
        let there = sql(&server, &format!("SELECT 1 FROM pg_database WHERE datname = '{name}'"))?;
        if there.is_empty() {
            // Search must work where the database knows no language.
            sql(&server, &format!("CREATE DATABASE {name} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0"))?;
        }
    }
    Ok(())
}

/// Removes the databases from a server that isn't the cluster's own.
pub(super) fn drop_foreign(state: &State) -> Result<()> {
    let Some(server) = &state.postgres else { return Ok(()) };
    for database in databases() {
        sql(server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", name_of(state, database)))?;
    }
    Ok(())
}

fn admin_of(state: &State, folder: &Folder, database: &str) -> Result<String> {
    match &state.postgres {
        Some(server) => Ok(server.clone()),
        None => Lasting::at(folder.join(server_of(database)))?.last_url().context("the server was made"),
    }
}

fn name_of(state: &State, database: &str) -> String {
    format!("{}_{database}", state.name)
}

/// A server's URL with another database.
fn of_database(server: &str, name: &str) -> String {
    let (before, query) = match server.split_once('?') {
        Some((before, query)) => (before, format!("?{query}")),
        None => (server, String::new()),
    };
    let authority = before.find("://").map_or(0, |at| at + 3);
    let end = before[authority..].find('/').map_or(before.len(), |at| authority + at);
    format!("{}/{name}{query}", &before[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gets_another_database_whatever_it_had() {
        assert_eq!(of_database("postgres://a:b@h:5/postgres", "x"), "postgres://a:b@h:5/x");
        assert_eq!(of_database("postgres://h", "x"), "postgres://h/x");
        assert_eq!(of_database("postgres://h/y?sslmode=require", "x"), "postgres://h/x?sslmode=require");
    }
}
