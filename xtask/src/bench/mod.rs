//! `cargo xtask bench`: measures everything that has a target, and writes docs/performance.md.
//!
//! What is measured is a list of [parts](parts::PARTS). Each is a command that writes what it found between markers of that page
//! and leaves it as JSON in `bench` of cargo's target folder, from which the table of all targets is made.

mod kernel;
mod parts;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use clap::builder::PossibleValuesParser;
use rustix::process::{Resource, getrlimit, setrlimit};

use self::parts::{PARTS, Part};
use crate::exec::{check_interrupted, on_path, output, run};
use crate::workspace::{cargo, root, target_dir};
use crate::{Task, debian, kafka, postgres, prove};

/// Relative to the workspace's root.
const PAGE: &str = "docs/performance.md";

/// Measure what has a target, and write docs/performance.md
///
/// Everything takes a while (--list says how long); parts can be run alone, and what the others found the last time stays on
/// the page. Figures are only worth something where nothing else runs.
#[derive(Debug, clap::Parser)]
#[command(name = "bench")]
pub struct Bench {
    /// Run these only (names as in --list); the machine itself is measured with them, for all figures are shares of what it can do
    #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "PART", value_parser = PossibleValuesParser::new(PARTS.iter().map(|part| part.name)))]
    only: Vec<String>,
    /// Short loads and a small growth: to see that everything works, and roughly where it stands
    #[arg(long)]
    quick: bool,
    /// Don't measure the machine again: the figures are shares of what it could do the last time
    #[arg(long, requires = "only")]
    same_machine: bool,
    /// List them and run none
    #[arg(long)]
    list: bool,
}

/// What the parts' commands are told.
pub(super) struct Settings {
    /// Whether everything is to be short.
    pub(super) quick: bool,
    /// Where each part leaves what it found, as `PART.json`.
    pub(super) results: PathBuf,
    /// The page with the markers.
    pub(super) page: PathBuf,
    /// Cargo's target folder, with `release/parlor` and `release/parlor-bench`.
    pub(super) target: PathBuf,
    /// A PostgreSQL server on which databases may be made; none if no part asks for it.
    pub(super) postgres: Option<String>,
    /// A Kafka broker, for what several processes need; none if no part asks for it.
    pub(super) kafka: Option<String>,
    pub(super) wrk: PathBuf,
    pub(super) pgbench: Option<PathBuf>,
}

/// What docs/operations.md tells operators to set: PostgreSQL's own settings suit a machine with half a gigabyte.
const POSTGRES: &[&str] = &["shared_buffers=2GB", "max_wal_size=8GB", "checkpoint_timeout=15min"];

impl Task for Bench {
    fn run(self) -> Result<ExitCode> {
        if self.list {
            list();
            return Ok(ExitCode::SUCCESS);
        }
        check_markers(&fs::read_to_string(root().join(PAGE)).context(PAGE)?)?;
        let wanted: Vec<&Part> = PARTS.iter().filter(|part| self.wants(part)).collect();
        let wrk = find_or_install_wrk()?;
        allow_many_files();
        let mut build = cargo();
        run(build.args(["build", "--release", "--package", "parlor", "--package", "parlor-bench"]))?;
        if wanted.iter().any(|part| part.name == parts::KERNEL) {
            kernel::build()?;
        }
        let server = if wanted.iter().any(|part| part.on_postgres) {
            Some(postgres::Throwaway::start_with(POSTGRES)?)
        } else {
            None
        };
        let broker =
            if wanted.iter().any(|part| part.says) { Some(kafka::Throwaway::start()?) } else { None };
        let target = target_dir();
        let settings = Settings {
            quick: self.quick,
            // What a quick run finds is no figure for the page.
            results: if self.quick { target.join("bench") } else { root().join(PAGE).with_extension("") },
            page: root().join(PAGE),
            target,
            postgres: server.as_ref().map(|server| server.url().to_owned()),
            kafka: broker.as_ref().map(|broker| broker.address().clone()),
            wrk,
            pgbench: server.as_ref().map(|server| server.program("pgbench")),
        };
        fs::create_dir_all(&settings.results)?;
        let mut failed = Vec::new();
        for part in wanted {
            check_interrupted()?;
            println!("\n== {}: {}", part.name, part.about);
            let began = Instant::now();
            // One that fails takes none of the others' figures away.
            if let Err(error) = measure(part, &settings) {
                check_interrupted()?;
                eprintln!("error: {error:#}");
                failed.push(part.name);
            }
            println!("== {} took {} s", part.name, began.elapsed().as_secs());
        }
        run(parts::bench(&settings, "summary").arg("--write").arg(&settings.page))?;
        if failed.is_empty() {
            println!("\n{PAGE} is written");
            return Ok(ExitCode::SUCCESS);
        }
        println!("\n{PAGE} is written; NOT all parts ran to their end: {}", failed.join(", "));
        Ok(ExitCode::FAILURE)
    }
}

impl Bench {
    fn wants(&self, part: &Part) -> bool {
        if part.name == parts::MACHINE {
            return !self.same_machine;
        }
        if self.only.is_empty() { !part.only_named } else { self.only.iter().any(|name| name == part.name) }
    }
}

fn measure(part: &Part, settings: &Settings) -> Result<()> {
    let mut command = (part.command)(settings);
    if !part.says {
        return run(&mut command);
    }
    println!("this says nothing before its end");
    command.env(kafka::NODE_VARIABLE, env::current_exe()?);
    let said = output(&mut command)?;
    let figures: Vec<&str> = said.lines().filter_map(prove::figure).collect();
    ensure!(!figures.is_empty(), "{} gave no figures:\n{said}", part.name);
    let about = format!("`cargo xtask bench --only {}`\n\n```text\n{}\n```\n", part.name, figures.join("\n"));
    println!("{about}");
    let page = fs::read_to_string(&settings.page)?;
    fs::write(&settings.page, between(&page, part.markers[0], &about)?)?;
    Ok(())
}

/// The page with this text between the markers of that name.
fn between(page: &str, marker: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {marker}: begin -->"), format!("<!-- {marker}: end -->"));
    let around = page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) = around.with_context(|| format!("{PAGE} has no lines {begin} and {end}"))?;
    Ok(format!("{before}{begin}\n{text}{end}{after}"))
}

fn list() {
    println!("{:<16} {:>8} {:>8}  what", "part", "minutes", "--quick");
    for part in PARTS {
        let when = if part.only_named { " (only if named)" } else { "" };
        println!("{:<16} {:>8} {:>8}  {}{when}", part.name, part.minutes.0, part.minutes.1, part.about);
    }
    let sum = |minutes: fn(&Part) -> f64| -> f64 {
        PARTS.iter().filter(|part| !part.only_named).map(minutes).sum()
    };
    println!("{:<16} {:>8} {:>8}", "all", sum(|part| part.minutes.0), sum(|part| part.minutes.1));
}

/// wrk, the load generator that the targets were set against.
fn find_or_install_wrk() -> Result<PathBuf> {
    let find = || on_path("wrk").map(|folder| folder.join("wrk"));
    if find().is_none() {
        let otherwise = "wrk is needed and was not found on PATH.\n\
                         Debian, Ubuntu: apt-get install wrk · Fedora: dnf install wrk · macOS: brew install wrk";
        debian::install("wrk", "wrk", &[], otherwise)?;
    }
    find().context("Debian's wrk brought no wrk")
}

/// Five thousand sockets are ten thousand open files, half of them the server's, which inherits the limit.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Who may not is told by the part that needs them.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Fails unless the page has the markers of every part, so that hours of measuring don't end with nowhere to write to.
fn check_markers(page: &str) -> Result<()> {
    for part in PARTS {
        for marker in part.markers {
            for line in [format!("<!-- {marker}: begin -->"), format!("<!-- {marker}: end -->")] {
                ensure!(page.contains(&line), "{PAGE} has no line {line}, where {} writes", part.name);
            }
        }
    }
    Ok(())
}

/// A command that is run in the workspace's root.
pub(super) fn in_root(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_place_for_what_every_part_finds() {
        let page = fs::read_to_string(root().join(PAGE)).unwrap();
        check_markers(&page).unwrap();
        assert!(check_markers("").is_err());
    }

    #[test]
    fn a_part_alone_brings_the_machine_unless_it_is_the_same() {
        let wants = |arguments: &[&str]| {
            let bench = <Bench as clap::Parser>::parse_from([&["bench"], arguments].concat());
            PARTS.iter().filter(|part| bench.wants(part)).map(|part| part.name).collect::<Vec<_>>()
        };
        assert_eq!(wants(&["--only", "live"]), ["machine", "live"]);
        assert_eq!(wants(&["--only", "live", "--same-machine"]), ["live"]);
        assert!(!wants(&[]).contains(&"growth-10m") && wants(&[]).contains(&"live"));
    }
}
