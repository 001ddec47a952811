//! Where each store lies, and opening them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use cqrs_core::{
    Clock, ExecutorOptions, InstanceKey, KeyStore as _, Keyring, Projection, StoreError, SystemClock,
    TokenCodec,
};
use cqrs_sql::{Location, LogOptions, OpenService, Pool, PoolOptions, ServiceStore, SqlKeyStore, ViewsAt};
use parking_lot::Mutex;
use uuid::Uuid;

use super::OpenError;
use crate::config::{Config, StoreUrl};
use crate::data_dir::{DataDir, DataDirError};
use crate::roles::{Roles, ServiceName};

/// What a process has before it opens any store: its folder, and the secret of its instance.
pub struct Base {
    /// The data folder, held as long as this lives.
    pub data: DataDir,
    /// The instance's 32 secret bytes.
    pub secret: [u8; 32],
}

impl Base {
    /// Takes hold of the data folder, and reads the secret or makes it.
    pub fn open(config: &Config) -> Result<Self, DataDirError> {
        let data = DataDir::open(&config.data_dir)?;
        let secret = data.secret(config.secret_file.as_deref(), parlor_auth::tokens::random_bytes)?;
        Ok(Self { data, secret })
    }
}

/// What every service of the process shares.
pub struct Ground {
    /// The folder and the secret.
    pub base: Arc<Base>,
    /// Seals and opens personal fields.
    pub keyring: Keyring,
    /// Makes and reads position tokens and cursors.
    pub tokens: TokenCodec,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    pools: Pools,
    log_options: LogOptions,
}

/// Connections that read a service's log or views on SQLite, each.
const READERS: usize = 4;

/// A pool for each database: stores that lie in one share its connections.
pub(crate) struct Pools {
    options: PoolOptions,
    open: Mutex<HashMap<String, Pool>>,
}

impl Pools {
    /// None yet; they are made when they are needed.
    pub(crate) fn new(config: &Config) -> Self {
        let ca_file = config.postgres.ca_file.clone();
        let options = PoolOptions { ca_file, ..PoolOptions::of(config.postgres.pool_size) };
        Self { options, open: Mutex::default() }
    }

    fn at(&self, url: &str) -> Result<Pool, StoreError> {
        let mut open = self.open.lock();
        if let Some(pool) = open.get(url) {
            return Ok(pool.clone());
        }
        let pool = Pool::with_options(url, self.options.clone())?;
        open.insert(url.to_owned(), pool.clone());
        Ok(pool)
    }

    /// Where a store lies: in the schema of this name, or in what `file` makes the path of.
    pub(crate) fn location(
        &self,
        url: StoreUrl<'_>,
        schema: String,
        file: impl FnOnce() -> Result<PathBuf, DataDirError>,
    ) -> Result<Location, OpenError> {
        match url {
            StoreUrl::Sqlite => Ok(Location::Sqlite(file()?)),
            StoreUrl::Postgres(url) => {
                let pool = self.at(url).map_err(|error| OpenError::store(schema.clone(), error))?;
                Ok(Location::Postgres { pool, schema })
            }
        }
    }
}

impl Ground {
    /// Opens what lies under all stores.
    pub async fn open(config: &Config, base: Arc<Base>) -> Result<Self, OpenError> {
        let pools = Pools::new(config);
        let log_options = LogOptions {
            ledger_retention: config.ledger_retention(),
            readers: READERS,
            migrate: config.migrate_on_start,
            ..LogOptions::default()
        };
        let location =
            pools.location(config.keys_url(), "keys".to_owned(), || Ok(base.data.join("keys.db")))?;
        let failed = |error| OpenError::store("the keys' store", error);
        let keys = SqlKeyStore::open_with(&location, config.migrate_on_start).await.map_err(failed)?;
        // The stores belong to one secret: with another one, claims and stored answers would not be found again.
        let mark = InstanceKey::new(&base.secret).hash(&[b"the instance that these stores belong to"]);
        let held = keys.ensure(vec![(Uuid::nil(), mark)]).await.map_err(failed)?;
        if held.first().is_some_and(|(_, held)| *held != mark) {
            return Err(OpenError::OtherInstance(base.data.secret_path(config.secret_file.as_deref())));
        }
        Ok(Self {
            keyring: Keyring::new(Arc::new(keys)),
            tokens: TokenCodec::new(&base.secret),
            clock: Arc::new(SystemClock),
            base,
            pools,
            log_options,
        })
    }

    /// Makes and upgrades the tables of a service's log.
    pub async fn migrate(&self, config: &Config, service: ServiceName) -> Result<(), OpenError> {
        let name = service.name();
        let location = self.pools.location(config.log_url(service), format!("{name}_log"), || {
            Ok(self.base.data.folder(name)?.join("log.db"))
        })?;
        let (epoch, options) = (self.clock.fresh_id(), self.log_options.clone());
        let opened = cqrs_sql::SqlLog::open(name, &location, epoch, service.write_schema(), options).await;
        opened.map(drop).map_err(|error| OpenError::store(name, error))
    }

    /// Opens a service's log and views.
    pub async fn service(
        &self,
        config: &Config,
        roles: &Roles,
        service: ServiceName,
        projections: Vec<Arc<dyn Projection>>,
    ) -> Result<ServiceStore, OpenError> {
        let name = service.name();
        let location = |url, part: &str| {
            self.pools.location(url, format!("{name}_{part}"), || {
                Ok(self.base.data.folder(name)?.join(format!("{part}.db")))
            })
        };
        let kept = location(config.views_url(service), "views")?;
        let replica = config.store(service).views_replica_url.as_deref();
        let copy = replica.map(|url| location(StoreUrl::Postgres(url), "views")).transpose()?;
        let views = match (roles.handle_events(), copy) {
            (true, None) => ViewsAt::Kept(kept),
            (true, Some(copy)) => ViewsAt::Copied { kept, copy },
            (false, copy) => ViewsAt::Read(copy.unwrap_or(kept)),
        };
        let open = OpenService {
            name,
            log: location(config.log_url(service), "log")?,
            views,
            write_schema: service.write_schema(),
            projections,
            keyring: self.keyring.clone(),
            instance: InstanceKey::new(&self.base.secret),
            clock: self.clock.clone(),
            log_options: self.log_options.clone(),
            executor_options: ExecutorOptions::default(),
            view_readers: READERS,
        };
        ServiceStore::open(open).await.map_err(|error| OpenError::store(name, error))
    }
}
