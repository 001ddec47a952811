//! The works that the kernel and Rust's event-sourcing crates are measured by, the same for each: a conversation with ten
//! participants, and a command that checks who sends and records a message of 80 characters.
//!
//! Each contestant is a program that ends in [`run`]; it measures one contestant at one work and prints a line of JSON for
//! each [`Measured`]. They are two programs, for the kernel's SQLite and that of the peers can't be linked into one.

mod drive;
mod measured;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use clap::Parser;
use uuid::Uuid;

pub use measured::{Measured, Work};

/// All contestants allocate as Parlor's server does.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The text of every message.
pub const TEXT: &str = "It is 80 characters long, as many messages between people are: Are you there yet?";

/// How many take part in each conversation.
pub const PARTICIPANTS: u128 = 10;

/// How a command ended that a contestant was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is recorded, durably as far as the contestant promises it.
    Acknowledged,
    /// Somebody else was faster and nothing was recorded: the client tries it again.
    Conflict,
}

/// What a contestant finds in its store, asked after the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Messages recorded.
    pub messages: u64,
    /// Different ones of them, by their ids.
    pub distinct: u64,
}

/// Somebody who records messages, in the way its documentation shows.
#[async_trait]
pub trait Contestant: Send + Sync + 'static {
    /// Begins a conversation with these participants.
    async fn create(&self, conversation: Uuid, participants: &[Uuid]) -> anyhow::Result<()>;

    /// Records these messages at once, as a command that records many events: to have a history to start from.
    async fn fill(&self, conversation: Uuid, sender: Uuid, messages: &[Uuid]) -> anyhow::Result<()>;

    /// A command: checks that `sender` takes part, and records the message. `client` numbers who asks.
    async fn send(
        &self,
        client: usize,
        conversation: Uuid,
        sender: Uuid,
        message: Uuid,
    ) -> anyhow::Result<Sent>;

    /// What is stored, read from the store itself.
    async fn stored(&self) -> anyhow::Result<Stored>;

    /// Replays every event into an empty table, a row for each message, and gives the number of rows there are then;
    /// `None` where the contestant has no means for it.
    async fn replay(&self) -> anyhow::Result<Option<u64>> {
        Ok(None)
    }
}

/// The participant with this number.
pub fn participant(number: usize) -> Uuid {
    Uuid::from_u128(0x5000 + number as u128 % PARTICIPANTS)
}

/// The conversation with this number.
pub fn conversation(number: u64) -> Uuid {
    Uuid::from_u128(0xC000_0000 + u128::from(number))
}

/// What a contestant's program is called with.
#[derive(Debug, Clone, Parser)]
pub struct Order {
    /// Who is measured.
    #[arg(long)]
    pub contestant: String,
    /// At which work.
    #[arg(long)]
    pub work: Work,
    /// How many ask at once; several numbers are measured one after the other, on the same store.
    #[arg(long, value_delimiter = ',', default_value = "32")]
    pub clients: Vec<usize>,
    /// How long each run takes.
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// How many events there are to replay.
    #[arg(long, default_value_t = 200_000)]
    pub events: u64,
    /// An empty database on PostgreSQL.
    #[arg(long, default_value = "")]
    pub postgres: String,
    /// An empty folder.
    #[arg(long)]
    pub dir: PathBuf,
}

/// Does one work with one contestant and prints what was measured. A difference between what was acknowledged and what is
/// stored is an error.
pub async fn run(order: &Order, contestant: Arc<dyn Contestant>) -> anyhow::Result<()> {
    for measured in drive::drive(order, contestant).await? {
        println!("{}", serde_json::to_string(&measured)?);
    }
    Ok(())
}
