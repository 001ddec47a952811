//! Where tokens are kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;

use crate::session::Tokens;

/// Where tokens are kept. Whoever shares a store shares a session.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// The tokens kept, if there are any.
    async fn load(&self) -> io::Result<Option<Tokens>>;

    /// Keeps these instead; nothing, if there are none.
    async fn save(&self, tokens: Option<&Tokens>) -> io::Result<()>;

    /// Waits until nobody else who shares the store renews or replaces its tokens; until what it gives is dropped, nobody else
    /// will. A store that only one client has needn't do anything.
    async fn alone(&self) -> io::Result<Box<dyn Send>> {
        Ok(Box::new(()))
    }
}

/// Keeps tokens for as long as the process runs.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Option<Tokens>>);

#[async_trait]
impl TokenStore for MemoryStore {
    async fn load(&self) -> io::Result<Option<Tokens>> {
        Ok(self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone())
    }

    async fn save(&self, tokens: Option<&Tokens>) -> io::Result<()> {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = tokens.cloned();
        Ok(())
    }
}

/// Keeps tokens in a file, so that a session outlives the process. Only the file's owner may read it (mode 0600, on Unix).
///
/// Processes may share the file: they renew its tokens one at a time, under a lock on a second file whose name ends in
/// `.lock`.
#[derive(Debug, Clone)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// In this file, whose folder must be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(ending);
        name.into()
    }
}

#[async_trait]
impl TokenStore for FileStore {
    async fn load(&self) -> io::Result<Option<Tokens>> {
        let path = self.path.clone();
        blocking(move || match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| {
                let what =
                    format!("{}: these are no tokens ({error}); delete the file and sign in", path.display());
                io::Error::new(ErrorKind::InvalidData, what)
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn save(&self, tokens: Option<&Tokens>) -> io::Result<()> {
        let path = self.path.clone();
        let Some(tokens) = tokens else {
            return blocking(move || match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            })
            .await;
        };
        let text = serde_json::to_vec(tokens)?;
        let new = self.beside(".new");
        // As a whole or not at all: a refresh token that is lost is a session that is lost.
        blocking(move || {
            let mut file = private(&new, true)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        })
        .await
    }

    async fn alone(&self) -> io::Result<Box<dyn Send>> {
        let path = self.beside(".lock");
        blocking(move || {
            let file = private(&path, false)?;
            // Released when the file is closed, by whatever end of the process as well.
            file.lock()?;
            Ok(Box::new(file) as Box<dyn Send>)
        })
        .await
    }
}

/// A file that only its owner may read.
fn private(path: &Path, empty: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(empty);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
