//! `parlor-bench`: starts Parlor with a fresh store, loads it over HTTP, checks that what was acknowledged is what it reads
//! back, and writes tables. What the machine can do at all (`machine`) is measured beside it, so that figures from different
//! machines compare as ratios. `cargo xtask bench` runs all of it.

mod disk;
mod echo;
mod grow;
mod http;
mod kernel;
mod live;
mod load;
mod machine;
mod results;
mod rooms;
mod server;
mod steady;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// Measures Parlor.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What the machine can do at all: a bare echo, and single-row inserts
    Machine(Machine),
    /// Sending, reading, listing and searching
    ///
    /// One kind alone, as short as can be: `parlor-bench http --only lists --seconds 5`. The processor time for each request
    /// says more than the rate where something else runs beside it.
    Http(Http),
    /// The write path alone, without HTTP
    Kernel {
        /// Measure on PostgreSQL too: the URL of a server on which a database may be made
        #[arg(long)]
        postgres: Option<String>,
        /// How many ask at the same time; one run each
        #[arg(long, value_delimiter = ',', default_value = "1,32,256")]
        clients: Vec<usize>,
        /// Seconds each run lasts
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// Fill a store and see what its size costs: start, memory, disk, reading, searching
    Grow(Grow),
    /// Live delivery: latency, memory per socket, resuming
    Live(Live),
    /// Nine reads for each message, in an open loop, for minutes: latencies and memory
    Steady(Steady),
    /// Many who join at once, a room of ten thousand, somebody in ten thousand conversations
    Rooms(Rooms),
    /// All targets with what became of them, from what the parts found when they ran last
    Summary(Common),
    /// The echo server that the figures are compared with (started by `machine`)
    #[command(hide = true)]
    Echo {
        /// Where to listen
        listen: String,
    },
}

/// What every part takes.
#[derive(Debug, Clone, clap::Args)]
struct Common {
    /// The parlor binary, built with --release
    #[arg(long, default_value = "target/release/parlor")]
    parlor: PathBuf,
    /// Seconds that each load lasts
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many people there are
    #[arg(long, default_value_t = 100)]
    people: usize,
    /// How many conversations, of ten members each
    #[arg(long, default_value_t = 1000)]
    rooms: usize,
    /// The folder where each part leaves what it found, as JSON
    #[arg(long, default_value = "target/bench")]
    results: PathBuf,
    /// Write the tables into this page too, each between its markers, and plots into the folder of the same name
    #[arg(long, value_name = "PAGE")]
    write: Option<PathBuf>,
}

impl Common {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// What to compare with.
#[derive(Debug, Clone, clap::Args)]
struct Machine {
    #[command(flatten)]
    common: Common,
    /// wrk, if it is to ask the echo too; figures are then shares of what it counts
    #[arg(long)]
    wrk: Option<PathBuf>,
    /// pgbench, to measure on `--postgres` too
    #[arg(long, requires = "postgres")]
    pgbench: Option<PathBuf>,
    /// The URL of a PostgreSQL server on which a database may be made
    #[arg(long)]
    postgres: Option<String>,
}

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// H1
    Sends,
    /// H2
    Pages,
    /// H3
    Lists,
    /// Words, frequent and rare, and Chinese, in what was sent before
    Searches,
}

/// What to measure over HTTP.
#[derive(Debug, Clone, clap::Args)]
struct Http {
    #[command(flatten)]
    common: Common,
    /// On PostgreSQL instead of SQLite: the URL of a server on which a database may be made
    #[arg(long)]
    postgres: Option<String>,
    /// These only [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<Scenario>,
    /// How many connections send at the same time, one run each; the first number also reads
    #[arg(long, value_delimiter = ',', default_value = "32,512")]
    clients: Vec<usize>,
    /// How many messages each conversation has at least before anything is read
    #[arg(long, default_value_t = 50)]
    fill: u64,
}

impl Http {
    fn wants(&self, scenario: Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }

    fn reads(&self) -> bool {
        [Scenario::Pages, Scenario::Lists, Scenario::Searches]
            .into_iter()
            .any(|scenario| self.wants(scenario))
    }
}

/// What is delivered to how many.
#[derive(Debug, Clone, clap::Args)]
struct Live {
    #[command(flatten)]
    common: Common,
    /// How many messages are sent a second, one run each
    #[arg(long, value_delimiter = ',', default_value = "500,3000")]
    rates: Vec<u64>,
    /// How many idle sockets are open at once
    #[arg(long, default_value_t = 5_000)]
    sockets: usize,
    /// How many messages others send while somebody is away who then resumes
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// How often others change their status meanwhile
    #[arg(long, default_value_t = 20_000)]
    statuses: u64,
}

/// How large, and on what.
#[derive(Debug, Clone, clap::Args)]
struct Grow {
    #[command(flatten)]
    common: Common,
    /// On PostgreSQL instead of SQLite: the URL of a server on which a database may be made
    #[arg(long)]
    postgres: Option<String>,
    /// How many messages are there when everything is measured first
    #[arg(long, default_value_t = 10_000)]
    from: u64,
    /// How many when it is measured again
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// The part's name, by which its results and its place on the page are called
    #[arg(long, default_value = "growth-sqlite")]
    name: String,
}

/// How long.
#[derive(Debug, Clone, clap::Args)]
struct Steady {
    #[command(flatten)]
    common: Common,
    /// Minutes that the open loop lasts; none is as long as the closed one
    #[arg(long, default_value_t = 10)]
    minutes: u64,
}

/// How many and how much.
#[derive(Debug, Clone, clap::Args)]
struct Rooms {
    #[command(flatten)]
    common: Common,
    /// How many join a room each second
    #[arg(long, default_value_t = 500)]
    joins_per_second: u64,
    /// How many are in the large room
    #[arg(long, default_value_t = 10_000)]
    members: u64,
    /// How many conversations somebody is in
    #[arg(long, default_value_t = 10_000)]
    many: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Machine(options) => machine::run(options).await,
        Command::Http(options) => http::run(options).await,
        Command::Grow(options) => grow::run(options).await,
        Command::Live(options) => live::run(options).await,
        Command::Steady(options) => steady::run(options).await,
        Command::Rooms(options) => rooms::run(options).await,
        Command::Kernel { postgres, clients, seconds } => {
            kernel::run(&clients, Duration::from_secs(seconds), postgres.as_deref()).await
        }
        Command::Summary(common) => results::summarise(&common.results, common.write.as_deref()),
        Command::Echo { listen } => echo::serve(&listen).await,
    }
}
