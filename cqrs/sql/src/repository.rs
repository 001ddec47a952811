//! The repositories' one implementation on SQL: concrete ones add domain methods only.

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::{
    BaseReadRepository, BaseRepository, BaseWriteRepository, Commit, CommitError, Comparison, Filter,
    Log as _, Order, QueryOptions, Record, Row, RowError, RowWrite, Sql, StoreError, Value,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::dialect::Dialect;
use crate::log::SqlLog;
use crate::views::Views;

/// `WHERE … ORDER BY … LIMIT … OFFSET …` for the options, with the parameters they need, numbered from `params.len()`.
fn clauses<T: Record>(
    options: &QueryOptions,
    mut conditions: Vec<String>,
    params: &mut Vec<Value>,
    paged: bool,
) -> Result<String, StoreError> {
    let known = |column: &'static str| -> Result<&'static str, StoreError> {
        let found = T::COLUMNS.contains(&column);
        found
            .then_some(column)
            .ok_or_else(|| StoreError::Other(format!("{} has no column {column}", T::TABLE)))
    };
    for Filter { column, comparison, value } in &options.filters {
        let column = known(column)?;
        conditions.push(match (comparison, value) {
            (Comparison::Is, Value::Null) => format!("{column} IS NULL"),
            (Comparison::IsNot, Value::Null) => format!("{column} IS NOT NULL"),
            (comparison, value) => {
                params.push(value.clone());
                let sign = match comparison {
                    Comparison::Is => "=",
                    Comparison::IsNot => "<>",
                    Comparison::Below => "<",
                    Comparison::Above => ">",
                };
                format!("{column} {sign} ?{}", params.len())
            }
        });
    }
    let mut sql = String::new();
    if !conditions.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&conditions.join(" AND "));
    }
    if !paged {
        return Ok(sql);
    }
    let mut order = Vec::new();
    for (column, direction) in &options.sort {
        let direction = match direction {
            Order::Ascending => "",
            Order::Descending => " DESC",
        };
        order.push(format!("{}{direction}", known(column)?));
    }
    if order.is_empty() {
        order.push(T::COLUMNS[0].to_owned());
    }
    sql.push_str(" ORDER BY ");
    sql.push_str(&order.join(", "));
    // SQLite takes an offset only behind a limit.
    let limit = options.limit.map(Value::from).or((options.offset > 0).then_some(Value::Int(i64::MAX)));
    let offset = (options.offset > 0).then(|| options.offset.into());
    for (word, value) in [("LIMIT", limit), ("OFFSET", offset)] {
        if let Some(value) = value {
            params.push(value);
            sql = format!("{sql} {word} ?{}", params.len());
        }
    }
    Ok(sql)
}

/// That any of the searched columns holds the term, letter by letter: `LIKE` minds case on one store and not on the
/// other.
fn search_condition<T: Record>(term: &str, dialect: Dialect, params: &mut Vec<Value>) -> String {
    params.push(term.into());
    let n = params.len();
    let position = match dialect {
        Dialect::Sqlite => "instr",
        Dialect::Postgres => "strpos",
    };
    let columns: Vec<_> =
        T::SEARCHED.iter().map(|column| format!("{position}({column}, ?{n}) > 0")).collect();
    if columns.is_empty() { "1 = 0".to_owned() } else { format!("({})", columns.join(" OR ")) }
}

/// Named, for an elided lifetime inside an async trait's parameters would become the method's own.
type ReadRow<U> = for<'a, 'b> fn(&'a (dyn Row + 'b)) -> Result<U, RowError>;

/// Where a repository's rows are read from.
#[async_trait]
trait Rows: Send + Sync {
    fn dialect(&self) -> Dialect;

    /// The name of a table in SQL.
    fn table(&self, name: &'static str) -> String;

    async fn rows<U: Send + 'static>(
        &self,
        sql: &str,
        params: Vec<Value>,
        map: ReadRow<U>,
    ) -> Result<Vec<U>, StoreError>;
}

async fn find_by_id<T: Record>(rows: &impl Rows, id: Uuid) -> Result<Option<T>, StoreError> {
    let table = rows.table(T::TABLE);
    let sql = format!("SELECT {} FROM {table} WHERE {} = ?1", T::COLUMNS.join(", "), T::COLUMNS[0]);
    Ok(rows.rows(&sql, vec![id.into()], T::to_domain).await?.pop())
}

async fn exists<T: Record>(rows: &impl Rows, id: Uuid) -> Result<bool, StoreError> {
    let sql = format!("SELECT 1 FROM {} WHERE {} = ?1", rows.table(T::TABLE), T::COLUMNS[0]);
    Ok(!rows.rows(&sql, vec![id.into()], |_| Ok(())).await?.is_empty())
}

async fn count<T: Record>(rows: &impl Rows, options: &QueryOptions) -> Result<u64, StoreError> {
    let mut params = Vec::new();
    let filter = clauses::<T>(options, Vec::new(), &mut params, false)?;
    let sql = format!("SELECT count(*) FROM {}{filter}", rows.table(T::TABLE));
    let counted = rows.rows(&sql, params, |row| row.int(0)).await?;
    Ok(counted.into_iter().next().flatten().unwrap_or(0) as u64)
}

async fn find_all<T: Record>(
    rows: &impl Rows,
    term: Option<&str>,
    options: &QueryOptions,
) -> Result<Vec<T>, StoreError> {
    let mut params = Vec::new();
    let conditions =
        term.map(|term| search_condition::<T>(term, rows.dialect(), &mut params)).into_iter().collect();
    let tail = clauses::<T>(options, conditions, &mut params, true)?;
    let sql = format!("SELECT {} FROM {}{tail}", T::COLUMNS.join(", "), rows.table(T::TABLE));
    rows.rows(&sql, params, T::to_domain).await
}

/// A view's repository.
#[derive(Clone)]
pub struct SqlReadRepository<T> {
    views: Views,
    view: &'static str,
    of: PhantomData<fn() -> T>,
}

impl<T: Record> SqlReadRepository<T> {
    /// The records of `view`.
    pub fn new(views: Views, view: &'static str) -> Self {
        Self { views, view, of: PhantomData }
    }

    /// The records that a domain method's own SQL chooses; it selects [`Record::COLUMNS`] in their order.
    pub async fn query(&self, sql: impl Into<Sql>, params: Vec<Value>) -> Result<Vec<T>, StoreError> {
        self.views.query(self.view, sql, params, T::to_domain).await
    }

    /// Anything else that a domain method selects.
    pub async fn rows<U: Send + 'static>(
        &self,
        sql: impl Into<Sql>,
        params: Vec<Value>,
        map: impl Fn(&dyn Row) -> Result<U, RowError> + Send + Clone + 'static,
    ) -> Result<Vec<U>, StoreError> {
        self.views.query(self.view, sql, params, map).await
    }

    /// The views that this one is among.
    pub fn views(&self) -> &Views {
        &self.views
    }
}

#[async_trait]
impl<T: Record> Rows for SqlReadRepository<T> {
    fn dialect(&self) -> Dialect {
        self.views.dialect()
    }
    fn table(&self, name: &'static str) -> String {
        name.to_owned()
    }
    async fn rows<U: Send + 'static>(
        &self,
        sql: &str,
        params: Vec<Value>,
        map: ReadRow<U>,
    ) -> Result<Vec<U>, StoreError> {
        self.views.query_made(self.view, sql, params, map).await
    }
}

#[async_trait]
impl<T: Record> BaseRepository<T> for SqlReadRepository<T> {
    async fn find_by_id(&self, id: Uuid) -> Result<Option<T>, StoreError> {
        find_by_id(self, id).await
    }
    async fn exists(&self, id: Uuid) -> Result<bool, StoreError> {
        exists::<T>(self, id).await
    }
    async fn count(&self, options: &QueryOptions) -> Result<u64, StoreError> {
        count::<T>(self, options).await
    }
}

#[async_trait]
impl<T: Record> BaseReadRepository<T> for SqlReadRepository<T> {
    async fn find_all(&self, options: &QueryOptions) -> Result<Vec<T>, StoreError> {
        find_all(self, None, options).await
    }
    async fn search(&self, term: &str, options: &QueryOptions) -> Result<Vec<T>, StoreError> {
        find_all(self, Some(term), options).await
    }
}

/// The repository of a state-stored aggregate: rows with a version, in the log's own store.
#[derive(Clone)]
pub struct SqlWriteRepository<T> {
    log: Arc<SqlLog>,
    of: PhantomData<fn() -> T>,
}

impl<T: Record> SqlWriteRepository<T> {
    /// The records beside `log`. Their table has a `version` column besides [`Record::COLUMNS`].
    pub fn new(log: Arc<SqlLog>) -> Self {
        Self { log, of: PhantomData }
    }

    /// The record with its version.
    pub async fn load(&self, id: Uuid) -> Result<Option<(u64, T)>, StoreError> {
        let columns = T::COLUMNS.join(", ");
        let table = self.table(T::TABLE);
        let sql = format!("SELECT {columns}, version FROM {table} WHERE {} = ?1", T::COLUMNS[0]);
        let map = |row: &dyn Row| -> Result<(u64, T), RowError> {
            Ok((row.int(T::COLUMNS.len())?.unwrap_or(0) as u64, T::to_domain(row)?))
        };
        Ok(self.log.select(&sql, vec![id.into()], map).await?.pop())
    }

    /// The change that stores `entity` if the stored version is `expected` (0: not there yet), to be committed with the
    /// event that tells of it.
    pub fn write(&self, entity: &T, expected: u64) -> RowWrite {
        let mut values = entity.to_persistence().into_iter();
        let key = values.next().unwrap_or(Value::Null);
        RowWrite {
            table: T::TABLE,
            key_column: T::COLUMNS[0],
            key,
            expected: Some(expected),
            columns: Some(T::COLUMNS[1..].iter().copied().zip(values).collect()),
        }
    }

    /// The records that the options choose, in their order.
    pub async fn find_all(&self, options: &QueryOptions) -> Result<Vec<T>, StoreError> {
        find_all(self, None, options).await
    }

    async fn commit(&self, row: RowWrite) -> Result<(), StoreError> {
        // No event tells of it: time and correlation concern nobody.
        let mut commit = Commit::new(cqrs_core::Actor::System, Uuid::nil(), Timestamp::UNIX_EPOCH);
        commit.rows.push(row);
        match self.log.commit(commit).await {
            Ok(_) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::Other(error.to_string())),
        }
    }
}

#[async_trait]
impl<T: Record> Rows for SqlWriteRepository<T> {
    fn dialect(&self) -> Dialect {
        self.log.dialect()
    }
    fn table(&self, name: &'static str) -> String {
        self.log.table(name)
    }
    async fn rows<U: Send + 'static>(
        &self,
        sql: &str,
        params: Vec<Value>,
        map: ReadRow<U>,
    ) -> Result<Vec<U>, StoreError> {
        self.log.select(sql, params, map).await
    }
}

#[async_trait]
impl<T: Record> BaseRepository<T> for SqlWriteRepository<T> {
    async fn find_by_id(&self, id: Uuid) -> Result<Option<T>, StoreError> {
        find_by_id(self, id).await
    }
    async fn exists(&self, id: Uuid) -> Result<bool, StoreError> {
        exists::<T>(self, id).await
    }
    async fn count(&self, options: &QueryOptions) -> Result<u64, StoreError> {
        count::<T>(self, options).await
    }
}

#[async_trait]
impl<T: Record> BaseWriteRepository<T> for SqlWriteRepository<T> {
    async fn save(&self, entity: &T, expected: u64) -> Result<u64, StoreError> {
        self.commit(self.write(entity, expected)).await?;
        Ok(expected + 1)
    }
    async fn delete(&self, id: Uuid) -> Result<bool, StoreError> {
        let existed = exists::<T>(self, id).await?;
        let key = Value::Uuid(id);
        self.commit(RowWrite {
            table: T::TABLE,
            key_column: T::COLUMNS[0],
            key,
            expected: None,
            columns: None,
        })
        .await?;
        Ok(existed)
    }
}
