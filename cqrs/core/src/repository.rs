//! What every repository shares, once: the bases, and the options of their queries.

use std::any::TypeId;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use crate::aggregate::Aggregate;
use crate::executor::Executor;
use crate::failure::{Failure, StoreError};
use crate::value::{Row, RowError, Value};

/// How a type lies in a table: the only thing a concrete repository says about storage.
pub trait Record: Clone + Send + Sync + 'static {
    /// The table; for a view with `{p}` in front.
    const TABLE: &'static str;
    /// All columns, the key first.
    const COLUMNS: &'static [&'static str];
    /// The text columns that [`BaseReadRepository::search`] looks in, folded as the search term is.
    const SEARCHED: &'static [&'static str] = &[];

    /// The columns' values, in the order of [`Record::COLUMNS`].
    fn to_persistence(&self) -> Vec<Value>;
    /// The record from a row with the columns in that order.
    fn to_domain(row: &dyn Row) -> Result<Self, RowError>;
}

/// How a filter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Equal; with [`Value::Null`], is null.
    Is,
    /// Not equal, and not null; with [`Value::Null`], is not null.
    IsNot,
    /// Less.
    Below,
    /// Greater.
    Above,
}

/// One condition; all of a query's must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// The column.
    pub column: &'static str,
    /// How it compares.
    pub comparison: Comparison,
    /// With what.
    pub value: Value,
}

/// The direction of a sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Ascending,
    /// Greatest first.
    Descending,
}

/// Which records, in which order, how many. Built in code, never from a client's strings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct QueryOptions {
    /// All must hold.
    pub filters: Vec<Filter>,
    /// In this order; by key if empty. Text sorts by its bytes where the table's author saw to it (on PostgreSQL, columns
    /// declared `COLLATE "C"`); where nulls come is the store's choice.
    pub sort: Vec<(&'static str, Order)>,
    /// At most so many; all if `None`.
    pub limit: Option<u32>,
    /// Leaving out so many first.
    pub offset: u32,
}

impl QueryOptions {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }
    /// Only where `column` is `value`.
    #[must_use]
    pub fn filter(self, column: &'static str, value: impl Into<Value>) -> Self {
        self.compare(column, Comparison::Is, value)
    }
    /// Only where `column` compares so with `value`.
    #[must_use]
    pub fn compare(mut self, column: &'static str, comparison: Comparison, value: impl Into<Value>) -> Self {
        self.filters.push(Filter { column, comparison, value: value.into() });
        self
    }
    /// Sorted by `column` (after those named before).
    #[must_use]
    pub fn sort(mut self, column: &'static str, order: Order) -> Self {
        self.sort.push((column, order));
        self
    }
    /// At most `limit`.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }
    /// Leaving out the first `offset`.
    #[must_use]
    pub fn offset(mut self, offset: u32) -> Self {
        self.offset = offset;
        self
    }
}

/// What every repository can do.
#[async_trait]
pub trait BaseRepository<T: Send>: Send + Sync {
    /// The one with this id.
    async fn find_by_id(&self, id: Uuid) -> Result<Option<T>, StoreError>;
    /// Whether there is one with this id.
    async fn exists(&self, id: Uuid) -> Result<bool, StoreError> {
        Ok(self.find_by_id(id).await?.is_some())
    }
    /// How many the filters choose; sort, limit and offset say nothing here.
    async fn count(&self, options: &QueryOptions) -> Result<u64, StoreError>;
}

/// What a repository of the write side can do besides.
#[async_trait]
pub trait BaseWriteRepository<T: Send>: BaseRepository<T> {
    /// Stores it if the stored version is `expected` (0: not there yet) and returns the new version.
    async fn save(&self, entity: &T, expected: u64) -> Result<u64, StoreError>;
    /// Deletes it; whether it was there.
    async fn delete(&self, id: Uuid) -> Result<bool, StoreError>;
}

/// What a repository of the read side can do besides.
#[async_trait]
pub trait BaseReadRepository<T: Send>: BaseRepository<T> {
    /// Those that the options choose, in their order.
    async fn find_all(&self, options: &QueryOptions) -> Result<Vec<T>, StoreError>;
    /// Those of them in whose searched columns the folded `term` occurs.
    async fn search(&self, term: &str, options: &QueryOptions) -> Result<Vec<T>, StoreError>;
}

/// The repository of an event-sourced aggregate: finds by folding the stream.
#[derive(Clone)]
pub struct EventSourcedRepository<A> {
    executor: Executor,
    of: PhantomData<fn() -> A>,
}

impl<A: Aggregate> EventSourcedRepository<A> {
    /// The repository of the `A`s in the executor's log. Changes go through decisions, which is what makes them safe.
    pub fn new(executor: Executor) -> Self {
        Self { executor, of: PhantomData }
    }

    /// The aggregate with its version (0: nothing happened to it yet).
    pub async fn load(&self, id: Uuid) -> Result<(u64, A), Failure> {
        self.executor.state(id).await
    }
}

fn store_error(failure: Failure) -> StoreError {
    match failure {
        Failure::Unavailable(detail) => StoreError::Unavailable(detail),
        Failure::StorageFull => StoreError::Full,
        other => StoreError::Other(other.to_string()),
    }
}

#[async_trait]
impl<A: Aggregate> BaseRepository<A> for EventSourcedRepository<A> {
    async fn find_by_id(&self, id: Uuid) -> Result<Option<A>, StoreError> {
        let (version, state) = self.load(id).await.map_err(store_error)?;
        Ok((version > 0).then_some(state))
    }

    /// Counts streams; filters say nothing about a fold and are not taken.
    async fn count(&self, options: &QueryOptions) -> Result<u64, StoreError> {
        if !options.filters.is_empty() {
            return Err(StoreError::Other("an event-sourced repository counts without filters".to_owned()));
        }
        self.executor.log().count_streams(A::CATEGORY).await
    }
}

type VersionedRow = (u64, Vec<Value>);

/// A repository in memory, for tests that need no disk: keeps what `to_persistence` gives and reads it back.
#[derive(Clone)]
pub struct InMemoryRepository<T> {
    rows: Arc<RwLock<Vec<VersionedRow>>>,
    of: PhantomData<fn() -> T>,
}

impl<T> Default for InMemoryRepository<T> {
    fn default() -> Self {
        Self { rows: Arc::default(), of: PhantomData }
    }
}

struct MemoryRow<'a>(&'a [Value]);

impl MemoryRow<'_> {
    fn other(column: usize, value: &Value) -> RowError {
        RowError { column, detail: format!("holds {value:?}") }
    }
    fn value(&self, column: usize) -> Result<&Value, RowError> {
        self.0.get(column).ok_or_else(|| RowError { column, detail: "no such column".to_owned() })
    }
}

impl Row for MemoryRow<'_> {
    fn int(&self, column: usize) -> Result<Option<i64>, RowError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Int(n) => Ok(Some(*n)),
            Value::Bool(b) => Ok(Some(i64::from(*b))),
            other => Err(Self::other(column, other)),
        }
    }
    fn text(&self, column: usize) -> Result<Option<String>, RowError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text.clone())),
            other => Err(Self::other(column, other)),
        }
    }
    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, RowError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes.clone())),
            other => Err(Self::other(column, other)),
        }
    }
    fn uuid(&self, column: usize) -> Result<Option<Uuid>, RowError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Uuid(id) => Ok(Some(*id)),
            other => Err(Self::other(column, other)),
        }
    }
}

/// As SQL orders values; nulls come first.
fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    let int = |value: &Value| match value {
        Value::Int(n) => Some(*n),
        Value::Bool(b) => Some(i64::from(*b)),
        _ => None,
    };
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::Null, Value::Null) => std::cmp::Ordering::Equal,
        (Value::Null, _) => std::cmp::Ordering::Less,
        _ => int(a).cmp(&int(b)),
    }
}

/// As in SQL: null is neither equal to anything nor unequal, but a filter for null finds it.
fn holds(held: &Value, comparison: Comparison, asked: &Value) -> bool {
    match (held, comparison, asked) {
        (held, Comparison::Is, Value::Null) => *held == Value::Null,
        (held, Comparison::IsNot, Value::Null) => *held != Value::Null,
        (Value::Null, ..) | (.., Value::Null) => false,
        (held, Comparison::Is, asked) => compare(held, asked).is_eq(),
        (held, Comparison::IsNot, asked) => compare(held, asked).is_ne(),
        (held, Comparison::Below, asked) => compare(held, asked).is_lt(),
        (held, Comparison::Above, asked) => compare(held, asked).is_gt(),
    }
}

fn column_index<T: Record>(column: &str) -> Result<usize, StoreError> {
    let found = T::COLUMNS.iter().position(|named| *named == column);
    found.ok_or_else(|| StoreError::Other(format!("{} has no column {column}", T::TABLE)))
}

impl<T: Record> InMemoryRepository<T> {
    /// The records that the options choose and `keep` keeps.
    fn select(&self, options: &QueryOptions, keep: impl Fn(&[Value]) -> bool) -> Result<Vec<T>, StoreError> {
        let rows = self.rows.read();
        let mut chosen = Vec::new();
        'rows: for (_, row) in rows.iter() {
            for filter in &options.filters {
                let held = &row[column_index::<T>(filter.column)?];
                if !holds(held, filter.comparison, &filter.value) {
                    continue 'rows;
                }
            }
            if keep(row) {
                chosen.push(row);
            }
        }
        let key = [(T::COLUMNS[0], Order::Ascending)];
        let sort = if options.sort.is_empty() { &key[..] } else { &options.sort };
        for (column, order) in sort.iter().rev() {
            let column = column_index::<T>(column)?;
            chosen.sort_by(|a, b| match order {
                Order::Ascending => compare(&a[column], &b[column]),
                Order::Descending => compare(&b[column], &a[column]),
            });
        }
        let limit = options.limit.map_or(usize::MAX, |limit| limit as usize);
        let page = chosen.into_iter().skip(options.offset as usize).take(limit);
        page.map(|row| T::to_domain(&MemoryRow(row)).map_err(|error| StoreError::Corrupt(error.to_string())))
            .collect()
    }
}

#[async_trait]
impl<T: Record> BaseRepository<T> for InMemoryRepository<T> {
    async fn find_by_id(&self, id: Uuid) -> Result<Option<T>, StoreError> {
        Ok(self.select(&QueryOptions::all().filter(T::COLUMNS[0], id), |_| true)?.pop())
    }
    async fn count(&self, options: &QueryOptions) -> Result<u64, StoreError> {
        let filtered = QueryOptions { filters: options.filters.clone(), ..QueryOptions::default() };
        Ok(self.select(&filtered, |_| true)?.len() as u64)
    }
}

#[async_trait]
impl<T: Record> BaseWriteRepository<T> for InMemoryRepository<T> {
    async fn save(&self, entity: &T, expected: u64) -> Result<u64, StoreError> {
        let row = entity.to_persistence();
        let mut rows = self.rows.write();
        let held = rows.iter_mut().find(|(_, held)| held[0] == row[0]);
        let version = held.as_ref().map_or(0, |(version, _)| *version);
        if version != expected {
            return Err(StoreError::Other(format!("at version {version}, not {expected}")));
        }
        match held {
            Some(held) => *held = (version + 1, row),
            None => rows.push((1, row)),
        }
        Ok(version + 1)
    }
    async fn delete(&self, id: Uuid) -> Result<bool, StoreError> {
        let mut rows = self.rows.write();
        let before = rows.len();
        rows.retain(|(_, row)| row[0] != Value::Uuid(id));
        Ok(rows.len() < before)
    }
}

#[async_trait]
impl<T: Record> BaseReadRepository<T> for InMemoryRepository<T> {
    async fn find_all(&self, options: &QueryOptions) -> Result<Vec<T>, StoreError> {
        self.select(options, |_| true)
    }
    async fn search(&self, term: &str, options: &QueryOptions) -> Result<Vec<T>, StoreError> {
        let columns: Vec<_> =
            T::SEARCHED.iter().map(|name| column_index::<T>(name)).collect::<Result<_, _>>()?;
        self.select(options, |row| {
            columns.iter().any(|&column| matches!(&row[column], Value::Text(text) if text.contains(term)))
        })
    }
}

type SqlByType = LazyLock<Mutex<HashMap<(TypeId, bool), &'static str>>>;

/// Made once per record type and kept for good: statements are told apart by their text's address.
fn sql_of<T: Record>(delete: bool, make: impl FnOnce() -> String) -> &'static str {
    static MADE: SqlByType = LazyLock::new(Mutex::default);
    MADE.lock().entry((TypeId::of::<T>(), delete)).or_insert_with(|| Box::leak(make().into_boxed_str()))
}

/// `INSERT … ON CONFLICT (key) DO UPDATE` of all columns.
pub fn upsert_sql<T: Record>() -> &'static str {
    sql_of::<T>(false, || {
        let columns = T::COLUMNS.join(", ");
        let values: Vec<_> = (1..=T::COLUMNS.len()).map(|n| format!("?{n}")).collect();
        let updates: Vec<_> =
            T::COLUMNS[1..].iter().map(|column| format!("{column} = excluded.{column}")).collect();
        let action = if updates.is_empty() {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {}", updates.join(", "))
        };
        format!(
            "INSERT INTO {} ({columns}) VALUES ({}) ON CONFLICT ({}) DO {action}",
            T::TABLE,
            values.join(", "),
            T::COLUMNS[0]
        )
    })
}

/// `DELETE` by key.
pub fn delete_sql<T: Record>() -> &'static str {
    sql_of::<T>(true, || format!("DELETE FROM {} WHERE {} = ?1", T::TABLE, T::COLUMNS[0]))
}
