//! Operators' commands as they are seen: what is printed, and how they end.

use std::fmt::Write as _;
use std::process::ExitCode;

use indicatif::ProgressBar;

use super::{Answer, HandlerLine, ParkedLine, Progress, ServiceKeyLine, Task, client, offline};
use crate::bars;
use crate::config::Config;

/// Carries out a task, by the instance that runs on the data folder or, where none does, on the data themselves; gives
/// what to print, and how the process ends.
pub async fn run(config: &Config, task: Task) -> anyhow::Result<(String, ExitCode)> {
    let bar = Bar::default();
    let told = task.clone();
    let answer = match client::connect(&config.data_dir).await? {
        Some(stream) => client::ask(stream, &task, |progress| bar.show(progress)).await?,
        None if task == Task::Health => {
            anyhow::bail!("no Parlor runs on the data folder {}", config.data_dir.display())
        }
        None if !config.data_dir.exists() => {
            anyhow::bail!("there is no data folder {}; name it with --data-dir", config.data_dir.display())
        }
        None => offline::ask(config, task, |progress| bar.show(progress)).await?,
    };
    bar.end();
    Ok(text(&told, &answer))
}

fn text(task: &Task, answer: &Answer) -> (String, ExitCode) {
    let well = ExitCode::SUCCESS;
    match (task, answer) {
        (Task::Promote { email }, Answer::User(id)) => (
            format!(
                "{email} ({id}) is an administrator, from the next token on: within five minutes, or after signing in anew.\n"
            ),
            well,
        ),
        (_, Answer::User(id)) => (format!("{id} is an ordinary user, from the next token on.\n"), well),
        (_, Answer::Key { id, key }) => (
            format!(
                "{key}\n\nThis key is shown once and kept nowhere: store it now. To revoke it: parlor service-key revoke {id}\n"
            ),
            well,
        ),
        (_, Answer::Keys(keys)) => (keys_table(keys), well),
        (Task::RebuildView { name }, Answer::Done) => {
            (format!("The view {name} was made anew and is live.\n"), well)
        }
        (Task::RebuildView { name }, Answer::BeginsAnew) => {
            (format!("The reactor {name} begins anew, once it runs.\n"), well)
        }
        (_, Answer::BeginsAnew) => ("It begins anew.\n".to_owned(), well),
        (Task::RevokeServiceKey { id }, Answer::Done) => (format!("The key {id} is out of force.\n"), well),
        (Task::RetryParked { id }, Answer::Done) => (
            format!(
                "{id} is tried again within a second or two, and then what waits behind it. To see what came of it: parlor parked list\n"
            ),
            well,
        ),
        (Task::DropParked { id }, Answer::Done) => {
            (format!("{id} is given up; what waited behind it is tried now.\n"), well)
        }
        (_, Answer::Parked(lines)) => (parked_table(lines), well),
        (_, Answer::Done) => ("Done.\n".to_owned(), well),
        (_, Answer::Handlers(lines)) => (handlers_table(lines), well),
        (_, Answer::Health(readiness)) => {
            let mut text = format!("{}\n", readiness.status);
            for missing in &readiness.missing {
                let _ = writeln!(text, "  {missing}");
            }
            for trouble in &readiness.kafka {
                let _ = writeln!(text, "  {trouble}");
            }
            for standing in &readiness.standing {
                let _ = writeln!(
                    text,
                    "  {} of {} stands still at {} of {} ({})",
                    standing.handler, standing.service, standing.position, standing.head, standing.source
                );
            }
            (text, if readiness.missing.is_empty() { well } else { ExitCode::FAILURE })
        }
    }
}

fn keys_table(keys: &[ServiceKeyLine]) -> String {
    if keys.is_empty() {
        return "There are no service keys. Make one with parlor service-key create NAME\n".to_owned();
    }
    let rows = keys.iter().map(|key| {
        let state = if key.revoked { "revoked" } else { "in force" };
        [key.id.to_string(), key.name.clone(), key.created_at.clone(), state.to_owned()]
    });
    table(["ID", "NAME", "MADE", "STATE"], rows)
}

fn parked_table(lines: &[ParkedLine]) -> String {
    if lines.is_empty() {
        return "Nothing is parked.\n".to_owned();
    }
    let rows = lines.iter().map(|line| {
        let by = line.reactor.clone().unwrap_or_else(|| "(no event)".to_owned());
        let reason =
            if line.retry { format!("to be tried again: {}", line.reason) } else { line.reason.clone() };
        // It may quote what somebody else wrote.
        let plain =
            |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
        [
            line.id.clone(),
            by,
            plain(&line.source),
            line.position.to_string(),
            plain(&line.name),
            plain(&reason),
        ]
    });
    table(["ID", "REACTOR", "FROM", "AT", "WHAT", "WHY"], rows)
}

fn handlers_table(lines: &[HandlerLine]) -> String {
    let rows = lines.iter().map(|line| {
        let state = match (&line.error, line.position) {
            (Some(error), _) => format!("stands still: {error}"),
            (None, None) => "-".to_owned(),
            (None, Some(position)) if position >= line.head => "up to date".to_owned(),
            (None, Some(position)) => format!("{} behind", line.head - position),
        };
        let position = line.position.map_or_else(|| "-".to_owned(), |position| position.to_string());
        let (name, service, source) = (line.name.clone(), line.service.clone(), line.source.clone());
        [name, line.kind.clone(), service, source, position, line.head.to_string(), state]
    });
    table(["NAME", "KIND", "SERVICE", "FOLLOWS", "AT", "OF", "STATE"], rows)
}

/// Columns as wide as their widest entry.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// A progress bar, shown from the first report on; none where standard error isn't a terminal.
#[derive(Default)]
struct Bar(std::sync::OnceLock<ProgressBar>);

impl Bar {
    fn show(&self, progress: Progress) {
        let bar = self.0.get_or_init(|| {
            let form = "{bar:40} {human_pos} of {human_len} events ({rate}, {eta} left)";
            ProgressBar::new(progress.total).with_style(bars::style(form))
        });
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    }

    fn end(&self) {
        if let Some(bar) = self.0.get() {
            bar.finish_and_clear();
        }
    }
}
