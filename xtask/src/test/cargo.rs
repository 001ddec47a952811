//! The steps that are one call of cargo.

use std::env;

use anyhow::Result;

use super::{Passed, run_tests};
use crate::exec::run;
use crate::kafka;
use crate::postgres::{self, PgBouncer};
use crate::workspace::{PARLOR_VARIABLE, cargo, parlor};

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
    let named = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let mut tests = cargo();
    // Every failure at once: a developer who waited for the whole build wants to know all of them.
    tests.args(["test", "--workspace", "--no-fail-fast"]);
    tests.env(kafka::NODE_VARIABLE, env::current_exe()?);
    tests.env(PARLOR_VARIABLE, parlor()?);

    let given = named(postgres::URL_VARIABLE);
    let server = if given.is_some() { None } else { Some(postgres::Throwaway::start()?) };
    let (url, on_postgres) = match (&server, given) {
        (Some(server), _) => {
            tests.env(postgres::URL_VARIABLE, server.url()).env(postgres::CA_VARIABLE, server.authority());
            (server.url().to_owned(), format!("PostgreSQL {}", server.version()))
        }
        (None, url) => {
            (url.unwrap_or_default(), format!("the PostgreSQL that {} names", postgres::URL_VARIABLE))
        }
    };
    let pooler = PgBouncer::start(&url)?;
    tests.env(postgres::PGBOUNCER_VARIABLE, pooler.url());

    let broker =
        if named(kafka::BROKER_VARIABLE).is_some() { None } else { Some(kafka::Throwaway::start()?) };
    let on_kafka = if let Some(broker) = &broker {
        tests
            .env(kafka::BROKER_VARIABLE, broker.address())
            .env(kafka::SECURE_VARIABLE, broker.secure_address()?);
        format!("Kafka {}", kafka::VERSION)
    } else {
        format!("the Kafka that {} names", kafka::BROKER_VARIABLE)
    };
    run_tests(&mut tests)?;
    let note = format!("on SQLite, {on_postgres}, PgBouncer {}, {on_kafka}", pooler.version());
    Ok(Passed { note: Some(note) })
}
