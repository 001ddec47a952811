//! Parlor as several processes: what one of them, its database or Kafka takes along when it goes, and that what each of
//! many processes does at once is one thing in the end. Real processes, killed and halted for real.
//!
//! They run where `PARLOR_TEST_TARGET` is `cluster`, as in the step `cluster` of `cargo xtask test`.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails with the line; there is no one to answer")]

mod auth_down;
mod database_down;
mod figures;
mod halted;
mod hammer;
mod kafka_down;
mod kills;
mod newcomers;
mod notification_down;
mod presence;
mod readme;
mod restart;
mod sessions;
mod stage;
