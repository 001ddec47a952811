//! PostgreSQL: connections as Parlor wants them, and the log on them.
//!
//! Nothing depends on a database session: no lock outlives a transaction, and only where a session is seen to be the connection's
//! own are statements kept prepared and settings made for more than a transaction. A pooler in transaction mode may therefore stand
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
