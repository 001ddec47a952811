//! The tables of a store, as the store itself tells.

use cqrs_core::StoreError;
use rusqlite::Connection;
use tokio_postgres::Client;

use super::mark::MARK;
use crate::dialect::postgres_error;
use crate::postgres::log::quoted;

/// A table: what is read of it, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, by name: the order in which a store has them says nothing.
    pub columns: Vec<String>,
    /// The columns of its primary key, by which its rows are ordered.
    pub key: Vec<String>,
}

/// What stays behind: who holds what for the next seconds, what a store says of itself (its format, its steps), which isn't
/// the same on another, and the mark of a copy under way.
const LEFT_OUT: [&str; 3] = ["leases", META, MARK];

/// Where a store says what it is.
pub(crate) const META: &str = "meta";

/// A table's name, its columns, and those of its key.
type Described = (String, Vec<String>, Vec<String>);

impl Table {
    fn new(name: String, mut columns: Vec<String>, key: Vec<String>) -> Result<Option<Self>, StoreError> {
        if LEFT_OUT.contains(&name.as_str()) {
            return Ok(None);
        }
        if key.is_empty() {
            let detail = format!("the table {name} has no primary key, so that its rows have no order");
            return Err(StoreError::Other(detail));
        }
        columns.sort_unstable();
        Ok(Some(Self { name, columns, key }))
    }

    /// Whether it holds one row, made with it, that a copy replaces.
    pub(crate) fn is_replaced(&self) -> bool {
        self.name == "head"
    }

    /// The position of a column in its rows.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// Its columns, quoted and joined.
    pub(crate) fn column_list(&self) -> String {
        self.columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
    }

    /// Reads all of it in the order of its key, after the first `skip` rows; `collate` is what makes text be ordered by its
    /// bytes, as SQLite does by itself.
    pub(crate) fn select(&self, from: &str, skip: u64, text: Option<&dyn Fn(&str) -> bool>) -> String {
        let order = self.key.iter().map(|column| match text {
            Some(is_text) if is_text(column) => format!("{} COLLATE \"C\"", quoted(column)),
            _ => quoted(column),
        });
        let order = order.collect::<Vec<_>>().join(", ");
        // SQLite has no OFFSET of its own.
        let skip = if skip == 0 { String::new() } else { format!(" LIMIT {} OFFSET {skip}", i64::MAX) };
        format!("SELECT {} FROM {from} ORDER BY {order}{skip}", self.column_list())
    }

    /// The tables of a SQLite store.
    pub(crate) fn all_in_sqlite(connection: &Connection) -> Result<Vec<Self>, StoreError> {
        let found = (|| -> rusqlite::Result<Vec<Described>> {
            let mut tables = connection.prepare(
                "SELECT name FROM pragma_table_list
                 WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
            )?;
            let names: Vec<String> =
                tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            let mut found = Vec::new();
            for name in names {
                let mut columns =
                    connection.prepare("SELECT name, pk FROM pragma_table_xinfo(?1) WHERE hidden = 0")?;
                let columns: Vec<(String, i64)> = columns
                    .query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<rusqlite::Result<_>>()?;
                let mut key: Vec<_> = columns.iter().filter(|(_, place)| *place > 0).collect();
                key.sort_unstable_by_key(|(_, place)| *place);
                let key = key.into_iter().map(|(column, _)| column.clone()).collect();
                found.push((name, columns.into_iter().map(|(column, _)| column).collect(), key));
            }
            Ok(found)
        })();
        let found = found.map_err(|error| crate::dialect::sqlite_error(&error))?;
        found
            .into_iter()
            .filter_map(|(name, columns, key)| Self::new(name, columns, key).transpose())
            .collect()
    }

    /// The tables of a PostgreSQL schema.
    pub(crate) async fn all_in_postgres(client: &Client, schema: &str) -> Result<Vec<Self>, StoreError> {
        let sql = "SELECT c.relname::text, array_agg(a.attname::text),
               (SELECT array_agg(k.attname::text ORDER BY array_position(i.indkey::int2[], k.attnum))
                  FROM pg_catalog.pg_index i
                  JOIN pg_catalog.pg_attribute k ON k.attrelid = c.oid AND k.attnum = ANY (i.indkey::int2[])
                 WHERE i.indrelid = c.oid AND i.indisprimary)
             FROM pg_catalog.pg_class c
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')
             GROUP BY c.oid, c.relname ORDER BY c.relname";
        let rows = client.query(sql, &[&schema]).await.map_err(|error| postgres_error(&error))?;
        rows.iter()
            .filter_map(|row| {
                let key: Option<Vec<String>> = row.get(2);
                Self::new(row.get(0), row.get(1), key.unwrap_or_default()).transpose()
            })
            .collect()
    }
}
