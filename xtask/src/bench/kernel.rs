//! The kernel beside Rust's other event-sourcing crates.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Settings, in_root};
use crate::exec::{on_path, run};
use crate::workspace::{cargo, root, target_dir};

/// Builds the kernel's own contestant and, in their own workspace, the peers.
pub(super) fn build() -> Result<()> {
    if on_path("protoc").is_none() {
        let otherwise = "protoc is missing, which UmaDB's client is generated with: install Debian's protobuf-compiler, or \
                         another package that brings it";
        crate::debian::install("protoc", "protobuf-compiler", &[], otherwise)?;
    }
    run(cargo().args(["build", "--release", "--package", "parlor-kernel"]))?;
    let mut peers = cargo();
    peers.current_dir(root().join("bench/peers"));
    run(peers.args(["build", "--release", "--locked", "--target-dir"]).arg(target_of_peers(&target_dir())))
}

/// Beside our own: some crates are built in both, with other features.
fn target_of_peers(target: &Path) -> PathBuf {
    target.join("peers")
}

/// Measures all of them.
pub(super) fn command(settings: &Settings) -> Command {
    let mut command = in_root(target_of_peers(&settings.target).join("release/parlor-peers"));
    command.arg("all").arg("--kernel").arg(settings.target.join("release/parlor-kernel"));
    command.arg("--write").arg(&settings.page).arg("--json").arg(settings.results.join("kernel.json"));
    if let Some(url) = &settings.postgres {
        command.env("PARLOR_TEST_POSTGRES_URL", url);
    }
    if settings.quick {
        command.args(["--seconds", "1", "--hot-seconds", "3", "--thousands", "20"]);
    }
    command
}
