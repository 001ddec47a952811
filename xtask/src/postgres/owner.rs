//! The user that a server runs as. PostgreSQL refuses to run as root, which is what CI's containers usually are.

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::exec::{on_path, output};

/// Another user to become, or nobody but ourselves.
pub(super) struct Owner(Option<Ids>);

struct Ids {
    name: &'static str,
    uid: u32,
    gid: u32,
}

impl Owner {
    pub(super) fn choose() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        if on_path("setpriv").is_none() {
            bail!(
                "setpriv (of util-linux) is needed to start PostgreSQL as root, which it refuses to run as"
            );
        }
        // `postgres` comes with the distributions' packages.
        let ids = ["postgres", "nobody"].into_iter().find_map(|name| {
            let id = |which| output(Command::new("id").args([which, name])).ok()?.parse().ok();
            Some(Ids { name, uid: id("-u")?, gid: id("-g")? })
        });
        Ok(Self(Some(ids.context("there is neither a user postgres nor nobody to run PostgreSQL as")?)))
    }

    pub(super) fn give(&self, path: &Path) -> Result<()> {
        let Some(ids) = &self.0 else { return Ok(()) };
        chown(path, Some(ids.uid), Some(ids.gid))
            .with_context(|| format!("{} can't be given to {}", path.display(), ids.name))
    }

    /// Fails unless the owner gets to `folder`, through all folders above it.
    pub(super) fn must_reach(&self, folder: &Path) -> Result<()> {
        let Some(ids) = &self.0 else { return Ok(()) };
        output(self.command("test").arg("-w").arg(folder)).map(drop).with_context(|| {
            format!(
                "the user {} can't get to {}: one of the folders above it is closed to other users; choose another \
                 place (TMPDIR for tests, CARGO_TARGET_DIR for `cargo xtask postgres`)",
                ids.name,
                folder.display()
            )
        })
    }

    /// A command that runs as the owner.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.with_options(&[], program.as_ref())
    }

    /// The same, ended at once by the kernel when this process dies in whatever way, where the system can do that.
    pub(super) fn command_that_dies_with_us(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        // SIGQUIT is PostgreSQL's immediate shutdown.
        let options: &[&str] = if cfg!(target_os = "linux") && on_path("setpriv").is_some() {
            &["--pdeathsig=QUIT"]
        } else {
            &[]
        };
        self.with_options(options, program.as_ref())
    }

    fn with_options(&self, options: &[&str], program: &std::ffi::OsStr) -> Command {
        let mut command = match &self.0 {
            None if options.is_empty() => Command::new(program),
            None => {
                let mut command = Command::new("setpriv");
                command.args(options).arg("--").arg(program);
                command
            }
            Some(Ids { uid, gid, .. }) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
                command.args(options).arg("--").arg(program);
                command
            }
        };
        // Ours may be closed to the owner.
        command.current_dir("/");
        command
    }
}
