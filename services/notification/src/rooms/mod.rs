//! The view `rooms`: who is in which conversation, under which name, and who wants to be told of everything there.
//! The reactor looks people up in it; no query shows it.

mod projection;
mod repository;

pub use projection::RoomsProjection;
pub use repository::{Member, Rooms};
