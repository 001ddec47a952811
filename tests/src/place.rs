//! Somewhere that an instance can be moved to.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::store::{Database, Store};

/// Empty stores, or those that a server isn't at just now; what is in them goes when it is dropped.
pub struct Place {
    pub(crate) store: &'static str,
    pub(crate) database: Option<Database>,
    pub(crate) data: String,
    /// As `parlor move` is told.
    pub url: String,
}

impl Place {
    pub(crate) async fn new(store: &Store, folder: &Path, data: &str) -> Self {
        let database = match store {
            Store::Sqlite => None,
            Store::Postgres(url) | Store::Cluster { postgres: url, .. } => Some(Database::create(url).await),
        };
        let url = match &database {
            None => format!("sqlite:{}", folder.display()),
            Some(database) => database.url(),
        };
        Self { store: store.name(), database, data: data.to_owned(), url }
    }

    /// How many rows a table of a service's log store has there; nothing where it isn't there yet.
    pub async fn rows(&self, service: &str, table: &str) -> Option<u64> {
        let Some(database) = &self.database else {
            let file = Path::new(self.url.strip_prefix("sqlite:")?).join(service).join("log.db");
            let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).ok()?;
            let count = format!("SELECT count(*) FROM {table}");
            return connection.query_row(&count, [], |row| row.get::<_, i64>(0)).ok().map(|n| n as u64);
        };
        let client = crate::store::connect(&database.url()).await;
        let count = format!("SELECT count(*) FROM {service}_log.{table}");
        client.query_one(&count, &[]).await.ok().map(|row| row.get::<_, i64>(0) as u64)
    }
}
