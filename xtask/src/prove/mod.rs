//! `cargo xtask prove`: the long forms of tests whose short forms `cargo xtask test` runs, and their figures.

mod proofs;
mod report;

use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::builder::PossibleValuesParser;

use crate::exec::check_interrupted;
use crate::workspace::cargo;
use crate::{Task, kafka, postgres};

use self::proofs::{PROOFS, Proof, Where};

/// Run the long proofs, and write their figures into docs/proof.md
///
/// They are the tests of `cargo xtask test`, optimised and many times as long, with real PostgreSQL and Kafka. All of them
/// take hours; each can be run alone. Figures are only worth something where nothing else runs.
#[derive(Debug, clap::Parser)]
#[command(name = "prove")]
pub struct Prove {
    /// Run these only (names as in --list); what the others found the last time stays in the report
    #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "PROOF", value_parser = PossibleValuesParser::new(PROOFS.iter().map(|proof| proof.name)))]
    only: Vec<String>,
    /// List them and run none
    #[arg(long)]
    list: bool,
}

/// What became of a proof.
struct Found {
    holds: bool,
    took: Duration,
    /// What the test printed of itself: figures, seeds.
    said: Vec<String>,
}

impl Task for Prove {
    fn run(self) -> Result<ExitCode> {
        if self.list {
            for proof in PROOFS {
                println!("{:<18} {} ({})", proof.name, proof.about, proof.takes);
            }
            return Ok(ExitCode::SUCCESS);
        }
        let wanted = |proof: &&Proof| self.only.is_empty() || self.only.iter().any(|name| name == proof.name);
        let server = postgres::Throwaway::start()?;
        let broker = kafka::Throwaway::start()?;
        let mut report = report::Report::read()?;
        let mut all_hold = true;
        for proof in PROOFS.iter().filter(wanted) {
            check_interrupted()?;
            println!("\n== {}: {}", proof.name, proof.about);
            let found = prove(proof, server.url(), &broker.address())?;
            all_hold &= found.holds;
            report.add(proof, &found);
            // At once: hours of others needn't be lost with one that is interrupted.
            report.write()?;
        }
        println!(
            "\n{} {}",
            report::PATH,
            if all_hold { "is written; all hold" } else { "is written; NOT all hold" }
        );
        Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn prove(proof: &Proof, postgres_url: &str, broker: &str) -> Result<Found> {
    let mut tests = command(proof);
    tests
        .env(postgres::URL_VARIABLE, postgres_url)
        .env(kafka::BROKER_VARIABLE, broker)
        .env(kafka::NODE_VARIABLE, env::current_exe()?);
    if proof.runs == Where::Cluster {
        tests.env("PARLOR_TEST_TARGET", "cluster");
    }
    println!("$ {}", proof.line());
    let began = Instant::now();
    let mut child =
        tests.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cargo can't be started")?;
    let lines = BufReader::new(child.stdout.take().context("cargo's output")?).lines();
    let (mut said, mut ran) = (Vec::new(), 0);
    for line in lines {
        let line = line?;
        println!("{line}");
        if let Some(counts) = line.strip_prefix("test result: ") {
            ran += counts
                .split_once(". ")
                .and_then(|(_, counts)| counts.split(' ').next()?.parse().ok())
                .unwrap_or(0);
        } else if let Some(figure) = figure(&line) {
            said.push(figure.to_owned());
        }
    }
    let holds = child.wait()?.success();
    ensure!(ran > 0 || !holds, "`{}` ran no test: its name must have changed", proof.line());
    Ok(Found { holds, took: began.elapsed(), said })
}

/// What a test says of itself, among what the harness says.
pub fn figure(line: &str) -> Option<&str> {
    // The harness writes a test's name and its first words into one line.
    let line = line.split_once(" ... ").map_or(line, |(_, said)| said).trim();
    let harness = ["running ", "test ", "ok", "FAILED", "failures:", "thread ", "stack backtrace", "note: "];
    // With `--quiet` a test that passed is a point.
    let nothing = line.trim_matches('.').is_empty();
    (!nothing && !harness.iter().any(|start| line.starts_with(start))).then_some(line)
}

fn command(proof: &Proof) -> Command {
    let mut tests = cargo();
    tests.args(["test", "--release", "--quiet", "--package", proof.package, "--test", proof.target, "--"]);
    tests.args(["--include-ignored", "--nocapture", "--test-threads=1", "--exact", proof.test]);
    tests.envs(proof.settings.iter().copied());
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_test_says_is_told_from_what_the_harness_says() {
        for (line, said) in [
            ("test a::b ... 10 kills, ready after 2 s", Some("10 kills, ready after 2 s")),
            ("3,000 messages, p99 4 ms", Some("3,000 messages, p99 4 ms")),
            ("test a::b ... ok", None),
            ("running 1 test", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(figure(line), said, "{line}");
        }
    }
}
