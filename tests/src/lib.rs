//! What Parlor's end-to-end tests stand on: the real `parlor` binary, started, killed and stopped like an operator would,
//! spoken to over HTTP like any client, and judged by a model that shares no code with it.
//!
//! Each test has a body that takes a [`Store`] and runs on SQLite and on PostgreSQL. The latter needs a server in
//! `PARLOR_TEST_POSTGRES_URL` (see `CONTRIBUTING.md`); without one these tests say so and pass.
//!
//! | variable | meaning |
//! |---|---|
//! | `PARLOR_TEST_BINARY`, `PARLOR_BIN` | the binary to test; built with cargo, in the tests' own profile, if neither is set |
//! | `PARLOR_TEST_POSTGRES_URL` | a PostgreSQL server on which databases may be created |
//! | `PARLOR_TEST_TARGET` | `cluster` runs what is for PostgreSQL on a process per service, with Kafka between them |
//! | `PARLOR_TEST_KAFKA` | the Kafka broker for that |
//! | `PARLOR_TEST_XTASK` | the binary that starts clusters; built with cargo if not set |
//! | `PARLOR_TEST_SEED` | repeats a random run; each prints its seed |
//! | `PARLOR_TEST_CYCLES` | how often what a test repeats (kills, newcomers) is repeated, instead of its short form |
//! | `PARLOR_TEST_SENDS` | how many messages are sent amid which somebody is removed |
//! | `PARLOR_TEST_STALLED` | how many connections that never read are open at once |
//! | `PARLOR_TEST_OUTAGE_SECONDS` | how long Kafka stays away, instead of for as long as the messages take |

pub mod binary;
pub mod cast;
pub mod client;
pub mod cluster;
pub mod damage;
pub mod demo;
pub mod dice;
pub mod feed;
pub mod length;
pub mod log;
pub mod model;
pub mod place;
pub mod server;
mod single;
pub mod socket;
pub mod store;
pub mod user;
pub mod wait;

pub use cast::{Cast, Role};
pub use client::{Api, Call, Reply};
pub use cluster::Cluster;
pub use dice::Dice;
pub use feed::{Feed, FeedEvent, Heard};
pub use length::{cycles, length};
pub use server::{Options, Server};
pub use socket::Socket;
pub use store::Store;
pub use user::User;
pub use wait::{eventually, within};
