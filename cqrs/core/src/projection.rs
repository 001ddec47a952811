//! Projections turn events into rows of a view, and nothing else; reactors turn events into commands.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::event::{Event, Position, RecordedEvent};
use crate::event_bus::Gather;
use crate::failure::{Failure, StoreError};
use crate::lease::{Fence, LeaseStore};
use crate::parked::ParkStore;
use crate::privacy::{CodecError, Keys};
use crate::repository::Record;
use crate::value::Value;

/// Builds the parameters of a statement: `params![id, name, at]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::Value::from($value)),*] };
}

/// The SQL of a statement. `?1` numbers parameters on every store; `{p}` stands before each table's and index's
/// name, so that a view can be rebuilt beside the live one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sql {
    /// The same on every store.
    Any(&'static str),
    /// Where the stores differ.
    Each {
        /// For SQLite.
        sqlite: &'static str,
        /// For PostgreSQL.
        postgres: &'static str,
    },
}

impl From<&'static str> for Sql {
    fn from(sql: &'static str) -> Self {
        Self::Any(sql)
    }
}

/// What a column of rows that are taken in together holds; any value may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Truth values.
    Bool,
    /// Whole numbers and times.
    Int,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// UUIDs.
    Uuid,
}

/// How rows are taken in that come one after the other, for what happens so often that statements of its own for each would
/// cost a server too much. To the view it must make no difference how many come together.
#[derive(Debug, PartialEq, Eq)]
pub struct Together {
    /// What a row's values are.
    pub columns: &'static [ColumnKind],
    /// For SQLite: run for each row, one after the other, its values as `?1`, `?2`, ….
    pub sqlite: &'static [&'static str],
    /// For PostgreSQL: run once for all rows, one after the other. `{rows}` stands for a table of them with the columns `c1`,
    /// `c2`, … and `nth`, in which they are numbered from 1 as they came. Joins should go by an index: in a step there are no
    /// others than nested loops.
    pub postgres: &'static [&'static str],
}

/// One thing that a projection wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// Run this.
    One {
        /// The SQL.
        sql: Sql,
        /// The values of `?1`, `?2`, ….
        params: Vec<Value>,
    },
    /// Take this row in, with the others of its kind right before and after it.
    Row {
        /// How.
        of: &'static Together,
        /// Its values.
        values: Vec<Value>,
    },
}

/// What a projection wants written, in order. It can't read: a view is a function of its log by construction.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Writes(
    /// The statements, in order.
    pub Vec<Statement>,
    /// What they change, as [`Writes::touch`] was told.
    pub Vec<Uuid>,
    /// What [`Projection::upkeep`] is to know of the events, as [`Writes::note`] was told.
    pub Vec<Value>,
);

impl Writes {
    /// Says what is changed: whatever was remembered of it isn't true any more. What it stands for is between the projection
    /// and those who remember: a conversation, a person, or one of them in the other.
    pub fn touch(&mut self, what: Uuid) {
        self.1.push(what);
    }

    /// Tells [`Projection::upkeep`] something that it has to see to in the same step.
    pub fn note(&mut self, what: impl Into<Value>) {
        self.2.push(what.into());
    }

    /// Runs a statement.
    pub fn run(&mut self, sql: impl Into<Sql>, params: Vec<Value>) {
        self.0.push(Statement::One { sql: sql.into(), params });
    }

    /// Takes a row in, together with those that are said right before and after it.
    pub fn row(&mut self, of: &'static Together, values: Vec<Value>) {
        self.0.push(Statement::Row { of, values });
    }

    /// Inserts a record, or replaces the one with its key.
    pub fn save<T: Record>(&mut self, record: &T) {
        self.run(crate::repository::upsert_sql::<T>(), record.to_persistence());
    }

    /// Deletes the record with this key.
    pub fn delete<T: Record>(&mut self, key: impl Into<Value>) {
        self.run(crate::repository::delete_sql::<T>(), vec![key.into()]);
    }
}

/// An event on its way into a projection or reactor.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// The name of the log it comes from.
    pub source: &'a str,
    /// The event, sealed.
    pub meta: &'a Arc<RecordedEvent>,
    /// The keys at hand.
    pub keys: &'a Keys,
}

impl Incoming<'_> {
    /// The category of the event's stream; compare with `A::CATEGORY`.
    pub fn category(&self) -> &str {
        &self.meta.category
    }

    /// The event, typed.
    pub fn decode<E: Event>(&self) -> Result<E, CodecError> {
        crate::privacy::decode(self.meta, self.keys)
    }
}

/// A view's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// Raised whenever tables or projection change; a view of another version is rebuilt at start.
    pub version: u32,
    /// `CREATE` statements for SQLite, with `{p}` before names.
    pub sqlite: &'static str,
    /// `CREATE` statements for PostgreSQL, with `{p}` before names.
    pub postgres: &'static str,
    /// The tables, without `{p}`, so that they can be dropped.
    pub tables: &'static [&'static str],
}

/// For how long a view gathers events unless it says otherwise. Each batch costs a transaction, whatever is in it: at 500
/// messages a second, views and reactors on SQLite took 1.8 ms of processor time for each, and 1.1 ms with half of this.
const GATHER: Duration = Duration::from_millis(10);

/// The rows of one generation of a view, where it is kept.
#[async_trait]
pub trait ViewRows: Send + Sync {
    /// The rows that `sql` selects, whose columns are these.
    async fn rows(
        &self,
        sql: Sql,
        params: Vec<Value>,
        columns: &'static [ColumnKind],
    ) -> Result<Vec<Vec<Value>>, StoreError>;
}

/// Keeps a view: events in, rows out. Pure, so that the view can be rebuilt, compared and swapped at any time.
#[async_trait]
pub trait Projection: Send + Sync + 'static {
    /// The view's name, as `timeline`.
    fn name(&self) -> &'static str;

    /// The logs it follows: its own service's by name, another's public events as `user.public`.
    fn sources(&self) -> &'static [&'static str];

    /// Its tables.
    fn schema(&self) -> Schema;

    /// How events may be gathered that nobody waits for; see [`EventHandler::gathers`](crate::EventHandler::gathers).
    fn gathers(&self) -> Gather {
        Gather::during(GATHER)
    }

    /// Says what an event changes. Events that don't concern the view are passed over.
    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError>;

    /// Says how the view's rows are put in another order, for those who read them, before the events of a step change them: as an
    /// index that is merged. It may read, and gets what the step's events had noted. `view` is as the step before left it; were it
    /// moved on by somebody else, the step would be refused, and what is written here with it.
    ///
    /// What a query finds must be the same with it as without.
    async fn upkeep(&self, view: &dyn ViewRows, noted: &[Value]) -> Result<Writes, StoreError> {
        let _ = (view, noted);
        Ok(Writes::default())
    }
}

/// Turns events into commands. It runs at least once per event and must have one effect: its commands carry ids
/// derived from the event's, or are such that a second one changes nothing. It never runs in a rebuild.
///
/// ```
/// # use cqrs_core::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
/// # #[serde(tag = "type", content = "data")]
/// # enum AccountEvent { #[serde(rename = "account.opened")] Opened {} }
/// # impl Event for AccountEvent {}
/// # struct GrantBonus(uuid::Uuid);
/// # impl Command for GrantBonus { const NAME: &'static str = "bank.grant-bonus"; }
/// # impl Decide for GrantBonus {
/// #     type Answer = ();
/// #     type Refusal = std::convert::Infallible;
/// #     fn reads(&self, _: &Context) -> Reads { Reads::default() }
/// #     fn decide(&self, _: &Context, _: &State<'_>) -> Result<Decision<()>, Self::Refusal> { Ok(Decision::done()) }
/// # }
/// struct WelcomeBonus(CommandBus);
///
/// #[async_trait::async_trait]
/// impl Reactor for WelcomeBonus {
///     fn name(&self) -> &'static str {
///         "welcome-bonus"
///     }
///     fn sources(&self) -> &'static [&'static str] {
///         &["bank"]
///     }
///     async fn react(&self, event: &Incoming<'_>) -> Result<(), Failure> {
///         let AccountEvent::Opened {} = event.decode()?;
///         let cx = Context { causation: Some(event.meta.id), ..SystemClock.context(Actor::System) };
///         self.0.dispatch(&cx, GrantBonus(event.meta.stream)).await?;
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Reactor: Send + Sync + 'static {
    /// Its name, as `profile-of-account`.
    fn name(&self) -> &'static str;

    /// The logs it follows; see [`Projection::sources`].
    fn sources(&self) -> &'static [&'static str];

    /// Reacts to one event. An error that may pass (unavailable) is tried again for as long as it takes. Any other is tried
    /// a few times; then the event is parked with all later ones of its stream, and those of other streams go on.
    async fn react(&self, event: &Incoming<'_>) -> Result<(), Failure>;

    /// In how many streams at most it reacts at the same time; in each, one event after the other. With 1, which is what it
    /// is if nothing else is said, the events of all streams come in the order of their positions. With more, what reactions
    /// commit goes together into fewer transactions; an event may then be handled again although its place was never moved
    /// before it, because one of another stream ahead of it failed.
    fn concurrency(&self) -> usize {
        1
    }
}

/// How far somebody has come in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The last position that is behind them.
    pub position: Position,
    /// The epoch in which the log had that position; nil where that was never written down.
    pub epoch: Uuid,
}

/// Why a place wasn't moved.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The lease of who asks was taken over: nothing was written.
    #[error("the lease was taken over by another process")]
    LeaseLost,
    /// The place is that of another epoch of the log: nothing was written.
    #[error(
        "{consumer} has come to {position} in another epoch of {log}, which was restored or replaced since: rebuild it, \
         and it begins anew"
    )]
    OtherEpoch {
        /// Whose place it is.
        consumer: String,
        /// In which log.
        log: String,
        /// The place that is kept.
        position: Position,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Place {
    /// The position, if it can be gone on from in this epoch of the log. Where either epoch isn't known, it can.
    pub fn within(self, epoch: Uuid, consumer: &str, log: &str) -> Result<Position, PlaceError> {
        if self.epoch == epoch || self.epoch.is_nil() || epoch.is_nil() {
            return Ok(self.position);
        }
        let (consumer, log) = (consumer.to_owned(), log.to_owned());
        Err(PlaceError::OtherEpoch { consumer, log, position: self.position })
    }
}

/// Where a reactor, or a relay, keeps its place, and the lease under which it moves it. The lease has the consumer's name.
#[async_trait]
pub trait PlaceStore: LeaseStore {
    /// How far `consumer` has come in `source`; nothing if it never began.
    async fn load(&self, consumer: &str, source: &str) -> Result<Option<Place>, StoreError>;

    /// Moves the place forward; one that isn't ahead of the place already kept changes nothing. With `fence`, only if that
    /// still is the number of the consumer's lease, which is checked in the same transaction.
    async fn save(
        &self,
        consumer: &str,
        source: &str,
        place: Place,
        fence: Option<Fence>,
    ) -> Result<(), PlaceError>;

    /// Forgets the consumer's places, so that it begins anew. For operators, after a log was restored: what a reactor did
    /// before it won't do twice, for its commands' ids are derived from the events'.
    async fn forget(&self, consumer: &str) -> Result<(), StoreError>;

    /// Where events that can't be handled are parked; without it, a reactor stops at such an event.
    fn parking(&self) -> Option<&dyn ParkStore> {
        None
    }
}
