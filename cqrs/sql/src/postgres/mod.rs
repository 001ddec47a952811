//! PostgreSQL: connections as Parlor wants them, and the log on them.
//!
//! Nothing depends on a database session: no statement has a name on the server, nothing is set but for a transaction, no
//! lock outlives one. A pooler in transaction mode may therefore stand between.

mod committer;
mod connection;
pub(crate) mod log;
mod pool;
pub(crate) mod schema;
mod tls;

pub(crate) use connection::{Connection, Param};
pub(crate) use pool::BACKGROUND;
pub use pool::{Pool, PoolOptions};
