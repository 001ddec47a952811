//! The end-to-end tests once more on a process per service, and the tests of what happens when one of them dies.

use std::env;

use anyhow::Result;

use super::Passed;
use crate::exec::run;
use crate::workspace::cargo;
use crate::{kafka, postgres};

pub(super) fn cluster() -> Result<Passed> {
    let named = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let (mut server, mut broker) = (None, None);
    let url = match named(postgres::URL_VARIABLE) {
        Some(url) => url,
        None => server.insert(postgres::Throwaway::start()?).url().to_owned(),
    };
    let address = match named(kafka::BROKER_VARIABLE) {
        Some(address) => address,
        None => broker.insert(kafka::Throwaway::start()?).address(),
    };
    let tests = |target: &str, filter: &[&str]| -> Result<()> {
        run(cargo()
            .args(["test", "--workspace", "--no-fail-fast", "--test", target, "--"])
            .args(filter)
            .env("PARLOR_TEST_TARGET", "cluster")
            .env(postgres::URL_VARIABLE, &url)
            .env(kafka::BROKER_VARIABLE, &address)
            .env(kafka::NODE_VARIABLE, env::current_exe()?))
    };
    // What runs on PostgreSQL runs on a cluster; SQLite is one process by nature.
    let unchanged = ["e2e", "deploy"].map(|target| tests(target, &["on_postgresql"]));
    let faults = tests("cluster", &[]);
    unchanged.into_iter().chain([faults]).collect::<Result<()>>()?;
    Ok(Passed { note: Some("on user, auth, notification and two chat processes, behind nginx".to_owned()) })
}
