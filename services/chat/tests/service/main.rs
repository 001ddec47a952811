//! The whole service: its commands and queries on a real store, over its buses and over HTTP.

#[cfg(test)]
mod http;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod model;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod search;
#[cfg(test)]
mod support;
