//! Pools of connections to a database.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cqrs_core::StoreError;
use deadpool_postgres::{
    ClientWrapper, Connect as _, Manager, ManagerConfig, Object, RecyclingMethod, Runtime, Timeouts,
};
use tokio::time::Instant;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::{Connection, Held, Session};
use super::session::{Connected, Sessions};
use super::{Settings, tls};
use crate::dialect::pool_error;

/// How a [`Pool`] connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// The most connections at once. Each log's committer has one more of its own, and each store of views that is kept four.
    pub size: usize,
    /// The authorities whose certificates are trusted, in a PEM file; those of Mozilla's programme where there is none.
    pub ca_file: Option<PathBuf>,
    /// The longest that a command or query waits for PostgreSQL, for a connection and for the answer together.
    pub patience: Duration,
}

impl PoolOptions {
    /// At most `size` connections, the rest by default.
    pub fn of(size: usize) -> Self {
        Self { size, ca_file: None, patience: Duration::from_secs(2) }
    }
}

/// Connections to one database. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    pool: deadpool_postgres::Pool,
    config: Config,
    tls: MakeRustlsConnect,
    sessions: Sessions,
    options: PoolOptions,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("hosts", &self.0.config.get_hosts()).finish_non_exhaustive()
    }
}

/// The longest that a step in the background takes: a batch of a projection, the tables of a view.
pub(crate) const BACKGROUND: Duration = Duration::from_secs(30);

/// The longest that making a connection takes, with encryption and password.
const CONNECTED: Duration = Duration::from_secs(10);

/// What is sent and not acknowledged for as long means that the connection is lost, whatever TCP hopes for.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

impl Pool {
    /// A pool of at most `size` connections to the database at `url` (`postgres://…`). Connects when first used.
    ///
    /// Unless the URL says `sslmode=disable` or names this very machine, connections are encrypted and the server must show
    /// a certificate for its name; `require`, `verify-ca` and `verify-full` all mean that. What would fall back to plain
    /// text (`allow`, `prefer`) is refused.
    pub fn new(url: &str, size: usize) -> Result<Self, StoreError> {
        Self::with_options(url, PoolOptions::of(size))
    }

    /// A pool with all of its options given.
    pub fn with_options(url: &str, options: PoolOptions) -> Result<Self, StoreError> {
        let mut config = tls::parse(url)?;
        let tls = tls::connector(options.ca_file.as_deref())?;
        let patience = options.patience;
        if config.get_application_name().is_none() {
            config.application_name("parlor");
        }
        config.connect_timeout(patience).tcp_user_timeout(UNACKNOWLEDGED);
        Self::of(config, tls, options, &Settings::limits(patience).and(Settings::planned_once()))
    }

    fn of(
        config: Config,
        tls: MakeRustlsConnect,
        options: PoolOptions,
        settings: &Settings,
    ) -> Result<Self, StoreError> {
        let patience = options.patience;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let sessions = Sessions::new(tls.clone(), settings);
        let manager = Manager::from_connect(config.clone(), sessions.clone(), recycling);
        let timeouts = Timeouts { wait: Some(patience), create: Some(CONNECTED), recycle: Some(patience) };
        let pool = deadpool_postgres::Pool::builder(manager)
            .max_size(options.size)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Other(error.to_string()))?;
        Ok(Self(Arc::new(Inner { pool, config, tls, sessions, options })))
    }

    /// Another pool for the same database, of at most `size` connections, for what may take `patience`. Where each has a session
    /// of its own, that has `settings` from the start, which must limit what is asked of it.
    pub(crate) fn another(
        &self,
        size: usize,
        patience: Duration,
        settings: &Settings,
    ) -> Result<Self, StoreError> {
        let Inner { config, tls, options, .. } = &*self.0;
        Self::of(config.clone(), tls.clone(), PoolOptions { size, patience, ..options.clone() }, settings)
    }

    /// The longest that a command or query waits for PostgreSQL.
    pub(crate) fn patience(&self) -> Duration {
        self.0.options.patience
    }

    /// A connection from the pool, for what somebody waits for.
    pub(crate) async fn get(&self) -> Result<Connection, StoreError> {
        self.get_for(self.0.options.patience).await
    }

    /// A connection from the pool, for what may take `patience` in all.
    pub(crate) async fn get_for(&self, patience: Duration) -> Result<Connection, StoreError> {
        let until = Instant::now() + patience;
        let object = match tokio::time::timeout_at(until, self.object()).await {
            Ok(got) => got?,
            Err(_) => return Err(self.too_late()),
        };
        Ok(self.lend(Held::Pooled(object), patience, until))
    }

    fn lend(&self, held: Held, patience: Duration, until: Instant) -> Connection {
        let Inner { tls, sessions, options, .. } = &*self.0;
        let own = sessions.are_own();
        let has = Session { is_own: own, limited: own && patience == options.patience };
        Connection::new(held, tls.clone(), has, patience, until)
    }

    async fn object(&self) -> Result<Object, StoreError> {
        let pool = &self.0.pool;
        let got = if pool.status().available > 0 {
            pool.get().await
        } else {
            // A new connection is made to the end, whether or not who asked still waits: were each begun anew and given up,
            // a server that is slow to let anybody in would let in nobody.
            let pool = pool.clone();
            let getting = tokio::spawn(async move { pool.get().await });
            getting.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
        };
        got.map_err(|error| self.unreachable(pool_error(&error, self.0.options.size)))
    }

    /// A connection of one's own, outside the pool, on which what is asked may take `patience`.
    pub(crate) async fn connect(&self, patience: Duration) -> Result<Connection, StoreError> {
        let (client, running) = self.in_time(self.0.sessions.connect(&self.0.config)).await?;
        let client = ClientWrapper::new(client, running);
        let until = Instant::now() + patience;
        Ok(self.lend(Held::Own(client), patience, until))
    }

    /// A connection of one's own whose requests may take as long as they take: copies of whole stores.
    pub(crate) async fn connect_unbounded(&self) -> Result<tokio_postgres::Client, StoreError> {
        self.in_time(self.0.sessions.plain(&self.0.config)).await.map(|(client, _)| client)
    }

    async fn in_time(
        &self,
        connecting: impl Future<Output = Result<Connected, tokio_postgres::Error>>,
    ) -> Result<Connected, StoreError> {
        match tokio::time::timeout(CONNECTED, connecting).await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(error)) => Err(self.unreachable(crate::dialect::postgres_error(&error))),
            Err(_) => Err(self.too_late()),
        }
    }

    /// The same error, with what an operator needs to see where it comes from.
    fn unreachable(&self, error: StoreError) -> StoreError {
        let Inner { config, .. } = &*self.0;
        let at = || {
            let hosts = config.get_hosts().iter().map(|host| match host {
                tokio_postgres::config::Host::Tcp(name) => name.clone(),
                tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
            });
            let encrypted = match config.get_ssl_mode() {
                SslMode::Disable => "sslmode=disable",
                _ => "sslmode=verify-full",
            };
            format!("PostgreSQL on {}, {encrypted}", hosts.collect::<Vec<_>>().join(", "))
        };
        match error {
            StoreError::Unavailable(detail) => StoreError::Unavailable(format!("{}: {detail}", at())),
            StoreError::Other(detail) => StoreError::Other(format!("{}: {detail}", at())),
            other => other,
        }
    }

    fn too_late(&self) -> StoreError {
        let within = "no connection in time".to_owned();
        self.unreachable(StoreError::Unavailable(within))
    }

    /// Refuses a server that is too old, or acknowledges before it has synced.
    pub(crate) async fn require_durability(&self) -> Result<(), StoreError> {
        const OLDEST: i64 = 150_000;
        let sql = "SELECT name, setting FROM pg_settings WHERE name IN
            ('server_version_num', 'fsync', 'synchronous_commit', 'full_page_writes')";
        for row in self.get().await?.query(sql, &[]).await? {
            let (name, setting): (&str, &str) = (row.get(0), row.get(1));
            if name == "server_version_num" {
                if setting.parse::<i64>().is_ok_and(|version| version < OLDEST) {
                    return Err(StoreError::Other("PostgreSQL 15 or newer is needed".to_owned()));
                }
            } else if setting == "off" {
                return Err(StoreError::Other(format!(
                    "PostgreSQL runs with {name}=off: acknowledged commands could be lost; switch it on"
                )));
            }
        }
        Ok(())
    }
}
