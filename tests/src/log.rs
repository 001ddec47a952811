//! A service's log as it lies in the store, read past the server: the last word on what was recorded.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use crate::server::Server;
use crate::store;

/// The logs that there are.
pub const SERVICES: [&str; 4] = ["user", "auth", "chat", "notification"];

/// One recorded event, without its content, which is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its place in the log.
    pub position: u64,
    /// The kind of its stream.
    pub category: String,
    /// Its stream.
    pub stream: Uuid,
    /// Its place in the stream.
    pub version: u64,
    /// Such as `message.sent`.
    pub name: String,
}

const SQL: &str = "SELECT position, category, stream, version, name FROM events ORDER BY position";

/// All events of a service, in order.
pub async fn read(server: &Server, service: &str) -> Vec<Recorded> {
    match server.database_url(service) {
        None => read_sqlite(&server.data(), service),
        Some(url) => read_postgres(&url, service).await,
    }
}

/// How far each service's log has come, once nothing follows any more from what was asked of the server: no view or reactor
/// is behind, and the logs are where they were before that was looked up.
pub async fn settled(server: &Server) -> Vec<(&'static str, u64)> {
    // Between processes, what one has published the other may not know of yet.
    const CALM_LOOKS: u32 = 2;
    let (mut last, mut calm) = (Vec::new(), 0);
    crate::wait::eventually("the logs come to rest", async || {
        let heads = heads(server).await;
        calm = if heads == last { calm + 1 } else { 0 };
        last = heads;
        if somebody_is_behind(server).await {
            calm = 0;
        }
        (calm >= CALM_LOOKS).then(|| last.clone())
    })
    .await
}

async fn somebody_is_behind(server: &Server) -> bool {
    let status = server.run(&["views", "status"]).await;
    String::from_utf8_lossy(&status.stdout).lines().any(|line| line.ends_with(" behind"))
}

async fn heads(server: &Server) -> Vec<(&'static str, u64)> {
    let mut heads = Vec::new();
    for service in SERVICES {
        heads.push((service, read(server, service).await.last().map_or(0, |event| event.position)));
    }
    heads
}

fn read_sqlite(data: &Path, service: &str) -> Vec<Recorded> {
    let path = sqlite_path(data, service);
    let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut statement = connection.prepare(SQL).expect("the log has its table");
    let rows = statement.query_map((), |row| {
        Ok(Recorded {
            position: row.get::<_, i64>(0)? as u64,
            category: row.get(1)?,
            stream: stream_of(&row.get::<_, Vec<u8>>(2)?),
            version: row.get::<_, i64>(3)? as u64,
            name: row.get(4)?,
        })
    });
    rows.expect("the log can be read").map(|row| row.expect("an event's row")).collect()
}

/// All events of a service in a PostgreSQL database, in order.
pub async fn read_postgres(url: &str, service: &str) -> Vec<Recorded> {
    let client = store::connect(url).await;
    let sql = SQL.replace("FROM events", &format!("FROM {}.events", postgres_schema(service)));
    let rows = client.query(&sql, &[]).await.expect("the log can be read");
    rows.iter()
        .map(|row| Recorded {
            position: row.get::<_, i64>(0) as u64,
            category: row.get(1),
            stream: row.get(2),
            version: row.get::<_, i64>(3) as u64,
            name: row.get(4),
        })
        .collect()
}

/// The file of a service's log.
pub fn sqlite_path(data: &Path, service: &str) -> std::path::PathBuf {
    data.join(service).join("log.db")
}

fn postgres_schema(service: &str) -> String {
    format!("{service}_log")
}

fn stream_of(bytes: &[u8]) -> Uuid {
    Uuid::from_slice(bytes).expect("streams are named by UUIDs")
}

/// Positions without a gap from 1 on, and each stream's versions likewise.
///
/// # Panics
/// Where there is one.
pub fn assert_gapless(service: &str, events: &[Recorded]) {
    let mut versions = std::collections::HashMap::new();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.position, index as u64 + 1, "a gap in the log of {service}");
        let version = versions.entry((&event.category, event.stream)).or_insert(0);
        *version += 1;
        assert_eq!(event.version, *version, "a gap in a stream of {service}: {event:?}");
    }
}
