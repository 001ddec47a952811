//! The store of persons' keys: apart from every log, so that destroying a key erases its person everywhere.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::{KeyStore, PersonKey, StoreError};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::dialect::sqlite_error;
use crate::log::Location;
use crate::postgres::log::quoted;
use crate::postgres::schema::{Tables, prepare};
use crate::postgres::{Param, Pool};
use crate::sqlite::{self, Durability};

/// Keys on SQLite or PostgreSQL. A row without a key is that of a person whose key was destroyed.
pub struct SqlKeyStore(Backend);

/// The tables on PostgreSQL.
const TABLES: Tables = Tables {
    format: 1,
    steps: &["CREATE TABLE IF NOT EXISTS person_keys (person uuid PRIMARY KEY, key bytea)"],
};

enum Backend {
    Sqlite(Arc<Mutex<Connection>>),
    Postgres { pool: Pool, table: String },
}

impl SqlKeyStore {
    /// Opens the store, making it if it isn't there.
    pub async fn open(location: &Location) -> Result<Self, StoreError> {
        Self::open_with(location, true).await
    }

    /// Opens the store; `migrate` says what [`LogOptions::migrate`](crate::LogOptions::migrate) says of logs.
    pub async fn open_with(location: &Location, migrate: bool) -> Result<Self, StoreError> {
        match location {
            Location::Sqlite(path) => {
                let path = path.clone();
                sqlite::blocking(move || {
                    let schema = "CREATE TABLE IF NOT EXISTS person_keys (person BLOB PRIMARY KEY, key BLOB)
                                  STRICT, WITHOUT ROWID";
                    let connection = sqlite::open_side(&path, Durability::Full, schema)?;
                    crate::transfer::refuse_unfinished_sqlite(&path, &connection)?;
                    Ok(Self(Backend::Sqlite(Arc::new(Mutex::new(connection)))))
                })
                .await
            }
            Location::Postgres { pool, schema } => {
                pool.require_durability().await?;
                prepare(pool, schema, &TABLES, None, &[], migrate).await?;
                let table = format!("{}.person_keys", quoted(schema));
                Ok(Self(Backend::Postgres { pool: pool.clone(), table }))
            }
        }
    }
}

fn find_sqlite(connection: &Connection, person: Uuid) -> rusqlite::Result<Option<(Uuid, PersonKey)>> {
    let key: Option<Option<PersonKey>> = connection
        .prepare_cached("SELECT key FROM person_keys WHERE person = ?1")?
        .query_row([person.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(key.flatten().map(|key| (person, key)))
}

#[async_trait]
impl KeyStore for SqlKeyStore {
    async fn find(&self, persons: &[Uuid]) -> Result<Vec<(Uuid, PersonKey)>, StoreError> {
        match &self.0 {
            Backend::Sqlite(connection) => {
                let (connection, persons) = (connection.clone(), persons.to_vec());
                sqlite::blocking(move || {
                    let connection = connection.lock();
                    let found = persons.iter().map(|person| find_sqlite(&connection, *person));
                    let found: rusqlite::Result<Vec<_>> = found.filter_map(Result::transpose).collect();
                    found.map_err(|error| sqlite_error(&error))
                })
                .await
            }
            Backend::Postgres { pool, table } => {
                let sql =
                    format!("SELECT person, key FROM {table} WHERE person = ANY ($1) AND key IS NOT NULL");
                let rows = pool.get().await?.query(&sql, &[(&persons, Type::UUID_ARRAY)]).await?;
                Ok(rows.iter().map(|row| (row.get(0), fixed(row.get(1)))).collect())
            }
        }
    }

    async fn ensure(&self, offered: Vec<(Uuid, PersonKey)>) -> Result<Vec<(Uuid, PersonKey)>, StoreError> {
        let persons: Vec<Uuid> = offered.iter().map(|(person, _)| *person).collect();
        match &self.0 {
            Backend::Sqlite(connection) => {
                let connection = connection.clone();
                sqlite::blocking(move || {
                    let mut connection = connection.lock();
                    let result = (|| -> rusqlite::Result<()> {
                        let transaction = connection.transaction()?;
                        for (person, key) in &offered {
                            transaction
                                .prepare_cached(
                                    "INSERT INTO person_keys (person, key) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                                )?
                                .execute(params![person.as_bytes(), key.as_slice()])?;
                        }
                        transaction.commit()
                    })();
                    result.map_err(|error| sqlite_error(&error))
                })
                .await?;
            }
            Backend::Postgres { pool, table } => {
                let sql = format!(
                    "INSERT INTO {table} (person, key) SELECT * FROM unnest($1::uuid[], $2::bytea[])
                     ON CONFLICT DO NOTHING"
                );
                let keys: Vec<&[u8]> = offered.iter().map(|(_, key)| key.as_slice()).collect();
                let params: [Param<'_>; 2] = [(&persons, Type::UUID_ARRAY), (&keys, Type::BYTEA_ARRAY)];
                pool.get().await?.execute(&sql, &params).await?;
            }
        }
        self.find(&persons).await
    }
}

fn fixed(bytes: &[u8]) -> PersonKey {
    bytes.try_into().unwrap_or([0; 32])
}
