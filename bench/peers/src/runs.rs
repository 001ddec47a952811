//! Runs the contestants one after the other, each in a process of its own on an empty database.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use parlor_contest::{Measured, Work};
use sqlx::{Connection as _, PgConnection};
use tokio::process::Command;

use crate::All;

/// Who is measured at which work, in this order: whoever is compared stands close together.
const CONTESTANTS: &[(&str, &[Work])] = &[
    ("kernel-postgres", &[Work::K1, Work::K2, Work::K4]),
    ("kernel-postgres-thread", &[Work::K2, Work::K3]),
    ("kernel-postgres-cold", &[Work::K3]),
    ("postgres-es", &[Work::K1, Work::K2, Work::K3, Work::K4]),
    ("postgres-es-snapshot", &[Work::K1, Work::K2, Work::K3]),
    ("postgres-es-aggregate", &[Work::K1, Work::K2, Work::K3]),
    ("esrs", &[Work::K1, Work::K2, Work::K3, Work::K4]),
    ("es-entity", &[Work::K1, Work::K2, Work::K3]),
    ("es-entity-snapshots", &[Work::K1, Work::K2, Work::K3]),
    ("disintegrate", &[Work::K1, Work::K2, Work::K3, Work::K4]),
    ("umadb-grpc", &[Work::K1, Work::K2]),
    ("umadb-embedded", &[Work::K1, Work::K2]),
    ("kernel-sqlite", &[Work::K1, Work::K2, Work::K4]),
    ("kernel-sqlite-thread", &[Work::K2, Work::K3]),
    ("kernel-sqlite-cold", &[Work::K3]),
    ("sqlite-es", &[Work::K1, Work::K2, Work::K3, Work::K4]),
    ("sqlite-es-snapshot", &[Work::K2, Work::K3]),
    ("sqlite-es-aggregate", &[Work::K1, Work::K2, Work::K3]),
];

/// Whoever commits each row of a replay on PostgreSQL, and so takes minutes, is given a tenth of the events.
const COMMITS_EACH_ROW: [&str; 2] = ["postgres-es", "disintegrate"];

pub(crate) async fn run(all: &All) -> anyhow::Result<Vec<Measured>> {
    let mut measured = Vec::new();
    for work in &all.works {
        for (contestant, works) in CONTESTANTS {
            let wanted = all.only.is_empty() || all.only.iter().any(|only| contestant.starts_with(&**only));
            if !works.contains(work) || !wanted {
                continue;
            }
            let found = one(all, contestant, *work)
                .await
                .with_context(|| format!("{contestant} failed at {work:?}"))?;
            for run in &found {
                eprintln!(
                    "{work:?} {contestant}, {} clients: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
                    run.clients,
                    run.per_second(),
                    run.p50_ms,
                    run.p99_ms
                );
            }
            measured.extend(found);
        }
    }
    Ok(measured)
}

async fn one(all: &All, contestant: &str, work: Work) -> anyhow::Result<Vec<Measured>> {
    let dir = tempfile::tempdir()?;
    let database = format!("peers_{}", std::process::id());
    let mut admin = PgConnection::connect(&all.postgres).await.context("PostgreSQL can't be reached")?;
    let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
    sqlx::raw_sql(&drop).execute(&mut admin).await?;
    sqlx::raw_sql(&format!("CREATE DATABASE {database}")).execute(&mut admin).await?;
    // What the run before has written isn't written back during this one.
    sqlx::raw_sql("CHECKPOINT").execute(&mut admin).await?;
    let (clients, seconds) = match work {
        Work::K1 => ("1,8,32", all.seconds),
        Work::K2 => ("32", all.hot_seconds),
        Work::K3 | Work::K4 => ("1", all.seconds),
    };
    let events = all.thousands * if COMMITS_EACH_ROW.contains(&contestant) { 100 } else { 1000 };
    let mut command = if contestant.starts_with("kernel-") {
        Command::new(&all.kernel)
    } else {
        let mut own = Command::new(std::env::current_exe()?);
        own.arg("one");
        own
    };
    let output = command
        .args([
            "--contestant",
            contestant,
            "--work",
            &format!("{work:?}").to_lowercase(),
            "--clients",
            clients,
        ])
        .args(["--seconds", &seconds.to_string(), "--events", &events.to_string()])
        .args(["--postgres", &with_database(&all.postgres, &database)?])
        .arg("--dir")
        .arg(dir.path())
        .stderr(Stdio::inherit())
        .output()
        .await?;
    sqlx::raw_sql(&drop).execute(&mut admin).await?;
    ensure!(output.status.success(), "it ended with {}", output.status);
    // Whoever else prints something doesn't begin with a brace.
    let lines = std::str::from_utf8(&output.stdout)?.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).context("a line isn't what was agreed")).collect()
}

/// The same server, another database.
fn with_database(url: &str, database: &str) -> anyhow::Result<String> {
    let (before, query) = url.split_once('?').map_or((url, None), |(before, query)| (before, Some(query)));
    let authority = before.find("://").context("PostgreSQL is named by a URL")? + 3;
    let end = before[authority..].find('/').map_or(before.len(), |at| authority + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{}/{database}{query}", &before[..end]))
}
