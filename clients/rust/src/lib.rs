#![doc = include_str!("../README.md")]

mod api;
mod call;
mod client;
mod connection;
mod error;
mod feed;
mod ids;
mod list;
mod retry;
mod session;
mod sse;
mod store;
#[cfg(feature = "websocket")]
mod ws;

pub use api::*;
pub use call::{Answer, Call};
pub use client::{Builder, Parlor};
pub use connection::Transport;
pub use error::{Error, InvalidField, Problem};
pub use feed::{Event, Feed, FeedState, Frame};
pub use ids::{derived_id, new_id};
pub use jiff::Timestamp;
pub use list::{List, Page};
pub use reqwest::Method;
pub use session::Tokens;
pub use store::{FileStore, MemoryStore, TokenStore};

pub use uuid::Uuid;

/// What most functions here give.
pub type Result<T, E = Error> = std::result::Result<T, E>;
