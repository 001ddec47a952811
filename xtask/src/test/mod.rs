//! `cargo xtask test`: every check that a change must pass, on a developer's machine and in CI.

mod cargo;
mod cluster;
mod deny;
mod failures;
mod package;
mod web;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::Parser;
use clap::builder::PossibleValuesParser;

use self::failures::Failures;
use crate::{Task, exec};

/// Run every check: format, lints, dependencies, documentation, tests, packaging
///
/// The checks run one after the other, a failed one stopping none of the others. What they need is started or installed
/// first: a PostgreSQL server and a Kafka broker that live as long as the tests (`PARLOR_TEST_POSTGRES_URL` and
/// `PARLOR_TEST_KAFKA` name others to use instead), and cargo-deny. CI runs exactly this.
#[derive(Parser)]
#[command(name = "test")]
pub struct Test {
    /// Run these steps only, in their usual order
    #[arg(long, value_name = "STEP", num_args = 1.., value_delimiter = ',', value_parser = names())]
    only: Vec<String>,

    /// List the steps and run none
    #[arg(long)]
    list: bool,
}

/// The steps, in the order in which they run: the quick ones that fail most often first.
const STEPS: &[Step] = &[
    Step { name: "fmt", about: "the code is formatted", run: cargo::fmt },
    Step { name: "clippy", about: "no lint complains", run: cargo::clippy },
    Step { name: "deny", about: "dependencies' licences, sources and advisories", run: deny::deny },
    Step { name: "docs", about: "the documentation builds, no link is broken", run: cargo::docs },
    Step { name: "tests", about: "every test, on SQLite, PostgreSQL and Kafka", run: cargo::tests },
    Step {
        name: "cluster",
        about: "a process per service: what dies, and what comes of it",
        run: cluster::cluster,
    },
    Step { name: "web", about: "the web client, in Chromium, and the TypeScript client", run: web::web },
    Step {
        name: "package",
        about: "the kernel's crates can be published and used, with their examples",
        run: package::package,
    },
];

/// Steps that take long and run only where they are named.
const ON_REQUEST: &[Step] = &[Step {
    name: "cluster-e2e",
    about: "every end-to-end test once more, on a process per service",
    run: cluster::end_to_end,
}];

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<Passed>,
}

/// A step that passed, and what whoever reads the summary should know of it.
#[derive(Default)]
struct Passed {
    note: Option<String>,
}

enum Outcome {
    Passed(Option<String>),
    Failed(String),
    NotRun,
}

impl Task for Test {
    fn run(self) -> Result<ExitCode> {
        if self.list {
            for step in STEPS {
                println!("{:<11} {}", step.name, step.about);
            }
            for step in ON_REQUEST {
                println!("{:<11} {} (only where named)", step.name, step.about);
            }
            return Ok(ExitCode::SUCCESS);
        }

        let mut report = Vec::new();
        for step in self.wanted() {
            let began = Instant::now();
            let outcome = step.attempt();
            report.push((step.name, began.elapsed(), outcome));
        }
        Ok(summarise(&report))
    }
}

impl Test {
    fn wanted(&self) -> Vec<&'static Step> {
        let named = |step: &&Step| self.only.iter().any(|name| name == step.name);
        if self.only.is_empty() {
            return STEPS.iter().collect();
        }
        STEPS.iter().chain(ON_REQUEST).filter(named).collect()
    }
}

impl Step {
    fn attempt(&self) -> Outcome {
        if exec::check_interrupted().is_err() {
            return Outcome::NotRun;
        }
        println!("\n== {}: {}", self.name, self.about);
        match (self.run)() {
            Ok(passed) => Outcome::Passed(passed.note),
            Err(error) => {
                println!("{} failed: {error:#}", self.name);
                Outcome::Failed(format!("{error:#}"))
            }
        }
    }
}

/// Runs tests; if they fail, the error's lines after the first are what they said of it.
fn run_tests(command: &mut Command) -> Result<()> {
    let mut failures = Failures::default();
    let result = exec::run_reading(command, |line| failures.take(line));
    result.map_err(|error| match failures.told() {
        told if told.is_empty() => error,
        told => anyhow!("{error:#}\n{told}"),
    })
}

/// Prints what became of each step, then the closing line that CI reads, and gives the process's exit code.
fn summarise(report: &[(&str, Duration, Outcome)]) -> ExitCode {
    println!();
    for (name, took, outcome) in report {
        let (word, remark) = match outcome {
            Outcome::Passed(note) => ("passed", note.as_deref()),
            Outcome::Failed(error) => ("FAILED", error.lines().next()),
            Outcome::NotRun => ("not run", None),
        };
        let line =
            format!("{name:<11} {word:<7} {:>7.1} s  {}", took.as_secs_f64(), remark.unwrap_or_default());
        println!("{}", line.trim_end());
    }
    for (name, _, outcome) in report {
        if let Outcome::Failed(error) = outcome
            && let Some((_, more)) = error.split_once('\n')
        {
            println!("\n{name}, what failed:\n{more}");
        }
    }
    println!("\n{}", closing_line(report));
    let all_passed = report.iter().all(|(_, _, outcome)| matches!(outcome, Outcome::Passed(_)));
    match exec::check_interrupted() {
        Err(exec::Interrupted) => ExitCode::from(exec::INTERRUPTED_CODE),
        Ok(()) if all_passed => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
    }
}

fn closing_line(report: &[(&str, Duration, Outcome)]) -> String {
    let count =
        |wanted: fn(&Outcome) -> bool| report.iter().filter(|(_, _, outcome)| wanted(outcome)).count();
    let passed = count(|outcome| matches!(outcome, Outcome::Passed(_)));
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    match count(|outcome| matches!(outcome, Outcome::NotRun)) {
        0 => format!("{passed} passed, {failed} failed"),
        not_run => format!("{passed} passed, {failed} failed, {not_run} skipped"),
    }
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(STEPS.iter().chain(ON_REQUEST).map(|step| step.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_name_and_all_run_when_none_is_named() {
        let chosen = |arguments: &[&str]| {
            let test = Test::try_parse_from(arguments).unwrap();
            test.wanted().iter().map(|step| step.name).collect::<Vec<_>>()
        };
        assert_eq!(chosen(&["test", "--only", "tests", "fmt"]), ["fmt", "tests"]);
        assert_eq!(chosen(&["test", "--only", "tests,fmt"]), ["fmt", "tests"]);
        assert_eq!(chosen(&["test"]).len(), STEPS.len());
        assert!(Test::try_parse_from(["test", "--only", "unheard-of"]).is_err());
    }

    #[test]
    fn the_closing_line_counts_each_outcome() {
        let step = |outcome| ("step", Duration::ZERO, outcome);
        let mut report = vec![
            step(Outcome::Passed(None)),
            step(Outcome::Failed("broken".into())),
            step(Outcome::Passed(Some("a note".into()))),
        ];
        assert_eq!(closing_line(&report), "2 passed, 1 failed");
        report.push(step(Outcome::NotRun));
        assert_eq!(closing_line(&report), "2 passed, 1 failed, 1 skipped");
    }
}
