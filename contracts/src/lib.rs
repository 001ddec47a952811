//! What Parlor's services tell each other: public, versioned events, one module per service.
//!
//! A service's private events may change with the service; these don't. A new shape is a new version beside the old one
//! (`user-created.v2`), and a field may only be added if it can be absent. Texts about a person are
//! [`Personal`](cqrs_core::Personal), sealed wherever the event travels.

pub mod auth;
pub mod chat;
pub mod notification;
pub mod user;
