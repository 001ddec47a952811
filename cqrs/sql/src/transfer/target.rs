//! A store on its way to being a copy.

use std::sync::Arc;

use cqrs_core::{StoreError, Value};
use parking_lot::Mutex;
use rusqlite::{Connection, params_from_iter};
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::mark::MARK;
use super::row::Copied;
use super::table::META;
use super::{Mark, Row, Snapshot, Table, TransferError};
use crate::dialect::{postgres_error, sqlite_error};
use crate::keys::SqlKeyStore;
use crate::log::{Location, LogOptions, SqlLog};
use crate::postgres::log::quoted;
use crate::sqlite::{self, Durability};
use crate::value::ToSqlite;

/// Which tables a store has.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A log with what commits beside it.
    Log {
        /// Its name.
        name: &'static str,
        /// The tables of its service's state-stored aggregates; see [`SqlLog::open`].
        write_schema: Option<(&'static str, &'static str)>,
    },
    /// Persons' keys.
    Keys,
}

/// A store that is being filled. It carries a [`Mark`] until it is finished, and nothing else opens it.
pub struct Target {
    name: String,
    location: Location,
    backend: Backend,
    tables: Vec<Table>,
}

enum Backend {
    Sqlite(Arc<Mutex<Connection>>),
    Postgres { client: Client, schema: String },
}

impl Target {
    /// Makes the tables of a store where there is none, and marks it. `fresh_epoch` stands in until the copy's own comes.
    pub async fn create(
        name: &str,
        location: &Location,
        kind: Kind,
        fresh_epoch: Uuid,
        mark: &Mark,
    ) -> Result<Self, TransferError> {
        let created = async {
            match kind {
                Kind::Keys => drop(SqlKeyStore::open(location).await?),
                Kind::Log { name, write_schema } => {
                    let options = LogOptions::default();
                    drop(SqlLog::open(name, location, fresh_epoch, write_schema, options).await?);
                }
            }
            let target = Self::open(name, location).await?;
            let table = target.own(MARK);
            target.run(&format!("CREATE TABLE {table} (mark TEXT PRIMARY KEY)")).await?;
            target.write_mark(mark).await?;
            Ok(target)
        };
        created.await.map_err(TransferError::store(name))
    }

    /// Goes on with one that was begun.
    pub async fn resume(name: &str, location: &Location) -> Result<Self, TransferError> {
        Self::open(name, location).await.map_err(TransferError::store(name))
    }

    async fn open(name: &str, location: &Location) -> Result<Self, StoreError> {
        let (backend, tables) = match location {
            Location::Sqlite(path) => {
                let path = path.clone();
                sqlite::blocking(move || {
                    let connection = sqlite::open(&path, Durability::Full)?;
                    let tables = Table::all_in_sqlite(&connection)?;
                    Ok((Backend::Sqlite(Arc::new(Mutex::new(connection))), tables))
                })
                .await?
            }
            Location::Postgres { pool, schema } => {
                let client = pool.connect_unbounded().await?;
                let tables = Table::all_in_postgres(&client, schema).await?;
                (Backend::Postgres { client, schema: schema.clone() }, tables)
            }
        };
        Ok(Self { name: name.to_owned(), location: location.clone(), backend, tables })
    }

    /// The store's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is there by now.
    pub async fn snapshot(&self) -> Result<Snapshot, TransferError> {
        Snapshot::of_unfinished(&self.name, &self.location).await
    }

    /// Says what of `table`, which comes from elsewhere, has no place here.
    pub fn fits(&self, table: &Table) -> Result<(), TransferError> {
        let misfit = |what: String| Err(TransferError::Shape { store: self.name.clone(), what });
        let Some(own) = self.tables.iter().find(|own| own.name == table.name) else {
            return misfit(format!("there is no table {} at the destination", table.name));
        };
        if own.key != table.key {
            return misfit(format!("the table {} has another key at the destination", table.name));
        }
        match table.columns.iter().find(|column| !own.columns.contains(column)) {
            Some(column) => {
                misfit(format!("the table {} has no column {column} at the destination", table.name))
            }
            None => Ok(()),
        }
    }

    /// Takes over the epoch of the log that this is to be a copy of, which was in `format`: it must be the one that this
    /// version makes.
    pub async fn take_epoch(&self, epoch: Option<Uuid>, format: Option<i64>) -> Result<(), TransferError> {
        let here = self.snapshot().await?.format();
        if here != format {
            let number = |format: Option<i64>| format.map_or("none".to_owned(), |format| format.to_string());
            let (there, here) = (number(format), number(here));
            let what = format!("the log's format is {there}, and this version makes {here}");
            return Err(TransferError::Shape { store: self.name.clone(), what });
        }
        let Some(epoch) = epoch else { return Ok(()) };
        let meta =
            Table { name: META.to_owned(), columns: vec!["key".into(), "value".into()], key: Vec::new() };
        let sql = format!("DELETE FROM {} WHERE key = 'epoch'", self.own(META));
        let row = vec![Value::Text("epoch".to_owned()), Value::Bytes(epoch.as_bytes().to_vec())];
        let replaced = self.replace(&meta, &sql, vec![row]).await;
        replaced.map_err(TransferError::store(&self.name))
    }

    /// Adds rows, all or none; they are on disk when it returns. Of a table that says something of the store as a whole they
    /// replace what is there.
    pub async fn insert(&self, table: &Table, rows: Vec<Row>) -> Result<(), TransferError> {
        let clear = format!("DELETE FROM {}", self.own(&table.name));
        let clear = if table.is_replaced() { clear.as_str() } else { "" };
        self.replace(table, clear, rows).await.map_err(TransferError::store(&self.name))
    }

    /// Puts rows in after `clear`, in one transaction.
    async fn replace(&self, table: &Table, clear: &str, rows: Vec<Row>) -> Result<(), StoreError> {
        let (into, clear) = (self.own(&table.name), format!("{clear};"));
        match &self.backend {
            Backend::Sqlite(connection) => {
                let places: Vec<_> = (1..=table.columns.len()).map(|n| format!("?{n}")).collect();
                let sql =
                    format!("INSERT INTO {into} ({}) VALUES ({})", table.column_list(), places.join(", "));
                let connection = connection.clone();
                sqlite::blocking(move || {
                    let connection = connection.lock();
                    let result = (|| -> rusqlite::Result<()> {
                        connection.execute_batch(&format!("BEGIN IMMEDIATE;{clear}"))?;
                        let mut insert = connection.prepare_cached(&sql)?;
                        for row in &rows {
                            insert.execute(params_from_iter(row.iter().map(ToSqlite)))?;
                        }
                        connection.execute_batch("COMMIT")
                    })();
                    if !connection.is_autocommit() {
                        let _ = connection.execute_batch("ROLLBACK");
                    }
                    result.map_err(|error| sqlite_error(&error))
                })
                .await
            }
            Backend::Postgres { client, .. } => {
                let failed = |error: tokio_postgres::Error| postgres_error(&error);
                client
                    .batch_execute(&format!("BEGIN; SET LOCAL statement_timeout = 0; {clear}"))
                    .await
                    .map_err(failed)?;
                let result = async {
                    copy_in(client, &into, table, &rows).await.map_err(failed)?;
                    client.batch_execute("COMMIT").await.map_err(failed)
                }
                .await;
                if result.is_err() {
                    let _ = client.batch_execute("ROLLBACK").await;
                }
                result
            }
        }
    }

    /// Changes what the mark says.
    pub async fn mark(&self, mark: &Mark) -> Result<(), TransferError> {
        self.write_mark(mark).await.map_err(TransferError::store(&self.name))
    }

    async fn write_mark(&self, mark: &Mark) -> Result<(), StoreError> {
        let table = self.own(MARK);
        let text = serde_json::to_string(mark).map_err(|error| StoreError::Other(error.to_string()))?;
        let text = text.replace('\'', "''");
        let sql = format!("DELETE FROM {table}; INSERT INTO {table} (mark) VALUES ('{text}')");
        self.run(&sql).await
    }

    /// Takes everything away again that was copied so far; the mark stays.
    pub async fn clear(&self) -> Result<(), TransferError> {
        let tables = self.tables.iter().filter(|table| !table.is_replaced());
        let deletes: Vec<_> = tables.map(|table| format!("DELETE FROM {}", self.own(&table.name))).collect();
        self.run(&deletes.join("; ")).await.map_err(TransferError::store(&self.name))
    }

    /// The copy is complete: it may be opened from now on.
    pub async fn finish(self) -> Result<(), TransferError> {
        let numbers = match &self.backend {
            Backend::Sqlite(_) => String::new(),
            Backend::Postgres { schema, .. } => number_on(schema),
        };
        let sql = format!("{numbers} DROP TABLE IF EXISTS {}", self.own(MARK));
        self.run(&sql).await.map_err(TransferError::store(&self.name))
    }

    /// The name of one of its tables in SQL.
    fn own(&self, table: &str) -> String {
        match &self.backend {
            Backend::Sqlite(_) => quoted(table),
            Backend::Postgres { schema, .. } => format!("{}.{}", quoted(schema), quoted(table)),
        }
    }

    /// Runs statements in one transaction.
    async fn run(&self, sql: &str) -> Result<(), StoreError> {
        let sql = format!("BEGIN; {sql}; COMMIT");
        match &self.backend {
            Backend::Sqlite(connection) => {
                let connection = connection.clone();
                sqlite::blocking(move || {
                    let connection = connection.lock();
                    let result = connection.execute_batch(&sql);
                    if !connection.is_autocommit() {
                        let _ = connection.execute_batch("ROLLBACK");
                    }
                    result.map_err(|error| sqlite_error(&error))
                })
                .await
            }
            Backend::Postgres { client, .. } => {
                let result = client.batch_execute(&sql).await;
                if result.is_err() {
                    let _ = client.batch_execute("ROLLBACK").await;
                }
                result.map_err(|error| postgres_error(&error))
            }
        }
    }
}

/// Rows that came with their numbers don't move PostgreSQL's counters on; SQLite's follow the rows.
fn number_on(schema: &str) -> String {
    let schema = schema.replace('\'', "''");
    format!(
        "DO $$ DECLARE counted record; BEGIN
           FOR counted IN SELECT table_schema AS schema, table_name AS name, column_name AS number
                          FROM information_schema.columns WHERE table_schema = '{schema}' AND is_identity = 'YES' LOOP
             EXECUTE format(
               'SELECT setval(pg_get_serial_sequence(%L, %L), coalesce(max(%I), 0) + 1, false) FROM %I.%I',
               format('%I.%I', counted.schema, counted.name), counted.number, counted.number,
               counted.schema, counted.name);
           END LOOP;
         END $$;"
    )
}

async fn copy_in(
    client: &Client,
    into: &str,
    table: &Table,
    rows: &[Row],
) -> Result<(), tokio_postgres::Error> {
    let columns = table.column_list();
    let described = client.prepare(&format!("SELECT {columns} FROM {into} LIMIT 0")).await?;
    let types: Vec<Type> = described.columns().iter().map(|column| column.type_().clone()).collect();
    let sink = client.copy_in(&format!("COPY {into} ({columns}) FROM STDIN (FORMAT binary)")).await?;
    let mut writer = std::pin::pin!(BinaryCopyInWriter::new(sink, &types));
    for row in rows {
        let values: Vec<Copied<'_>> = row.iter().map(Copied).collect();
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        writer.as_mut().write(&values).await?;
    }
    writer.finish().await.map(drop)
}
