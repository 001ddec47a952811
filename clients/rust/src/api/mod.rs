//! The API's commands and queries, service by service, with what they take and give.

mod auth;
mod conversation;
mod message;
mod notification;
mod presence;
mod user;
mod webhook;

pub use auth::*;
pub use conversation::*;
pub use message::*;
pub use notification::*;
pub use presence::*;
pub use user::*;
pub use webhook::*;
