//! A bank, in memory: an aggregate, a command with its refusal, a view and its query.
//!
//! `cargo run --example bank` pays in, asks for the balance, and is refused what isn't there.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::testing::{MemoryKeyStore, instance_key};
use cqrs_core::{
    Actor, Aggregate, Clock, Command, CommandBus, Context, Decide, Decision, Event, EventBus, Executor,
    ExecutorOptions, Failure, Keyring, LogSource, MemoryLog, MemoryView, Personal, Query, QueryBus,
    QueryHandler, Reads, Refusal, RefusalKind, RunMode, State, SystemClock,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What can happen to an account. The tags are the names under which it is stored for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", content = "data")]
enum AccountEvent {
    #[serde(rename = "account.deposited")]
    Deposited { cents: u64 },
    #[serde(rename = "account.withdrawn")]
    Withdrawn { cents: u64, note: Personal<String> },
}
impl Event for AccountEvent {}

#[derive(Clone, Default)]
struct Account {
    cents: u64,
}
impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Deposited { cents } => self.cents += cents,
            AccountEvent::Withdrawn { cents, .. } => self.cents -= cents,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the account holds only {0} cents")]
struct InsufficientFunds(u64);
impl Refusal for InsufficientFunds {
    fn code(&self) -> &'static str {
        "insufficient-funds"
    }
    fn kind(&self) -> RefusalKind {
        RefusalKind::Conflict
    }
}

/// A command names the streams it looks at and decides on them. If they moved meanwhile, it decides again.
enum Move {
    Deposit(Uuid, u64),
    Withdraw(Uuid, u64, &'static str),
}
impl Command for Move {
    const NAME: &'static str = "bank.move";
}
impl Decide for Move {
    type Answer = ();
    type Refusal = InsufficientFunds;
    fn reads(&self, _: &Context) -> Reads {
        let (Self::Deposit(account, _) | Self::Withdraw(account, ..)) = self;
        Reads::of::<Account>(*account)
    }
    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<()>, InsufficientFunds> {
        let (account, event) = match *self {
            Self::Deposit(account, cents) => (account, AccountEvent::Deposited { cents }),
            Self::Withdraw(account, cents, note) => {
                let held = state.get::<Account>(account).cents;
                if held < cents {
                    return Err(InsufficientFunds(held));
                }
                // Sealed with the account's key: destroy that, and the note is gone while the sums still add up.
                let note = Personal::new(account, note.to_owned());
                (account, AccountEvent::Withdrawn { cents, note })
            }
        };
        Ok(Decision::done().record::<Account>(account, event))
    }
}

// A query reads a view; this one is kept in memory, `parlor-cqrs-sql` keeps them in tables.
type Balances = MemoryView<Account, HashMap<Uuid, u64>>;
struct GetBalance(Uuid);
impl Query for GetBalance {
    const NAME: &'static str = "bank.get-balance";
    const VIEWS: &'static [&'static str] = &["balances"];
    type Answer = Option<u64>;
}
struct AnswerBalance(Arc<Balances>);
#[async_trait]
impl QueryHandler<GetBalance> for AnswerBalance {
    async fn handle(&self, _: &Context, query: GetBalance) -> Result<Option<u64>, Failure> {
        Ok(self.0.read(|balances| balances.get(&query.0).copied()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = Arc::new(MemoryLog::new("bank"));
    let keyring = Keyring::new(Arc::new(MemoryKeyStore::default()));
    let executor = Executor::new(
        log.clone(),
        keyring.clone(),
        instance_key(),
        Arc::new(SystemClock),
        &ExecutorOptions::default(),
    );

    // What the service handles: this is all there is to register, and it is checked when it is built.
    let commands = CommandBus::builder().decide::<Move>(&executor).build()?;
    let view = Arc::new(Balances::new("balances", &["bank"], keyring, |balances, meta, event| {
        let balance = balances.entry(meta.stream).or_default();
        match event {
            AccountEvent::Deposited { cents } => *balance += cents,
            AccountEvent::Withdrawn { cents, .. } => *balance -= cents,
        }
    }));
    let queries = QueryBus::builder().answer::<GetBalance, _>(AnswerBalance(view.clone())).build()?;
    let events = EventBus::builder().source(Arc::new(LogSource(log))).subscribe(view).build()?;
    let mut shown = events.position("balances", "bank").ok_or("the view follows the bank")?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let following = tokio::spawn(async move { events.run(stopped, RunMode::Follow).await });

    let cx = SystemClock.context(Actor::Anonymous);
    let account = cx.fresh_id(1);
    commands.dispatch(&cx, Move::Deposit(account, 500)).await?;
    let done = commands.dispatch(&cx, Move::Withdraw(account, 120, "lunch")).await?;
    shown.wait_for(|position| *position >= done.position).await?;
    println!("balance: {:?}", queries.ask(&cx, GetBalance(account)).await?);
    let refused = commands.dispatch(&cx, Move::Withdraw(account, 400, "a bicycle")).await;
    println!("refused: {}", refused.err().ok_or("more was paid out than there was")?);
    stop.send(true)?;
    Ok(following.await?)
}
