//! A store as it was at one instant.

use std::collections::BTreeMap;
use std::sync::Arc;

use cqrs_core::{Position, StoreError, Value};
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::hold::Hold;
use super::row::{of_postgres, of_sqlite};
use super::rows::{Batches, Rows};
use super::table::{META, Table};
use super::{TransferError, mark};
use crate::dialect::{postgres_error, sqlite_error};
use crate::log::Location;
use crate::postgres::log::quoted;
use crate::sqlite;

/// A store's rows at one instant, whatever is written meanwhile.
pub struct Snapshot {
    name: String,
    source: Source,
    tables: Vec<Table>,
    meta: Meta,
    position: Option<Position>,
}

/// What a store says of itself.
type Meta = BTreeMap<String, Vec<u8>>;

#[derive(Clone)]
enum Source {
    Sqlite(Arc<Mutex<Connection>>),
    Postgres { client: Arc<Client>, schema: String },
}

/// The rows of a cursor that are fetched in one go.
const FETCHED: usize = 1000;

impl Snapshot {
    /// The store called `name` as it is now. One that is itself a copy under way is refused.
    pub async fn pin(name: &str, location: &Location) -> Result<Self, TransferError> {
        Self::of(name, location, true).await.map_err(TransferError::store(name))
    }

    /// The same of a copy under way, to compare it.
    pub(crate) async fn of_unfinished(name: &str, location: &Location) -> Result<Self, TransferError> {
        Self::of(name, location, false).await.map_err(TransferError::store(name))
    }

    async fn of(name: &str, location: &Location, finished: bool) -> Result<Self, StoreError> {
        let (source, tables) = match location {
            Location::Sqlite(path) => {
                let path = path.clone();
                sqlite::blocking(move || {
                    let connection = sqlite::open_reader(&path)
                        .map_err(|error| StoreError::Other(format!("{}: {error}", path.display())))?;
                    // The snapshot is taken by the first statement that reads.
                    connection
                        .execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")
                        .map_err(|error| sqlite_error(&error))?;
                    if finished {
                        mark::refuse_unfinished_sqlite(&path, &connection)?;
                    }
                    let tables = Table::all_in_sqlite(&connection)?;
                    Ok((Source::Sqlite(Arc::new(Mutex::new(connection))), tables))
                })
                .await?
            }
            Location::Postgres { pool, schema } => {
                let client = pool.connect_unbounded().await?;
                client
                    .batch_execute(
                        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0;
                         SET LOCAL idle_in_transaction_session_timeout = 0",
                    )
                    .await
                    .map_err(|error| postgres_error(&error))?;
                // The snapshot is taken by the first statement that reads.
                let tables = Table::all_in_postgres(&client, schema).await?;
                if finished {
                    mark::refuse_unfinished_postgres(&client, schema).await?;
                }
                (Source::Postgres { client: Arc::new(client), schema: schema.clone() }, tables)
            }
        };
        let mut snapshot = Self { name: name.to_owned(), source, tables, meta: Meta::new(), position: None };
        snapshot.read_what_it_says().await?;
        Ok(snapshot)
    }

    async fn read_what_it_says(&mut self) -> Result<(), StoreError> {
        self.meta = match &self.source {
            Source::Sqlite(connection) => {
                let connection = connection.clone();
                sqlite::blocking(move || {
                    meta_in_sqlite(&connection.lock()).map_err(|error| sqlite_error(&error))
                })
                .await?
            }
            Source::Postgres { client, schema } => {
                meta_in_postgres(client, schema).await.map_err(|error| postgres_error(&error))?
            }
        };
        if let Some(head) = self.table("head").cloned()
            && let Some(column) = head.column("position")
        {
            let row = self.all(&head).await?.pop();
            if let Some(Value::Int(position)) = row.and_then(|row| row.into_iter().nth(column)) {
                self.position = Some(Position(position as u64));
            }
        }
        Ok(())
    }

    /// The store's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its tables, by name.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// One of its tables.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// A log's epoch.
    pub fn epoch(&self) -> Option<Uuid> {
        self.meta.get("epoch").and_then(|epoch| Uuid::from_slice(epoch).ok())
    }

    /// A log's format.
    pub fn format(&self) -> Option<i64> {
        let is_log = self.meta.contains_key("epoch");
        let format = self.meta.get("format").filter(|_| is_log)?;
        format.as_slice().try_into().ok().map(i64::from_be_bytes)
    }

    /// The position of a log's newest event.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &Table) -> Result<u64, TransferError> {
        let name = quoted(&table.name);
        let counted = match &self.source {
            Source::Sqlite(connection) => {
                let connection = connection.clone();
                sqlite::blocking(move || {
                    connection
                        .lock()
                        .query_row(&format!("SELECT count(*) FROM {name}"), [], |row| row.get::<_, i64>(0))
                        .map_err(|error| sqlite_error(&error))
                })
                .await
            }
            Source::Postgres { client, schema } => client
                .query_one(&format!("SELECT count(*) FROM {}.{name}", quoted(schema)), &[])
                .await
                .map(|row| row.get::<_, i64>(0))
                .map_err(|error| postgres_error(&error)),
        };
        counted.map(|count| count as u64).map_err(TransferError::store(&self.name))
    }

    /// A table's rows in the order of its key, after the first `skip`; one table at a time.
    pub fn rows(&self, table: &Table, skip: u64) -> Rows {
        let (batches, rows) = Rows::channel();
        let table = table.clone();
        match self.source.clone() {
            Source::Sqlite(connection) => {
                tokio::task::spawn_blocking(move || {
                    read_sqlite(&connection.lock(), &table, skip, batches);
                });
            }
            Source::Postgres { client, schema } => {
                tokio::spawn(async move { read_postgres(&client, &schema, &table, skip, batches).await });
            }
        }
        rows
    }

    /// A small table's rows.
    pub(crate) async fn all(&self, table: &Table) -> Result<Vec<super::Row>, StoreError> {
        let (mut rows, mut all) = (self.rows(table, 0), Vec::new());
        while let Some(batch) = rows.next().await? {
            all.extend(batch);
        }
        Ok(all)
    }
}

fn meta_in_sqlite(connection: &Connection) -> rusqlite::Result<Meta> {
    let known = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)";
    if !connection.query_row(known, [META], |row| row.get::<_, bool>(0))? {
        return Ok(Meta::new());
    }
    let mut statement = connection.prepare(&format!("SELECT key, value FROM {META}"))?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

async fn meta_in_postgres(client: &Client, schema: &str) -> Result<Meta, tokio_postgres::Error> {
    let table = format!("{}.{META}", quoted(schema));
    let known = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await?;
    if !known.get::<_, bool>(0) {
        return Ok(Meta::new());
    }
    let rows = client.query(&format!("SELECT key, value FROM {table}"), &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

fn read_sqlite(connection: &Connection, table: &Table, skip: u64, mut batches: Batches) {
    let read = (|| -> Result<(), StoreError> {
        let failed = |error: rusqlite::Error| sqlite_error(&error);
        let sql = table.select(&quoted(&table.name), skip, None);
        let mut statement = connection.prepare(&sql).map_err(failed)?;
        let mut found = statement.query([]).map_err(failed)?;
        while let Some(row) = found.next().map_err(failed)? {
            let value = |column| of_sqlite(row.get_ref(column).map_err(failed)?);
            let values = (0..table.columns.len()).map(value).collect::<Result<_, StoreError>>()?;
            if batches.push(values) && !batches.flush_blocking() {
                return Ok(());
            }
        }
        batches.flush_blocking();
        Ok(())
    })();
    if let Err(error) = read {
        batches.fail_blocking(error);
    }
}

async fn read_postgres(client: &Client, schema: &str, table: &Table, skip: u64, mut batches: Batches) {
    let read = async {
        let failed = |error: tokio_postgres::Error| postgres_error(&error);
        let from = format!("{}.{}", quoted(schema), quoted(&table.name));
        let describe = format!("SELECT {} FROM {from} LIMIT 0", table.column_list());
        let columns = client.prepare(&describe).await.map_err(failed)?;
        let is_text = |name: &str| {
            let column = columns.columns().iter().find(|column| column.name() == name);
            column.is_some_and(|column| matches!(*column.type_(), Type::TEXT | Type::VARCHAR))
        };
        let select = table.select(&from, skip, Some(&is_text));
        client
            .batch_execute(&format!("DECLARE transfer_rows NO SCROLL CURSOR FOR {select}"))
            .await
            .map_err(failed)?;
        let fetch = client.prepare(&format!("FETCH {FETCHED} FROM transfer_rows")).await.map_err(failed)?;
        let mut wanted = true;
        while wanted {
            let found = client.query(&fetch, &[]).await.map_err(failed)?;
            for row in &found {
                let values = (0..table.columns.len()).map(|column| of_postgres(row, column));
                if batches.push(values.collect::<Result<_, _>>()?) {
                    wanted = batches.flush().await;
                }
            }
            if found.len() < FETCHED {
                break;
            }
        }
        batches.flush().await;
        client.batch_execute("CLOSE transfer_rows").await.map_err(failed)
    };
    if let Err(error) = read.await {
        batches.fail(error).await;
    }
}

/// Several stores as they are at the same instant: nothing commits to any of `logs` between the first snapshot and the last.
/// `keys` is taken after them, so that it has every key that they need; new keys do no harm.
///
/// Whatever one log's events came of is then in the others: a reactor's place is never ahead of the log that it follows.
/// Commits wait meanwhile, for as long as it takes to begin a few transactions.
pub async fn pin_together(
    logs: &[(&str, &Location)],
    keys: (&str, &Location),
) -> Result<Vec<Snapshot>, TransferError> {
    let held = Hold::of(logs).await?;
    let mut snapshots = Vec::with_capacity(logs.len() + 1);
    for (name, location) in logs {
        snapshots.push(Snapshot::pin(name, location).await?);
    }
    held.release().await;
    snapshots.push(Snapshot::pin(keys.0, keys.1).await?);
    Ok(snapshots)
}
