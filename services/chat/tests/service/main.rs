//! The whole service: its commands and queries on a real store, over its buses and over HTTP.

#[cfg(test)]
#[cfg(test)]
mod http;
#[cfg(test)]
#[cfg(test)]
mod live;
#[cfg(test)]
mod messages;
#[cfg(test)]
#[cfg(test)]
mod model;
#[cfg(test)]
#[cfg(test)]
mod postgres;
#[cfg(test)]
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rebuild;
#[cfg(test)]
#[cfg(test)]
mod search;
#[cfg(test)]
#[cfg(test)]
mod support;
