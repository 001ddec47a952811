//! Where a server under test keeps its data.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::{Client, Config, NoTls};

/// Which database a test runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// Files in the data folder.
    Sqlite,
    /// A database on the server with this URL.
    Postgres(String),
    /// A process for each service, with a database each on one server, and Kafka between them.
    Cluster {
        /// The URL of the PostgreSQL server.
        postgres: String,
        /// The addresses of Kafka's brokers.
        kafka: String,
    },
}

impl Store {
    /// The PostgreSQL for tests, or a cluster on it where `PARLOR_TEST_TARGET` is `cluster`; without a server, says that the
    /// test is skipped.
    pub fn postgres() -> Option<Self> {
        let postgres = named("PARLOR_TEST_POSTGRES_URL", "PostgreSQL server")?;
        if !clusters_are_tested() {
            return Some(Self::Postgres(postgres));
        }
        let kafka = named("PARLOR_TEST_KAFKA", "Kafka broker")?;
        Some(Self::Cluster { postgres, kafka })
    }

    /// Whether this is several processes, and the test is about one; says then that it is skipped, and why.
    pub fn skips_cluster(&self, reason: &str) -> bool {
        let cluster = matches!(self, Self::Cluster { .. });
        if cluster {
            println!("skipped on a cluster: {reason}");
        }
        cluster
    }

    /// Short, for file names and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres(_) => "postgres",
            Self::Cluster { .. } => "a cluster",
        }
    }
}

/// Whether tests are to run on a process per service instead of one for all.
pub fn clusters_are_tested() -> bool {
    env::var("PARLOR_TEST_TARGET").is_ok_and(|target| target == "cluster")
}

/// What an environment variable names; without it, says that the test is skipped.
fn named(variable: &str, what: &str) -> Option<String> {
    let named = env::var(variable).ok().filter(|value| !value.is_empty());
    if named.is_none() {
        println!("skipped: {variable} names no {what} (see CONTRIBUTING.md)");
    }
    named
}

/// A database of a test's own; dropped with it.
pub(crate) struct Database {
    admin_url: String,
    name: String,
}

impl Database {
    pub(crate) async fn create(admin_url: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("parlor_e2e_{}_{number}", std::process::id());
        let admin = connect(admin_url).await;
        let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        admin.batch_execute(&sql).await.expect("an earlier run's database can be dropped");
        // PROOF.md: search must work where the database knows no language.
        let sql = format!("CREATE DATABASE {name} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0");
        admin.batch_execute(&sql).await.expect("a database can be created");
        Self { admin_url: admin_url.to_owned(), name }
    }

    /// The URL of this database on the same server.
    pub(crate) fn url(&self) -> String {
        let (before, query) = match self.admin_url.split_once('?') {
            Some((before, query)) => (before, format!("?{query}")),
            None => (self.admin_url.as_str(), String::new()),
        };
        let authority = before.find("://").map_or(0, |at| at + 3);
        let end = before[authority..].find('/').map_or(before.len(), |at| authority + at);
        format!("{}/{}{query}", &before[..end], self.name)
    }

    /// Ends all of the server's connections to this database, as a failover or an operator would.
    pub(crate) async fn end_connections(&self) -> i64 {
        end_connections(&self.url()).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (url, sql) =
            (self.admin_url.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        // A thread with a runtime of its own: dropping can't await, and the test's runtime may be ending.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async { connect(&url).await.batch_execute(&sql).await })
        });
        match dropping.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("the database {} stays behind: {error}", self.name),
            Err(_) => eprintln!("the database {} stays behind", self.name),
        }
    }
}

/// Ends all connections to a database but the one that does it; gives how many there were.
pub(crate) async fn end_connections(url: &str) -> i64 {
    // In two steps: conditions side by side are evaluated in any order, and these would end everybody's.
    let sql = "WITH theirs AS MATERIALIZED (
            SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid())
        SELECT count(*) FROM theirs WHERE pg_terminate_backend(pid)";
    connect(url).await.query_one(sql, &[]).await.expect("connections can be ended").get(0)
}

/// Connects to a PostgreSQL database.
pub async fn connect(url: &str) -> Client {
    let config: Config = url.parse().expect("PARLOR_TEST_POSTGRES_URL is a PostgreSQL URL");
    let (client, connection) = config.connect(NoTls).await.expect("PostgreSQL takes connections");
    tokio::spawn(connection);
    client
}
