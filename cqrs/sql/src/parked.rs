//! What reactors couldn't handle and what is no event of ours, set aside in the log's store.

use async_trait::async_trait;
use cqrs_core::{
    Fence, ForeignRecord, Park, ParkStore, Parked, Place, PlaceError, Position, RecordedEvent, Row, RowError,
    StoreError, Value,
};
use uuid::Uuid;

use crate::log::{Backend, SqlLog};
use crate::places::MOVE;

/// The table on SQLite. A foreign record has no consumer; `part` is its partition, and -1 for an event.
pub(crate) const SQLITE: &str = "
CREATE TABLE IF NOT EXISTS parked (
  id INTEGER PRIMARY KEY AUTOINCREMENT, consumer TEXT NOT NULL, source TEXT NOT NULL, part INTEGER NOT NULL,
  position INTEGER NOT NULL, stream BLOB, name TEXT NOT NULL, reason TEXT NOT NULL, retry INTEGER NOT NULL DEFAULT 0,
  key BLOB, headers TEXT, value BLOB, UNIQUE (consumer, source, part, position)
) STRICT;
";

/// The table on PostgreSQL.
pub(crate) const POSTGRES: &str = "
CREATE TABLE IF NOT EXISTS parked (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, consumer text NOT NULL, source text NOT NULL,
  part bigint NOT NULL, position bigint NOT NULL, stream uuid, name text NOT NULL, reason text NOT NULL,
  retry bigint NOT NULL DEFAULT 0, key bytea, headers text, value bytea, UNIQUE (consumer, source, part, position)
);
";

const COLUMNS: &str = "id, consumer, source, part, position, stream, name, reason, retry";

/// The parked events of the stream of which the one with the number `?1` is one.
const OF_ITS_STREAM: &str = "consumer <> '' AND (consumer, source, stream) IN
     (SELECT consumer, source, stream FROM parked WHERE id = ?1)";

/// `retry` where nobody asked to have an event tried again.
const NOT_ASKED: i64 = 0;

/// `retry` where somebody asked.
const ASKED: i64 = 1;

/// `retry` where what somebody asked for is being done. Only this is taken back when the event fails again: who asks while it is
/// tried may have mended the cause just now, and is owed another try.
const TRYING: i64 = 2;

/// A reason may quote what somebody sent.
const LONGEST_REASON: usize = 1000;

fn parked(row: &dyn Row) -> Result<Parked, RowError> {
    let consumer = row.text(1)?.filter(|consumer| !consumer.is_empty());
    let (source, part) = (row.text(2)?.unwrap_or_default(), row.int(3)?.unwrap_or(-1));
    Ok(Parked {
        id: row.int(0)?.unwrap_or(0),
        source: if consumer.is_some() { source } else { format!("{source}/{part}") },
        consumer,
        position: Position(row.int(4)?.unwrap_or(0) as u64),
        stream: row.uuid(5)?,
        name: row.text(6)?.unwrap_or_default(),
        reason: row.text(7)?.unwrap_or_default(),
        retry: row.int(8)? != Some(NOT_ASKED),
    })
}

/// Text as every store takes it: not too long, without NUL.
fn clean(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(LONGEST_REASON).collect()
}

#[async_trait]
impl ParkStore for SqlLog {
    async fn parked_streams(&self, consumer: &str, source: &str) -> Result<Vec<Uuid>, StoreError> {
        let sql =
            "SELECT DISTINCT stream FROM parked WHERE consumer = ?1 AND source = ?2 AND stream IS NOT NULL";
        let found = self.select(sql, vec![consumer.into(), source.into()], |row| row.uuid(0)).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn park_event(
        &self,
        consumer: &str,
        source: &str,
        event: &RecordedEvent,
        reason: &str,
        place: Place,
        fence: Option<Fence>,
    ) -> Result<(), PlaceError> {
        let epoch = Some(place.epoch).filter(|epoch| !epoch.is_nil());
        let mut params: Vec<Value> = vec![
            consumer.into(),
            source.into(),
            place.position.into(),
            epoch.into(),
            event.stream.into(),
            event.name.to_string().into(),
            clean(reason).into(),
        ];
        let log = match &self.backend {
            Backend::Sqlite(log) => {
                let moved = format!(
                    "INSERT INTO places (consumer, source, position, epoch) VALUES (?1, ?2, ?3, ?4) {MOVE}"
                );
                let put = "INSERT INTO parked (consumer, source, part, position, stream, name, reason)
                     VALUES (?1, ?2, -1, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
                let work = move |connection: &rusqlite::Connection| {
                    let transaction = connection.unchecked_transaction()?;
                    let bound: Vec<_> = params.iter().map(crate::value::ToSqlite).collect();
                    transaction.execute(&moved, rusqlite::params_from_iter(&bound[..4]))?;
                    let rest = bound[..3].iter().chain(&bound[4..]);
                    transaction.execute(put, rusqlite::params_from_iter(rest))?;
                    transaction.commit()
                };
                return Ok(log.write(work).await?);
            }
            Backend::Postgres(log) => log,
        };
        // One statement, and so one transaction.
        let (held, from) = match fence {
            Some(fence) => {
                params.push(fence.0.into());
                (format!("{},", log.held_sql(1, 8)), "FROM held")
            }
            None => ("WITH".to_owned(), ""),
        };
        let sql = format!(
            "{held} moved AS (
               INSERT INTO places (consumer, source, position, epoch)
               SELECT $1::text, $2::text, $3::bigint, $4::uuid {from} {MOVE})
             INSERT INTO parked AS p (consumer, source, part, position, stream, name, reason)
             SELECT $1::text, $2::text, -1, $3::bigint, $5::uuid, $6::text, $7::text {from}
             ON CONFLICT (consumer, source, part, position) DO UPDATE SET reason = p.reason"
        );
        if self.execute(sql, params).await? > 0 { Ok(()) } else { Err(PlaceError::LeaseLost) }
    }

    async fn to_retry(&self, consumer: &str, source: &str) -> Result<Vec<Parked>, StoreError> {
        let of: [Value; 2] = [consumer.into(), source.into()];
        let any = format!(
            "SELECT id FROM parked WHERE consumer = ?1 AND source = ?2 AND retry <> {NOT_ASKED} LIMIT 1"
        );
        if self.select(&any, of.to_vec(), |row| row.int(0)).await?.is_empty() {
            return Ok(Vec::new());
        }
        // With what was parked behind it since somebody asked.
        let streams = format!(
            "consumer = ?1 AND source = ?2 AND stream IN
             (SELECT stream FROM parked WHERE consumer = ?1 AND source = ?2 AND retry <> {NOT_ASKED})"
        );
        self.execute(format!("UPDATE parked SET retry = {TRYING} WHERE {streams}"), of.to_vec()).await?;
        let sql = format!("SELECT {COLUMNS} FROM parked WHERE {streams} ORDER BY position");
        self.select(&sql, of.to_vec(), |row| parked(row)).await
    }

    async fn handled(&self, id: i64) -> Result<(), StoreError> {
        self.execute("DELETE FROM parked WHERE id = ?1".to_owned(), vec![id.into()]).await.map(drop)
    }

    async fn failed(&self, id: i64, reason: &str) -> Result<(), StoreError> {
        let tried =
            format!("UPDATE parked SET retry = {NOT_ASKED} WHERE retry = {TRYING} AND {OF_ITS_STREAM}");
        self.execute(tried, vec![id.into()]).await?;
        let sql = "UPDATE parked SET reason = ?2 WHERE id = ?1".to_owned();
        self.execute(sql, vec![id.into(), clean(reason).into()]).await.map(drop)
    }

    async fn parked(&self) -> Result<Vec<Parked>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM parked ORDER BY id");
        self.select(&sql, Vec::new(), |row| parked(row)).await
    }

    async fn retry(&self, id: i64) -> Result<bool, StoreError> {
        Ok(self.ask(id).await? > 0)
    }

    async fn give_up(&self, id: i64) -> Result<bool, StoreError> {
        // First the others: were this to stop in between, trying them shows that this one is still in their way.
        self.ask(id).await?;
        Ok(self.execute("DELETE FROM parked WHERE id = ?1".to_owned(), vec![id.into()]).await? > 0)
    }
}

impl SqlLog {
    /// What is parked, in the order in which it was: those after the one with the number `after`, `limit` at most.
    pub async fn parked_after(&self, after: i64, limit: usize) -> Result<Vec<Parked>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM parked WHERE id > ?1 ORDER BY id LIMIT ?2");
        self.select(&sql, vec![after.into(), (limit as u64).into()], |row| parked(row)).await
    }

    /// How much is parked.
    pub async fn parked_count(&self) -> Result<u64, StoreError> {
        let counted = self.select("SELECT count(*) FROM parked", Vec::new(), |row| row.int(0)).await?;
        Ok(counted.into_iter().next().flatten().unwrap_or(0) as u64)
    }

    /// Asks to have the events of the stream of which `id` is one tried again; how many they are.
    async fn ask(&self, id: i64) -> Result<u64, StoreError> {
        let sql = format!("UPDATE parked SET retry = {ASKED} WHERE {OF_ITS_STREAM}");
        self.execute(sql, vec![id.into()]).await
    }
}

#[async_trait]
impl Park for SqlLog {
    async fn park(&self, record: &ForeignRecord) -> Result<(), StoreError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}");
        let line = |(name, value): &(String, Option<Vec<u8>>)| {
            format!("{name}: {}\n", value.as_deref().map(text).unwrap_or_default())
        };
        let headers = record.headers.iter().map(line).collect::<Vec<_>>().concat();
        let named = record.headers.iter().find(|(name, _)| name == "ce_type");
        let name = named.and_then(|(_, value)| value.as_deref()).map(text).unwrap_or_default();
        let sql = "INSERT INTO parked (consumer, source, part, position, name, reason, key, headers, value)
             VALUES ('', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
        let params = vec![
            record.topic.clone().into(),
            record.partition.into(),
            record.offset.into(),
            clean(&name).into(),
            clean(&record.reason).into(),
            record.key.clone().into(),
            headers.replace('\0', "\u{fffd}").into(),
            record.value.clone().into(),
        ];
        self.execute(sql.to_owned(), params).await.map(drop)
    }
}
