//! The leases of the projections that keep the views, beside their places.

use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{Fence, LeaseStore, StoreError};
use uuid::Uuid;

use super::Views;
use super::side::Backend;
use crate::leases::{ALWAYS, PostgresLeases};

impl Views {
    /// The leases on PostgreSQL; on SQLite there is nobody to share them with.
    fn leases(&self) -> Result<Option<PostgresLeases<'_>>, StoreError> {
        Ok(match &self.kept()?.backend {
            Backend::Sqlite { .. } => None,
            Backend::Postgres { pool, schema } => Some(PostgresLeases { pool, schema }),
        })
    }
}

#[async_trait]
impl LeaseStore for Views {
    async fn acquire(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<Fence>, StoreError> {
        if self.0.kept.is_none() {
            // Who only reads the views never keeps them.
            return Ok(None);
        }
        match self.leases()? {
            Some(leases) => leases.acquire(name, holder, ttl).await,
            None => Ok(Some(ALWAYS)),
        }
    }

    async fn renew(&self, name: &str, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        match self.leases()? {
            Some(leases) => leases.renew(name, fence, ttl).await,
            None => Ok(true),
        }
    }

    async fn release(&self, name: &str, fence: Fence) -> Result<(), StoreError> {
        match self.leases()? {
            Some(leases) => leases.release(name, fence).await,
            None => Ok(()),
        }
    }

    async fn holder(&self, name: &str) -> Result<Option<Uuid>, StoreError> {
        // Also where the views are only read: somebody else keeps them.
        match &self.origin().backend {
            Backend::Sqlite { .. } => Ok(None),
            Backend::Postgres { pool, schema } => PostgresLeases { pool, schema }.holder(name).await,
        }
    }
}
