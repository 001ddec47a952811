//! What was measured: on the terminal, in the documentation, and as JSON for the summary of all parts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use parlor_load::{Outcome, millis};
use serde::{Deserialize, Serialize};

use crate::Common;

/// What is to be reached, and what was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Check {
    /// Its name in the table of targets, such as `H1`.
    pub(crate) row: String,
    /// What was done.
    pub(crate) work: String,
    /// What is compared, with its unit: `of the echo`, `ms p99`.
    pub(crate) unit: String,
    /// What was measured.
    pub(crate) got: f64,
    /// What is to be reached.
    pub(crate) bound: f64,
    /// Whether it is to be reached from below (a rate), or not to be exceeded (a time).
    pub(crate) at_least: bool,
}

impl Check {
    pub(crate) fn at_least(row: &str, work: &str, unit: &str, got: f64, bound: f64) -> Self {
        Self::new(row, work, unit, got, bound, true)
    }

    pub(crate) fn at_most(row: &str, work: &str, unit: &str, got: f64, bound: f64) -> Self {
        Self::new(row, work, unit, got, bound, false)
    }

    fn new(row: &str, work: &str, unit: &str, got: f64, bound: f64, at_least: bool) -> Self {
        Self { row: row.to_owned(), work: work.to_owned(), unit: unit.to_owned(), got, bound, at_least }
    }

    /// How much of the target was reached: 1 and more is all of it.
    pub(crate) fn reached(&self) -> f64 {
        let (of, by) = if self.at_least { (self.got, self.bound) } else { (self.bound, self.got) };
        // No errors where none are allowed is all of it.
        if by == 0.0 { if of == 0.0 || !self.at_least { 1.0 } else { f64::INFINITY } } else { of / by }
    }

    fn verdict(&self) -> String {
        let reached = self.reached();
        if reached >= 1.0 {
            "met".to_owned()
        } else if self.at_least {
            format!("**missed**: {:.0} % of it", reached * 100.0)
        } else if self.bound == 0.0 {
            "**missed**".to_owned()
        } else {
            format!("**missed**: {} × it", figure(self.got / self.bound))
        }
    }

    fn line(&self) -> String {
        let sign = if self.at_least { '≥' } else { '≤' };
        let (row, work, unit) = (&self.row, &self.work, &self.unit);
        format!(
            "| {row} | {work} | {sign} {} {unit} | {} | {} |",
            figure(self.bound),
            figure(self.got),
            self.verdict()
        )
    }
}

/// A figure to three digits, more if it is a large whole one.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => grouped(value.round() as i64),
        size if size >= 10.0 => trimmed(format!("{value:.1}")),
        size if size >= 1.0 => trimmed(format!("{value:.2}")),
        _ => trimmed(format!("{value:.3}")),
    }
}

fn trimmed(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What the machine can do at all, in the same run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Requests a second of the bare echo, as wrk counts them: 1 thread, 32 connections.
    pub(crate) wrk: Option<f64>,
    /// The same, as our own tool does.
    pub(crate) own: Option<f64>,
    /// Single-row inserts a second, a commit each, 32 clients, by pgbench.
    pub(crate) pgbench: Option<f64>,
}

impl Machine {
    /// What the share is of: wrk's figure, which the targets were set against, or else our own.
    pub(crate) fn echo(&self) -> Option<f64> {
        self.wrk.or(self.own)
    }
}

/// One line of a table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) store: String,
    pub(crate) clients: usize,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) errors: u64,
    /// Processor time of the server and its database for each request.
    pub(crate) server_cpu_us_per_request: Option<f64>,
    /// Of that, the database's.
    pub(crate) database_cpu_us_per_request: Option<f64>,
    /// Processor time of the load.
    pub(crate) client_cpu_us_per_request: f64,
    /// What was wrong, with how often.
    pub(crate) wrong: Vec<String>,
}

impl Row {
    pub(crate) fn new(work: &str, store: &str, clients: usize, outcome: &Outcome, cpu: Option<Cpu>) -> Self {
        let all = outcome.all();
        let requests = (outcome.done() + outcome.failed()).max(1) as f64;
        Self {
            work: work.to_owned(),
            store: store.to_owned(),
            clients,
            per_second: outcome.per_second(),
            p50_ms: millis(&all.latencies, 0.5),
            p99_ms: millis(&all.latencies, 0.99),
            p999_ms: millis(&all.latencies, 0.999),
            errors: outcome.failed(),
            server_cpu_us_per_request: cpu.map(|cpu| (cpu.server + cpu.database) * 1e6 / requests),
            database_cpu_us_per_request: cpu.map(|cpu| cpu.database * 1e6 / requests),
            client_cpu_us_per_request: outcome.cpu_us_per_request(),
            wrong: all.errors.iter().map(|(what, count)| format!("{what} ({count} times)")).collect(),
        }
    }
}

/// Processor seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    pub(crate) server: f64,
    pub(crate) database: f64,
}

impl Cpu {
    /// What was used since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { server: self.server - before.server, database: self.database - before.database }
    }
}

/// What one part of the measurement found.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) commit: String,
    pub(crate) on: String,
    /// The command that measures it again.
    pub(crate) command: String,
    #[serde(default)]
    pub(crate) machine: Machine,
    #[serde(default)]
    pub(crate) rows: Vec<Row>,
    #[serde(default)]
    pub(crate) notes: Vec<String>,
    #[serde(default)]
    pub(crate) checks: Vec<Check>,
    /// Plots beside the page, with what they show.
    #[serde(default)]
    pub(crate) plots: Vec<(String, String)>,
}

impl Part {
    pub(crate) fn new(name: &str, common: &Common) -> anyhow::Result<Self> {
        let machine = Self::read(&common.results, "machine")?.map(|part| part.machine).unwrap_or_default();
        // Paths and addresses are this machine's.
        let command: Vec<String> = std::env::args()
            .skip(1)
            .filter(|word| !word.starts_with("postgres") && !word.contains('/'))
            .filter(|word| {
                !["--parlor", "--results", "--write", "--wrk", "--pgbench"].contains(&word.as_str())
            })
            .collect();
        Ok(Self {
            name: name.to_owned(),
            commit: commit(),
            on: on(),
            command: format!("parlor-bench {}", command.join(" ")),
            machine,
            ..Self::default()
        })
    }

    /// What a part found when it ran last.
    pub(crate) fn read(results: &Path, name: &str) -> anyhow::Result<Option<Self>> {
        let path = results.join(format!("{name}.json"));
        match std::fs::read(&path) {
            Ok(bytes) => {
                let part = serde_json::from_slice(&bytes);
                part.with_context(|| format!("{} is none of ours: remove it", path.display())).map(Some)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    pub(crate) fn add(&mut self, row: Row) {
        eprintln!(
            "{} on {}, {} clients: {:.0}/s, p99 {:.2} ms, server {:.0} µs and client {:.1} µs of processor time each{}",
            row.work,
            row.store,
            row.clients,
            row.per_second,
            row.p99_ms,
            row.server_cpu_us_per_request.unwrap_or_default(),
            row.client_cpu_us_per_request,
            if row.errors > 0 {
                format!("; {} errors: {}", row.errors, row.wrong.join(", "))
            } else {
                String::new()
            },
        );
        self.rows.push(row);
    }

    pub(crate) fn note(&mut self, note: String) {
        eprintln!("{note}");
        self.notes.push(note);
    }

    pub(crate) fn check(&mut self, check: Check) {
        eprintln!("{}", check.line());
        self.checks.push(check);
    }

    /// Checks what share of the echo a rate is, if it is known what the echo gives.
    pub(crate) fn check_share(&mut self, row: &str, work: &str, per_second: f64, bound: f64) {
        if let Some(echo) = self.machine.echo() {
            self.check(Check::at_least(row, work, "of the echo", per_second / echo, bound));
        }
    }

    /// As Markdown.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("Commit {}, {}.\n`{}`\n\n", self.commit, self.on, self.command);
        if !self.rows.is_empty() {
            text.push_str(
                "| work | store | clients | per second | of the echo | p50 ms | p99 ms | p99.9 ms | errors | server CPU µs | \
                 of that database | client CPU µs |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
            );
        }
        for row in &self.rows {
            let share =
                self.machine.echo().map_or("–".to_owned(), |echo| format!("{:.3}", row.per_second / echo));
            let micros = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.0}"));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {share} | {:.2} | {:.2} | {:.2} | {} | {} | {} | {:.1} |",
                row.work,
                row.store,
                row.clients,
                grouped(row.per_second.round() as i64),
                row.p50_ms,
                row.p99_ms,
                row.p999_ms,
                grouped(row.errors as i64),
                micros(row.server_cpu_us_per_request),
                micros(row.database_cpu_us_per_request),
                row.client_cpu_us_per_request,
            );
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        text.push_str(&table(&self.checks));
        for (file, what) in &self.plots {
            let _ = write!(text, "\n![{what}](performance/{file})\n");
        }
        text
    }

    /// Prints it, keeps it for the summary, and puts it into the page, if there is one.
    pub(crate) fn finish(&self, common: &Common) -> anyhow::Result<()> {
        println!("{}", self.render());
        std::fs::create_dir_all(&common.results)?;
        let json = serde_json::to_string_pretty(self)?;
        std::fs::write(common.results.join(format!("{}.json", self.name)), json)?;
        if let Some(page) = &common.write {
            replace(page, &self.name, &self.render())?;
        }
        Ok(())
    }

    /// Writes a plot beside the page.
    pub(crate) fn plot(&mut self, common: &Common, name: &str, what: &str, svg: &str) -> anyhow::Result<()> {
        if let Some(page) = &common.write {
            let folder = page.with_extension("");
            std::fs::create_dir_all(&folder)?;
            let file = format!("{name}.svg");
            std::fs::write(folder.join(&file), svg)?;
            self.plots.push((file, what.to_owned()));
        }
        Ok(())
    }
}

/// Targets with what became of them.
fn table(checks: &[Check]) -> String {
    if checks.is_empty() {
        return String::new();
    }
    let mut text = "\n| target | work | to reach | measured | |\n|---|---|---:|---:|---|\n".to_owned();
    for check in checks {
        let _ = writeln!(text, "{}", check.line());
    }
    text
}

/// Every target, from what the parts found when they ran last.
pub(crate) fn summarise(results: &Path, page: Option<&Path>) -> anyhow::Result<()> {
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(results).with_context(|| results.display().to_string())?.flatten() {
        let path: PathBuf = entry.path();
        if path.extension().is_some_and(|extension| extension == "json")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            parts.extend(Part::read(results, name)?);
        }
    }
    let mut checks: Vec<Check> = parts.iter().flat_map(|part| part.checks.clone()).collect();
    checks.sort_by(|a, b| order(&a.row).cmp(&order(&b.row)));
    let met = checks.iter().filter(|check| check.reached() >= 1.0).count();
    let half = checks.iter().filter(|check| check.reached() < 0.5).count();
    let mut commits: Vec<&str> = parts.iter().map(|part| part.commit.as_str()).collect();
    commits.sort_unstable();
    commits.dedup();
    let text = format!(
        "{met} of {} targets are met; {half} are below half of theirs. Commit {}, {}.\n{}",
        checks.len(),
        commits.join(", "),
        parts.first().map_or_else(on, |part| part.on.clone()),
        table(&checks)
    );
    println!("{text}");
    page.map_or(Ok(()), |page| replace(page, "summary", &text))
}

/// The kernel first, then the service over HTTP, then what grows.
fn order(row: &str) -> (usize, &str) {
    (["K", "H"].iter().position(|first| row.starts_with(first)).unwrap_or(2), row)
}

/// Of what.
pub(crate) fn commit() -> String {
    let ask = |arguments: &[&str]| {
        let out = std::process::Command::new("git").args(arguments).output();
        out.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default()
    };
    // The page itself changes while the parts run.
    let changed = ask(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"]);
    let commit = ask(&["rev-parse", "--short", "HEAD"]);
    if changed.is_empty() { commit } else { format!("{commit} with changes") }
}

/// On what.
pub(crate) fn on() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    let model = model.trim_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores ({model}), client and server on the same machine")
}

/// Puts text between the markers called `name` of a file.
pub(crate) fn replace(path: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let old = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let around = old.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) =
        around.with_context(|| format!("{} has no lines {begin} and {end}", path.display()))?;
    std::fs::write(path, format!("{before}{begin}\n{text}{end}{after}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_says_by_how_much_it_was_missed() {
        let check = |got, bound, at_least| Check::new("H1", "work", "ms", got, bound, at_least).verdict();
        assert_eq!(check(0.1, 0.1, true), "met");
        assert_eq!(check(0.05, 0.1, true), "**missed**: 50 % of it");
        assert_eq!(check(45.0, 15.0, false), "**missed**: 3 × it");
        assert_eq!(check(0.0, 0.0, false), "met");
        assert_eq!(check(2.0, 0.0, false), "**missed**");
        assert_eq!([figure(88_123.4), figure(4.0), figure(0.0512)], ["88,123", "4", "0.051"]);
    }

    #[test]
    fn a_part_of_the_page_is_replaced_and_the_rest_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let page = dir.path().join("page.md");
        std::fs::write(&page, "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n").expect("a page");
        replace(&page, "x", "new\n").expect("there are markers");
        let now = std::fs::read_to_string(&page).expect("a page");
        assert_eq!(now, "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n");
        assert!(replace(&page, "y", "").unwrap_err().to_string().contains("<!-- y: begin -->"));
    }
}
