//! Security, item by item: each test's name carries its number in `docs/security.md`, which says what each item asks for.
//!
//! Here is what needs the whole product; services and the kernel have tests of the same kind of their own.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails with the line; there is no one to answer")]

mod access;
mod accounts;
mod answers;
mod canaries;
mod matrix;
mod roles_of_databases;
mod routes;
mod schema;
mod sockets;
mod table;
