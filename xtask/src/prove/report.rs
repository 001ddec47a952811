//! docs/proof.md: a section for each proof, of which those that ran are written anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::{fs, thread};

use anyhow::{Context as _, Result};

use super::Found;
use super::proofs::{PROOFS, Proof};
use crate::exec::output;
use crate::workspace::root;

/// Relative to the workspace's root.
pub(super) const PATH: &str = "docs/proof.md";

const PREFACE: &str = "\
# What was proven

Long forms of tests, each with what it said of itself when it last ran. `cargo xtask prove` runs all of them and writes this page;
the line above each result runs that one alone. Their short forms are part of `cargo xtask test`. Everything runs on one machine:
clients, Parlor, PostgreSQL and Kafka.
";

/// The report, section by section.
pub(super) struct Report {
    sections: BTreeMap<String, String>,
}

impl Report {
    /// As it was left.
    pub(super) fn read() -> Result<Self> {
        let path = root().join(PATH);
        let text = if path.exists() { fs::read_to_string(&path).context(PATH)? } else { String::new() };
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let sections = text.split("\n## ").skip(1).filter_map(|section| {
            let (name, body) = section.split_once('\n')?;
            Some((name.to_owned(), body.to_owned()))
        });
        Self { sections: sections.collect() }
    }

    /// What a proof found, in place of what it found before.
    pub(super) fn add(&mut self, proof: &Proof, found: &Found) {
        let mut body = format!("\n{}.\n\n```text\n$ {}\n", upper(proof.about), proof.line());
        for line in &found.said {
            let _ = writeln!(body, "{line}");
        }
        let word = if found.holds { "Holds" } else { "DOES NOT HOLD" };
        let _ = write!(body, "```\n\n{word}, after {} s; {}.\n", found.took.as_secs(), circumstances());
        self.sections.insert(proof.name.to_owned(), body);
    }

    pub(super) fn write(&self) -> Result<()> {
        fs::write(root().join(PATH), self.render()).context(PATH)
    }

    fn render(&self) -> String {
        let mut text = PREFACE.to_owned();
        // A proof that there is no more says nothing any more.
        for proof in PROOFS {
            if let Some(body) = self.sections.get(proof.name) {
                let _ = write!(text, "\n## {}\n{}\n", proof.name, body.trim_end());
            }
        }
        text
    }
}

/// The commit and the machine.
fn circumstances() -> String {
    let commit = output(Command::new("git").current_dir(root()).args(["rev-parse", "--short", "HEAD"]));
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!(
        "commit {}, {cores} cores ({})",
        commit.as_deref().unwrap_or("unknown"),
        model.map_or("unknown", |(_, model)| model)
    )
}

fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_proof_s_section_is_written_anew_and_the_others_stay() {
        let [first, second] = [&PROOFS[0], &PROOFS[1]];
        let found =
            |said: &str| Found { holds: true, took: Duration::from_secs(3), said: vec![said.to_owned()] };
        let mut report = Report::parse("");
        report.add(second, &found("one kill"));
        report.add(first, &found("two kills"));
        let mut again = Report::parse(&report.render());
        assert_eq!(again.render(), report.render());
        again.add(first, &found("three kills"));
        let text = again.render();
        assert!(
            text.contains("one kill") && text.contains("three kills") && !text.contains("two kills"),
            "{text}"
        );
        assert!(text.find(first.name) < text.find(second.name), "{text}");
    }
}
