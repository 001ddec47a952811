//! `parlor-bench`: starts Parlor with a fresh store, loads it over HTTP in a closed loop, checks that what was
//! acknowledged is what it reads back, and writes a table. Beside it runs a bare echo server of the same bodies, so
//! that figures from different machines compare as ratios.

mod client;
mod echo;
mod grow;
mod kernel;
mod live;
mod report;
mod run;
mod scenario;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// Measures Parlor over HTTP.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure sending, reading and listing, and a projection's replay.
    Http(Http),
    /// Measure the write path alone, without HTTP.
    Kernel {
        /// Measure on PostgreSQL too: the URL of a server on which a database may be made.
        #[arg(long, env = "PARLOR_TEST_POSTGRES_URL")]
        postgres: Option<String>,
        /// How many ask at the same time; one run each.
        #[arg(long, value_delimiter = ',', default_value = "1,32,256")]
        clients: Vec<usize>,
        /// Seconds each run lasts.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// Fill a store and see what its size costs: start, memory, reading, searching.
    Grow(Grow),
    /// Measure live delivery: latency, memory per socket, resuming.
    Live(Live),
    /// The echo server that the figures are compared with (started by `http`).
    #[command(hide = true)]
    Echo {
        /// Where to listen.
        listen: String,
    },
}

/// What to measure, and how.
#[derive(Debug, Clone, clap::Args)]
struct Http {
    /// The parlor binary, built with --release.
    #[arg(long, default_value = "target/release/parlor")]
    parlor: PathBuf,
    /// Measure on PostgreSQL too: the URL of a server on which a database may be made.
    #[arg(long, env = "PARLOR_TEST_POSTGRES_URL")]
    postgres: Option<String>,
    /// How many connections send at the same time; one run each.
    #[arg(long, value_delimiter = ',', default_value = "32,256")]
    clients: Vec<usize>,
    /// Seconds each run lasts.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many users there are.
    #[arg(long, default_value_t = 100)]
    users: usize,
    /// How many conversations, of ten members each.
    #[arg(long, default_value_t = 1000)]
    conversations: usize,
    /// Write the table into this file too, replacing what stands between its markers.
    #[arg(long)]
    write: Option<PathBuf>,
}

/// What is delivered to how many.
#[derive(Debug, Clone, clap::Args)]
struct Live {
    /// The parlor binary, built with --release.
    #[arg(long, default_value = "target/release/parlor")]
    parlor: PathBuf,
    /// How many people there are, in as many conversations of ten.
    #[arg(long, default_value_t = 100)]
    users: usize,
    /// How many messages are sent a second.
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// Seconds that this lasts.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// How many idle sockets are open at once.
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
    /// How many messages others send while somebody is away who then resumes.
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// Write the figures into this file too, replacing what stands between its markers (`live`).
    #[arg(long)]
    write: Option<PathBuf>,
}

/// How large, and on what.
#[derive(Debug, Clone, clap::Args)]
struct Grow {
    /// The parlor binary, built with --release.
    #[arg(long, default_value = "target/release/parlor")]
    parlor: PathBuf,
    /// On PostgreSQL instead of SQLite: the URL of a server on which a database may be made.
    #[arg(long)]
    postgres: Option<String>,
    /// How many messages are sent before anything is measured.
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// Write the table into this file too, replacing what stands between its markers (`grown`).
    #[arg(long)]
    write: Option<PathBuf>,
}

impl Http {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Http(http) => run::run(http).await,
        Command::Grow(grow) => grow::run(grow).await,
        Command::Live(live) => live::run(live).await,
        Command::Kernel { postgres, clients, seconds } => {
            kernel::run(&clients, Duration::from_secs(seconds), postgres.as_deref()).await
        }
        Command::Echo { listen } => echo::serve(&listen).await,
    }
}
