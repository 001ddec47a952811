//! The load itself: connections that send what is due and take note of what came back, on as few threads as can be.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mio::{Events, Poll, Token};
use serde::Deserialize;
use uuid::Uuid;

use crate::connection::{Connection, Pending};
use crate::http::{Answer, Head};
use crate::outcome::{Acknowledged, Outcome, Second, fingerprint, record};
use crate::pace::{Pace, Schedule};
use crate::timer::Timer;
use crate::work::{Kind, Mix};
use crate::world::World;
use crate::{cpu, text};

/// A request sent later than this after it was due is counted as late.
const LATE: Duration = Duration::from_millis(1);
/// How long tokens are used; the server's last five minutes unless it was told otherwise.
const TOKENS_LAST: Duration = Duration::from_mins(2);
/// How often a thread looks whether it is to stop, and shows what it saw.
const LOOK: Duration = Duration::from_millis(500);
/// How long a thread rests when the server takes no connection.
const REFUSED: Duration = Duration::from_millis(10);

/// What to load, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub address: SocketAddr,
    /// What is asked for.
    pub mix: Mix,
    /// How many connections.
    pub connections: usize,
    /// How many threads drive them: one does for all that a server on the same machine can answer.
    pub threads: usize,
    /// How requests follow each other.
    pub pace: Pace,
    /// For how long.
    pub duration: Duration,
    /// How many requests at most.
    pub at_most: u64,
    /// How long answers are waited for after that.
    pub grace: Duration,
    /// Tells the keys of this load from those of others.
    pub run: String,
    /// Whether every page must have something in it, since there is something to be read everywhere.
    pub filled: bool,
    /// Ends the load early once it is set, as though its time were over.
    pub stop: Arc<AtomicBool>,
    /// When everything began, if messages are to say when they were due, in microseconds since then.
    pub stamped: Option<Instant>,
}

impl Options {
    /// A closed loop of these.
    pub fn closed(address: SocketAddr, run: &str, mix: Mix, connections: usize, duration: Duration) -> Self {
        Self {
            address,
            mix,
            connections,
            threads: 1,
            pace: Pace::Closed,
            duration,
            at_most: u64::MAX,
            grace: Duration::from_secs(10),
            run: run.to_owned(),
            filled: false,
            stop: Arc::default(),
            stamped: None,
        }
    }
}

/// Is told what a thread saw in each second, as the load goes on.
pub type Watch<'a> = &'a (dyn Fn(&Second) + Sync);

/// Drives the load until it ends. It blocks: run it beside the runtime, which keeps people signed in.
///
/// # Errors
/// If there is nobody to send, or the first connections aren't made.
pub fn drive(world: Option<&World>, options: &Options, watch: Watch<'_>) -> anyhow::Result<Outcome> {
    let threads = options.threads.clamp(1, options.connections.max(1));
    let mut drivers = (0..threads)
        .map(|nth| {
            let connections = (nth..options.connections).step_by(threads);
            Driver::new(world, options, (nth, threads), connections)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    // Connecting is no part of what is measured.
    let began = cpu::own();
    let start = Instant::now();
    for driver in &mut drivers {
        driver.start = start;
    }
    let mut outcome = std::thread::scope(|scope| {
        let threads: Vec<_> = drivers
            .into_iter()
            .map(|driver| {
                std::thread::Builder::new()
                    .name("load".to_owned())
                    .spawn_scoped(scope, move || driver.run(watch))
            })
            .collect::<Result<_, _>>()?;
        threads.into_iter().try_fold(Outcome::default(), |mut all, thread| {
            let one = thread.join().map_err(|_| anyhow::anyhow!("a thread of the load panicked"))??;
            all.add(one, false);
            anyhow::Ok(all)
        })
    })?;
    outcome.cpu = cpu::own().saturating_sub(began);
    Ok(outcome)
}

/// Drives the load beside the runtime, which keeps the people signed in meanwhile.
///
/// # Errors
/// As [`drive`], and if somebody can't be signed in any more.
pub async fn run(
    world: &Arc<World>,
    options: Options,
    watch: impl Fn(&Second) + Send + Sync + 'static,
) -> anyhow::Result<Outcome> {
    let own = Arc::clone(world);
    let driving = tokio::task::spawn_blocking(move || drive(Some(&own), &options, &watch));
    tokio::select! {
        driven = driving => driven?,
        error = world.stay_signed_in(TOKENS_LAST) => Err(error),
    }
}

/// What the answer to a message begins with.
#[derive(Deserialize)]
struct Sent {
    id: Uuid,
}

struct Driver<'a> {
    world: Option<&'a World>,
    options: &'a Options,
    start: Instant,
    schedule: Option<Schedule>,
    connections: Vec<Connection>,
    /// Those that wait for nothing.
    idle: Vec<usize>,
    /// How many were sent of what is due, and how many may be.
    sent: u64,
    at_most: u64,
    poll: Poll,
    timer: Timer,
    outcome: Outcome,
    /// Written again for each request.
    path: String,
    body: String,
    key: String,
    content: String,
}

impl<'a> Driver<'a> {
    fn new(
        world: Option<&'a World>,
        options: &'a Options,
        (nth, of): (usize, usize),
        connections: impl Iterator<Item = usize>,
    ) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let people = world.map_or(1, |world| world.people.len()).max(1);
        let mut connections: Vec<_> = connections
            .enumerate()
            .map(|(at, n)| {
                let mut connection = Connection::new(options.address, Token(at), n % people);
                connection.round = n;
                connection
            })
            .collect();
        for connection in &mut connections {
            connection.connect(poll.registry())?;
        }
        let timer = Timer::new(poll.registry(), Token(usize::MAX >> 1))?;
        let schedule = match options.pace {
            Pace::Closed => None,
            Pace::Open { rate } => Some(Schedule::new(rate, options.duration, nth, of)),
        };
        let idle = (0..connections.len()).rev().collect();
        Ok(Self {
            world,
            options,
            start: Instant::now(),
            schedule,
            connections,
            idle,
            sent: 0,
            at_most: options.at_most.div_ceil(of as u64),
            poll,
            timer,
            outcome: Outcome::default(),
            path: String::new(),
            body: String::new(),
            key: String::new(),
            content: String::new(),
        })
    }

    fn run(mut self, watch: Watch<'_>) -> anyhow::Result<Outcome> {
        let mut events = Events::with_capacity(1024);
        let mut shown = 0;
        let last = self.options.duration + self.options.grace;
        loop {
            let now = self.start.elapsed();
            self.send_what_is_due(now)?;
            let waiting = self.connections.len() - self.idle.len();
            let next = self.next_due(now);
            if (waiting == 0 && next.is_none()) || now >= last {
                break;
            }
            // Who has no connection free waits for an answer, not for a time.
            let until = if self.idle.is_empty() { last } else { next.unwrap_or(last) };
            let until = until.min(now + LOOK);
            self.timer.poll(&mut self.poll, &mut events, until.saturating_sub(now))?;
            for event in &events {
                let at = event.token().0;
                if at < self.connections.len() {
                    self.take(at, event.is_writable());
                }
            }
            let second = self.start.elapsed().as_secs() as usize;
            while shown < second {
                watch(self.outcome.second(Duration::from_secs(shown as u64)));
                shown += 1;
            }
        }
        self.give_up();
        self.outcome.took = self.start.elapsed();
        Ok(self.outcome)
    }

    /// When the next request is to be sent; none if no more are.
    fn next_due(&self, now: Duration) -> Option<Duration> {
        if self.sent >= self.at_most || self.options.stop.load(Ordering::Relaxed) {
            return None;
        }
        match &self.schedule {
            Some(schedule) => schedule.due(self.sent),
            None => (now < self.options.duration).then_some(now),
        }
    }

    fn send_what_is_due(&mut self, now: Duration) -> anyhow::Result<()> {
        while let Some(due) = self.next_due(now).filter(|&due| due <= now)
            && let Some(at) = self.idle.pop()
        {
            // In a closed loop a request is due when its connection is free.
            let sent = self.start.elapsed();
            let due = if self.schedule.is_some() { due } else { sent };
            if sent > due + LATE {
                self.outcome.late += 1;
            }
            let n = self.sent;
            self.sent += 1;
            self.ask(at, n, due, sent)?;
            if self.schedule.is_none() && self.start.elapsed() >= self.options.duration {
                break;
            }
        }
        Ok(())
    }

    /// Sends the nth request.
    fn ask(&mut self, at: usize, n: u64, due: Duration, sent: Duration) -> anyhow::Result<()> {
        let connection = &mut self.connections[at];
        let kind = self.options.mix.nth(n);
        self.path.clear();
        self.body.clear();
        self.key.clear();
        let mut pending = Pending { kind, due, sent, room: 0, content: 0 };
        if let Some(world) = self.world {
            let person = &world.people[connection.person];
            let owner = connection.person;
            connection.authorize(world.generation(), || world.authorization(owner));
            let room = person.rooms.get(connection.round % person.rooms.len().max(1));
            let room = *room.context("somebody of the load is in no conversation")?;
            connection.round += 1;
            pending.room = room as u32;
            let id = world.rooms[room].id;
            match kind {
                Kind::Send => {
                    let message = world.next_message();
                    self.content.clear();
                    if let Some(began) = self.options.stamped {
                        let due = (self.start + due).saturating_duration_since(began);
                        let _ = write!(self.content, "{} ", due.as_micros());
                    }
                    text::write(&mut self.content, message);
                    pending.content = fingerprint(&self.content);
                    let _ = write!(self.path, "/v1/conversations/{id}/messages");
                    // Words and Chinese characters need no escaping.
                    let _ = write!(self.body, r#"{{"content":"{}"}}"#, self.content);
                    let _ = write!(self.key, "load-{}-{message}", self.options.run);
                }
                Kind::Read => {
                    let _ = write!(self.path, "/v1/conversations/{id}/messages?limit=50");
                }
                Kind::List => self.path.push_str("/v1/conversations?limit=20"),
                Kind::Search => {
                    self.path.push_str("/v1/messages/search?q=");
                    self.content.clear();
                    match &self.options.mix.search {
                        Some(text) => self.content.push_str(text),
                        None => text::write_query(&mut self.content, n),
                    }
                    text::write_encoded(&mut self.path, &self.content);
                }
                Kind::Echo => {}
            }
        }
        if kind == Kind::Echo {
            self.path.push_str("/echo");
            self.body.push_str(r#"{"content":""#);
            text::write(&mut self.body, 1);
            self.body.push_str(r#""}"#);
        }
        let head = Head {
            method: if self.body.is_empty() { "GET" } else { "POST" },
            path: &self.path,
            host: "",
            authorization: None,
            key: (!self.key.is_empty()).then_some(&self.key),
        };
        let connected = connection.connect(self.poll.registry());
        let refused = connected.is_err();
        let sent = connected.and_then(|()| Ok(connection.send(head, self.body.as_bytes(), pending)?));
        if let Err(error) = sent {
            connection.pending = Some(pending);
            self.fail(at, &format!("{error:#}"), !refused);
            if refused {
                std::thread::sleep(REFUSED);
            }
        }
        Ok(())
    }

    /// Reads what arrived on a connection.
    fn take(&mut self, at: usize, writable: bool) {
        let connection = &mut self.connections[at];
        let received = (if writable { connection.flush().map_err(Into::into) } else { Ok(()) })
            .and_then(|()| connection.receive());
        match received {
            Ok(Some(answer)) => self.finish(at, &answer),
            Ok(None) => {}
            Err(error) if connection.pending.is_some() => self.fail(at, &format!("{error:#}"), true),
            // It was of no use to anybody: the next request makes another.
            Err(_) => connection.disconnect(),
        }
    }

    /// Takes note of an answer.
    fn finish(&mut self, at: usize, answer: &Answer) {
        let connection = &mut self.connections[at];
        let Some(pending) = connection.pending.take() else {
            return connection.disconnect();
        };
        let now = self.start.elapsed();
        let content = connection.content(answer);
        let (wrong, unknown) = match judge(pending, answer.status, content, self.options.filled) {
            Ok(acknowledged) => {
                self.outcome.acknowledged.extend(acknowledged);
                (None, false)
            }
            Err(wrong) => (Some(wrong), answer.status >= 500 || (200..300).contains(&answer.status)),
        };
        let bytes = content.len() as u64;
        connection.finish(answer);
        self.idle.push(at);
        self.count(pending, now, wrong, unknown, bytes);
    }

    /// Takes note that no answer came.
    fn fail(&mut self, at: usize, wrong: &str, unknown: bool) {
        let connection = &mut self.connections[at];
        connection.disconnect();
        self.idle.push(at);
        if let Some(pending) = connection.pending.take() {
            self.count(pending, self.start.elapsed(), Some(wrong.to_owned()), unknown, 0);
        }
    }

    fn count(&mut self, pending: Pending, now: Duration, wrong: Option<String>, unknown: bool, bytes: u64) {
        let took = now.saturating_sub(pending.due);
        let of = self.outcome.kinds.entry(pending.kind).or_default();
        record(&mut of.latencies, took);
        record(&mut of.service, now.saturating_sub(pending.sent));
        of.bytes += bytes;
        let well = wrong.is_none();
        match wrong {
            None => of.done += 1,
            Some(wrong) => *of.errors.entry(wrong).or_default() += 1,
        }
        if unknown && pending.kind == Kind::Send {
            *self.outcome.unknown.entry(pending.room).or_default() += 1;
        }
        let second = self.outcome.second(now);
        record(&mut second.latencies, took);
        *(if well { &mut second.done } else { &mut second.failed }) += 1;
    }

    /// Counts what wasn't answered, and what there was no connection for, as failed.
    fn give_up(&mut self) {
        let grace = self.options.grace.as_secs();
        for at in 0..self.connections.len() {
            if self.connections[at].pending.is_some() {
                self.fail(at, &format!("no answer within {grace} s of the load's end"), true);
            }
        }
        let now = self.start.elapsed();
        if self.options.stop.load(Ordering::Relaxed) {
            return;
        }
        while let Some(due) = self.schedule.and_then(|schedule| schedule.due(self.sent)) {
            let kind = self.options.mix.nth(self.sent);
            let never = Pending { kind, due, sent: now, room: 0, content: 0 };
            self.count(never, now, Some("never sent: no connection was free".to_owned()), false, 0);
            self.sent += 1;
        }
    }
}

/// Whether an answer is what was asked for; the message that was acknowledged, if it was one.
fn judge(
    pending: Pending,
    status: u16,
    content: &[u8],
    filled: bool,
) -> Result<Option<Acknowledged>, String> {
    if !(200..300).contains(&status) {
        return Err(match status {
            401 => "401: nobody is signed in".to_owned(),
            429 => "429: too many requests; for a load, start the instance with `--set limits.enabled=false`"
                .to_owned(),
            _ => status.to_string(),
        });
    }
    match pending.kind {
        Kind::Send => match serde_json::from_slice::<Sent>(content) {
            Ok(Sent { id }) => Ok(Some(Acknowledged { id, room: pending.room, content: pending.content })),
            Err(_) => Err(format!("{status} without the message's id")),
        },
        // A page begins with its items.
        Kind::Read | Kind::List if filled && !content.iter().take(32).any(|&byte| byte == b'[') => {
            Err("a page without items".to_owned())
        }
        Kind::Read | Kind::List if filled && content.windows(3).take(32).any(|three| three == b"[],") => {
            Err("an empty page".to_owned())
        }
        Kind::Echo if content.is_empty() => Err("an empty echo".to_owned()),
        _ => Ok(None),
    }
}
