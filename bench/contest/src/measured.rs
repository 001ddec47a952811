//! What is measured, and what came of it.

use serde::{Deserialize, Serialize};

/// One of the works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Append to 1,000 conversations.
    K1,
    /// Append to one conversation, all at once.
    K2,
    /// Append to a conversation that has 10,000 events, one after the other.
    K3,
    /// Replay a log into a table.
    K4,
}

/// What one contestant came to at one work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// Who.
    pub contestant: String,
    /// At which work.
    pub work: Work,
    /// How many asked at once.
    pub clients: usize,
    /// How long it took.
    pub seconds: f64,
    /// Commands acknowledged, or events replayed.
    pub operations: u64,
    /// How often a command was tried again because somebody else was faster.
    pub conflicts: u64,
    /// Half of the commands took no longer, tries included.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// Commands acknowledged in the first whole second.
    pub first_second: u64,
    /// Commands acknowledged in the last whole second.
    pub last_second: u64,
    /// Seconds of processor time of this process alone, without the database's.
    pub cpu_seconds: f64,
    /// Messages found in the store afterwards, of this work alone; rows in the table for a replay.
    pub stored: u64,
}

impl Measured {
    /// Operations in a second.
    pub fn per_second(&self) -> f64 {
        self.operations as f64 / self.seconds
    }
}
