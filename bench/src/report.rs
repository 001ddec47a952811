//! The table, on the terminal and in the documentation.

use std::fmt::Write as _;
use std::path::Path;

use crate::Http;

/// One line of the table.
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) store: String,
    pub(crate) clients: usize,
    pub(crate) per_second: f64,
    pub(crate) share: Option<f64>,
    /// Microseconds.
    pub(crate) p50: u64,
    /// Microseconds.
    pub(crate) p99: u64,
    pub(crate) errors: u64,
}

/// What was measured.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// On what, and of what: the machine and the commit.
pub(crate) fn header() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    let model = model.trim_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let commit = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let commit = commit.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default();
    format!("Commit {commit}, {cores} cores ({model}), client and server on the same machine.\n\n")
}

impl Report {
    pub(crate) fn add(&mut self, row: Row) {
        eprintln!("{} on {}, {} clients: {:.0}/s", row.work, row.store, row.clients, row.per_second);
        self.rows.push(row);
    }

    pub(crate) fn note(&mut self, note: String) {
        eprintln!("{note}");
        self.notes.push(note);
    }

    /// The report as Markdown.
    pub(crate) fn render(&self, options: &Http) -> String {
        let mut text = header();
        let _ = writeln!(text, "{} s a run.\n", options.seconds);
        text.push_str(
            "| work | store | clients | per second | share of the echo | p50 ms | p99 ms | errors |\n",
        );
        text.push_str("|---|---|---:|---:|---:|---:|---:|---:|\n");
        for row in &self.rows {
            let share = row.share.map_or_else(|| "1".to_owned(), |share| format!("{share:.3}"));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.0} | {share} | {:.2} | {:.2} | {} |",
                row.work,
                row.store,
                row.clients,
                row.per_second,
                row.p50 as f64 / 1000.0,
                row.p99 as f64 / 1000.0,
                row.errors
            );
        }
        text.push('\n');
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        text
    }

    /// Puts a report between the markers called `name` of a file.
    pub(crate) fn write(path: &Path, name: &str, text: &str) -> anyhow::Result<()> {
        let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
        let old = std::fs::read_to_string(path)?;
        let (before, rest) = old
            .split_once(&begin)
            .ok_or_else(|| anyhow::anyhow!("{} has no line {begin}", path.display()))?;
        let (_, after) =
            rest.split_once(&end).ok_or_else(|| anyhow::anyhow!("{} has no line {end}", path.display()))?;
        std::fs::write(path, format!("{before}{begin}\n{text}{end}{after}"))?;
        Ok(())
    }
}
