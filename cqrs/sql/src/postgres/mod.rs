//! PostgreSQL: connections as Parlor wants them, and the log on them.
//!
//! Nothing depends on a database session: nothing is set but for a transaction, no lock outlives one, and statements are kept
//! prepared only where the session is seen to be the connection's own. A pooler in transaction mode may therefore stand
//! between.

mod at_once;
mod committer;
mod connection;
pub(crate) mod log;
mod pool;
mod rows;
pub(crate) mod schema;
mod session;
mod settings;
mod tls;

pub(crate) use connection::{CommitFailed, Connection, Param};
pub(crate) use pool::BACKGROUND;
pub use pool::{Pool, PoolOptions};
pub(crate) use settings::{STANDSTILL, Settings};
