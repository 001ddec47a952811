//! `cargo xtask`: what developers and CI run. `cargo xtask --help` lists it.
//!
//! A task is a module with a type that derives [`clap::Parser`] and implements [`Task`], and a line in [`TASKS`].

mod bench;
mod cluster;
mod debian;
mod exec;
mod kafka;
mod postgres;
mod prove;
mod secret;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

/// A subcommand; its name, help and arguments come from its `Parser`.
trait Task: clap::Parser {
    /// Does it. An error is printed with its causes and ends the process with code 1.
    fn run(self) -> Result<ExitCode>;
}

/// Every subcommand, in the order in which `--help` lists them.
const TASKS: &[Entry] = &[
    entry::<test::Test>(),
    entry::<prove::Prove>(),
    entry::<bench::Bench>(),
    entry::<postgres::Postgres>(),
    entry::<kafka::Kafka>(),
    entry::<cluster::Cluster>(),
];

/// A [`Task`] with its type erased.
struct Entry {
    command: fn() -> Command,
    run: fn(&ArgMatches) -> Result<ExitCode>,
}

const fn entry<T: Task>() -> Entry {
    Entry {
        command: <T as CommandFactory>::command,
        run: |given| <T as FromArgMatches>::from_arg_matches(given)?.run(),
    }
}

fn main() -> ExitCode {
    let help = Command::new("xtask")
        .bin_name("cargo xtask")
        .about("Parlor's development tasks")
        .after_help("`cargo xtask TASK --help` says more about one of them; CONTRIBUTING.md about all.")
        .subcommand_value_name("TASK")
        .subcommand_help_heading("Tasks")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(TASKS.iter().map(|task| (task.command)()));
    let given = help.get_matches();
    let (name, given) = given.subcommand().expect("clap ends the process when no task is named");
    let task = TASKS
        .iter()
        .find(|task| (task.command)().get_name() == name)
        .expect("clap accepts only the names that TASKS gave it");

    match exec::catch_interrupts().and_then(|()| (task.run)(given)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<exec::Interrupted>() { exec::INTERRUPTED_CODE.into() } else { ExitCode::FAILURE }
        }
    }
}
