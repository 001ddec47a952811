//! The data folder: who may use it, and what in it isn't a store.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The layout of the folder; one with a greater number was made by a newer version.
const FORMAT: u32 = 1;
/// What every SQLite file starts with (SQLite's file format, §1.3).
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A data folder that this process alone uses.
pub struct DataDir {
    path: PathBuf,
    /// Held as long as the folder is in use; the system lets go of it when the process ends, however it ends.
    _lock: File,
}

/// Why a data folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process uses it.
    #[error(
        "another Parlor is using the data folder {}; stop it first, or choose another folder with data_dir \
         (--data-dir, PARLOR_DATA_DIR)", .0.display()
    )]
    InUse(PathBuf),
    /// A newer version made it.
    #[error(
        "the data folder {} was made by a newer version of Parlor (format {found}, this one knows {FORMAT}); it was \
         left as it is: use the newer version", path.display()
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Something in it isn't what it should be.
    #[error("{} {what}; nothing in the data folder was changed: restore it from a backup, or choose another folder", path.display())]
    Corrupt {
        /// What.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A secret that others can read is none.
    #[error("{} can be read by other users of this machine: run `chmod 600` on it", .0.display())]
    Exposed(PathBuf),
    /// Anything else.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    let path = path.to_owned();
    move |source| DataDirError::Io { path, source }
}

impl DataDir {
    /// Takes hold of a folder, making it if it isn't there. One that another process uses, that a newer version made
    /// or that is damaged is refused and left as it is.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error(path))?;
        let lock = lock(path)?;
        check_format(path)?;
        check_stores(path)?;
        write_format(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// A folder in it, made if it isn't there.
    pub fn folder(&self, name: &str) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(io_error(&path))?;
        Ok(path)
    }

    /// Where the instance's secret lies: in `shared`, the file that all processes of an installation share, or in the
    /// folder.
    pub fn secret_path(&self, shared: Option<&Path>) -> PathBuf {
        shared.map_or_else(|| self.join("keys/instance.secret"), Path::to_owned)
    }

    /// The instance's secret, made by `fresh` at first start and kept where only its owner can read it. Processes that
    /// make a shared one at the same time agree on the first.
    pub fn secret(
        &self,
        shared: Option<&Path>,
        fresh: impl FnOnce() -> [u8; 32],
    ) -> Result<[u8; 32], DataDirError> {
        if shared.is_none() {
            self.folder("keys")?;
        }
        let path = self.secret_path(shared);
        match File::open(&path) {
            Ok(file) => read_secret(file, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_new(&path, &fresh())?;
                File::open(&path).map_err(io_error(&path)).and_then(|file| read_secret(file, &path))
            }
            Err(error) => Err(io_error(&path)(error)),
        }
    }
}

fn lock(folder: &Path) -> Result<File, DataDirError> {
    let path = folder.join("parlor.lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io_error(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(io_error(&path)(error)),
    }
}

fn check_format(folder: &Path) -> Result<(), DataDirError> {
    let path = folder.join("parlor.format");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(&path)(error)),
    };
    match text.trim().parse::<u32>() {
        Ok(found) if found > FORMAT => Err(DataDirError::Newer { path: folder.to_owned(), found }),
        Ok(_) => Ok(()),
        Err(_) => Err(DataDirError::Corrupt { path, what: "holds no format number" }),
    }
}

/// Looks at every store before any of them is opened, so that one that is damaged leaves the others untouched too.
fn check_stores(folder: &Path) -> Result<(), DataDirError> {
    let mut folders = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).map_err(io_error(folder))? {
        let entry = entry.map_err(io_error(folder))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.push(entry.path());
        }
    }
    for folder in folders {
        for entry in fs::read_dir(&folder).map_err(io_error(&folder))? {
            let path = entry.map_err(io_error(&folder))?.path();
            if path.extension().is_some_and(|extension| extension == "db") {
                check_store(&path)?;
            }
        }
    }
    Ok(())
}

fn check_store(path: &Path) -> Result<(), DataDirError> {
    let mut start = Vec::new();
    File::open(path).and_then(|file| file.take(16).read_to_end(&mut start)).map_err(io_error(path))?;
    // An empty file is a database that nothing was written to yet.
    if start.is_empty() || start == SQLITE_MAGIC {
        return Ok(());
    }
    Err(DataDirError::Corrupt { path: path.to_owned(), what: "is not an SQLite database" })
}

fn write_format(folder: &Path) -> Result<(), DataDirError> {
    let path = folder.join("parlor.format");
    if path.exists() {
        return Ok(());
    }
    write_whole(&path, format!("{FORMAT}\n").as_bytes())
}

fn read_secret(mut file: File, path: &Path) -> Result<[u8; 32], DataDirError> {
    let mode = file.metadata().map_err(io_error(path))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(DataDirError::Exposed(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(io_error(path))?;
    bytes
        .try_into()
        .map_err(|_| DataDirError::Corrupt { path: path.to_owned(), what: "doesn't hold 32 bytes" })
}

/// Written beside, synced and linked, so that a crash leaves all of it or nothing, and one that is there stays.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), DataDirError> {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = path.with_extension(format!("new-{}-{number}", std::process::id()));
    let written = || {
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    written().map_err(io_error(path))
}

/// Makes a folder for this user alone, and those above it; one that is there is left as it is.
pub fn make_private(folder: &Path) -> Result<(), DataDirError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error(folder))
}

/// Writes a whole file that only its owner can read, making its folder if it isn't there.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), DataDirError> {
    path.parent().map_or(Ok(()), make_private)?;
    write_whole(path, bytes)
}

/// Written beside, synced and renamed, so that a crash leaves all of it or nothing.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), DataDirError> {
    let draft = path.with_extension("new");
    let written = || {
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    written().map_err(io_error(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        DataDir::open(path).err().expect("it is refused").to_string()
    }

    #[test]
    fn a_folder_in_use_is_refused_until_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::open(dir.path()).unwrap();
        assert!(refused(dir.path()).contains("another Parlor is using the data folder"));
        drop(held);
        DataDir::open(dir.path()).unwrap();
    }

    #[test]
    fn security_9_the_secret_is_made_once_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        assert_eq!(data.secret(None, || [7; 32]).unwrap(), [7; 32]);
        assert_eq!(data.secret(None, || [8; 32]).unwrap(), [7; 32], "the first one stays");
        let path = data.join("keys/instance.secret");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(
            matches!(data.secret(None, || [8; 32]), Err(DataDirError::Exposed(exposed)) if exposed == path)
        );
    }

    #[test]
    fn security_9_processes_that_share_a_secret_agree_on_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let shared = dir.path().join("shared.secret");
        let folder = |name: &str| DataDir::open(&dir.path().join(name)).unwrap();
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let starts = (1..=8_u8).map(|n| (n, folder(&n.to_string()), &shared));
            let starts: Vec<_> = starts
                .map(|(n, data, shared)| scope.spawn(move || data.secret(Some(shared), || [n; 32]).unwrap()))
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]), "{secrets:?}");
        assert_eq!(fs::metadata(&shared).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!dir.path().join("1/keys/instance.secret").exists(), "there is no other");
    }

    #[test]
    fn a_newer_folder_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("parlor.format"), "2\n").unwrap();
        assert!(refused(dir.path()).contains("newer version of Parlor (format 2"));
        assert_eq!(fs::read_to_string(dir.path().join("parlor.format")).unwrap(), "2\n");
    }

    #[test]
    fn a_damaged_store_is_refused_by_name_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("chat/log.db");
        fs::create_dir(dir.path().join("chat")).unwrap();
        fs::write(&store, "rubbish that was a database").unwrap();
        let message = refused(dir.path());
        assert!(message.contains("chat/log.db is not an SQLite database"), "{message}");
        assert_eq!(fs::read_to_string(&store).unwrap(), "rubbish that was a database");
        assert!(!dir.path().join("parlor.format").exists());
    }
}
