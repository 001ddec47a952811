//! Where each store lies, and opening them.

use std::sync::Arc;

use cqrs_core::{
    Clock, EventSource, ExecutorOptions, InstanceKey, KeyStore as _, Keyring, LogSource, Projection,
    PublicSource, Publisher, SystemClock, TokenCodec,
};
use cqrs_sql::{Location, LogOptions, OpenService, Pool, ServiceStore, SqlKeyStore};
use uuid::Uuid;

use super::OpenError;
use crate::config::{Config, StoreUrl};
use crate::data_dir::DataDir;

/// What every service of the process shares.
pub struct Ground {
    /// The data folder, held as long as this lives.
    pub data: DataDir,
    /// Seals and opens personal fields.
    pub keyring: Keyring,
    /// The instance's 32 secret bytes.
    pub secret: [u8; 32],
    /// Makes and reads position tokens and cursors.
    pub tokens: TokenCodec,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    pool: Option<Pool>,
    log_options: LogOptions,
}

/// Connections that read a service's log or views, each.
const READERS: usize = 4;
/// Connections to PostgreSQL for all services together; followers of logs have one each besides.
const POOL: usize = 32;

impl Ground {
    /// Takes hold of the data folder and opens what lies under all services.
    pub async fn open(config: &Config) -> Result<Self, OpenError> {
        let data = DataDir::open(&config.data_dir)?;
        let secret = data.secret(parlor_auth::tokens::random_bytes)?;
        let pool = match config.store_url() {
            StoreUrl::Sqlite => None,
            StoreUrl::Postgres(url) => {
                Some(Pool::new(url, POOL).map_err(|error| OpenError::store("the database", error))?)
            }
        };
        let log_options = LogOptions {
            ledger_retention: config.ledger_retention(),
            readers: READERS,
            ..LogOptions::default()
        };
        let location = match &pool {
            None => Location::Sqlite(data.join("keys.db")),
            Some(pool) => Location::Postgres { pool: pool.clone(), schema: "keys".to_owned() },
        };
        let failed = |error| OpenError::store("the keys' store", error);
        let keys = SqlKeyStore::open(&location).await.map_err(failed)?;
        // The stores belong to one secret: with another one, claims and stored answers would not be found again.
        let mark = InstanceKey::new(&secret).hash(&[b"the instance that these stores belong to"]);
        let held = keys.ensure(vec![(Uuid::nil(), mark)]).await.map_err(failed)?;
        if held.first().is_some_and(|(_, held)| *held != mark) {
            return Err(OpenError::OtherInstance(data.join("keys/instance.secret")));
        }
        Ok(Self {
            keyring: Keyring::new(Arc::new(keys)),
            tokens: TokenCodec::new(&secret),
            clock: Arc::new(SystemClock),
            data,
            secret,
            pool,
            log_options,
        })
    }

    /// Opens a service's log and views.
    pub async fn service(
        &self,
        name: &'static str,
        projections: Vec<Arc<dyn Projection>>,
        write_schema: Option<(&'static str, &'static str)>,
    ) -> Result<ServiceStore, OpenError> {
        let location = |part: &str| -> Result<Location, OpenError> {
            Ok(match &self.pool {
                None => Location::Sqlite(self.data.folder(name)?.join(format!("{part}.db"))),
                Some(pool) => Location::Postgres { pool: pool.clone(), schema: format!("{name}_{part}") },
            })
        };
        let open = OpenService {
            name,
            log: location("log")?,
            views: location("views")?,
            write_schema,
            projections,
            keyring: self.keyring.clone(),
            instance: InstanceKey::new(&self.secret),
            clock: self.clock.clone(),
            log_options: self.log_options.clone(),
            executor_options: ExecutorOptions::default(),
            view_readers: READERS,
        };
        ServiceStore::open(open).await.map_err(|error| OpenError::store(name, error))
    }

    /// A service's log as its own handlers follow it, and its public events as others do.
    pub fn sources<P: Publisher>(
        &self,
        store: &ServiceStore,
        public: &'static str,
        publisher: P,
    ) -> [Arc<dyn EventSource>; 2] {
        let log = store.log.clone();
        [
            Arc::new(LogSource(log.clone())),
            Arc::new(PublicSource::new(public, log, self.keyring.clone(), publisher)),
        ]
    }
}
