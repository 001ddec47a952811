//! Who may do what to others' accounts.

use cqrs_core::{Actor, Context};

/// The role of those who run an instance.
pub const ADMIN: &str = "admin";
/// The role of applications that bring users of their own.
pub const SERVICE: &str = "service";

/// Whether the caller administers accounts: an administrator, or the application itself.
pub fn administers(cx: &Context) -> bool {
    cx.actor == Actor::System || cx.has_role(ADMIN)
}

/// Whether the caller may make users: besides those, an application with a service key.
pub fn makes_users(cx: &Context) -> bool {
    administers(cx) || cx.has_role(SERVICE)
}
