//! Transactions on a view's tables as a whole: making a generation, and swapping it in.

use cqrs_core::StoreError;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::side::{Backend, Side};
use super::step::settings;
use crate::dialect::sqlite_error;
use crate::postgres::BACKGROUND;
use crate::sqlite;

/// How far one generation of a view has come in one source.
pub(super) struct Place {
    generation: u64,
    source: String,
    epoch: Uuid,
    position: u64,
}

/// Decides on a view's places whether a transaction goes on.
pub(super) type Allow = Box<dyn FnOnce(&[Place]) -> bool + Send>;

/// Whether another generation has come further than this one in any source, as long as the source is still the log that
/// it was (its epoch).
pub(super) fn is_behind(places: &[Place], generation: u64, sources: &[(&'static str, Uuid)]) -> bool {
    sources.iter().any(|(source, epoch)| {
        let come = |ours: bool| {
            let of_source = |place: &&Place| place.source == *source && place.epoch == *epoch;
            let places =
                places.iter().filter(of_source).filter(|place| (place.generation == generation) == ours);
            places.map(|place| place.position).max().unwrap_or(0)
        };
        come(true) < come(false)
    })
}

impl Side {
    /// Runs several statements in one transaction, if the view's places, locked in it, allow; whether they did.
    pub(super) async fn batch(
        &self,
        allow: Option<Allow>,
        name: &'static str,
        sql: String,
    ) -> Result<bool, StoreError> {
        let places = self.own("SELECT generation, source, epoch, position FROM {s}view_places");
        match &self.backend {
            Backend::Sqlite { writer, .. } => {
                let writer = writer.clone();
                sqlite::blocking(move || {
                    let connection = writer.lock();
                    let result = (|| -> rusqlite::Result<bool> {
                        connection.execute_batch("BEGIN IMMEDIATE")?;
                        if let Some(allow) = allow {
                            let mut statement = connection.prepare(&format!("{places} WHERE name = ?1"))?;
                            let found = statement.query_map([name], |row| {
                                Ok(Place {
                                    generation: row.get::<_, i64>(0)? as u64,
                                    source: row.get(1)?,
                                    epoch: Uuid::from_bytes(row.get(2)?),
                                    position: row.get::<_, i64>(3)? as u64,
                                })
                            })?;
                            if !allow(&found.collect::<Result<Vec<_>, _>>()?) {
                                return Ok(false);
                            }
                        }
                        connection.execute_batch(&format!("{sql} ;COMMIT"))?;
                        Ok(true)
                    })();
                    if !connection.is_autocommit() {
                        let _ = connection.execute_batch("ROLLBACK");
                    }
                    result.map_err(|error| sqlite_error(&error))
                })
                .await
            }
            Backend::Postgres { pool, schema } => {
                let pool = pool.clone();
                let settings = settings(schema);
                // A task of its own: were the caller dropped half-way, the connection would go back to the pool with
                // the transaction open.
                let run = async move {
                    let client = pool.get_for(BACKGROUND).await?;
                    let done = async {
                        client.begin(&settings.for_transaction()).await?;
                        if let Some(allow) = allow {
                            let locked =
                                format!("{places} WHERE name = $1 ORDER BY generation, source FOR UPDATE");
                            let found = client.query(&locked, &[(&name, Type::TEXT)]).await?;
                            let found: Vec<_> = found
                                .iter()
                                .map(|row| Place {
                                    generation: row.get::<_, i64>(0) as u64,
                                    source: row.get(1),
                                    epoch: row.get(2),
                                    position: row.get::<_, i64>(3) as u64,
                                })
                                .collect();
                            if !allow(&found) {
                                return Ok(false);
                            }
                        }
                        client.batch(&sql).await?;
                        client.commit().await?;
                        Ok(true)
                    };
                    let result: Result<bool, StoreError> = done.await;
                    if !matches!(result, Ok(true)) {
                        let _ = client.rollback().await;
                    }
                    result
                };
                tokio::spawn(run).await.unwrap_or_else(|error| Err(StoreError::Other(error.to_string())))
            }
        }
    }
}
