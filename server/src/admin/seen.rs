//! What commands came to in this process: counted by name, and the newest by what they belong to. Logs tell what happened,
//! not what was asked for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cqrs_core::{Actor, AnyCommand, Context, Failure, Middleware, Next, Reply};
use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

/// How many of the newest commands are remembered.
const REMEMBERED: usize = 4096;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It took effect, or there was nothing to do.
    Done,
    /// The ledger gave the answer of an earlier one.
    Replayed,
    /// It was refused.
    Refused,
    /// It failed, or was too late.
    Failed,
}

/// A command that was carried out here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSeen {
    /// Its name.
    pub name: &'static str,
    /// Who issued it.
    pub actor: Actor,
    /// Shared by everything that one request set off.
    pub correlation: Uuid,
    /// The event that set it off, if one did.
    pub causation: Option<Uuid>,
    /// When it came.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub end: End,
}

/// What the commands of one name came to, since the process began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// See [`End::Done`].
    pub done: u64,
    /// See [`End::Replayed`].
    pub replayed: u64,
    /// See [`End::Refused`].
    pub refused: u64,
    /// See [`End::Failed`].
    pub failed: u64,
    /// How long all of them took together.
    pub took: Duration,
}

#[derive(Default)]
struct Inner {
    totals: BTreeMap<&'static str, Totals>,
    newest: VecDeque<CommandSeen>,
}

/// Sees every command pass. Cheap to clone.
#[derive(Clone, Default)]
pub struct CommandsSeen(Arc<Mutex<Inner>>);

impl CommandsSeen {
    fn add(&self, command: CommandSeen) {
        let mut inner = self.0.lock();
        let totals = inner.totals.entry(command.name).or_default();
        match command.end {
            End::Done => totals.done += 1,
            End::Replayed => totals.replayed += 1,
            End::Refused => totals.refused += 1,
            End::Failed => totals.failed += 1,
        }
        totals.took += command.took;
        if inner.newest.len() == REMEMBERED {
            inner.newest.pop_front();
        }
        inner.newest.push_back(command);
    }

    /// The commands that belong together, the oldest first, as far as they are remembered.
    pub fn of(&self, correlation: Uuid) -> Vec<CommandSeen> {
        let inner = self.0.lock();
        inner.newest.iter().filter(|seen| seen.correlation == correlation).cloned().collect()
    }

    /// What the commands came to whose names begin with `prefix`, by name.
    pub fn totals(&self, prefix: &str) -> Vec<(&'static str, Totals)> {
        let inner = self.0.lock();
        inner
            .totals
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, totals)| (*name, *totals))
            .collect()
    }
}

#[async_trait]
impl Middleware for CommandsSeen {
    async fn handle(&self, cx: &Context, command: AnyCommand, next: Next<'_>) -> Result<Reply, Failure> {
        let (name, began) = (command.name, Instant::now());
        let result = next.run(cx, command).await;
        let end = match &result {
            Ok(reply) if reply.replayed => End::Replayed,
            Ok(_) => End::Done,
            Err(
                Failure::Internal(_)
                | Failure::Unavailable(_)
                | Failure::StorageFull
                | Failure::DeadlineExceeded,
            ) => End::Failed,
            Err(_) => End::Refused,
        };
        self.add(CommandSeen {
            name,
            actor: cx.actor,
            correlation: cx.correlation,
            causation: cx.causation,
            at: cx.now,
            took: began.elapsed(),
            end,
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(name: &'static str, correlation: u128, end: End) -> CommandSeen {
        CommandSeen {
            name,
            actor: Actor::System,
            correlation: Uuid::from_u128(correlation),
            causation: None,
            at: Timestamp::UNIX_EPOCH,
            took: Duration::from_millis(2),
            end,
        }
    }

    #[test]
    fn all_are_counted_and_only_the_newest_are_remembered() {
        let seen = CommandsSeen::default();
        seen.add(command("chat.send-message", 1, End::Replayed));
        for _ in 0..REMEMBERED {
            seen.add(command("user.create-user", 2, End::Done));
        }
        assert_eq!(seen.of(Uuid::from_u128(1)), []);
        assert_eq!(seen.of(Uuid::from_u128(2)).len(), REMEMBERED);
        let (name, totals) = seen.totals("chat.")[0];
        assert_eq!((name, totals.replayed, totals.done), ("chat.send-message", 1, 0));
        assert_eq!(seen.totals("user.")[0].1.took, Duration::from_millis(2) * REMEMBERED as u32);
    }
}
