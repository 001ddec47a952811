//! What the machine can do at all, in the same run: a bare echo of the bodies that Parlor is sent, by wrk and by our own tool, and
//! single-row inserts by pgbench.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use parlor_load::{Kind, Mix, Options, drive};

use crate::Machine;
use crate::results::{Part, Row};
use crate::server::{Database, Server};

/// Connections of each, and how wrk asks: the targets were set against 1 thread and 32 connections.
const CLIENTS: usize = 32;

pub(crate) async fn run(options: Machine) -> anyhow::Result<()> {
    let common = &options.common;
    let mut part = Part::new("machine", common)?;
    part.machine = crate::results::Machine::default();
    let echo = Server::echo()?;
    if let Some(wrk) = &options.wrk {
        let rate = wrk_rate(wrk, &echo, common.seconds)?;
        part.machine.wrk = Some(rate);
        part.note(format!("A bare axum echo of the same bodies, wrk with 1 thread and {CLIENTS} connections: {rate:.0} per second."));
    }
    for clients in [CLIENTS, 512] {
        let before = echo.cpu();
        let load = Options::closed(echo.address, "echo", Mix::only(Kind::Echo), clients, common.duration());
        let outcome = tokio::task::spawn_blocking(move || drive(None, &load, &|_| {})).await??;
        ensure!(outcome.failed() == 0, "the echo failed: {:?}", outcome.errors());
        let cpu = before.zip(echo.cpu()).map(|(before, after)| after.since(before));
        if clients == CLIENTS {
            part.machine.own = Some(outcome.per_second());
        }
        part.add(Row::new("bare echo, our own tool", "none", clients, &outcome, cpu));
    }
    drop(echo);
    if let (Some(pgbench), Some(url)) = (&options.pgbench, &options.postgres) {
        let (rate, version) = pgbench_rate(pgbench, url, common.seconds).await?;
        part.machine.pgbench = Some(rate);
        part.note(format!(
            "{version}: pgbench with a prepared single-row insert for each commit, {CLIENTS} clients: {rate:.0} per second."
        ));
    }
    part.finish(common)
}

/// Requests a second that wrk counts.
fn wrk_rate(wrk: &Path, echo: &Server, seconds: u64) -> anyhow::Result<f64> {
    let script = tempfile::NamedTempFile::with_suffix(".lua")?;
    let mut body = String::new();
    parlor_load::text::write(&mut body, 1);
    std::fs::write(
        script.path(),
        format!(
            "wrk.method = \"POST\"\nwrk.headers[\"content-type\"] = \"application/json\"\nwrk.body = '{{\"content\":\"{body}\"}}'\n"
        ),
    )?;
    let output = Command::new(wrk)
        .args(["-t1", "-c32", &format!("-d{seconds}s"), "-s"])
        .arg(script.path())
        .arg(format!("{}/echo", echo.url()))
        .output()
        .with_context(|| format!("starting {}", wrk.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && !said.contains("Non-2xx"), "wrk: {said}");
    let rate = said.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    rate.with_context(|| format!("wrk gave no rate: {said}"))
}

/// Transactions a second that pgbench counts, and the server's version.
async fn pgbench_rate(pgbench: &Path, url: &str, seconds: u64) -> anyhow::Result<(f64, String)> {
    let database = Database::create(url).await?;
    let (client, connection) = tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("CREATE TABLE said (id bigserial PRIMARY KEY, content text NOT NULL)").await?;
    let version: String = client.query_one("SHOW server_version", &[]).await?.get(0);
    let version = version.split_whitespace().next().unwrap_or_default();
    let script = tempfile::NamedTempFile::new()?;
    let mut content = String::new();
    parlor_load::text::write(&mut content, 1);
    std::fs::write(script.path(), format!("INSERT INTO said (content) VALUES ('{content}');\n"))?;
    let output = Command::new(pgbench)
        .args(["-n", "-M", "prepared", "-j1", "-c", &CLIENTS.to_string(), "-T", &seconds.to_string(), "-f"])
        .arg(script.path())
        .arg(&database.url)
        .output()
        .with_context(|| format!("starting {}", pgbench.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    let rate = rate.with_context(|| format!("pgbench: {said}{}", String::from_utf8_lossy(&output.stderr)))?;
    Ok((rate, format!("PostgreSQL {version}")))
}
