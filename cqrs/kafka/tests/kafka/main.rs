//! Against a real broker: `cargo xtask test` starts one; `PARLOR_TEST_KAFKA` names it.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails with the line")]

mod common;
mod crashes;
mod foreign;
mod notes;
mod order;
mod outages;
mod refusals;
mod secure;
mod watermarks;
