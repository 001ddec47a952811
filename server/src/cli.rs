//! The command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Flag, Loaded, Sources};
use crate::telemetry;

/// A self-hosted chat backend: users, sign-in, conversations and notifications in one process.
///
/// Without a command it serves: on 127.0.0.1:8080, with everything it keeps in the folder `data`. Settings come from
/// parlor.toml, then from environment variables, then from flags; later wins.
#[derive(Debug, Parser)]
#[command(name = "parlor", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Settings that every command takes.
#[derive(Debug, clap::Args)]
struct Settings {
    /// The configuration file [default: parlor.toml, if there is one]
    #[arg(long, global = true, env = "PARLOR_CONFIG", value_name = "FILE", help_heading = "Settings")]
    config: Option<PathBuf>,
    /// The address and port of the API
    #[arg(long, global = true, value_name = "ADDRESS", help_heading = "Settings")]
    listen: Option<String>,
    /// The folder of stores, secrets and mails
    #[arg(long, global = true, value_name = "FOLDER", help_heading = "Settings")]
    data_dir: Option<String>,
    /// Where events and views are kept: `sqlite:` or `postgres://…`
    #[arg(long, global = true, value_name = "URL", help_heading = "Settings")]
    store_url: Option<String>,
    /// Any other key of the configuration, as auth.verify_email=true; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", help_heading = "Settings")]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until stopped (also without a command)
    Serve,
    /// Print the API's description (OpenAPI, as JSON)
    Openapi,
}

impl Settings {
    fn load(&self) -> anyhow::Result<Loaded> {
        let mut flags = Vec::new();
        let named = [("listen", &self.listen), ("data_dir", &self.data_dir), ("store_url", &self.store_url)];
        for (key, value) in named {
            if let Some(value) = value {
                let flag = format!("--{}", key.replace('_', "-"));
                flags.push(Flag { flag, key: key.to_owned(), value: value.clone() });
            }
        }
        for pair in &self.set {
            let Some((key, value)) = pair.split_once('=') else {
                anyhow::bail!("--set {pair}: there is no value; write --set KEY=VALUE");
            };
            let flag = format!("--set {key}");
            flags.push(Flag { flag, key: key.trim().to_owned(), value: value.trim().to_owned() });
        }
        // Variables whose names or values aren't text are none of ours.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Ok(config::load(&Sources { file: self.config.clone(), environment, flags })?)
    }
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parlor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    if let Some(Command::Openapi) = cli.command {
        return print(&crate::http::openapi::text());
    }
    let loaded = cli.settings.load()?;
    match &cli.command {
        None | Some(Command::Serve) => {
            telemetry::start_logs(&loaded.config.log);
            runtime()?.block_on(crate::serve::serve(&loaded.config))
        }
        Some(Command::Openapi) => Ok(()),
    }
}

/// Prints to standard output; whoever reads may stop reading.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Threads that blocking work (stores, hashing) may take at most.
const BLOCKING_THREADS: usize = 64;

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("parlor")
        .build()
}
