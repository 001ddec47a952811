//! The client library, against servers that misbehave as told, against the API's description, and against a real server.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails with the line; there is no one to answer")]

mod behaviour;
mod description;
mod fake;
mod real;
