//! The edge around a toy bank: every convention of the HTTP contract, seen from outside.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails with the line")]

mod authentication;
mod bad_input;
mod bank;
mod client;
mod client_address;
mod commands;
mod description;
mod failures;
mod pages;
mod queries;
mod surroundings;
