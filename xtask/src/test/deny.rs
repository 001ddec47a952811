//! `cargo deny`: what we depend on has licences that we accept, comes from crates.io, and has no known vulnerability.
//! `deny.toml` holds the rules.

use anyhow::{Context as _, Result};

use super::Passed;
use crate::exec::{output, run};
use crate::workspace::cargo;

pub(super) fn deny() -> Result<Passed> {
    if output(cargo().args(["deny", "--version"])).is_err() {
        println!("cargo-deny is missing; cargo installs it, which takes a few minutes once");
        run(cargo().args(["install", "--locked", "cargo-deny"])).context("cargo-deny is needed")?;
    }

    // The advisories lie in a git repository, which a machine that reaches package registries only can't fetch.
    // Everything else is checked there all the same.
    println!("fetching the RustSec advisory database");
    let Err(unreachable) = output(cargo().args(["deny", "fetch", "db"])) else {
        run(cargo().args(["deny", "check", "--hide-inclusion-graph"]))?;
        return Ok(Passed::default());
    };
    println!("{unreachable:#}");
    run(cargo().args(["deny", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))?;
    let note = "advisories NOT checked: the RustSec advisory database could not be fetched from here";
    println!("\n{note} (see above why)");
    Ok(Passed { note: Some(note.to_owned()) })
}
