//! `cargo xtask kafka`, and the Kafka brokers of the tests.

mod certificate;
mod developer;
mod distribution;
pub mod node;
pub mod throwaway;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

pub use self::distribution::VERSION;
pub use self::throwaway::Throwaway;
use crate::Task;

/// Names a broker (`host:port`) that tests use, without encryption or passwords. Topics can be made there.
pub const BROKER_VARIABLE: &str = "PARLOR_TEST_KAFKA";

/// The same broker over TLS with a password: `user:password@host:port?ca=FILE`.
pub const SECURE_VARIABLE: &str = "PARLOR_TEST_KAFKA_SECURE";

/// The program that runs a broker of a test's own: `PROGRAM kafka node FOLDER`.
pub const NODE_VARIABLE: &str = "PARLOR_TEST_XTASK";

/// Run a Kafka broker for development
///
/// It listens on 127.0.0.1 only, on ports of its own, and keeps its data in `kafka` in cargo's target folder.
/// `cargo xtask test` needs none of this: it starts a broker of its own. To run single tests with cargo:
///
///     export PARLOR_TEST_KAFKA=$(cargo xtask kafka up)
///     cargo test -p parlor-cqrs-kafka
#[derive(Parser)]
#[command(
    name = "kafka",
    verbatim_doc_comment,
    subcommand_value_name = "ACTION",
    subcommand_help_heading = "Actions"
)]
pub struct Kafka {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start the broker unless it runs, and print its address
    Up,
    /// Stop the broker; its data stay
    Down {
        /// Remove its data, too
        #[arg(long)]
        delete: bool,
    },
    /// Print the address of the running broker; with --secure, that for TLS and SASL
    Url {
        /// `user:password@host:port?ca=FILE`
        #[arg(long)]
        secure: bool,
    },
    /// Run a broker of this folder in the foreground, making it the first time; for tests that kill it
    Node {
        /// Where it keeps everything
        folder: PathBuf,
    },
}

impl Task for Kafka {
    fn run(self) -> Result<ExitCode> {
        match self.action {
            Action::Up => println!("{}", developer::up()?),
            Action::Down { delete } => developer::down(delete)?,
            Action::Url { secure } => println!("{}", developer::url(secure)?),
            Action::Node { folder } => return Err(node::become_node(&folder)?),
        }
        Ok(ExitCode::SUCCESS)
    }
}
