//! The steps that are one call of cargo.

use std::env;

use anyhow::Result;

use super::Passed;
use crate::exec::run;
use crate::postgres::{CA_VARIABLE, PGBOUNCER_VARIABLE, PgBouncer, Throwaway, URL_VARIABLE};
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
    if let Some(url) = env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty()) {
        let pooler = PgBouncer::start(&url)?;
        run(tests.env(PGBOUNCER_VARIABLE, pooler.url()))?;
        return Ok(Passed { note: Some(format!("on the PostgreSQL that {URL_VARIABLE} names")) });
    }
    let server = Throwaway::start()?;
    let pooler = PgBouncer::start(server.url())?;
    tests.env(URL_VARIABLE, server.url()).env(CA_VARIABLE, server.authority());
    run(tests.env(PGBOUNCER_VARIABLE, pooler.url()))?;
    let note = format!("on SQLite, PostgreSQL {}, PgBouncer {}", server.version(), pooler.version());
    Ok(Passed { note: Some(note) })
}
