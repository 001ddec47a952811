//! The write path alone, without HTTP: a decision that guards a membership and records a message of 80 characters,
//! sealed, through executor and group commit, as fast as so many clients can ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cqrs_core::testing::{instance_key, keyring};
use cqrs_core::{
    Actor, Aggregate, Clock as _, Context, Decide, Decision, Event, Executor, ExecutorOptions, Log as _,
    Personal, Reads, Refusal, RefusalKind, State, SystemClock,
};
use cqrs_sql::{Location, LogOptions, Pool, SqlLog};
use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::server::Database;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
enum SaidEvent {
    #[serde(rename = "said")]
    Said { room: Uuid, text: Personal<String> },
}
impl Event for SaidEvent {}

#[derive(Debug, Clone, Default)]
struct Said;
impl Aggregate for Said {
    const CATEGORY: &'static str = "said";
    type Event = SaidEvent;
    fn apply(&mut self, _: &SaidEvent) {}
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
enum MemberEvent {
    #[serde(rename = "member.joined")]
    Joined {},
}
impl Event for MemberEvent {}

#[derive(Debug, Clone, Default)]
struct Member(bool);
impl Aggregate for Member {
    const CATEGORY: &'static str = "member";
    type Event = MemberEvent;
    fn apply(&mut self, _: &MemberEvent) {
        self.0 = true;
    }
}

#[derive(Debug, thiserror::Error)]
#[error("not a member")]
struct NotAMember;
impl Refusal for NotAMember {
    fn code(&self) -> &'static str {
        "not-a-member"
    }
    fn kind(&self) -> RefusalKind {
        RefusalKind::NotFound
    }
}

struct Join(Uuid);
impl Decide for Join {
    type Answer = ();
    type Refusal = NotAMember;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Member>(self.0)
    }
    fn decide(&self, _: &Context, _: &State<'_>) -> Result<Decision<()>, NotAMember> {
        Ok(Decision::done().record::<Member>(self.0, MemberEvent::Joined {}))
    }
}

struct Say {
    room: Uuid,
    user: Uuid,
}
impl Decide for Say {
    type Answer = String;
    type Refusal = NotAMember;
    fn reads(&self, cx: &Context) -> Reads {
        Reads::of::<Said>(cx.fresh_id(0)).and::<Member>(self.room)
    }
    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<String>, NotAMember> {
        if !state.get::<Member>(self.room).0 {
            return Err(NotAMember);
        }
        let text = Personal::new(self.user, "x".repeat(80));
        Ok(Decision::answering(|committed| committed.last.to_string())
            .record::<Said>(cx.fresh_id(0), SaidEvent::Said { room: self.room, text })
            .created())
    }
}

/// Appends with each number of clients in turn, on SQLite and, if given, on PostgreSQL.
pub(crate) async fn run(clients: &[usize], duration: Duration, postgres: Option<&str>) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    measure("SQLite", Location::Sqlite(dir.path().join("log.db")), clients, duration).await?;
    if let Some(url) = postgres {
        let database = Database::create(url).await?;
        let pool = Pool::new(&database.url, 8)?;
        measure("PostgreSQL", Location::Postgres { pool, schema: "log".to_owned() }, clients, duration)
            .await?;
    }
    Ok(())
}

async fn measure(
    store: &str,
    location: Location,
    clients: &[usize],
    duration: Duration,
) -> anyhow::Result<()> {
    let clock = Arc::new(SystemClock);
    let log = SqlLog::open("bench", &location, clock.fresh_id(), None, LogOptions::default()).await?;
    let options = ExecutorOptions::default();
    let executor = Executor::new(log.clone(), keyring(), instance_key(), clock, &options);
    let rooms: Vec<Uuid> = (1..=1000).map(Uuid::from_u128).collect();
    for room in &rooms {
        executor.run(&SystemClock.context(Actor::System), &Join(*room)).await?;
    }
    for &clients in clients {
        let before = log.head().borrow().0;
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for n in 0..clients {
            let (executor, rooms) = (executor.clone(), rooms.clone());
            tasks.spawn(async move {
                let user = Uuid::from_u128(n as u128 + 5000);
                let mut latencies = Histogram::<u64>::new(3)?;
                let mut round = n;
                while started.elapsed() < duration {
                    let room = rooms[round * 7 % rooms.len()];
                    round += 1;
                    let one = Instant::now();
                    let cx = SystemClock.context(Actor::User(user));
                    executor.run(&cx, &Say { room, user }).await?;
                    latencies.record(one.elapsed().as_micros() as u64)?;
                }
                anyhow::Ok(latencies)
            });
        }
        let mut latencies = Histogram::<u64>::new(3)?;
        while let Some(one) = tasks.join_next().await {
            latencies.add(one??)?;
        }
        let seconds = started.elapsed().as_secs_f64();
        let stored = log.head().borrow().0 - before;
        anyhow::ensure!(stored == latencies.len(), "{} acknowledged, {stored} stored", latencies.len());
        println!(
            "{store}, {clients} clients: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
            stored as f64 / seconds,
            latencies.value_at_quantile(0.5) as f64 / 1000.0,
            latencies.value_at_quantile(0.99) as f64 / 1000.0
        );
    }
    Ok(())
}
