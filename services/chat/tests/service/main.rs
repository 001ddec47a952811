//! The whole service: its commands and queries on a real store, over its buses and over HTTP.

mod http;
mod messages;
mod model;
mod postgres;
mod properties;
mod support;
