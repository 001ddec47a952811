//! Parlor as a whole: the real binary, over HTTP, on both stores.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails with the line; there is no one to answer")]

mod api;
mod backup;
mod clock;
mod console;
mod crash;
mod demo;
mod disk_full;
mod feed;
mod idempotency;
mod leaving;
mod moving;
mod newcomers;
mod operator;
mod power;
mod receiver;
mod removal;
mod resume;
mod shutdown;
mod slow;
mod story;
mod traces;
mod views;
mod webhooks;
