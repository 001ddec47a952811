//! What isn't acceptable: each gets its code and a problem document that names the field, and nothing of it is stored.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails with the line; there is no one to answer")]

mod http;
mod json;
mod memory;
mod pages;
mod raw;
mod sockets;
mod stage;
mod text;
