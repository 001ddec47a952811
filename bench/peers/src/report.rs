//! The tables, and everything measured as JSON.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use parlor_contest::{Measured, Work};
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};

use crate::All;
use crate::goals::{Figure, GOALS, Goal};

const BEGIN: &str = "<!-- peers: begin -->";
const END: &str = "<!-- peers: end -->";

/// The peers whose versions are told, as the lock file names them.
const PEERS: &[&str] = &[
    "cqrs-es",
    "postgres-es",
    "sqlite-es",
    "esrs",
    "es-entity",
    "disintegrate",
    "disintegrate-postgres",
    "umadb-server",
    "sqlx",
];

/// Everything measured, in the form that `parlor-bench summary` takes targets from.
#[derive(Serialize)]
struct Report<'a> {
    name: &'static str,
    commit: String,
    on: String,
    command: &'static str,
    checks: Vec<Check>,
    postgresql: String,
    peers: Vec<String>,
    seconds: u64,
    hot_seconds: u64,
    runs: &'a [Measured],
}

#[derive(Serialize)]
struct Check {
    row: String,
    work: &'static str,
    unit: &'static str,
    got: f64,
    bound: f64,
    at_least: bool,
}

impl Check {
    fn of(goal: &Goal, runs: &[Measured]) -> Option<Self> {
        Some(Self {
            row: format!("{:?}", goal.work),
            work: goal.what,
            unit: if matches!(goal.figure, Figure::Steady) { "of the first" } else { "× the best peer" },
            got: goal.reached(runs)?.ratio,
            bound: goal.reach,
            at_least: !goal.less_is_better(),
        })
    }
}

/// Prints the tables, or puts them where they were asked for.
pub(crate) async fn write(all: &All, runs: &[Measured]) -> anyhow::Result<()> {
    let report = Report {
        name: "kernel",
        commit: commit(),
        on: machine(),
        command: "cargo xtask bench --only kernel",
        checks: GOALS.iter().filter_map(|goal| Check::of(goal, runs)).collect(),
        postgresql: postgresql(&all.postgres).await?,
        peers: versions(),
        seconds: all.seconds,
        hot_seconds: all.hot_seconds,
        runs,
    };
    if let Some(file) = &all.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| format!("can't write {}", file.display()))?;
    }
    let text = text(&report)?;
    if let Some(file) = &all.write {
        return put(file, &text);
    }
    println!("{text}");
    Ok(())
}

fn text(report: &Report<'_>) -> anyhow::Result<String> {
    let mut out = String::new();
    writeln!(out, "Commit {}, {}, PostgreSQL {}.", report.commit, report.on, report.postgresql)?;
    writeln!(out, "{}.", report.peers.join(", "))?;
    writeln!(out, "{} s a run, {} s with one conversation.\n", report.seconds, report.hot_seconds)?;
    for work in [Work::K1, Work::K2, Work::K3, Work::K4] {
        let runs: Vec<_> = report.runs.iter().filter(|run| run.work == work).collect();
        if runs.is_empty() {
            continue;
        }
        writeln!(out, "{}\n", title(work))?;
        goals(&mut out, work, report.runs)?;
        table(&mut out, work, &runs)?;
    }
    Ok(out)
}

fn title(work: Work) -> &'static str {
    match work {
        Work::K1 => "**K1**, append to 1,000 conversations:",
        Work::K2 => "**K2**, one hot conversation, 32 clients:",
        Work::K3 => "**K3**, append to a conversation with 10,000 events, one client:",
        Work::K4 => "**K4**, replay a log into a table:",
    }
}

fn goals(out: &mut String, work: Work, runs: &[Measured]) -> anyhow::Result<()> {
    writeln!(out, "| to reach | kernel | best peer | ratio | goal | met |\n|---|---:|---:|---:|---:|---|")?;
    for goal in GOALS.iter().filter(|goal| goal.work == work) {
        let Some(reached) = goal.reached(runs) else { continue };
        let (peer, best) = &reached.best;
        writeln!(
            out,
            "| {} | {} | {} ({peer}) | {:.2} | {} {} | {} |",
            goal.what,
            figure(goal, reached.kernel),
            figure(goal, *best),
            reached.ratio,
            if goal.less_is_better() { "≤" } else { "≥" },
            goal.reach,
            if reached.met { "yes" } else { "**no**" }
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn figure(goal: &Goal, value: f64) -> String {
    match goal.figure {
        Figure::Rate | Figure::Steady => format!("{value:.0}/s"),
        Figure::P99 | Figure::P50 => format!("{value:.2} ms"),
    }
}

fn table(out: &mut String, work: Work, runs: &[&Measured]) -> anyhow::Result<()> {
    if work == Work::K4 {
        writeln!(out, "| contestant | events | seconds | per second |\n|---|---:|---:|---:|")?;
        for run in runs {
            let (name, seconds) = (&run.contestant, run.seconds);
            writeln!(out, "| {name} | {} | {seconds:.1} | {:.0} |", run.operations, run.per_second())?;
        }
    } else {
        writeln!(
            out,
            "| contestant | clients | per second | p50 ms | p99 ms | first second | last second | tried again | CPU µs |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|"
        )?;
        for run in runs {
            writeln!(
                out,
                "| {} | {} | {:.0} | {:.2} | {:.2} | {} | {} | {} | {:.0} |",
                run.contestant,
                run.clients,
                run.per_second(),
                run.p50_ms,
                run.p99_ms,
                run.first_second,
                run.last_second,
                run.conflicts,
                run.cpu_seconds * 1e6 / run.operations.max(1) as f64
            )?;
        }
    }
    writeln!(out)?;
    Ok(())
}

fn put(file: &Path, text: &str) -> anyhow::Result<()> {
    let name = file.display();
    let whole = std::fs::read_to_string(file).with_context(|| format!("can't read {name}"))?;
    let parts = whole.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.with_context(|| format!("{name} has no lines {BEGIN} and {END}"))?;
    let whole = format!("{before}{BEGIN}\n{}\n{END}{after}", text.trim_end());
    std::fs::write(file, whole).with_context(|| format!("can't write {name}"))
}

fn commit() -> String {
    let git = Command::new("git").args(["describe", "--always", "--dirty", "--exclude", "*"]).output();
    let said = git.ok().filter(|output| output.status.success());
    said.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    format!("{cores} cores ({model}), clients and database on the same machine")
}

async fn postgresql(url: &str) -> anyhow::Result<String> {
    let mut connection = PgConnection::connect(url).await?;
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await?;
    Ok(version.split(' ').next().unwrap_or_default().to_owned())
}

/// From the lock file that this was built with.
fn versions() -> Vec<String> {
    let lock = include_str!("../Cargo.lock");
    let version = |name: &&str| {
        let entry = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?.1;
        Some(format!("{name} {}", entry.split('"').next()?))
    };
    PEERS.iter().filter_map(version).collect()
}
