//! A bank, an executor on a log in memory, and a log that tells what it was asked.
#![allow(dead_code, reason = "each test crate uses some of it")]

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::testing::{TestClock, instance_key, keyring};
use cqrs_core::{
    Actor, Aggregate, Command, Commit, CommitError, Committed, Context, Decide, Decision, Event, Executor,
    ExecutorOptions, Guard, IdempotencyKey, Keyring, LedgerRecord, Log, MemoryLog, Position, Reads,
    RecordedEvent, Refusal, RefusalKind, State, StoreError, StreamId,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum AccountEvent {
    #[serde(rename = "account.deposited")]
    Deposited { cents: u64 },
    #[serde(rename = "account.withdrawn")]
    Withdrawn { cents: u64 },
    #[serde(rename = "account.closed")]
    Closed {},
}
impl Event for AccountEvent {}

#[derive(Debug, Clone, Default)]
pub struct Account {
    pub balance: u64,
    pub closed: bool,
}

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;

    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Deposited { cents } => self.balance += cents,
            AccountEvent::Withdrawn { cents } => self.balance -= cents,
            AccountEvent::Closed {} => self.closed = true,
        }
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum BankRefusal {
    #[error("only {0} cents are there")]
    InsufficientFunds(u64),
    #[error("there is no such account")]
    NoSuchAccount,
    #[error("the name is taken")]
    NameTaken,
}

impl Refusal for BankRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::InsufficientFunds(_) => "insufficient-funds",
            Self::NoSuchAccount => "not-found",
            Self::NameTaken => "name-taken",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchAccount => RefusalKind::NotFound,
            _ => RefusalKind::Conflict,
        }
    }
}

/// What the client of a withdrawal or deposit gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    pub balance: u64,
    pub position: u64,
}

pub struct Withdraw {
    pub account: Uuid,
    pub cents: u64,
}
impl Command for Withdraw {
    const NAME: &'static str = "bank.withdraw";
}
impl Decide for Withdraw {
    type Answer = Receipt;
    type Refusal = BankRefusal;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.account)
    }
    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<Receipt>, BankRefusal> {
        let account: &Account = state.get(self.account);
        if account.closed {
            return Err(BankRefusal::NoSuchAccount);
        }
        let balance =
            account.balance.checked_sub(self.cents).ok_or(BankRefusal::InsufficientFunds(account.balance))?;
        Ok(Decision::answering(move |committed| Receipt { balance, position: committed.last.0 })
            .record::<Account>(self.account, AccountEvent::Withdrawn { cents: self.cents }))
    }
}

pub struct Deposit {
    pub account: Uuid,
    pub cents: u64,
}
impl Command for Deposit {
    const NAME: &'static str = "bank.deposit";
}
impl Decide for Deposit {
    type Answer = Receipt;
    type Refusal = BankRefusal;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.account)
    }
    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<Receipt>, BankRefusal> {
        let balance = state.get::<Account>(self.account).balance + self.cents;
        Ok(Decision::answering(move |committed| Receipt { balance, position: committed.last.0 })
            .record::<Account>(self.account, AccountEvent::Deposited { cents: self.cents })
            .created())
    }
}

/// Closes an account, unless it is closed already.
pub struct Close(pub Uuid);
impl Command for Close {
    const NAME: &'static str = "bank.close";
}
impl Decide for Close {
    type Answer = ();
    type Refusal = BankRefusal;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.0)
    }
    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<()>, BankRefusal> {
        if state.get::<Account>(self.0).closed {
            return Ok(Decision::already(()));
        }
        Ok(Decision::done().record::<Account>(self.0, AccountEvent::Closed {}))
    }
}

/// A log in memory that notes what it was asked.
pub struct Spy {
    pub log: MemoryLog,
    /// After which version streams were read.
    pub stream_reads: Mutex<Vec<u64>>,
    /// How many commits were asked for.
    pub commits: Mutex<u32>,
}

impl Spy {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            log: MemoryLog::new("bank"),
            stream_reads: Mutex::default(),
            commits: Mutex::default(),
        })
    }

    /// What was noted since the last time.
    pub fn taken(&self) -> (Vec<u64>, u32) {
        (std::mem::take(&mut *self.stream_reads.lock()), std::mem::take(&mut *self.commits.lock()))
    }
}

#[async_trait]
impl Log for Spy {
    fn name(&self) -> &'static str {
        self.log.name()
    }
    fn epoch(&self) -> Uuid {
        self.log.epoch()
    }
    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        *self.commits.lock() += 1;
        // As with any log that takes a moment, others go on meanwhile.
        tokio::task::yield_now().await;
        let committed = self.log.commit(commit).await;
        tokio::task::yield_now().await;
        committed
    }
    async fn read_stream(&self, stream: StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        self.stream_reads.lock().push(after);
        self.log.read_stream(stream, after).await
    }
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        self.log.read(after, limit).await
    }
    async fn read_at(&self, positions: &[Position]) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        self.log.read_at(positions).await
    }
    async fn verify(&self, guards: &[Guard]) -> Result<Option<Guard>, StoreError> {
        self.log.verify(guards).await
    }
    async fn ledger(&self, key: [u8; 32]) -> Result<Option<LedgerRecord>, StoreError> {
        self.log.ledger(key).await
    }
    async fn claim_owner(&self, set: &'static str, value: [u8; 32]) -> Result<Option<Uuid>, StoreError> {
        self.log.claim_owner(set, value).await
    }
    async fn snapshot(&self, stream: StreamId) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.log.snapshot(stream).await
    }
    async fn save_snapshot(&self, stream: StreamId, version: u64, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.log.save_snapshot(stream, version, bytes).await
    }
    async fn count_streams(&self, category: &str) -> Result<u64, StoreError> {
        self.log.count_streams(category).await
    }
    fn head(&self) -> watch::Receiver<Position> {
        self.log.head()
    }
}

pub fn executor_with(log: Arc<dyn Log>, keyring: Keyring, options: &ExecutorOptions) -> Executor {
    Executor::new(log, keyring, instance_key(), Arc::new(TestClock::default()), options)
}

/// An executor with a cache of its own.
pub fn executor(log: Arc<dyn Log>) -> Executor {
    executor_with(log, keyring(), &ExecutorOptions::default())
}

pub fn account(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

pub fn cx(executor: &Executor) -> Context {
    executor.clock().context(Actor::User(Uuid::from_u128(1)))
}

/// A context with an idempotency key.
pub fn keyed(executor: &Executor, key: &str, content: &'static str) -> Context {
    let key = IdempotencyKey { key: key.to_owned(), route: "POST /x".to_owned(), content: content.into() };
    Context { idempotency: Some(Arc::new(key)), ..cx(executor) }
}
