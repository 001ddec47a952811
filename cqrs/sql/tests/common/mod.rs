//! A bank with two views, on either store.
#![allow(dead_code, reason = "each test crate uses some of it")]

use std::sync::Arc;

use cqrs_core::testing::keyring;
use cqrs_core::{
    Actor, Aggregate, Clock as _, CodecError, Context, Decide, Decision, Event, Incoming, Projection, Reads,
    Record, Refusal, RefusalKind, Row, RowError, RowExt as _, Schema, State, SystemClock, Value, Writes,
    params,
};
use cqrs_sql::testing::TestStore;
use cqrs_sql::{ServiceStore, Views};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum AccountEvent {
    #[serde(rename = "account.deposited")]
    Deposited { cents: i64 },
    /// What a projection does when it meets it is up to the projection.
    #[serde(rename = "account.poisoned")]
    Poisoned {},
}
impl Event for AccountEvent {}

#[derive(Debug, Clone, Default)]
pub struct Account {
    pub balance: i64,
}
impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    fn apply(&mut self, event: &AccountEvent) {
        if let AccountEvent::Deposited { cents } = event {
            self.balance += cents;
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
pub struct Never;
impl Refusal for Never {
    fn code(&self) -> &'static str {
        "never"
    }
    fn kind(&self) -> RefusalKind {
        RefusalKind::Conflict
    }
}

/// Records an event, whatever the account's state.
pub struct Happen(pub u128, pub AccountEvent);
impl Decide for Happen {
    type Answer = ();
    type Refusal = Never;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(Uuid::from_u128(self.0))
    }
    fn decide(&self, _: &Context, _: &State<'_>) -> Result<Decision<()>, Never> {
        Ok(Decision::done().record::<Account>(Uuid::from_u128(self.0), self.1.clone()))
    }
}

pub async fn deposit(store: &ServiceStore, account: u128, cents: i64) {
    happen(store, account, AccountEvent::Deposited { cents }).await;
}

pub async fn happen(store: &ServiceStore, account: u128, event: AccountEvent) {
    let cx = SystemClock.context(Actor::System);
    store.executor.run(&cx, &Happen(account, event)).await.unwrap();
}

/// What [`Balances`] does with a poisoned event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Poison {
    PassOver,
    Panic,
    BadSql,
    NoSuchTable,
}

/// A balance per account, the last amount, and how many there were: the last two depend on the events' order.
pub struct Balances {
    pub version: u32,
    pub poison: Poison,
}

impl Balances {
    pub fn shared() -> Arc<dyn Projection> {
        Arc::new(Self { version: 1, poison: Poison::PassOver })
    }
}

impl Projection for Balances {
    fn name(&self) -> &'static str {
        "balances"
    }
    fn sources(&self) -> &'static [&'static str] {
        &["bank"]
    }
    fn schema(&self) -> Schema {
        Schema {
            version: self.version,
            sqlite:
                "CREATE TABLE {p}balances (id BLOB PRIMARY KEY, cents INTEGER NOT NULL, last INTEGER NOT NULL,
                       deposits INTEGER NOT NULL);
                     CREATE INDEX {p}balances_by_cents ON {p}balances (cents)",
            postgres:
                "CREATE TABLE {p}balances (id uuid PRIMARY KEY, cents bigint NOT NULL, last bigint NOT NULL,
                         deposits bigint NOT NULL);
                       CREATE INDEX {p}balances_by_cents ON {p}balances (cents)",
            tables: &["balances"],
        }
    }
    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        if event.category() != Account::CATEGORY {
            return Ok(());
        }
        out.touch(event.meta.stream);
        match event.decode()? {
            AccountEvent::Deposited { cents } => out.run(
                "INSERT INTO {p}balances (id, cents, last, deposits) VALUES (?1, ?2, ?2, 1)
                 ON CONFLICT (id) DO UPDATE SET cents = {p}balances.cents + excluded.cents, last = excluded.last,
                   deposits = {p}balances.deposits + 1",
                params![event.meta.stream, cents],
            ),
            AccountEvent::Poisoned {} => match self.poison {
                Poison::PassOver => {}
                Poison::Panic => panic!("on purpose"),
                Poison::BadSql => out.run("INSERT INTO {p}balances (id) VALUES (NULL)", params![]),
                Poison::NoSuchTable => out.run("DELETE FROM {p}nowhere", params![]),
            },
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Balance {
    pub id: Uuid,
    pub cents: i64,
    pub last: i64,
    pub deposits: i64,
}
impl Record for Balance {
    const TABLE: &'static str = "{p}balances";
    const COLUMNS: &'static [&'static str] = &["id", "cents", "last", "deposits"];
    fn to_persistence(&self) -> Vec<Value> {
        params![self.id, self.cents, self.last, self.deposits]
    }
    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self { id: row.get(0)?, cents: row.get(1)?, last: row.get(2)?, deposits: row.get(3)? })
    }
}

/// The whole view, by id.
pub async fn balances(views: &Views) -> Vec<Balance> {
    views
        .query(
            "balances",
            "SELECT id, cents, last, deposits FROM {p}balances ORDER BY id",
            vec![],
            Balance::to_domain,
        )
        .await
        .unwrap()
}

/// What the view must hold, folded from the log without any of the projection's code.
pub async fn expected(store: &ServiceStore) -> Vec<Balance> {
    use cqrs_core::{Log as _, Position};
    let mut found = std::collections::BTreeMap::<Uuid, Balance>::new();
    for event in store.log.read(Position(0), usize::MAX >> 1).await.unwrap() {
        if let AccountEvent::Deposited { cents } = keyring().decode(&event).await.unwrap() {
            let id = event.stream;
            let balance = found.entry(id).or_insert(Balance { id, cents: 0, last: 0, deposits: 0 });
            balance.cents += cents;
            balance.last = cents;
            balance.deposits += 1;
        }
    }
    found.into_values().collect()
}

tokio::task_local! {
    /// Set for the tests that reach PostgreSQL through a pooler.
    pub static POOLED: ();
}

/// An empty store on PostgreSQL, behind a pooler in tests that ask for it; `None` if there is none.
pub async fn on_postgres(
    name: &'static str,
    projections: Vec<Arc<dyn Projection>>,
    write_schema: Option<(&'static str, &'static str)>,
) -> Option<TestStore> {
    if POOLED.try_with(|()| ()).is_ok() {
        TestStore::pooled(name, projections, write_schema).await.unwrap()
    } else {
        TestStore::on_postgres(name, projections, write_schema).await.unwrap()
    }
}

/// The test on each store: SQLite always, PostgreSQL where the environment names a server, directly and with a pooler in
/// transaction mode between.
#[macro_export]
macro_rules! on_both_stores {
    ($($test:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$test(false).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                super::$test(true).await;
            })*
        }
        mod pgbouncer {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                $crate::common::POOLED.scope((), super::$test(true)).await;
            })*
        }
    };
}

/// An empty store with these projections; `None` if it is to be on PostgreSQL and there is none.
pub async fn bank(postgres: bool, projections: Vec<Arc<dyn Projection>>) -> Option<TestStore> {
    if postgres {
        on_postgres("bank", projections, None).await
    } else {
        Some(TestStore::new("bank", projections, None).await.unwrap())
    }
}

/// Another process's store on the same data, perhaps with other projections.
pub async fn reopened(bank: &TestStore, projections: Vec<Arc<dyn Projection>>) -> TestStore {
    use cqrs_sql::Location;
    let (log, views) = match (bank.dir(), bank.schemas()) {
        (Some(dir), _) => (Location::Sqlite(dir.join("log.db")), Location::Sqlite(dir.join("views.db"))),
        (None, [log, views]) => {
            (log.from_another_process(4).unwrap(), views.from_another_process(4).unwrap())
        }
        _ => unreachable!("a test's store is in a folder or in two schemas"),
    };
    TestStore::at("bank", log, views, projections, None).await.unwrap()
}

/// A connection to the tests' server, beside those of the stores.
pub async fn postgres() -> tokio_postgres::Client {
    let url = std::env::var(cqrs_sql::testing::POSTGRES_URL).unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
