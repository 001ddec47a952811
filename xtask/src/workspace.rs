//! Where the workspace lies, and cargo as run in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result};

use crate::exec::run;

/// The folder of the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    // Cargo sets it when it runs us; what it was at compile time serves a binary that is started by hand.
    let own =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.parent().map_or(own.clone(), Path::to_path_buf)
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    let given = env::var_os("CARGO_TARGET_DIR").or_else(|| env::var_os("CARGO_BUILD_TARGET_DIR"));
    root().join(given.unwrap_or_else(|| "target".into()))
}

/// Tells tests where the `parlor` binary is. Parlor itself, which some of them start with their own environment, takes no variable
/// of this prefix for a key of its configuration.
pub const PARLOR_VARIABLE: &str = "PARLOR_TEST_BINARY";

/// Builds `parlor` as users do, with none of the features that tests have, and gives a copy that no other build replaces. All
/// steps that start it share this one: with other features, half the workspace would be compiled once more.
pub fn parlor() -> Result<PathBuf> {
    run(cargo().args(["build", "--package", "parlor"]))?;
    let folder = target_dir().join("under-test");
    fs::create_dir_all(&folder)?;
    let (built, kept, new) =
        (target_dir().join("debug/parlor"), folder.join("parlor"), folder.join("parlor.new"));
    fs::copy(&built, &new).with_context(|| format!("cannot copy {}", built.display()))?;
    // Where one still runs, its file can't be written to, but another may take its name.
    fs::rename(&new, &kept)?;
    Ok(kept)
}

/// The cargo that runs us, started in the workspace's root.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What cargo told us about ourselves would make build scripts that watch these variables run again, and their
    // crates be built again, each time a developer changes between `cargo` and `cargo xtask`.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}
