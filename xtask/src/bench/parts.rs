//! What is measured, in the order in which it is.

use std::process::Command;

use super::{Settings, in_root};
use crate::workspace::cargo;
use crate::{kafka, postgres};

/// Always measured first: all figures are shares of what it finds.
pub(super) const MACHINE: &str = "machine";

/// The only one with crates that nothing else is built with.
pub(super) const KERNEL: &str = "kernel";

/// A part of the measurement.
pub(super) struct Part {
    pub(super) name: &'static str,
    /// What it measures, in half a sentence.
    pub(super) about: &'static str,
    /// How many minutes it takes, and takes with `--quick`, once everything is built.
    pub(super) minutes: (f64, f64),
    /// Run only if it is named.
    pub(super) only_named: bool,
    /// Whether it needs [`Settings::postgres`].
    pub(super) on_postgres: bool,
    /// Where it writes on the page: between `<!-- MARKER: begin -->` and `<!-- MARKER: end -->`.
    pub(super) markers: &'static [&'static str],
    /// Whether it writes nothing itself: what it says is put there, between the first of its markers.
    pub(super) says: bool,
    /// What to run, from the workspace's root.
    pub(super) command: fn(&Settings) -> Command,
}

/// Every part.
pub(super) const PARTS: &[Part] = &[
    Part {
        name: MACHINE,
        about: "what the machine can do at all: a bare echo, and single-row inserts",
        minutes: (0.7, 0.2),
        only_named: false,
        on_postgres: true,
        markers: &["machine"],
        says: false,
        command: |settings| {
            let mut command = part(settings, "machine");
            command.arg("--wrk").arg(&settings.wrk);
            if let (Some(url), Some(pgbench)) = (&settings.postgres, &settings.pgbench) {
                command.arg("--postgres").arg(url).arg("--pgbench").arg(pgbench);
            }
            command
        },
    },
    Part {
        name: KERNEL,
        about: "K1 to K4: the kernel beside Rust's other event-sourcing crates",
        minutes: (9.0, 4.0),
        only_named: false,
        on_postgres: true,
        markers: &["peers"],
        says: false,
        command: super::kernel::command,
    },
    Part {
        name: "http-sqlite",
        about: "H1, H2, H3 on SQLite: sending, pages, lists",
        minutes: (1.5, 0.8),
        only_named: false,
        on_postgres: false,
        markers: &["http-sqlite"],
        says: false,
        command: |settings| part(settings, "http"),
    },
    Part {
        name: "http-postgres",
        about: "H1, H2, H3 on PostgreSQL",
        minutes: (2.0, 1.0),
        only_named: false,
        on_postgres: true,
        markers: &["http-postgres"],
        says: false,
        command: |settings| on_postgres(settings, part(settings, "http")),
    },
    Part {
        name: "live",
        about: "H5: delivery to sockets; 5,000 idle sockets; resuming in a log of a million messages",
        minutes: (6.0, 1.0),
        only_named: false,
        on_postgres: false,
        markers: &["live"],
        says: false,
        command: |settings| {
            let mut command = part(settings, "live");
            if settings.quick {
                command.args(["--messages", "20000", "--statuses", "2000"]);
            }
            command
        },
    },
    Part {
        name: "steady",
        about: "H6: nine reads for each message at 70 % of the maximum, ten minutes",
        minutes: (11.0, 0.5),
        only_named: false,
        on_postgres: false,
        markers: &["steady"],
        says: false,
        command: |settings| {
            let mut command = part(settings, "steady");
            command.args(["--minutes", if settings.quick { "0" } else { "10" }]);
            command
        },
    },
    Part {
        name: "rooms",
        about: "500 joins a second, a room of 10,000, somebody in 10,000 conversations",
        minutes: (4.0, 1.0),
        only_named: false,
        on_postgres: false,
        markers: &["rooms"],
        says: false,
        command: |settings| {
            let mut command = part(settings, "rooms");
            if settings.quick {
                command.args(["--members", "2000", "--many", "2000"]);
            }
            command
        },
    },
    Part {
        name: "processes",
        about: "one chat process and two on one PostgreSQL, with Kafka and nginx",
        minutes: (6.0, 6.0),
        only_named: false,
        on_postgres: true,
        markers: &["processes"],
        says: true,
        command: |settings| {
            let mut tests = cargo();
            tests.args([
                "test",
                "--release",
                "--quiet",
                "--package",
                "parlor-tests",
                "--test",
                "cluster",
                "--",
            ]);
            tests.args(["--ignored", "--nocapture", "--test-threads=1", "figures"]);
            tests.env("PARLOR_TEST_TARGET", "cluster");
            if let Some(url) = &settings.postgres {
                tests.env(postgres::URL_VARIABLE, url);
            }
            if let Some(broker) = &settings.kafka {
                tests.env(kafka::BROKER_VARIABLE, broker);
            }
            tests
        },
    },
    Part {
        name: "growth-sqlite",
        about: "H4 and growth from 10,000 to 1,000,000 messages, on SQLite",
        minutes: (7.0, 1.5),
        only_named: false,
        on_postgres: false,
        markers: &["growth-sqlite"],
        says: false,
        command: |settings| growth(settings, "growth-sqlite", "1000000"),
    },
    Part {
        name: "growth-postgres",
        about: "the same on PostgreSQL",
        minutes: (12.0, 2.0),
        only_named: false,
        on_postgres: true,
        markers: &["growth-postgres"],
        says: false,
        command: |settings| on_postgres(settings, growth(settings, "growth-postgres", "1000000")),
    },
    Part {
        name: "growth-10m",
        about: "growth to 10,000,000 messages, on SQLite",
        minutes: (50.0, 3.0),
        only_named: true,
        on_postgres: false,
        markers: &["growth-10m"],
        says: false,
        command: |settings| growth(settings, "growth-10m", "10000000"),
    },
];

/// `parlor-bench` with a subcommand.
pub(super) fn bench(settings: &Settings, subcommand: &str) -> Command {
    let mut command = in_root(settings.target.join("release/parlor-bench"));
    command.arg(subcommand);
    command.arg("--results").arg(&settings.results);
    command
}

/// One that measures and writes its part of the page.
fn part(settings: &Settings, subcommand: &str) -> Command {
    let mut command = bench(settings, subcommand);
    command.arg("--parlor").arg(settings.target.join("release/parlor"));
    command.args(["--seconds", if settings.quick { "3" } else { "10" }]);
    command.arg("--write").arg(&settings.page);
    command
}

fn on_postgres(settings: &Settings, mut command: Command) -> Command {
    if let Some(url) = &settings.postgres {
        command.arg("--postgres").arg(url);
    }
    command
}

fn growth(settings: &Settings, name: &str, messages: &str) -> Command {
    let mut command = part(settings, "grow");
    command.args(["--name", name, "--messages", if settings.quick { "100000" } else { messages }]);
    command
}
