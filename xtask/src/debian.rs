//! Debian's packages, for what the tests need and isn't there.

use std::io;
use std::process::Command;

use anyhow::{Result, bail};
use rustix::process::geteuid;

use crate::exec::{on_path, run};

/// Installs `package`, which brings `what`; fails with `otherwise`, which says what to do, where that can't be done here.
/// `environment` is the installation's own.
pub fn install(what: &str, package: &str, environment: &[(&str, &str)], otherwise: &str) -> Result<()> {
    if !(geteuid().is_root() && on_path("apt-get").is_some()) {
        bail!("{otherwise}");
    }
    eprintln!("{what} is missing; installing Debian's {package}");
    let apt_get = || {
        let mut command = Command::new("apt-get");
        // Standard output is the task's own, such as the URL of `cargo xtask postgres up`.
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .envs(environment.iter().copied())
            .stdout(io::stderr());
        command
    };
    run(apt_get().args(["update", "-q"]))?;
    // What is installed already stays as it is: it isn't ours to upgrade.
    run(apt_get().args(["install", "-q", "-y", "--no-upgrade", "--no-install-recommends", package]))
}
