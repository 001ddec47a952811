//! What `deploy/` ships is so: it is read, run or checked here as those who use it would.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails with the line; there is no one to answer")]

mod metrics;
mod routes;
mod settings;
mod units;

use std::path::{Path, PathBuf};

/// A file of `deploy/`.
fn shipped(path: &str) -> PathBuf {
    root().join("deploy").join(path)
}

fn text_of(path: &str) -> String {
    let path = shipped(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}
