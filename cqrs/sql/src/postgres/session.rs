//! Whether a connection has a session of the server's to itself, or a pooler stands between.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cqrs_core::{Clock as _, SystemClock};
use deadpool_postgres::Connect;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Settings;
use crate::dialect::describe;

/// Makes a pool's connections, and knows whether each has a session of its own, on which statements can stay prepared.
///
/// Asked for is a start-up parameter that is another for each connection. A server sets it for the session it begins; a
/// pooler in transaction mode, whose sessions serve many, refuses or ignores it. Once one stands between, none of the pool's
/// connections keeps anything prepared any more.
#[derive(Debug, Clone)]
pub(super) struct Sessions {
    tls: MakeTls,
    /// What a session of one's own has from the start, as start-up options.
    options: Arc<str>,
    shared: Arc<AtomicBool>,
}

/// What makes encrypted connections says nothing of itself.
#[derive(Clone)]
struct MakeTls(MakeRustlsConnect);

impl std::fmt::Debug for MakeTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MakeTls")
    }
}

/// The parameter; the server takes any with a dot in its name.
const MARK: &str = "parlor.session";

/// A client, and what runs its connection.
pub(super) type Connected = (Client, JoinHandle<()>);

impl Sessions {
    /// In a session of its own, a connection has `settings` from the start: no transaction need say them.
    pub(super) fn new(tls: MakeRustlsConnect, settings: &Settings) -> Self {
        Self { tls: MakeTls(tls), options: settings.options().into(), shared: Arc::default() }
    }

    /// Whether each connection that was made has a session to itself.
    pub(super) fn are_own(&self) -> bool {
        !self.shared.load(Ordering::Acquire)
    }

    fn is_shared(&self, how: &str) {
        if !self.shared.swap(true, Ordering::AcqRel) {
            tracing::info!(
                how,
                "a pooler stands before PostgreSQL: statements are sent whole, and planned anew each time"
            );
        }
    }

    /// Connects without asking whether a pooler stands between.
    pub(super) async fn plain(&self, config: &Config) -> Result<Connected, Error> {
        let (client, connection) = config.connect(self.tls.0.clone()).await?;
        // Ends when the client is dropped or the connection is lost; the client's calls tell.
        let running = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = describe(&error), "a connection to PostgreSQL ended");
            }
        });
        Ok((client, running))
    }

    async fn connected(&self, config: &Config) -> Result<Connected, Error> {
        if !self.are_own() {
            return self.plain(config).await;
        }
        let mark = SystemClock.fresh_id().simple().to_string();
        let mut marked = config.clone();
        let others = config.get_options().unwrap_or_default();
        marked.options(format!("{others} -c {MARK}={mark}{}", self.options).trim());
        let (client, running) = match self.plain(&marked).await {
            Err(error) if is_refused(&error) => {
                let connected = self.plain(config).await?;
                self.is_shared("it refused a start-up parameter");
                return Ok(connected);
            }
            connected => connected?,
        };
        let asked = format!("SELECT current_setting('{MARK}', true)");
        let told = client.query_typed_one(&asked, &[]).await?;
        if told.get::<_, Option<&str>>(0) != Some(&mark) {
            self.is_shared("it ignored a start-up parameter");
        }
        Ok((client, running))
    }
}

/// Whether it is the start-up parameter that was refused, as far as the code tells.
fn is_refused(error: &Error) -> bool {
    // PgBouncer calls it a protocol violation.
    matches!(error.code(), Some(&SqlState::PROTOCOL_VIOLATION | &SqlState::FEATURE_NOT_SUPPORTED))
}

impl Connect for Sessions {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<Connected, Error>> + Send + '_>> {
        let config = config.clone();
        Box::pin(async move { self.connected(&config).await })
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::StoreError;

    use crate::postgres::connection::PREPARED;
    use crate::postgres::{Connection, Pool};
    use crate::testing::{PGBOUNCER_URL, POSTGRES_URL};

    fn pool(variable: &str) -> Option<Pool> {
        let url = std::env::var(variable).ok().filter(|url| !url.is_empty());
        if url.is_none() {
            eprintln!("skipped: {variable} names no server");
        }
        Some(Pool::new(&url?, 1).expect("the URL can be read"))
    }

    /// How many statements the session behind a connection has prepared, this one not counted.
    async fn prepared(connection: &Connection) -> i64 {
        let asked =
            "SELECT count(*) FROM pg_prepared_statements WHERE statement NOT LIKE '%pg_prepared_statements%'";
        connection.query_one(asked, &[]).await.expect("it can be asked").get(0)
    }

    #[tokio::test]
    async fn a_statement_stays_prepared_where_the_session_is_the_connections_own() {
        let Some(pool) = pool(POSTGRES_URL) else { return };
        for _ in 0..2 {
            let connection = pool.get().await.expect("the server takes connections");
            for _ in 0..3 {
                connection.query_one("SELECT 7", &[]).await.expect("it can be asked");
            }
            assert_eq!(prepared(&connection).await, 1);
        }
    }

    #[tokio::test]
    async fn what_an_operation_prepared_stays_to_its_end_however_much_it_is() {
        let Some(pool) = pool(POSTGRES_URL) else { return };
        let connection = pool.get().await.expect("the server takes connections");
        let many = PREPARED + 2;
        for n in 0..many {
            connection.prepare(&format!("SELECT {n}"), &[]).await.expect("it can be prepared");
        }
        assert_eq!(prepared(&connection).await, many as i64);
        drop(connection);
        let next = pool.get().await.expect("the same connection");
        assert_eq!(prepared(&next).await, 0, "the next operation begins with few");
    }

    #[tokio::test]
    async fn nothing_stays_prepared_behind_a_pooler() {
        let Some(pool) = pool(PGBOUNCER_URL) else { return };
        let connection = pool.get().await.expect("the pooler takes connections");
        connection.query_one("SELECT 7", &[]).await.expect("it can be asked");
        assert_eq!(prepared(&connection).await, 0);
    }

    #[tokio::test]
    async fn a_table_that_changed_under_a_prepared_statement_is_asked_again() {
        let Some(pool) = pool(POSTGRES_URL) else { return };
        let connection = pool.get().await.expect("the server takes connections");
        let change = |sql: &'static str| connection.batch(sql);
        change("CREATE TEMPORARY TABLE changing (a int); INSERT INTO changing VALUES (1)")
            .await
            .expect("made");
        let all = "SELECT * FROM changing";
        assert_eq!(connection.query_one(all, &[]).await.expect("asked").len(), 1);
        change("ALTER TABLE changing ADD b int").await.expect("changed");
        let error = connection.query_one(all, &[]).await.expect_err("its plan is of the table as it was");
        assert!(matches!(error, StoreError::Unavailable(_)), "it passes: {error}");
        assert_eq!(connection.query_one(all, &[]).await.expect("asked again").len(), 2);
    }
}
