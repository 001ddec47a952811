//! Parlor's auth service: who somebody is, how they prove it, and for how long.

pub mod account;
pub mod display_name;
pub mod email;
pub mod limits;
pub mod mail;
pub mod password;
pub mod session;
pub mod tokens;
