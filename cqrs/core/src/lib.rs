//! A CQRS and event-sourcing kernel.
//!
//! Commands change state and take effect exactly once; queries change nothing; events are facts that update views and
//! set off side effects. This crate holds the ideas and needs no database, no web framework and no broker;
//! `parlor-cqrs-sql` brings the stores, `parlor-cqrs-http` the edge.
//!
//! # In fifteen minutes
//!
//! **An aggregate** is the fold of its events. Its events are an enum with serde's adjacent tagging, the tags being the
//! names under which they are stored for good:
//!
//! ```
//! use cqrs_core::{Aggregate, Event};
//! # use serde::{Serialize, Deserialize};
//!
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
//! #[serde(tag = "type", content = "data")]
//! enum AccountEvent {
//!     #[serde(rename = "account.deposited")]
//!     Deposited { cents: i64 },
//!     #[serde(rename = "account.withdrawn")]
//!     Withdrawn { cents: i64 },
//! }
//! impl Event for AccountEvent {}
//!
//! #[derive(Debug, Clone, Default)]
//! struct Account { balance: i64 }
//!
//! impl Aggregate for Account {
//!     const CATEGORY: &'static str = "account";
//!     type Event = AccountEvent;
//!     fn apply(&mut self, event: &AccountEvent) {
//!         match event {
//!             AccountEvent::Deposited { cents } => self.balance += cents,
//!             AccountEvent::Withdrawn { cents } => self.balance -= cents,
//!         }
//!     }
//! }
//! ```
//!
//! **A command** names the streams it looks at and decides, synchronously and purely. What it appends to and what it
//! merely relied on are checked together when it commits; if anything moved, it is decided again:
//!
//! ```
//! # use cqrs_core::{Aggregate, Event};
//! # use serde::{Serialize, Deserialize};
//! # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
//! # #[serde(tag = "type", content = "data")]
//! # enum AccountEvent {
//! #     #[serde(rename = "account.deposited")] Deposited { cents: i64 },
//! #     #[serde(rename = "account.withdrawn")] Withdrawn { cents: i64 },
//! # }
//! # impl Event for AccountEvent {}
//! # #[derive(Debug, Clone, Default)]
//! # struct Account { balance: i64 }
//! # impl Aggregate for Account {
//! #     const CATEGORY: &'static str = "account";
//! #     type Event = AccountEvent;
//! #     fn apply(&mut self, event: &AccountEvent) {
//! #         match event {
//! #             AccountEvent::Deposited { cents } => self.balance += cents,
//! #             AccountEvent::Withdrawn { cents } => self.balance -= cents,
//! #         }
//! #     }
//! # }
//! use cqrs_core::{Actor, Command, Context, Decide, Decision, Reads, Refusal, RefusalKind, State};
//! use cqrs_core::testing::given;
//! use uuid::Uuid;
//!
//! struct Withdraw { account: Uuid, cents: i64 }
//!
//! #[derive(Debug, PartialEq, thiserror::Error)]
//! enum WithdrawRefusal {
//!     #[error("the account holds only {0} cents")]
//!     InsufficientFunds(i64),
//! }
//! impl Refusal for WithdrawRefusal {
//!     fn code(&self) -> &'static str { "insufficient-funds" }
//!     fn kind(&self) -> RefusalKind { RefusalKind::Conflict }
//! }
//!
//! impl Command for Withdraw {
//!     const NAME: &'static str = "bank.withdraw";
//! }
//! impl Decide for Withdraw {
//!     type Answer = ();
//!     type Refusal = WithdrawRefusal;
//!     fn reads(&self, _: &Context) -> Reads {
//!         Reads::of::<Account>(self.account)
//!     }
//!     fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<()>, WithdrawRefusal> {
//!         let account: &Account = state.get(self.account);
//!         if account.balance < self.cents {
//!             return Err(WithdrawRefusal::InsufficientFunds(account.balance));
//!         }
//!         Ok(Decision::done().record::<Account>(self.account, AccountEvent::Withdrawn { cents: self.cents }))
//!     }
//! }
//!
//! // A test states what happened, what is asked for, and what must come of it.
//! let id = Uuid::from_u128(1);
//! given::<Account>(id, [AccountEvent::Deposited { cents: 500 }])
//!     .when(Actor::System, &Withdraw { account: id, cents: 700 })
//!     .refused(WithdrawRefusal::InsufficientFunds(500));
//! ```
//!
//! **A service** lists its handlers; a command with two handlers, or with none though something needs it, is an error
//! at start that names it: [`CommandBus::builder`], [`QueryBus::builder`], [`EventBus::builder`].
//!
//! **A projection** turns events into rows ([`Projection`]), **a reactor** turns them into further commands
//! ([`Reactor`]), **a query** reads rows through a [`BaseReadRepository`]. `examples/bank.rs` is a small
//! service in one file. A store of one's own is right when it passes the suite in [`conformance`].

mod aggregate;
mod broadcast;
mod command;
pub mod conformance;
mod context;
mod decision;
mod event;
mod event_bus;
mod executor;
mod failure;
mod lease;
mod log;
mod memory;
mod memory_view;
mod middleware;
mod parked;
mod position;
mod privacy;
mod projection;
mod query;
mod repository;
mod source;
pub mod testing;
mod trace;
mod value;

pub use aggregate::{Aggregate, Versioned};
pub use broadcast::{Broadcast, InProcess};
pub use command::{
    AnyCommand, Command, CommandBus, CommandBusBuilder, CommandHandler, Middleware, Next, RegistrationError,
};
pub use context::{Actor, Clock, Context, IdempotencyKey, SystemClock, derived_id};
pub use decision::{Decide, Decision, Outcome, PlainClaim, Reads, State};
pub use event::{Event, NewEvent, Position, RecordedEvent, StreamId};
pub use event_bus::{
    EventBus, EventBusBuilder, EventBusError, EventHandler, Gather, HandlerError, Progress, Reached, RunMode,
    codec_error, while_leased,
};
pub use executor::{Executor, ExecutorOptions, Reply};
pub use failure::{Failure, FieldError, Refusal, RefusalKind, Refused, StoreError};
pub use lease::{Fence, LeaseStore};
pub use log::{
    Append, Claim, ClaimChange, Commit, CommitError, Committed, Guard, LedgerEntry, LedgerRecord, Log,
    Render, RowWrite,
};
pub use memory::MemoryLog;
pub use memory_view::MemoryView;
pub use middleware::{Deadline, Idempotency, Tracing};
pub use parked::{ForeignRecord, Park, ParkStore, Parked};
pub use position::{PositionVector, TokenCodec};
pub use privacy::{
    CodecError, InstanceKey, KeyStore, Keyring, Keys, PersonKey, Personal, Plain, decode, decode_parts,
    encode, undeclared_text,
};
pub use projection::{
    ColumnKind, Incoming, Place, PlaceError, PlaceStore, Projection, Reactor, Schema, Sql, Statement,
    Together, ViewRows, Writes,
};
pub use query::{Query, QueryBus, QueryBusBuilder, QueryHandler};
pub use repository::{
    BaseReadRepository, BaseRepository, BaseWriteRepository, Comparison, EventSourcedRepository, Filter,
    InMemoryRepository, Order, QueryOptions, Record, delete_sql, upsert_sql,
};
pub use source::{
    Batch, Covered, EventSource, LogSource, PUBLIC, PublicEvent, PublicSource, Publisher, public_id,
};
pub use trace::SpanId;
pub use value::{FromRow, Row, RowError, RowExt, Value};
