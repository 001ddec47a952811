//! The steps that are one call of cargo.

use std::env;

use anyhow::Result;

use super::Passed;
use crate::exec::run;
use crate::postgres::{Throwaway, URL_VARIABLE};
use crate::workspace::cargo;

pub(super) fn fmt() -> Result<Passed> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Passed::default())
}

pub(super) fn clippy() -> Result<Passed> {
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    Ok(Passed::default())
}

pub(super) fn docs() -> Result<Passed> {
    run(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Passed::default())
}

pub(super) fn tests() -> Result<Passed> {
    let mut tests = cargo();
    // Every failure at once: a developer who waited for the whole build wants to know all of them.
    tests.args(["test", "--workspace", "--no-fail-fast"]);
    if env::var_os(URL_VARIABLE).is_some_and(|url| !url.is_empty()) {
        run(&mut tests)?;
        return Ok(Passed { note: Some(format!("on the PostgreSQL that {URL_VARIABLE} names")) });
    }
    let server = Throwaway::start()?;
    run(tests.env(URL_VARIABLE, server.url()))?;
    Ok(Passed { note: Some(format!("on PostgreSQL {} and SQLite", server.version())) })
}
