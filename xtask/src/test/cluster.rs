//! Tests on a process per service: of what happens when one of them dies, and the end-to-end tests once more.

use std::env;

use anyhow::Result;

use super::{Passed, run_tests};
use crate::workspace::{PARLOR_VARIABLE, cargo, parlor};
use crate::{kafka, postgres};

/// What happens to a cluster when something dies. Two at a time would be fourteen processes on two cores.
pub(super) fn cluster() -> Result<Passed> {
    run_on_cluster(&[("cluster", &["--test-threads=1"])])
}

/// What runs on PostgreSQL runs on a cluster, unchanged; SQLite is one process by nature. One after the other: each test has a
/// cluster of its own, and how soon five processes are ready is judged.
pub(super) fn end_to_end() -> Result<Passed> {
    run_on_cluster(&[("e2e", &["on_postgresql", "--test-threads=1"]), ("deploy", &["on_postgresql"])])
}

fn run_on_cluster(targets: &[(&str, &[&str])]) -> Result<Passed> {
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
    let binary = parlor()?;
    let tests = |(target, filter): &(&str, &[&str])| -> Result<()> {
        run_tests(
            cargo()
                .args(["test", "--workspace", "--no-fail-fast", "--test", target, "--"])
                .args(*filter)
                .env("PARLOR_TEST_TARGET", "cluster")
                .env(PARLOR_VARIABLE, &binary)
                .env(postgres::URL_VARIABLE, &url)
                .env(kafka::BROKER_VARIABLE, &address)
                .env(kafka::NODE_VARIABLE, env::current_exe()?),
        )
    };
    // Every failure at once, as for the other tests.
    let results: Vec<_> = targets.iter().map(tests).collect();
    results.into_iter().collect::<Result<()>>()?;
    Ok(Passed { note: Some("on user, auth, notification and two chat processes, behind nginx".to_owned()) })
}
