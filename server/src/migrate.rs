//! `parlor migrate`: makes and upgrades the tables, for those who don't let `parlor serve` do it.

use std::sync::Arc;

use crate::config::Config;
use crate::instance::{Base, Instance};
use crate::roles::Roles;

/// Makes and upgrades the tables of these services' stores. Several may do so at once: each waits for the one before.
pub async fn migrate(config: &Config, roles: &Roles) -> anyhow::Result<()> {
    let base = Arc::new(Base::open(config)?);
    Instance::migrate(config, roles, &base).await?;
    tracing::info!(services = %roles, "the tables are there");
    Ok(())
}
