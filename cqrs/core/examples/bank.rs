//! A bank: an aggregate, two commands, a view with its query, and a reactor, all in memory.
//!
//! `cargo run --example bank` opens an account, which sets off a welcome bonus, and asks for the balance.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::testing::{MemoryKeyStore, instance_key};
use cqrs_core::{
    Actor, Aggregate, Batch, Clock, Command, CommandBus, Context, Decide, Decision, Event, EventBus,
    EventHandler, Executor, ExecutorOptions, Failure, Fence, HandlerError, Incoming, Keyring, LogSource,
    MemoryLog, Personal, PlaceStore, Position, Query, QueryBus, QueryHandler, Reactor, Reads, Refusal,
    RefusalKind, RunMode, State, StoreError, SystemClock, Tracing, codec_error,
};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

// What can happen to an account, and what it comes to.

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
enum AccountEvent {
    #[serde(rename = "account.opened")]
    Opened { owner: Personal<String> },
    #[serde(rename = "account.bonus-granted")]
    BonusGranted { cents: u64 },
}
impl Event for AccountEvent {}

#[derive(Clone, Default)]
struct Account {
    open: bool,
    bonus: bool,
}
impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened { .. } => self.open = true,
            AccountEvent::BonusGranted { .. } => self.bonus = true,
        }
    }
}

// What one can ask for: decided purely, on the account's state, and decided again if the account moved meanwhile.

#[derive(Debug, thiserror::Error)]
enum AccountRefusal {
    #[error("the account is open already")]
    AlreadyOpen,
    #[error("there is no such account")]
    NoSuchAccount,
}
impl Refusal for AccountRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyOpen => "account-already-open",
            Self::NoSuchAccount => "not-found",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::AlreadyOpen => RefusalKind::Conflict,
            Self::NoSuchAccount => RefusalKind::NotFound,
        }
    }
}

struct OpenAccount(Uuid, String);
impl Command for OpenAccount {
    const NAME: &'static str = "bank.open-account";
}
impl Decide for OpenAccount {
    type Answer = ();
    type Refusal = AccountRefusal;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.0)
    }
    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<()>, AccountRefusal> {
        if state.get::<Account>(self.0).open {
            return Err(AccountRefusal::AlreadyOpen);
        }
        let owner = Personal::new(self.0, self.1.clone());
        Ok(Decision::done().record::<Account>(self.0, AccountEvent::Opened { owner }).created())
    }
}

struct GrantBonus(Uuid);
impl Command for GrantBonus {
    const NAME: &'static str = "bank.grant-bonus";
}
impl Decide for GrantBonus {
    type Answer = ();
    type Refusal = AccountRefusal;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.0)
    }
    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<()>, AccountRefusal> {
        match state.get::<Account>(self.0) {
            Account { open: false, .. } => Err(AccountRefusal::NoSuchAccount),
            Account { bonus: true, .. } => Ok(Decision::already(())),
            _ => Ok(Decision::done().record::<Account>(self.0, AccountEvent::BonusGranted { cents: 500 })),
        }
    }
}

// A view: who has how much. On a database it is a `Projection`, which writes SQL; here it is a list.

#[derive(Default)]
struct Balances {
    rows: Mutex<Vec<(Uuid, String, u64)>>,
    place: Mutex<Position>,
}
struct KeepBalances(Arc<Balances>, Keyring);
#[async_trait]
impl EventHandler for KeepBalances {
    fn name(&self) -> &'static str {
        "balances"
    }
    fn sources(&self) -> &'static [&'static str] {
        &["bank"]
    }
    async fn place(&self, _: &'static str) -> Result<Position, StoreError> {
        Ok(*self.0.place.lock())
    }
    async fn handle(&self, _: &'static str, batch: &Batch, _: Option<Fence>) -> Result<(), HandlerError> {
        for event in &batch.events {
            let decoded = self.1.decode(event).await.map_err(|error| codec_error(event.position, &error))?;
            let mut rows = self.0.rows.lock();
            match decoded {
                AccountEvent::Opened { owner } => rows.push((event.stream, owner.text().to_owned(), 0)),
                AccountEvent::BonusGranted { cents } => {
                    rows.iter_mut().filter(|row| row.0 == event.stream).for_each(|row| row.2 += cents);
                }
            }
            *self.0.place.lock() = event.position;
        }
        Ok(())
    }
}

struct GetBalance(Uuid);
impl Query for GetBalance {
    const NAME: &'static str = "bank.get-balance";
    const VIEWS: &'static [&'static str] = &["balances"];
    type Answer = Option<(String, u64)>;
}
struct AnswerBalance(Arc<Balances>);
#[async_trait]
impl QueryHandler<GetBalance> for AnswerBalance {
    async fn handle(&self, _: &Context, query: GetBalance) -> Result<Option<(String, u64)>, Failure> {
        let rows = self.0.rows.lock();
        Ok(rows.iter().find(|row| row.0 == query.0).map(|row| (row.1.clone(), row.2)))
    }
}

// A side effect: opening an account sets off another command. It may run twice; its command has one effect.

struct WelcomeBonus(CommandBus);
#[async_trait]
impl Reactor for WelcomeBonus {
    fn name(&self) -> &'static str {
        "welcome-bonus"
    }
    fn sources(&self) -> &'static [&'static str] {
        &["bank"]
    }
    async fn react(&self, event: &Incoming<'_>) -> Result<(), Failure> {
        if let AccountEvent::Opened { .. } = event.decode()? {
            let cx = Context { causation: Some(event.meta.id), ..SystemClock.context(Actor::System) };
            self.0.dispatch(&cx, GrantBonus(event.meta.stream)).await?;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The stores; `parlor-cqrs-sql` has those that stay.
    let log = Arc::new(MemoryLog::new("bank"));
    let keyring = Keyring::new(Arc::new(MemoryKeyStore::default()));
    let options = ExecutorOptions::default();
    let executor =
        Executor::new(log.clone(), keyring.clone(), instance_key(), Arc::new(SystemClock), &options);

    // What the service handles: this is all there is to register, checked when it is built.
    let commands = CommandBus::builder()
        .decide::<OpenAccount>(&executor)
        .decide::<GrantBonus>(&executor)
        .layer(Tracing)
        .build()?;
    let view = Arc::new(Balances::default());
    let queries = QueryBus::builder().answer::<GetBalance, _>(AnswerBalance(view.clone())).build()?;
    let places: Arc<dyn PlaceStore> = log.clone();
    let events = EventBus::builder()
        .source(Arc::new(LogSource(log)))
        .subscribe(Arc::new(KeepBalances(view, keyring.clone())))
        .react(WelcomeBonus(commands.clone()), places, keyring)
        .build()?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut shown = events.position("balances", "bank").ok_or("the view follows the bank")?;
    let following = tokio::spawn(async move { events.run(stopped, RunMode::Follow).await });

    let cx = SystemClock.context(Actor::Anonymous);
    let id = cx.fresh_id(1);
    commands.dispatch(&cx, OpenAccount(id, "Ada".to_owned())).await?;
    // The bonus is the log's second event; the view has come to it once its place is 2.
    shown.wait_for(|position| *position >= Position(2)).await?;
    println!("{:?}", queries.ask(&cx, GetBalance(id)).await?);
    let twice = commands.dispatch(&cx, OpenAccount(id, "Ada".to_owned())).await;
    println!("{}", twice.err().ok_or("an account is opened once")?);

    stop.send(true)?;
    following.await?;
    Ok(())
}
