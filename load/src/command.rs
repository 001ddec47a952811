//! `parlor load`: what it takes, and what it does with it.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::drive::{Options, run};
use crate::live::{Heard, Listening, Socket};
use crate::outcome::{Acknowledged, Outcome, millis};
use crate::pace::Pace;
use crate::progress::Progress;
use crate::ramp::{Step, ramp};
use crate::report::{Latency, LiveReport, RampReport, Report, VerifiedReport, kinds, timeline};
use crate::verify::verify;
use crate::work::{Kind, Mix};
use crate::world::{Size, World};

/// How long deliveries may be on their way after the load.
const ARRIVING: Duration = Duration::from_secs(30);
/// The rate that a ramp begins with unless told otherwise.
const FROM: f64 = 100.0;
/// How many seconds a socket is used: access tokens last five minutes, and opening and catching up take their time.
const SOCKETS_LAST: u64 = 240;
/// What the server does after a rate that broke isn't the next one's.
const BETWEEN: Duration = Duration::from_secs(1);

/// How to load an instance.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The instance, such as `http://127.0.0.1:8080` [default: the one that runs with these settings]
    #[arg(value_name = "URL")]
    pub target: Option<String>,
    /// A file with a service key of the instance (`parlor service-key create load`); `-` reads it from standard input [default: a key
    /// that is made for this run]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Load an instance on another machine, too; its owner should know
    #[arg(long)]
    allow_remote: bool,

    /// What to do, with weights: send, read (50 messages), list (20 conversations), search
    #[arg(
        long,
        value_name = "KIND=WEIGHT,…",
        default_value = "send=1,read=6,list=2,search=1",
        help_heading = "The load"
    )]
    mix: Mix,
    /// How many seconds; with --ramp, how many for each rate
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=86_400), help_heading = "The load")]
    seconds: u64,
    /// How many connections; without a rate each asks again as soon as it was answered (a closed loop)
    #[arg(long, value_name = "NUMBER", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..), help_heading = "The load")]
    clients: u16,
    /// Requests a second, whatever becomes of those before (an open loop): latencies count from when each was due
    #[arg(long, value_name = "NUMBER", value_parser = positive, help_heading = "The load")]
    rate: Option<f64>,
    /// Raise the rate until p99 breaks, and report the highest that held; begins with --rate, or 100
    #[arg(long, conflicts_with = "live", help_heading = "The load")]
    ramp: bool,
    /// The 99th percentile that a ramp is to hold, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20.0, value_parser = positive, help_heading = "The load")]
    p99: f64,
    /// Open a live socket for so many of the people, and measure how long messages take to them
    #[arg(long, value_name = "SOCKETS", default_value_t = 0, help_heading = "The load")]
    live: usize,
    /// Threads that drive the load: one does for what a server on the same machine can answer
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "The load")]
    threads: u16,

    /// How many people there are
    #[arg(long, value_name = "NUMBER", default_value_t = 100, help_heading = "Who takes part")]
    people: usize,
    /// How many conversations
    #[arg(long, value_name = "NUMBER", default_value_t = 100, help_heading = "Who takes part")]
    rooms: usize,
    /// How many people are in each conversation
    #[arg(long, value_name = "NUMBER", default_value_t = 10, help_heading = "Who takes part")]
    members: usize,
    /// How many messages each conversation gets before the load begins
    #[arg(long, value_name = "NUMBER", default_value_t = 50, help_heading = "Who takes part")]
    fill: u64,

    /// How many seconds messages may take, after the load, until they can be read back
    #[arg(long, value_name = "SECONDS", default_value_t = 120, help_heading = "Results")]
    wait: u64,
    /// Write everything measured into this file
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    json: Option<PathBuf>,
    /// Draw latencies over time (with --ramp: over the rate) into this file, as SVG
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    plot: Option<PathBuf>,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("give a number above zero".to_owned()),
    }
}

impl Arguments {
    /// Where to, if that is a place that may be loaded.
    ///
    /// # Errors
    /// If `url` isn't an address, or is one on another machine and that wasn't allowed.
    pub fn address(&self, url: &str) -> anyhow::Result<SocketAddr> {
        if url.starts_with("https:") {
            bail!("{url}: the load goes over plain HTTP; name the address behind what ends TLS, as http://…");
        }
        let authority = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        ensure!(
            !authority.is_empty() && !authority.contains(['/', '@']),
            "{url} is no address of an instance: give one such as http://127.0.0.1:8080"
        );
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let with_port = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let addresses: Vec<SocketAddr> =
            with_port.to_socket_addrs().with_context(|| format!("{authority} isn't known here"))?.collect();
        let elsewhere = addresses.iter().find(|address| !address.ip().is_loopback());
        if let Some(elsewhere) = elsewhere.filter(|_| !self.allow_remote) {
            bail!("{elsewhere} is not this machine: add --allow-remote if its owner knows of the load");
        }
        addresses.first().copied().with_context(|| format!("{authority} has no address"))
    }

    fn pace(&self) -> Pace {
        self.rate.map_or(Pace::Closed, |rate| Pace::Open { rate })
    }
}

/// Loads the instance at `address` as the application with this key, and gives what came of it in words. `run` tells its people from
/// those of other loads.
///
/// # Errors
/// If something goes wrong that isn't the load's to count; and, once everything is written, if what was acknowledged isn't what is
/// read back, or nothing was answered well.
pub async fn load(
    arguments: &Arguments,
    address: SocketAddr,
    key: &str,
    run: &str,
) -> anyhow::Result<String> {
    ensure!(
        arguments.live == 0 || arguments.seconds <= SOCKETS_LAST,
        "sockets end with the tokens that opened them: with --live, --seconds is at most {SOCKETS_LAST}"
    );
    ensure!(arguments.people > 0 && arguments.rooms > 0 && arguments.members > 0, "nobody takes part");
    let base = format!("http://{address}");
    eprintln!("{base}: making {} people and {} conversations", arguments.people, arguments.rooms);
    let size = Size { people: arguments.people, rooms: arguments.rooms, members: arguments.members };
    let mut tool = Tool {
        arguments,
        address,
        run: run.to_owned(),
        world: Arc::new(World::make(&base, key, run, size).await?),
        stop: Arc::default(),
        sent: Outcome::default(),
    };
    let interrupted = tokio::spawn(stop_on_interrupt(tool.stop.clone()));
    let report = tool.measure(&base).await;
    interrupted.abort();
    let report = report?;
    if let Some(file) = &arguments.json {
        write(file, &serde_json::to_string_pretty(&report)?)?;
    }
    if let Some(file) = &arguments.plot {
        write(file, &report.plot())?;
    }
    let text = report.text();
    ensure!(
        report.verified.holds,
        "{text}\nWhat was acknowledged isn't what is there:\n{}",
        report.verified.wrong.join("\n")
    );
    ensure!(report.kinds.values().any(|kind| kind.done > 0), "{text}\nNothing was answered well");
    Ok(text)
}

/// Ctrl-C ends the load, not the check of what was sent; the second one ends everything.
async fn stop_on_interrupt(stop: Arc<AtomicBool>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        eprintln!("\nending the load, then checking what was sent; Ctrl-C again ends at once");
        stop.store(true, Ordering::Relaxed);
        if tokio::signal::ctrl_c().await.is_ok() {
            // 128 + SIGINT.
            std::process::exit(130);
        }
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("{} can't be written", file.display()))
}

struct Tool<'a> {
    arguments: &'a Arguments,
    address: SocketAddr,
    run: String,
    world: Arc<World>,
    stop: Arc<AtomicBool>,
    /// Everything that was sent.
    sent: Outcome,
}

impl Tool<'_> {
    async fn measure(&mut self, base: &str) -> anyhow::Result<Report> {
        let arguments = self.arguments;
        self.fill().await?;
        let began = Instant::now();
        let listening = self.listen(began).await?;
        let heard_from = self.sent.acknowledged.len();
        let stamped = listening.is_some().then_some(began);
        let (outcome, ramp) = if arguments.ramp {
            self.ramp(stamped).await?
        } else {
            (self.drive("load", arguments.pace(), stamped).await?, None)
        };
        let mut wrong = Vec::new();
        let live = match listening {
            Some(listening) => {
                let (heard, otherwise) = self.hear(listening, heard_from).await?;
                wrong = otherwise;
                Some(LiveReport {
                    sockets: arguments.live.min(arguments.people),
                    deliveries: heard.deliveries,
                    latency: Latency::of(&heard.latencies),
                })
            }
            None => None,
        };
        eprintln!("reading back {} messages", self.sent.acknowledged.len());
        self.world.sign_in().await?;
        let mut verified = verify(&self.world, &self.sent, Duration::from_secs(arguments.wait)).await?;
        verified.wrong.extend(wrong);
        Ok(Report {
            tool: format!("parlor load {}", env!("CARGO_PKG_VERSION")),
            target: base.to_owned(),
            mix: arguments.mix.to_string(),
            clients: arguments.clients.into(),
            rate: if arguments.ramp {
                ramp.as_ref().and_then(|ramp| ramp.equilibrium)
            } else {
                arguments.rate
            },
            seconds: outcome.took.as_secs_f64(),
            per_second: outcome.per_second(),
            kinds: kinds(&outcome),
            late: outcome.late,
            client_cpu_microseconds_per_request: outcome.cpu_us_per_request(),
            live,
            ramp,
            verified: VerifiedReport {
                holds: verified.holds(),
                acknowledged: verified.acknowledged,
                read_back: verified.read,
                unanswered_but_stored: verified.unknown,
                wrong: verified.wrong,
            },
            timeline: timeline(&outcome),
        })
    }

    fn options(&self, pace: Pace) -> Options {
        let arguments = self.arguments;
        let duration = Duration::from_secs(arguments.seconds);
        let closed = Options::closed(
            self.address,
            &self.run,
            arguments.mix.clone(),
            arguments.clients.into(),
            duration,
        );
        Options {
            threads: arguments.threads.into(),
            pace,
            filled: arguments.fill > 0,
            stop: self.stop.clone(),
            ..closed
        }
    }

    /// Gives every conversation something to be read.
    async fn fill(&mut self) -> anyhow::Result<()> {
        let messages = self.arguments.fill * self.arguments.rooms as u64;
        if messages == 0 {
            return Ok(());
        }
        eprintln!("sending {messages} messages to be read");
        let mut options = self.options(Pace::Closed);
        options.mix = Mix::only(Kind::Send);
        options.at_most = messages;
        options.duration = Duration::from_hours(24);
        let outcome = run(&self.world, options, |_| {}).await?;
        ensure!(outcome.failed() == 0, "messages weren't taken: {:?}", outcome.errors());
        self.keep(outcome);
        Ok(())
    }

    /// Keeps what was sent; gives back the rest.
    fn keep(&mut self, mut outcome: Outcome) -> Outcome {
        let acknowledged = std::mem::take(&mut outcome.acknowledged);
        let unknown = outcome.unknown.clone();
        self.sent.add(Outcome { acknowledged, unknown, ..Outcome::default() }, true);
        outcome
    }

    async fn drive(&mut self, what: &str, pace: Pace, stamped: Option<Instant>) -> anyhow::Result<Outcome> {
        let options = Options { stamped, ..self.options(pace) };
        let progress = Progress::new(what, options.duration, options.threads);
        let shown = progress.clone();
        let outcome = run(&self.world, options, move |second| shown.second(second)).await;
        progress.finish();
        Ok(self.keep(outcome?))
    }

    /// The outcome at the highest rate that held, or else of the last one tried.
    async fn ramp(&mut self, stamped: Option<Instant>) -> anyhow::Result<(Outcome, Option<RampReport>)> {
        let arguments = self.arguments;
        let (mut steps, mut shown) = (Vec::new(), None);
        let found = ramp(arguments.rate.unwrap_or(FROM), arguments.p99, async |rate| {
            let outcome = self.drive(&format!("{rate:.0}/s"), Pace::Open { rate }, stamped).await?;
            if self.stop.load(Ordering::Relaxed) {
                bail!("interrupted before an equilibrium was found");
            }
            let step = Step {
                rate,
                per_second: outcome.done() as f64 / arguments.seconds as f64,
                p99_ms: millis(&outcome.all().latencies, 0.99),
                failed: outcome.failed(),
            };
            let holds = step.holds(arguments.p99);
            eprintln!(
                "{rate:>10.0}/s  p99 {:>8.2} ms  {}",
                step.p99_ms,
                if holds { "holds" } else { "breaks" }
            );
            steps.push(step);
            if holds || shown.is_none() {
                shown = Some(outcome);
            }
            tokio::time::sleep(BETWEEN).await;
            Ok(step)
        })
        .await?;
        let report =
            RampReport { p99_bound_ms: arguments.p99, equilibrium: found.map(|step| step.rate), steps };
        Ok((shown.context("a ramp has at least one step")?, Some(report)))
    }

    /// Opens the sockets that listen, if there are to be any.
    async fn listen(&self, began: Instant) -> anyhow::Result<Option<Listening>> {
        let sockets = self.arguments.live.min(self.arguments.people);
        if sockets == 0 {
            return Ok(None);
        }
        self.world.sign_in().await?;
        let (address, world) = (self.address, self.world.clone());
        let open = tokio::task::spawn_blocking(move || {
            let open = (0..sockets).map(|person| Ok(Socket::open(address, &world, person, None)?.0));
            open.collect::<anyhow::Result<Vec<_>>>()
        });
        Ok(Some(Listening::start(open.await??, began)?))
    }

    /// What the sockets heard of what was sent since the nth message, and what is wrong with it.
    async fn hear(&self, listening: Listening, from: usize) -> anyhow::Result<(Heard, Vec<String>)> {
        let acknowledged: Vec<Acknowledged> = self.sent.acknowledged[from..].to_vec();
        let unknown: u64 = self.sent.unknown.values().sum();
        let world = self.world.clone();
        let heard = tokio::task::spawn_blocking(move || {
            let heard = listening.stop(&world, &acknowledged, ARRIVING)?;
            // Of messages without an answer nobody knows whether they should have been heard.
            let wrong = if unknown == 0 { heard.wrong(&world, &acknowledged) } else { Vec::new() };
            anyhow::Ok((heard, wrong))
        });
        heard.await?
    }
}
