//! The log passes the suite that every log must pass, on SQLite, on PostgreSQL, and with a pooler in transaction mode between.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

use std::sync::Arc;

use cqrs_core::StoreError;
use cqrs_core::conformance::Fixture;
use cqrs_core::{Clock as _, SystemClock};
use cqrs_sql::testing::TestSchema;
use cqrs_sql::{Location, LogOptions, SqlLog};

/// The suite's table for state-stored aggregates.
const ROWS: (&str, &str) = (
    "CREATE TABLE IF NOT EXISTS conformance_rows (id BLOB PRIMARY KEY, version INTEGER NOT NULL, label TEXT)",
    "CREATE TABLE IF NOT EXISTS conformance_rows (id uuid PRIMARY KEY, version bigint NOT NULL, label text)",
);

/// With a small tail, so that the suite reads from memory and from the store.
async fn open(location: &Location) -> Result<Arc<SqlLog>, StoreError> {
    let options = LogOptions { tail_bytes: 16 * 1024, ..LogOptions::default() };
    SqlLog::open("log", location, SystemClock.fresh_id(), Some(ROWS), options).await
}

mod sqlite {
    use super::*;

    struct File(tempfile::TempDir);

    #[async_trait::async_trait]
    impl Fixture for File {
        type Log = SqlLog;
        const LEASES: bool = false;
        async fn open(&self) -> Result<Arc<SqlLog>, StoreError> {
            open(&Location::Sqlite(self.0.path().join("log.db"))).await
        }
    }

    cqrs_core::log_conformance!(async { Some(File(tempfile::tempdir().unwrap())) });
}

mod postgres {
    use super::*;

    struct Schema(TestSchema);

    #[async_trait::async_trait]
    impl Fixture for Schema {
        type Log = SqlLog;
        const SHARED: bool = true;
        async fn open(&self) -> Result<Arc<SqlLog>, StoreError> {
            open(&self.0.from_another_process(4)?).await
        }
    }

    cqrs_core::log_conformance!(async { TestSchema::new(1).unwrap().map(Schema) });
}

mod pgbouncer {
    use super::*;

    struct Schema(TestSchema);

    #[async_trait::async_trait]
    impl Fixture for Schema {
        type Log = SqlLog;
        const SHARED: bool = true;
        async fn open(&self) -> Result<Arc<SqlLog>, StoreError> {
            open(&self.0.from_another_process(4)?).await
        }
    }

    cqrs_core::log_conformance!(async { TestSchema::pooled(1).unwrap().map(Schema) });
}
