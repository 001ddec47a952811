//! Leases on PostgreSQL, beside the places that are moved under them.
//!
//! Nothing here is tied to a database session, so that a pooler may hand each transaction to another one. Times are the
//! database's. A write under a lease locks the lease's row `FOR KEY SHARE`: a take-over changes the number, which is part of
//! a unique key, and waits for such writes as they wait for it; a renewal changes only the time and waits for neither.

use std::time::Duration;

use cqrs_core::{Fence, StoreError};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::postgres::log::quoted;
use crate::postgres::{Param, Pool};

/// The table, in every store that keeps places.
pub(crate) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS leases (
  name text PRIMARY KEY, fence bigint NOT NULL, holder uuid NOT NULL, until bigint NOT NULL, UNIQUE (name, fence)
) WITH (fillfactor = 10);
";

/// Milliseconds by the database's clock.
pub(crate) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// On SQLite, which one process has, every lease is held by whoever asks.
pub(crate) const ALWAYS: Fence = Fence(1);

/// A common table expression, `held`, that has a row if the lease named by the parameter `name` has the number given by the
/// parameter `fence`, and keeps it from being taken over for as long as the transaction lasts.
pub(crate) fn held_sql(schema: &str, name: usize, fence: usize) -> String {
    let s = quoted(schema);
    format!(
        "WITH held AS MATERIALIZED
           (SELECT 1 FROM {s}.leases WHERE name = ${name} AND fence = ${fence} FOR KEY SHARE)"
    )
}

/// The leases in one schema.
pub(crate) struct PostgresLeases<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) schema: &'a str,
}

impl PostgresLeases<'_> {
    pub(crate) async fn acquire(
        &self,
        name: &str,
        holder: Uuid,
        ttl: Duration,
    ) -> Result<Option<Fence>, StoreError> {
        // Looked at first: an attempt that comes to nothing would still lock the row and wait for writes under it.
        let s = quoted(self.schema);
        let look = format!("SELECT until > {NOW} FROM {s}.leases WHERE name = $1");
        let found = self.pool.get().await?.query_opt(&look, &[(&name, Type::TEXT)]).await?;
        let take = match found.map(|row| row.get::<_, bool>(0)) {
            Some(true) => return Ok(None),
            Some(false) => format!(
                "UPDATE {s}.leases SET fence = fence + 1, holder = $2, until = {NOW} + $3
                 WHERE name = $1 AND until <= {NOW} RETURNING fence"
            ),
            // Whoever is first has it; others conflict with either of the keys, as they come.
            None => format!(
                "INSERT INTO {s}.leases (name, fence, holder, until) VALUES ($1, 1, $2, {NOW} + $3)
                 ON CONFLICT DO NOTHING RETURNING fence"
            ),
        };
        self.fetch(&take, &[(&name, Type::TEXT), (&holder, Type::UUID), (&millis(ttl), Type::INT8)]).await
    }

    pub(crate) async fn renew(&self, name: &str, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        let s = quoted(self.schema);
        let sql = format!(
            "UPDATE {s}.leases SET until = {NOW} + $3 WHERE name = $1 AND fence = $2 RETURNING fence"
        );
        let params: [Param<'_>; 3] =
            [(&name, Type::TEXT), (&(fence.0 as i64), Type::INT8), (&millis(ttl), Type::INT8)];
        let renewed = self.fetch(&sql, &params).await?;
        Ok(renewed.is_some())
    }

    pub(crate) async fn release(&self, name: &str, fence: Fence) -> Result<(), StoreError> {
        let s = quoted(self.schema);
        let sql = format!("UPDATE {s}.leases SET until = 0 WHERE name = $1 AND fence = $2 RETURNING fence");
        self.fetch(&sql, &[(&name, Type::TEXT), (&(fence.0 as i64), Type::INT8)]).await.map(drop)
    }

    /// Who holds the lease now.
    pub(crate) async fn holder(&self, name: &str) -> Result<Option<Uuid>, StoreError> {
        let s = quoted(self.schema);
        let sql = format!("SELECT holder FROM {s}.leases WHERE name = $1 AND until > {NOW}");
        let row = self.pool.get().await?.query_opt(&sql, &[(&name, Type::TEXT)]).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Whether the lease still has this number.
    pub(crate) async fn is_current(&self, name: &str, fence: Fence) -> Result<bool, StoreError> {
        let sql = format!("SELECT fence FROM {}.leases WHERE name = $1", quoted(self.schema));
        Ok(self.fetch(&sql, &[(&name, Type::TEXT)]).await? == Some(fence))
    }

    /// The number in the row that a statement gives, if it gives one.
    async fn fetch(&self, sql: &str, params: &[Param<'_>]) -> Result<Option<Fence>, StoreError> {
        let row = self.pool.get().await?.query_opt(sql, params).await?;
        Ok(row.map(|row| Fence(row.get::<_, i64>(0) as u64)))
    }
}

fn millis(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX / 2)
}
