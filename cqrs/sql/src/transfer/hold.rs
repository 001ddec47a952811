//! Keeping everybody from committing to several logs at once, without asking them.

use std::time::Duration;

use cqrs_core::StoreError;
use rusqlite::Connection;
use tokio_postgres::Client;

use super::TransferError;
use crate::dialect::{postgres_error, sqlite_error};
use crate::leases::NOW;
use crate::log::Location;
use crate::postgres::log::quoted;
use crate::sqlite;

/// How long a log's own commits may keep us waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// Nothing commits to the logs as long as this lives; their committers wait for it as they do for one another.
///
/// On SQLite it is the file's write lock, on PostgreSQL the row lock on the log's head, which every commit takes first. Both
/// go with the transaction that holds them: nothing is left behind by one who dies.
pub struct Hold(Vec<Held>);

enum Held {
    Sqlite(Connection),
    Postgres(Client),
}

impl Hold {
    /// Waits for what is under way in each of `logs`, and lets nothing begin. Whoever holds several takes them by name, so
    /// that two can't wait for each other.
    pub async fn of(logs: &[(&str, &Location)]) -> Result<Self, TransferError> {
        let mut logs = logs.to_vec();
        logs.sort_unstable_by_key(|(name, _)| *name);
        let mut held = Vec::with_capacity(logs.len());
        for (name, location) in logs {
            held.push(hold(location).await.map_err(TransferError::store(name))?);
        }
        Ok(Self(held))
    }

    /// Lets them go on. (Dropping does as well, a little later.)
    pub async fn release(self) {
        for held in self.0 {
            match held {
                Held::Sqlite(connection) => {
                    // It wrote nothing, so that there is nothing to lose.
                    let _ = connection.execute_batch("ROLLBACK");
                }
                Held::Postgres(client) => {
                    let _ = client.batch_execute("ROLLBACK").await;
                }
            }
        }
    }
}

/// The handlers (views, reactors, relays) that somebody runs on these stores just now: those whose leases are held. None on
/// SQLite, where the data folder itself is held.
pub async fn running_handlers(stores: &[(&str, &Location)]) -> Result<Vec<String>, TransferError> {
    let mut running = Vec::new();
    for (name, location) in stores {
        running.extend(leased(location).await.map_err(TransferError::store(name))?);
    }
    Ok(running)
}

async fn leased(location: &Location) -> Result<Vec<String>, StoreError> {
    let Location::Postgres { pool, schema } = location else { return Ok(Vec::new()) };
    let client = pool.connect_unbounded().await?;
    let failed = |error: tokio_postgres::Error| postgres_error(&error);
    let leases = format!("{}.leases", quoted(schema));
    let known = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&leases]).await.map_err(failed)?;
    if !known.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT name FROM {leases} WHERE until > {NOW} ORDER BY name");
    let rows = client.query(&sql, &[]).await.map_err(failed)?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn hold(location: &Location) -> Result<Held, StoreError> {
    match location {
        Location::Sqlite(path) => {
            let path = path.clone();
            sqlite::blocking(move || {
                let connection = sqlite::open_existing(&path)
                    .map_err(|error| StoreError::Other(format!("{}: {error}", path.display())))?;
                let begun = connection
                    .busy_timeout(PATIENCE)
                    .and_then(|()| connection.execute_batch("BEGIN IMMEDIATE"));
                begun.map_err(|error| sqlite_error(&error))?;
                Ok(Held::Sqlite(connection))
            })
            .await
        }
        Location::Postgres { pool, schema } => {
            let client = pool.connect_unbounded().await?;
            let sql = format!(
                "BEGIN; SET LOCAL lock_timeout = {}; SET LOCAL idle_in_transaction_session_timeout = 0;
                 SELECT position FROM {}.head FOR SHARE",
                PATIENCE.as_millis(),
                quoted(schema)
            );
            client.batch_execute(&sql).await.map_err(|error| postgres_error(&error))?;
            Ok(Held::Postgres(client))
        }
    }
}
