//! The tables of the stores on PostgreSQL, step by step.
//!
//! A store says two numbers of itself. `schema` counts the steps that were taken; each only adds, so that a process of the
//! version before goes on beside. `format` rises when something is taken away: then older versions refuse the store.

use std::collections::HashMap;

use cqrs_core::StoreError;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::log::quoted;
use super::{BACKGROUND, Connection, Pool};

/// What a kind of store consists of.
pub(crate) struct Tables {
    /// The format that these steps lead to, and the newest that is known.
    pub(crate) format: i64,
    /// Each may find its work done already: stores of the first version don't count their steps.
    pub(crate) steps: &'static [&'static str],
}

/// What a store says of itself.
pub(crate) type Meta = HashMap<String, Vec<u8>>;

const META: &str = "CREATE TABLE IF NOT EXISTS meta (key text PRIMARY KEY, value bytea NOT NULL)";

/// A lock is waited for a second at a time: whoever comes after a waiting change waits as well, so it must not last.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = 1000";

/// How often a change that got no lock is tried.
const TRIES: u32 = 20;

/// Brings the schema's tables to the present version, making it if it isn't there; or, unless `migrate`, only sees to it
/// that they are. `own` are tables beside the kernel's; `first` is what a new store says of itself.
pub(crate) async fn prepare(
    pool: &Pool,
    schema: &str,
    tables: &Tables,
    own: Option<&str>,
    first: &[(&str, &[u8])],
    migrate: bool,
) -> Result<Meta, StoreError> {
    let mut tried = 1;
    loop {
        let connection = pool.get_for(BACKGROUND).await?;
        let work = Preparing { connection: &connection, schema, tables, own };
        let prepared = if migrate { work.migrate(first).await } else { work.require().await };
        match prepared {
            Err(StoreError::Unavailable(detail)) if migrate && tried < TRIES && !connection.is_lost() => {
                tracing::info!(schema, detail, "the schema is in use; trying again");
                connection.rollback().await?;
            }
            Err(error) => {
                let _ = connection.rollback().await;
                return Err(error);
            }
            Ok(meta) => return Ok(meta),
        }
        drop(connection);
        tried += 1;
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

struct Preparing<'a> {
    connection: &'a Connection,
    schema: &'a str,
    tables: &'a Tables,
    own: Option<&'a str>,
}

impl Preparing<'_> {
    async fn migrate(&self, first: &[(&str, &[u8])]) -> Result<Meta, StoreError> {
        let name = quoted(self.schema);
        self.connection.begin("").await?;
        // Two processes may start at once; the lock is given back with the transaction.
        let lock = "SELECT pg_advisory_xact_lock(7305805, hashtext($1))";
        self.connection.execute(lock, &[(&self.schema, Type::TEXT)]).await?;
        let known = "SELECT to_regnamespace($1::text) IS NOT NULL";
        // Looked at first: it takes a right to the database that a schema's owner need not have.
        if !self.connection.query_one(known, &[(&name, Type::TEXT)]).await?.get::<_, bool>(0) {
            self.connection.batch(&format!("CREATE SCHEMA {name}")).await?;
        }
        self.connection.batch(&format!("SET LOCAL search_path TO {name}; {LOCK_TIMEOUT}")).await?;
        let meta = self.meta().await?;
        crate::transfer::refuse_unfinished_postgres(self.connection.client(), self.schema).await?;
        self.check_format(&meta)?;
        // What is there is left alone: changing a table waits for everybody who uses it.
        let taken = steps_of(&meta);
        if meta.is_empty() {
            self.connection.batch(META).await?;
        }
        for step in self.tables.steps.iter().skip(taken) {
            self.connection.batch(step).await?;
        }
        let own = self.own.map(mark);
        if let (Some(own), Some(mark)) = (self.own, &own)
            && !meta.contains_key(mark)
        {
            self.connection.batch(own).await?;
        }
        let steps = (self.tables.steps.len().max(taken) as i64).to_be_bytes();
        let set = "INSERT INTO meta (key, value) VALUES ($1, $2)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE excluded.key = 'schema'";
        let format = self.tables.format.to_be_bytes();
        let mut says: Vec<(&str, &[u8])> = vec![("format", &format), ("schema", &steps)];
        says.extend(own.iter().map(|mark| (mark.as_str(), &[][..])));
        says.extend_from_slice(first);
        for (key, value) in says {
            if key == "schema" || !meta.contains_key(key) {
                self.connection.execute(set, &[(&key, Type::TEXT), (&value, Type::BYTEA)]).await?;
            }
        }
        let meta = self.meta().await?;
        self.connection.commit().await?;
        Ok(meta)
    }

    async fn require(&self) -> Result<Meta, StoreError> {
        self.connection.begin(&format!("SET LOCAL search_path TO {}", quoted(self.schema))).await?;
        let meta = self.meta().await?;
        crate::transfer::refuse_unfinished_postgres(self.connection.client(), self.schema).await?;
        self.connection.rollback().await?;
        self.check_format(&meta)?;
        let whole = steps_of(&meta) >= self.tables.steps.len()
            && self.own.is_none_or(|own| meta.contains_key(&mark(own)));
        if whole {
            return Ok(meta);
        }
        Err(StoreError::Other(format!(
            "the schema {} is missing, closed to this role, or older than this version, and isn't to be changed at start: \
             migrate it, in the role that owns it",
            self.schema
        )))
    }

    /// What the store in the transaction's search path says of itself: nothing if there is none.
    async fn meta(&self) -> Result<Meta, StoreError> {
        let known = self.connection.query_one("SELECT to_regclass('meta') IS NOT NULL", &[]).await?;
        if !known.get::<_, bool>(0) {
            return Ok(Meta::new());
        }
        let rows = self.connection.query("SELECT key, value FROM meta", &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    fn check_format(&self, meta: &Meta) -> Result<(), StoreError> {
        let stored = meta.get("format").map(Vec::as_slice);
        crate::log::check_format(&format!("the schema {}", self.schema), stored, self.tables.format)
    }
}

fn steps_of(meta: &Meta) -> usize {
    let stored = meta.get("schema").and_then(|bytes| bytes.as_slice().try_into().ok());
    stored.map_or(0, i64::from_be_bytes) as usize
}

/// Says that these tables were made: by what they are, for a service doesn't count its own.
fn mark(own: &str) -> String {
    format!("tables {}", Uuid::new_v5(&Uuid::NAMESPACE_OID, own.as_bytes()).simple())
}
