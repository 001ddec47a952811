//! PostgreSQL: a pool of connections, each set up as Parlor wants it.

pub(crate) mod log;

use std::sync::Arc;
use std::time::Duration;

use cqrs_core::StoreError;
use deadpool_postgres::{Manager, ManagerConfig, Object, RecyclingMethod, Runtime, Timeouts};
use tokio_postgres::{Config, NoTls};

use crate::dialect::{pool_error, postgres_error};

/// Connections to one database. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    pool: deadpool_postgres::Pool,
    config: Config,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("hosts", &self.0.config.get_hosts()).finish_non_exhaustive()
    }
}

/// The longest a statement may run, and the longest to wait for a connection.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
const WAIT: Duration = Duration::from_secs(2);

impl Pool {
    /// A pool of at most `size` connections to the database at `url` (`postgres://…`). Connects when first used.
    pub fn new(url: &str, size: usize) -> Result<Self, StoreError> {
        let mut config: Config =
            url.parse().map_err(|error| StoreError::Other(format!("not a PostgreSQL URL: {error}")))?;
        config.connect_timeout(WAIT).application_name("parlor");
        let options = config.get_options().map(|given| format!("{given} ")).unwrap_or_default();
        config.options(format!(
            "{options}-c statement_timeout={} -c lock_timeout=5000 -c timezone=UTC",
            STATEMENT_TIMEOUT.as_millis()
        ));
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config.clone(), NoTls, recycling);
        let timeouts = Timeouts { wait: Some(WAIT), create: Some(WAIT), recycle: Some(WAIT) };
        let pool = deadpool_postgres::Pool::builder(manager)
            .max_size(size)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Other(error.to_string()))?;
        Ok(Self(Arc::new(Inner { pool, config })))
    }

    /// A connection from the pool.
    pub(crate) async fn get(&self) -> Result<Object, StoreError> {
        self.0.pool.get().await.map_err(|error| pool_error(&error))
    }

    /// A connection of one's own, outside the pool.
    pub(crate) async fn connect(&self) -> Result<tokio_postgres::Client, StoreError> {
        let (client, connection) =
            self.0.config.connect(NoTls).await.map_err(|error| postgres_error(&error))?;
        // Ends when the client is dropped or the connection is lost; the client's calls tell.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        Ok(client)
    }

    /// Refuses a server that acknowledges before it has synced.
    pub(crate) async fn require_durability(&self) -> Result<(), StoreError> {
        let client = self.get().await?;
        for (setting, bad) in [("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")] {
            let row = client
                .query_one(&format!("SHOW {setting}"), &[])
                .await
                .map_err(|error| postgres_error(&error))?;
            let value: String = row.get(0);
            if value == bad {
                return Err(StoreError::Other(format!(
                    "PostgreSQL runs with {setting}={value}: acknowledged commands could be lost; switch it on"
                )));
            }
        }
        Ok(())
    }
}
