//! The mark of a store that is being filled: what from, and how far it is. A store that has it is opened by nobody else.

use std::path::Path;

use cqrs_core::StoreError;
use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::table::Table;
use crate::dialect::{postgres_error, sqlite_error};
use crate::log::Location;
use crate::postgres::log::quoted;
use crate::sqlite;

/// The table that holds the mark, as long as the store is unfinished.
pub(crate) const MARK: &str = "unfinished_transfer";

/// What a store is being made a copy of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// What fills it, for people: `a move from sqlite:data`.
    pub of: String,
    /// What tells this source, as it is now, from every other: whoever goes on must have the same.
    pub origin: String,
    /// How far it is.
    pub stage: Stage,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Rows are missing.
    Copying,
    /// Everything is there and was compared, in this store and in all others that belong to it.
    Compared,
}

/// What lies at a place where a copy is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or tables without rows.
    Nothing,
    /// A copy that was begun.
    Unfinished(Mark),
    /// A store in use; the table that has rows.
    Something(String),
}

impl Found {
    /// Looks, and changes nothing.
    pub async fn at(location: &Location) -> Result<Self, StoreError> {
        match location {
            Location::Sqlite(path) => {
                let path = path.clone();
                sqlite::blocking(move || Self::in_file(&path)).await
            }
            Location::Postgres { pool, schema } => {
                let client = pool.connect_unbounded().await?;
                if let Some(mark) = mark_in_postgres(&client, schema).await? {
                    return Ok(Self::Unfinished(mark));
                }
                for table in filled(Table::all_in_postgres(&client, schema).await?) {
                    let sql = any_row(&format!("{}.{}", quoted(schema), quoted(&table)), &table);
                    let row = client.query_one(&sql, &[]).await.map_err(|error| postgres_error(&error))?;
                    if row.get(0) {
                        return Ok(Self::Something(table));
                    }
                }
                Ok(Self::Nothing)
            }
        }
    }

    fn in_file(path: &Path) -> Result<Self, StoreError> {
        if std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
            return Ok(Self::Nothing);
        }
        let found = sqlite::inspect(path, |connection| Ok(Self::on(connection)))?;
        found.unwrap_or(Ok(Self::Nothing))
    }

    fn on(connection: &Connection) -> Result<Self, StoreError> {
        if let Some(mark) = mark_in_sqlite(connection)? {
            return Ok(Self::Unfinished(mark));
        }
        for table in filled(Table::all_in_sqlite(connection)?) {
            let sql = any_row(&quoted(&table), &table);
            let has_rows = connection.query_row(&sql, [], |row| row.get(0));
            if has_rows.map_err(|error| sqlite_error(&error))? {
                return Ok(Self::Something(table));
            }
        }
        Ok(Self::Nothing)
    }
}

/// The tables whose rows make a store one in use: a store of views is when a view has been filled.
fn filled(tables: Vec<Table>) -> Vec<String> {
    if tables.iter().any(|table| table.name == "view_places") {
        return vec!["view_places".to_owned()];
    }
    tables.into_iter().filter(|table| !table.is_replaced()).map(|table| table.name).collect()
}

fn any_row(from: &str, table: &str) -> String {
    let begun = if table == "view_places" { " WHERE position > 0" } else { "" };
    format!("SELECT EXISTS (SELECT 1 FROM {from}{begun})")
}

fn parse(text: &str) -> Result<Mark, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt(format!("the mark of a begun copy: {error}")))
}

fn mark_in_sqlite(connection: &Connection) -> Result<Option<Mark>, StoreError> {
    let text = (|| -> rusqlite::Result<Option<String>> {
        let known = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)";
        if !connection.query_row(known, [MARK], |row| row.get::<_, bool>(0))? {
            return Ok(None);
        }
        connection.query_row(&format!("SELECT mark FROM {MARK}"), [], |row| row.get(0)).optional()
    })();
    text.map_err(|error| sqlite_error(&error))?.as_deref().map(parse).transpose()
}

async fn mark_in_postgres(client: &Client, schema: &str) -> Result<Option<Mark>, StoreError> {
    let failed = |error: tokio_postgres::Error| postgres_error(&error);
    let table = format!("{}.{MARK}", quoted(schema));
    let known = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await.map_err(failed)?;
    if !known.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client.query_opt(&format!("SELECT mark FROM {table}"), &[]).await.map_err(failed)?;
    row.map(|row| parse(row.get(0))).transpose()
}

fn refusal(what: &str, mark: &Mark) -> StoreError {
    StoreError::Other(format!(
        "{what} is not complete: {} has begun to fill it and hasn't come to its end; run it again and it goes on",
        mark.of
    ))
}

/// Refuses a SQLite store that is being filled.
pub(crate) fn refuse_unfinished_sqlite(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    match mark_in_sqlite(connection)? {
        Some(mark) => Err(refusal(&path.display().to_string(), &mark)),
        None => Ok(()),
    }
}

/// Refuses a PostgreSQL store that is being filled.
pub(crate) async fn refuse_unfinished_postgres(client: &Client, schema: &str) -> Result<(), StoreError> {
    match mark_in_postgres(client, schema).await? {
        Some(mark) => Err(refusal(&format!("the schema {schema}"), &mark)),
        None => Ok(()),
    }
}
