//! PostgreSQL's programs: where they are on this machine, and how they get there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::exec::{on_path, output};

/// The oldest release that Parlor runs on.
const OLDEST: u32 = 15;

/// A folder with `initdb`, `pg_ctl` and `postgres` of one release.
#[derive(Debug)]
pub(super) struct Binaries {
    folder: PathBuf,
    /// As PostgreSQL gives it, such as `15.18`.
    pub(super) version: String,
}

impl Binaries {
    pub(super) fn find_or_install() -> Result<Self> {
        if let Some(found) = Self::find() {
            return Ok(found);
        }
        let otherwise = format!(
            "PostgreSQL {OLDEST} or newer is needed and was not found (pg_config, /usr/lib/postgresql, PATH).\n\
             Debian, Ubuntu: apt-get install postgresql · Fedora: dnf install postgresql-server · \
             macOS: brew install postgresql@17\n\
             Or name a running server in {}.",
            super::URL_VARIABLE
        );
        crate::debian::install("PostgreSQL", "postgresql", &[], &otherwise)?;
        Self::find().with_context(|| format!("Debian's postgresql is older than {OLDEST} or incomplete"))
    }

    /// The first complete and new enough one: the one that `pg_config` names, then Debian's, newest first, then PATH.
    fn find() -> Option<Self> {
        let named = output(Command::new("pg_config").arg("--bindir")).ok().map(PathBuf::from);
        let mut found = named.into_iter().chain(debian()).chain(on_path("initdb"));
        found.find_map(|folder| Self::at(&folder))
    }

    fn at(folder: &Path) -> Option<Self> {
        let complete = ["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).is_file());
        if !complete {
            return None;
        }
        let said = output(Command::new(folder.join("postgres")).arg("--version")).ok()?;
        let version = version(&said)?;
        let release: u32 = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        (release >= OLDEST).then(|| Self { folder: folder.to_owned(), version: version.to_owned() })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// `15.18` of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn version(said: &str) -> Option<&str> {
    said.split_once("(PostgreSQL) ")?.1.split_whitespace().next()
}

/// Debian keeps each release's programs in a folder of its own, outside PATH.
fn debian() -> Vec<PathBuf> {
    let releases = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut releases: Vec<(u32, PathBuf)> = releases
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    releases.sort_unstable_by(|a, b| b.cmp(a));
    releases.into_iter().map(|(_, folder)| folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_distributions_and_development_releases_alike() {
        assert_eq!(version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some("15.18"));
        assert_eq!(version("postgres (PostgreSQL) 19devel"), Some("19devel"));
        assert_eq!(version("something else"), None);
    }

    #[test]
    fn a_folder_without_the_programs_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("initdb"), "").unwrap();
        assert!(Binaries::at(folder.path()).is_none());
    }
}
