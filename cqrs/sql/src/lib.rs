//! The kernel's stores: log, ledger, claims, snapshots, views and repositories, on SQLite and PostgreSQL.
//!
//! - [`SqlLog`]: group commit with gapless, commit-ordered positions, durable before the answer.
//! - [`Views`], [`Projecting`]: views kept by projections, each batch and its place in one transaction; rebuilt beside
//!   the live ones and swapped in one transaction.
//! - [`SqlReadRepository`], [`SqlWriteRepository`]: what every repository shares, once.
//! - [`SqlKeyStore`]: persons' keys, apart from the logs.
//! - [`ServiceStore`]: all of it for one service, opened together.
//!
//! SQL is written once: parameters as `?1`, `?2`, …, and `{p}` before the names of a view's tables.
//!
//! # A view in fifteen minutes
//!
//! With the aggregate and the command of `cqrs_core`'s own documentation, a projection says what each event changes, a
//! record how a row is read, and the shared repository does the rest:
//!
//! ```
//! use std::sync::Arc;
//! use cqrs_core::{
//!     Aggregate, BaseReadRepository, BaseRepository, CodecError, Event, Incoming, Order, Projection, QueryOptions,
//!     Record, Row, RowError, RowExt, Schema, Value, Writes, params,
//! };
//! use cqrs_sql::{SqlReadRepository, testing::TestStore};
//! use uuid::Uuid;
//! # use cqrs_core::{Actor, Clock, Context, Decide, Decision, Reads, Refusal, RefusalKind, State, SystemClock};
//! # use serde::{Serialize, Deserialize};
//! # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
//! # #[serde(tag = "type", content = "data")]
//! # enum AccountEvent {
//! #     #[serde(rename = "account.deposited")] Deposited { cents: i64 },
//! # }
//! # impl Event for AccountEvent {}
//! # #[derive(Debug, Clone, Default)]
//! # struct Account;
//! # impl Aggregate for Account {
//! #     const CATEGORY: &'static str = "account";
//! #     type Event = AccountEvent;
//! #     fn apply(&mut self, _: &AccountEvent) {}
//! # }
//! # struct Deposit(Uuid, i64);
//! # #[derive(Debug, thiserror::Error)]
//! # #[error("never")]
//! # struct Never;
//! # impl Refusal for Never {
//! #     fn code(&self) -> &'static str { "never" }
//! #     fn kind(&self) -> RefusalKind { RefusalKind::Conflict }
//! # }
//! # impl Decide for Deposit {
//! #     type Answer = ();
//! #     type Refusal = Never;
//! #     fn reads(&self, _: &Context) -> Reads { Reads::of::<Account>(self.0) }
//! #     fn decide(&self, _: &Context, _: &State<'_>) -> Result<Decision<()>, Never> {
//! #         Ok(Decision::done().record::<Account>(self.0, AccountEvent::Deposited { cents: self.1 }))
//! #     }
//! # }
//!
//! /// Who has how much.
//! struct Balances;
//!
//! impl Projection for Balances {
//!     fn name(&self) -> &'static str { "balances" }
//!     fn sources(&self) -> &'static [&'static str] { &["bank"] }
//!     fn schema(&self) -> Schema {
//!         Schema {
//!             version: 1, // raised with every change: the view is then filled anew
//!             sqlite: "CREATE TABLE {p}balances (id BLOB PRIMARY KEY, cents INTEGER NOT NULL)",
//!             postgres: "CREATE TABLE {p}balances (id uuid PRIMARY KEY, cents bigint NOT NULL)",
//!             tables: &["balances"],
//!         }
//!     }
//!     fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
//!         let AccountEvent::Deposited { cents } = event.decode()?;
//!         out.run(
//!             "INSERT INTO {p}balances (id, cents) VALUES (?1, ?2)
//!              ON CONFLICT (id) DO UPDATE SET cents = {p}balances.cents + excluded.cents",
//!             params![event.meta.stream, cents],
//!         );
//!         Ok(())
//!     }
//! }
//!
//! #[derive(Debug, Clone, PartialEq)]
//! struct Balance { id: Uuid, cents: i64 }
//!
//! impl Record for Balance {
//!     const TABLE: &'static str = "{p}balances";
//!     const COLUMNS: &'static [&'static str] = &["id", "cents"];
//!     fn to_persistence(&self) -> Vec<Value> { params![self.id, self.cents] }
//!     fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
//!         Ok(Self { id: row.get(0)?, cents: row.get(1)? })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In a temporary folder; `ServiceStore::open` opens one that stays, on SQLite or PostgreSQL.
//! let bank = TestStore::new("bank", vec![Arc::new(Balances)], None).await?;
//! let (ada, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
//! for (account, cents) in [(ada, 500), (bob, 70), (ada, 30)] {
//!     let cx = SystemClock.context(Actor::System);
//!     bank.store.executor.run(&cx, &Deposit(account, cents)).await?;
//! }
//! // At run time `ServiceStore::subscribe_projections` keeps the views up to date; a test does it by hand.
//! bank.project(&[]).await?;
//!
//! let balances = SqlReadRepository::<Balance>::new(bank.store.views.clone(), "balances");
//! assert_eq!(balances.find_by_id(ada).await?, Some(Balance { id: ada, cents: 530 }));
//! let richest = QueryOptions::all().sort("cents", Order::Descending).limit(1);
//! assert_eq!(balances.find_all(&richest).await?[0].id, ada);
//! # Ok(())
//! # }
//! ```

mod batch;
mod beside;
mod dialect;
mod keys;
mod leases;
mod log;
mod parked;
mod places;
mod postgres;
mod projecting;
mod repository;
mod sqlite;
mod store;
mod tail;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transfer;
mod value;
mod views;

pub use dialect::Dialect;
pub use keys::SqlKeyStore;
pub use log::{LedgerSize, Location, LogOptions, SqlLog};
pub use postgres::{Pool, PoolOptions};
pub use projecting::{Projecting, RebuildError, RebuildProgress};
pub use repository::{SqlReadRepository, SqlWriteRepository};
pub use store::{OpenService, ServiceStore};
pub use views::{AnswerKey, Settled, Views, ViewsAt, Watch};
