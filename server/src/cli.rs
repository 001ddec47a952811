//! The command line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::admin::Task;
use crate::config::{self, Flag, Loaded, Sources};
use crate::roles::{Only, Roles, ServiceName};
use crate::telemetry;
use crate::transfer;

/// A self-hosted chat backend: users, sign-in, conversations and notifications, in one process or in
/// several.
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
    /// Any other key of the configuration; may be repeated [as in: --set limits.enabled=false]
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", help_heading = "Settings")]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until stopped (also without a command)
    ///
    /// Without names it runs all services; with some, the others run in other processes, and they hear of each other
    /// through Kafka (kafka.brokers), each with its stores in PostgreSQL.
    Serve {
        /// The services to run [default: all]
        #[arg(value_name = "SERVICE")]
        services: Vec<ServiceName>,
        /// Answer one kind of requests only; the other kind goes to other processes
        #[arg(long, value_name = "KIND")]
        only: Option<Only>,
    },
    /// Make and upgrade the tables in PostgreSQL, and exit
    ///
    /// For installations that don't let `serve` do it (`migrate_on_start` = false), because the user in its URLs may not.
    Migrate {
        /// The services whose stores to upgrade [default: all]
        #[arg(value_name = "SERVICE")]
        services: Vec<ServiceName>,
    },
    /// Users and their roles
    #[command(subcommand)]
    User(UserCommand),
    /// Keys by which applications sign their own users in
    #[command(subcommand)]
    ServiceKey(ServiceKeyCommand),
    /// What is read from: how far it has come, and making it anew
    #[command(subcommand)]
    Views(ViewsCommand),
    /// What couldn't be handled and was set aside, with all that must come after it
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// Settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask the running instance whether it can do its work; fails if it can't
    Health,
    /// Print the API's description (OpenAPI, as JSON)
    Openapi,
    /// Move an instance to another kind of store: off one machine, or back to it
    ///
    /// Stop Parlor first. Logs, keys, sessions, notifications and whatever else is kept are copied and compared; views are
    /// built anew. Nobody notices afterwards: tokens, cursors and idempotency keys stay valid. What is moved from is only
    /// read. The new place can't be used before everything in it was found to be equal. A move that was interrupted goes on
    /// when the same command is given again.
    ///
    /// The instance's secret and the keys that sign tokens lie in the data folder, whatever the store.
    Move {
        /// Where it is: `sqlite:` for the data folder, `sqlite:FOLDER`, `postgres://…`, or a configuration file (….toml)
        /// for stores on several servers
        #[arg(long, value_name = "URL")]
        from: String,
        /// Where to: an empty database or folder, named likewise
        #[arg(long, value_name = "URL")]
        to: String,
        /// Drop what an earlier move that wasn't finished has copied, and begin anew
        #[arg(long)]
        restart: bool,
    },
    /// Write a backup of everything into one file, while Parlor runs or not
    ///
    /// It is consistent: all services as they were at one instant, for which commands wait some milliseconds. Views are left
    /// out, for they are built from the rest.
    ///
    /// The file holds the instance's secret and all keys. Only its owner can read it (mode 0600).
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Backup {
        /// The file to write; it must not be there yet
        #[arg(required = true)]
        file: Option<PathBuf>,
        #[command(subcommand)]
        command: Option<BackupCommand>,
    },
    /// Make an instance of a backup, on either kind of store
    ///
    /// The backup is read to its end and checked before anything is written, and only an empty place is written to. A restored
    /// instance has new epochs: what clients kept of the old one (cursors, position tokens) is answered with 410
    /// epoch-changed, for the old one may have gone further than the backup. Interrupted, it can be run again.
    Restore {
        /// The backup
        file: PathBuf,
        /// Where to: `sqlite:FOLDER` or `postgres://…` [default: where the settings say]
        #[arg(long, value_name = "URL")]
        to: Option<String>,
    },
    /// Fill the running instance with conversations in 28 languages, to look around in
    Demo {
        /// How many exchanges of each language
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        conversations: usize,
    },
    /// Load the running instance, or another one, and check that what it acknowledged is what it holds
    ///
    /// People and conversations are made for the load, and stay: use an instance that may keep them. In a closed loop
    /// each connection asks as soon as it was answered; with --rate requests are due whatever becomes of those before; with
    /// --ramp the rate is raised until the 99th percentile breaks. Afterwards every acknowledged message is read back: one that
    /// is lost, doubled or different fails the command.
    Load(Box<parlor_load::Arguments>),
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Make somebody an administrator
    Promote {
        /// The e-mail address that they registered with
        email: String,
    },
    /// Make an administrator an ordinary user again
    Demote {
        /// The e-mail address that they registered with
        email: String,
    },
}

#[derive(Debug, Subcommand)]
enum ServiceKeyCommand {
    /// Make a key, and print it: it is shown once and kept nowhere
    Create {
        /// What the application is called
        name: String,
    },
    /// List the keys that were made, without the keys themselves
    List,
    /// Take a key out of force, at once
    Revoke {
        /// The key's id, as `list` shows it
        id: uuid::Uuid,
    },
}

#[derive(Debug, Subcommand)]
enum ViewsCommand {
    /// Show how far every view and reactor has come, and which stand still
    Status,
    /// Make a view anew beside the live one, then swap them; queries and commands go on
    ///
    /// Interrupted, it goes on where it was when it is started again. A reactor that stands still, for the log that it follows
    /// was restored, begins anew; what it did before it won't do twice.
    Rebuild {
        /// The view's or the reactor's name, as `status` shows it
        name: String,
    },
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Read a backup from its first byte to its last, and say whether it is whole
    Verify {
        /// The backup
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum ParkedCommand {
    /// Show what is set aside, and why
    List,
    /// Try an event again, and then those that wait behind it
    Retry {
        /// Its id, as `list` shows it
        id: String,
    },
    /// Give an event or a record up for good; those that wait behind it are tried
    Drop {
        /// Its id, as `list` shows it
        id: String,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print what is in force as TOML, with where each value came from; passwords are hidden
    Show,
    /// Print every key with its meaning and its default, as a file to begin with
    Example,
}

impl Command {
    /// What an operator asks an instance for; `None` for what needs none.
    fn task(&self) -> Option<Task> {
        Some(match self {
            Self::User(UserCommand::Promote { email }) => Task::Promote { email: email.clone() },
            Self::User(UserCommand::Demote { email }) => Task::Demote { email: email.clone() },
            Self::ServiceKey(ServiceKeyCommand::Create { name }) => {
                Task::CreateServiceKey { name: name.clone() }
            }
            Self::ServiceKey(ServiceKeyCommand::List) => Task::ListServiceKeys,
            Self::ServiceKey(ServiceKeyCommand::Revoke { id }) => Task::RevokeServiceKey { id: *id },
            Self::Views(ViewsCommand::Status) => Task::Views,
            Self::Views(ViewsCommand::Rebuild { name }) => Task::RebuildView { name: name.clone() },
            Self::Parked(ParkedCommand::List) => Task::Parked,
            Self::Parked(ParkedCommand::Retry { id }) => Task::RetryParked { id: id.clone() },
            Self::Parked(ParkedCommand::Drop { id }) => Task::DropParked { id: id.clone() },
            Self::Health => Task::Health,
            Self::Serve { .. }
            | Self::Migrate { .. }
            | Self::Config(_)
            | Self::Openapi
            | Self::Demo { .. }
            | Self::Load(_)
            | Self::Move { .. }
            | Self::Backup { .. }
            | Self::Restore { .. } => return None,
        })
    }
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
    // Whatever is made is for this user alone: stores, keys, mails.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("parlor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let everything = Command::Serve { services: Vec::new(), only: None };
    let command = cli.command.as_ref().unwrap_or(&everything);
    match command {
        Command::Openapi => print(&crate::http::openapi::text())?,
        Command::Config(ConfigCommand::Example) => print(&config::example())?,
        Command::Config(ConfigCommand::Show) => print(&config::show(&cli.settings.load()?))?,
        Command::Serve { services, only } => {
            let config = cli.settings.load()?.config;
            let roles = Roles::of(services, *only);
            let _traces = telemetry::start_logs_and_traces(&config, &roles.to_string())?;
            runtime()?.block_on(crate::serve::serve(&config, &roles))?;
        }
        Command::Migrate { services } => {
            let config = cli.settings.load()?.config;
            telemetry::start_logs(&config.log);
            runtime()?.block_on(crate::migrate::migrate(&config, &Roles::of(services, None)))?;
        }
        _ => {
            let mut config = cli.settings.load()?.config;
            // Whoever types a command wants its result; what goes wrong is told all the same.
            "warn".clone_into(&mut config.log.level);
            telemetry::start_logs(&config.log);
            if let Some(text) = runtime()?.block_on(elsewhere(&config, command))? {
                print(&text)?;
            }
            if let Some(task) = command.task() {
                let (text, code) = runtime()?.block_on(crate::admin::run(&config, task))?;
                print(&text)?;
                return Ok(code);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Carries out the commands that are about an instance as a whole; what to print, if it was one of them.
async fn elsewhere(config: &config::Config, command: &Command) -> anyhow::Result<Option<String>> {
    Ok(Some(match command {
        Command::Demo { conversations } => crate::demo::run(config, *conversations).await?,
        Command::Load(arguments) => crate::load::run(config, arguments).await?,
        Command::Move { from, to, restart } => transfer::move_instance(config, from, to, *restart).await?,
        Command::Backup { command: Some(BackupCommand::Verify { file }), .. } => transfer::verify(file)?,
        Command::Backup { file: Some(file), .. } => transfer::back_up(config, file).await?,
        Command::Restore { file, to } => transfer::restore(config, file, to.as_deref()).await?,
        _ => return Ok(None),
    }))
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
