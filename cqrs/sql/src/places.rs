//! Reactors' and relays' places in the log's store, and the leases under which they are moved.

use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{Fence, LeaseStore, ParkStore, Place, PlaceError, PlaceStore, Position, StoreError};
use uuid::Uuid;

use crate::leases::ALWAYS;
use crate::log::{Backend, SqlLog};

#[async_trait]
impl LeaseStore for SqlLog {
    async fn acquire(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<Fence>, StoreError> {
        match &self.backend {
            Backend::Sqlite(_) => Ok(Some(ALWAYS)),
            Backend::Postgres(log) => log.leases().acquire(name, holder, ttl).await,
        }
    }

    async fn renew(&self, name: &str, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        match &self.backend {
            Backend::Sqlite(_) => Ok(true),
            Backend::Postgres(log) => log.leases().renew(name, fence, ttl).await,
        }
    }

    async fn release(&self, name: &str, fence: Fence) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(log) => log.leases().release(name, fence).await,
        }
    }

    async fn holder(&self, name: &str) -> Result<Option<Uuid>, StoreError> {
        match &self.backend {
            Backend::Sqlite(_) => Ok(None),
            Backend::Postgres(log) => log.leases().holder(name).await,
        }
    }
}

/// What becomes of a place that is there already: it moves forward, in its epoch.
pub(crate) const MOVE: &str = "ON CONFLICT (consumer, source) DO UPDATE
     SET position = excluded.position, epoch = coalesce(excluded.epoch, places.epoch)
     WHERE excluded.position > places.position
       AND (places.epoch IS NULL OR excluded.epoch IS NULL OR places.epoch = excluded.epoch)";

#[async_trait]
impl PlaceStore for SqlLog {
    async fn load(&self, consumer: &str, source: &str) -> Result<Option<Place>, StoreError> {
        let sql = "SELECT position, epoch FROM places WHERE consumer = ?1 AND source = ?2";
        let found = self.select(sql, vec![consumer.into(), source.into()], |row| {
            let position = Position(row.int(0)?.unwrap_or(0) as u64);
            Ok(Place { position, epoch: row.uuid(1)?.unwrap_or_default() })
        });
        Ok(found.await?.into_iter().next())
    }

    async fn save(
        &self,
        consumer: &str,
        source: &str,
        place: Place,
        fence: Option<Fence>,
    ) -> Result<(), PlaceError> {
        let epoch = Some(place.epoch).filter(|epoch| !epoch.is_nil());
        let mut params = vec![consumer.into(), source.into(), place.position.into(), epoch.into()];
        let insert = "INSERT INTO places (consumer, source, position, epoch)";
        let moved = match (&self.backend, fence) {
            (Backend::Postgres(log), Some(fence)) => {
                params.push(fence.0.into());
                let held = log.held_sql(1, 5);
                let row = "SELECT $1, $2, $3::bigint, $4::uuid FROM held";
                self.execute(format!("{held} {insert} {row} {MOVE}"), params).await?
            }
            // A place that a crash sets back has its events handled again, as they are after a kill just before it was kept.
            _ => self.execute_unsynced(format!("{insert} VALUES (?1, ?2, ?3, ?4) {MOVE}"), params).await?,
        };
        if moved > 0 {
            return Ok(());
        }
        if let (Backend::Postgres(log), Some(fence)) = (&self.backend, fence)
            && !log.leases().is_current(consumer, fence).await?
        {
            return Err(PlaceError::LeaseLost);
        }
        if let Some(kept) = self.load(consumer, source).await? {
            kept.within(place.epoch, consumer, source)?;
        }
        Ok(())
    }

    async fn forget(&self, consumer: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM places WHERE consumer = ?1";
        self.execute(sql.to_owned(), vec![consumer.into()]).await.map(drop)
    }

    fn parking(&self) -> Option<&dyn ParkStore> {
        Some(self)
    }
}

/// The epoch of a place, which earlier versions didn't keep, on a SQLite store that they made.
pub(crate) fn add_epoch(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    let sql = "SELECT count(*) FROM pragma_table_info('places') WHERE name = 'epoch'";
    let known: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if known == 0 { connection.execute_batch("ALTER TABLE places ADD COLUMN epoch BLOB") } else { Ok(()) }
}

/// The same on PostgreSQL. Looked at first: changing a table waits for everyone who uses it.
pub(crate) const ADD_EPOCH: &str = "
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'places'::regclass AND attname = 'epoch') THEN
    ALTER TABLE places ADD COLUMN epoch uuid;
  END IF;
END $$;
";
