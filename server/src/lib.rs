//! The `parlor` binary's parts: configuration, the services put together, start and stop, operators' commands.

pub mod admin;
mod bars;
pub mod cli;
pub mod config;
pub mod data_dir;
pub mod demo;
pub mod http;
pub mod instance;
mod load;
pub mod migrate;
pub mod roles;
pub mod serve;
pub mod telemetry;
mod transfer;
