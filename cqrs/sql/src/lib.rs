//! The kernel's stores: log, ledger, claims, snapshots, views and repositories, on SQLite and PostgreSQL.
//!
//! - [`SqlLog`]: group commit with gapless, commit-ordered positions, durable before the answer.
//! - [`Views`], [`Projecting`]: views kept by projections, each batch and its place in one transaction; rebuilt beside
//!   the live ones and swapped in one transaction.
//! - [`SqlReadRepository`], [`SqlWriteRepository`]: what every repository shares, once.
//! - [`SqlKeyStore`]: persons' keys, apart from the logs.
//! - [`ServiceStore`]: all of it for one service, opened together.
//!
//! SQL is written once: parameters as `?1`, `?2`, …, and `{p}` before the names of a view's tables.

mod batch;
mod dialect;
mod keys;
mod log;
mod postgres;
mod projecting;
mod repository;
mod sqlite;
mod store;
mod tail;
#[cfg(feature = "testing")]
pub mod testing;
mod value;
mod views;

pub use dialect::Dialect;
pub use keys::SqlKeyStore;
pub use log::{Location, LogOptions, SqlLog};
pub use postgres::Pool;
pub use projecting::{Projecting, RebuildError, RebuildProgress};
pub use repository::{SqlReadRepository, SqlWriteRepository};
pub use store::{OpenService, ServiceStore};
pub use views::Views;
