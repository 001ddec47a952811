//! The load tool against servers of its own: one that stalls, and ones that lose, double or alter what they acknowledge.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails with the line; there is no one to answer")]

mod faulty;
mod stalling;
