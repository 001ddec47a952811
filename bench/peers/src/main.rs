//! Parlor's kernel beside Rust's other event-sourcing crates, at the same works in one run.
//!
//! `parlor-peers all` runs everything and writes the tables; each contestant is measured in a process of its own, on a
//! database of its own: `parlor-peers one` for the peers, and `parlor-kernel` (a program of Parlor's own workspace, whose
//! SQLite can't be linked beside that of the peers) for the kernel.

mod conflict;
mod cqrs_es;
mod disintegrate;
mod entity;
mod esrs;
mod goals;
mod report;
mod runs;
mod umadb;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use parlor_contest::{Order, Work};

#[derive(Debug, Parser)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Measures one peer at one work, on an empty database.
    One(Order),
    /// Measures all at all works and writes what came of it.
    All(All),
}

/// What a whole run takes.
#[derive(Debug, clap::Args)]
struct All {
    /// A PostgreSQL server, 15 or newer; each run has a database of its own there, which is dropped afterwards.
    #[arg(long, env = "PARLOR_TEST_POSTGRES_URL", hide_env_values = true)]
    postgres: String,
    /// The program that measures the kernel.
    #[arg(long, value_name = "FILE")]
    kernel: PathBuf,
    /// How long each run takes.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How long each run with one conversation takes: long enough for the last second to tell.
    #[arg(long, default_value_t = 8)]
    hot_seconds: u64,
    /// How many events are replayed, in thousands.
    #[arg(long, default_value_t = 200)]
    thousands: u64,
    /// Only these works.
    #[arg(long, value_delimiter = ',', default_value = "k1,k2,k3,k4")]
    works: Vec<Work>,
    /// Only contestants whose name begins so.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Puts the tables between the markers in this file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Writes everything that was measured to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().what {
        What::One(order) => {
            let contestant = match order.contestant.split('-').next().unwrap_or_default() {
                "postgres" | "sqlite" => cqrs_es::open(&order).await?,
                "esrs" => esrs::open(&order).await?,
                "es" => entity::open(&order).await?,
                "disintegrate" => disintegrate::open(&order).await?,
                "umadb" => umadb::open(&order).await?,
                _ => anyhow::bail!("no contestant is called {}", order.contestant),
            };
            parlor_contest::run(&order, contestant).await
        }
        What::All(all) => {
            let measured = runs::run(&all).await?;
            report::write(&all, &measured).await
        }
    }
}
