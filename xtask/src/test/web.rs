//! The web client and the TypeScript client: their types, and what they do, in Node and in Chromium, before a real server.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Passed, run_tests};
use crate::debian;
use crate::exec::{output, run};
use crate::workspace::{parlor, root};

/// The oldest release of Node that has what the tests use.
const OLDEST_NODE: u32 = 20;

/// Folders with a `package.json` whose scripts are `check` and `test`.
const PACKAGES: &[&str] = &["clients/typescript", "web/tests"];

pub(super) fn web() -> Result<Passed> {
    need_node()?;
    let chromium = chromium()?;
    let binary = parlor()?;
    for package in PACKAGES {
        let npm = || {
            let mut npm = Command::new("npm");
            npm.current_dir(root().join(package));
            npm
        };
        // What the lock file names, neither more nor less.
        run(npm().args(["ci", "--no-audit", "--no-fund"]))?;
        run(npm().args(["run", "--silent", "check"]))?;
        let mut tests = npm();
        run_tests(
            tests.args(["run", "--silent", "test"]).env("PARLOR_BIN", &binary).env("CHROMIUM", &chromium),
        )?;
    }
    let version = output(Command::new(&chromium).arg("--version")).unwrap_or_default();
    Ok(Passed { note: Some(format!("in {version}")) })
}

fn need_node() -> Result<()> {
    let said = output(Command::new("node").arg("--version")).ok();
    let found = said.as_deref().and_then(release);
    if found.is_none_or(|release| release < OLDEST_NODE) {
        bail!(
            "Node {OLDEST_NODE} or newer is needed for these tests, and npm; found {}",
            said.as_deref().unwrap_or("none")
        );
    }
    Ok(())
}

/// `20` of `v20.20.2`.
fn release(said: &str) -> Option<u32> {
    said.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// The browser that `CHROMIUM` names, or the one on PATH, or Debian's, installed.
fn chromium() -> Result<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM").filter(|path| !path.is_empty()) {
        return Ok(named.into());
    }
    if let Some(found) = installed() {
        return Ok(found);
    }
    let otherwise = "Chromium is needed for these tests and was not found.\n\
         Debian: apt-get install chromium · Fedora: dnf install chromium\n\
         Or name another browser of its kind in CHROMIUM.";
    debian::install("Chromium", "chromium", &[], otherwise)?;
    installed().context("Debian's package brought no program `chromium`")
}

fn installed() -> Option<PathBuf> {
    let known = ["chromium", "chromium-browser", "google-chrome"];
    // As it is called on PATH: what the link leads to may be a wrapper that goes by its name.
    let path = env::var_os("PATH")?;
    known
        .iter()
        .find_map(|name| env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_what_node_says() {
        assert_eq!(release("v20.20.2"), Some(20));
        assert_eq!(release("something else"), None);
    }
}
