//! `cargo xtask postgres`, and the PostgreSQL servers of the tests.

mod binaries;
mod certificate;
mod cluster;
mod developer;
mod owner;
mod pgbouncer;
mod throwaway;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

pub use self::developer::{Lasting, sql};
pub use self::pgbouncer::PgBouncer;
pub use self::throwaway::Throwaway;
use crate::Task;

/// Names the server that tests use. Its user may create databases, schemas and roles.
pub const URL_VARIABLE: &str = "PARLOR_TEST_POSTGRES_URL";

/// Names the file with the authority that vouches for that server, which tests reach as `localhost`.
pub const CA_VARIABLE: &str = "PARLOR_TEST_POSTGRES_CA";

/// Names a PgBouncer in transaction mode in front of that server.
pub const PGBOUNCER_VARIABLE: &str = "PARLOR_TEST_PGBOUNCER_URL";

/// Run a PostgreSQL server for development
///
/// It listens on 127.0.0.1 only, on a port of its own, and keeps its data in `postgres` in cargo's target folder.
/// `cargo xtask test` needs none of this: it starts a server of its own. To run single tests with cargo:
///
///     export PARLOR_TEST_POSTGRES_URL=$(cargo xtask postgres up)
///     cargo test -p parlor-cqrs-sql
#[derive(Parser)]
#[command(
    name = "postgres",
    verbatim_doc_comment,
    subcommand_value_name = "ACTION",
    subcommand_help_heading = "Actions"
)]
pub struct Postgres {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start the server unless it runs, and print its URL
    Up,
    /// Stop the server; its data stay
    Down {
        /// Remove its data, too
        #[arg(long)]
        delete: bool,
    },
    /// Print the URL of the running server
    Url,
}

impl Task for Postgres {
    fn run(self) -> Result<ExitCode> {
        match self.action {
            Action::Up => println!("{}", developer::up()?),
            Action::Down { delete } => developer::down(delete)?,
            Action::Url => println!("{}", developer::url()?),
        }
        Ok(ExitCode::SUCCESS)
    }
}
