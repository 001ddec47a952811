//! The suite that every [`Log`](crate::Log) must pass.
