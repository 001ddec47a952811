//! The view `access`: accounts and their sessions, for their owners to look at. Nobody is let in by it.

mod projection;
mod repositories;

pub use projection::AccessProjection;
pub use repositories::{AccountRow, Accounts, ProfileState, SessionRow, Sessions};

/// The view's name.
pub const NAME: &str = "access";
