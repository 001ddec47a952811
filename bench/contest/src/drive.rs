//! Does the works: closed loops of clients, each of which sends its next message when the one before is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{Contestant, Measured, Order, PARTICIPANTS, Sent, Stored, Work, conversation, participant};

/// Conversations of [`Work::K1`].
const CONVERSATIONS: u64 = 1000;

/// Events that the conversation of [`Work::K3`] has.
const HISTORY: u64 = 10_000;

/// Messages that one command records when a history is made.
const FILL: u64 = 1000;

/// Commands that make a history, at the same time.
const FILLERS: usize = 8;

/// Ids are numbers: a run needs no randomness, and each is used once.
#[derive(Default)]
struct Ids(AtomicU64);

impl Ids {
    fn next(&self) -> Uuid {
        Uuid::from_u128(0x1_0000_0000_0000 + u128::from(self.0.fetch_add(1, Ordering::Relaxed)))
    }
}

pub(crate) async fn drive(order: &Order, contestant: Arc<dyn Contestant>) -> anyhow::Result<Vec<Measured>> {
    let ids = Arc::new(Ids::default());
    let everyone: Vec<Uuid> = (0..PARTICIPANTS as usize).map(participant).collect();
    let conversations = match order.work {
        Work::K1 => CONVERSATIONS,
        Work::K2 | Work::K3 => 1,
        Work::K4 => order.events / FILL,
    };
    for number in 0..conversations {
        contestant.create(conversation(number), &everyone).await.context("can't begin a conversation")?;
    }
    match order.work {
        Work::K1 | Work::K2 => {}
        Work::K3 => {
            fill(&contestant, &ids, std::iter::repeat_n(0, (HISTORY / FILL) as usize).collect(), 1).await?;
        }
        Work::K4 => return replay(order, &contestant, &ids).await,
    }
    let before = ids.0.load(Ordering::Relaxed);
    let mut acknowledged = before;
    let mut all = Vec::new();
    for &clients in &order.clients {
        let mut measured = load(order, &contestant, &ids, clients, conversations).await?;
        acknowledged += measured.operations;
        let stored = contestant.stored().await.context("can't count what is stored")?;
        let expected = Stored { messages: acknowledged, distinct: acknowledged };
        ensure!(stored == expected, "{acknowledged} messages acknowledged, {stored:?} found");
        measured.stored = stored.messages - (acknowledged - measured.operations);
        all.push(measured);
    }
    Ok(all)
}

async fn fill(
    contestant: &Arc<dyn Contestant>,
    ids: &Arc<Ids>,
    mut conversations: Vec<u64>,
    at_once: usize,
) -> anyhow::Result<()> {
    let mut running = JoinSet::new();
    while let Some(number) = conversations.pop() {
        let contestant = contestant.clone();
        let messages: Vec<Uuid> = (0..FILL).map(|_| ids.next()).collect();
        running.spawn(async move { contestant.fill(conversation(number), participant(0), &messages).await });
        if running.len() >= at_once
            && let Some(one) = running.join_next().await
        {
            one?.context("can't make a history")?;
        }
    }
    while let Some(one) = running.join_next().await {
        one?.context("can't make a history")?;
    }
    Ok(())
}

/// What one client saw.
struct Seen {
    latencies: Histogram<u64>,
    conflicts: u64,
    /// Commands acknowledged in each second.
    seconds: Vec<u64>,
}

async fn load(
    order: &Order,
    contestant: &Arc<dyn Contestant>,
    ids: &Arc<Ids>,
    clients: usize,
    conversations: u64,
) -> anyhow::Result<Measured> {
    let duration = Duration::from_secs(order.seconds);
    let cpu = cpu_seconds();
    let started = Instant::now();
    let mut running = JoinSet::new();
    for client in 0..clients {
        let (contestant, ids) = (contestant.clone(), ids.clone());
        running.spawn(async move {
            let mut seen = Seen {
                latencies: Histogram::new(3)?,
                conflicts: 0,
                seconds: vec![0; duration.as_secs() as usize + 1],
            };
            let sender = participant(client);
            // Any order will do in which clients don't follow each other from conversation to conversation.
            let mut state = (client as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            while started.elapsed() < duration {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let (conversation, message) = (conversation(state % conversations), ids.next());
                let asked = Instant::now();
                while contestant.send(client, conversation, sender, message).await? == Sent::Conflict {
                    seen.conflicts += 1;
                }
                seen.latencies.record(asked.elapsed().as_micros() as u64)?;
                let second = started.elapsed().as_secs() as usize;
                if let Some(count) = seen.seconds.get_mut(second) {
                    *count += 1;
                }
            }
            anyhow::Ok(seen)
        });
    }
    let mut latencies = Histogram::<u64>::new(3)?;
    let (mut conflicts, mut seconds) = (0, vec![0; duration.as_secs() as usize + 1]);
    while let Some(one) = running.join_next().await {
        let seen = one?.context("a command failed")?;
        latencies.add(seen.latencies)?;
        conflicts += seen.conflicts;
        for (all, own) in seconds.iter_mut().zip(seen.seconds) {
            *all += own;
        }
    }
    Ok(Measured {
        contestant: order.contestant.clone(),
        work: order.work,
        clients,
        seconds: started.elapsed().as_secs_f64(),
        operations: latencies.len(),
        conflicts,
        p50_ms: latencies.value_at_quantile(0.5) as f64 / 1000.0,
        p99_ms: latencies.value_at_quantile(0.99) as f64 / 1000.0,
        first_second: seconds[0],
        // The one after it is what came in late.
        last_second: seconds[seconds.len() - 2],
        cpu_seconds: cpu_seconds() - cpu,
        stored: 0,
    })
}

async fn replay(
    order: &Order,
    contestant: &Arc<dyn Contestant>,
    ids: &Arc<Ids>,
) -> anyhow::Result<Vec<Measured>> {
    let conversations = (0..order.events / FILL).collect();
    fill(contestant, ids, conversations, FILLERS).await?;
    let messages = ids.0.load(Ordering::Relaxed);
    let stored = contestant.stored().await.context("can't count what is stored")?;
    ensure!(
        stored == Stored { messages, distinct: messages },
        "{messages} messages recorded, {stored:?} found"
    );
    let (cpu, started) = (cpu_seconds(), Instant::now());
    let Some(rows) = contestant.replay().await.context("can't replay")? else { return Ok(Vec::new()) };
    let seconds = started.elapsed().as_secs_f64();
    ensure!(rows == messages, "{messages} messages recorded, {rows} rows in the table after replaying them");
    Ok(vec![Measured {
        contestant: order.contestant.clone(),
        work: order.work,
        clients: 1,
        seconds,
        operations: messages,
        conflicts: 0,
        p50_ms: 0.0,
        p99_ms: 0.0,
        first_second: 0,
        last_second: 0,
        cpu_seconds: cpu_seconds() - cpu,
        stored: rows,
    }])
}

/// The processor time of this process so far; 0 where the system doesn't tell.
fn cpu_seconds() -> f64 {
    // Linux counts it in hundredths of a second in the 14th and 15th field; the name before them may hold spaces.
    let read = || {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        Some(ticks / 100.0)
    };
    read().unwrap_or_default()
}
