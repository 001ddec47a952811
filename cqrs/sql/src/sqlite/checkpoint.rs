//! Checkpoints beside the writer: copying the write-ahead log into the database costs syncs that no commit should wait for.
//!
//! A thread of its own copies what has gathered, while the writer goes on. It can never get to the very end of a log that
//! grows meanwhile, and only a log copied to its end is begun anew; so the writer itself copies the rest now and then, when
//! there is little of it, or when the log has become long.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cqrs_core::StoreError;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, OpenFlags};

use super::Durability;
use crate::dialect::sqlite_error;

/// Pages in the write-ahead log (4 KiB each) from which on the thread copies them: so few that what it has the disk sync holds up
/// no commit for long that comes just then. With 1,000, SQLite's own default, live delivery's p99 at 500 messages a second was
/// 5.0 instead of 4.2 ms (medians of three runs by turns of `parlor-bench live --rates 500`).
const COPY_FROM: i64 = 250;
/// How long after it was woken the thread is woken again: under much load it copies more at once, and pages that are written
/// again and again are copied less often.
const APART: Duration = Duration::from_millis(40);
/// Pages from which on the writer copies the rest, if that is little.
const FINISH_FROM: i64 = 4_000;
/// How many pages are little: a millisecond's work or so.
const LITTLE: i64 = 250;
/// Pages from which on the writer copies the rest whatever it is, unless the thread is at it: 64 MiB.
const FINISH_AT: i64 = 16_000;
/// Pages from which on the writer waits for the thread and copies the rest: 96 MiB, which bounds the file.
const WAIT_AT: i64 = 24_000;

/// A connection that writes, whose commits go without the checkpoints that SQLite would put into some of them: a thread of its own
/// makes them, which ends before the connection closes.
pub(crate) struct Writer {
    connection: Connection,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread beside a connection to the file.
    pub(crate) fn new(
        mut connection: Connection,
        path: &Path,
        durability: Durability,
    ) -> Result<Self, StoreError> {
        let (wake, woken) = mpsc::sync_channel(1);
        let copied = Arc::new(AtomicI64::new(0));
        let thread = Thread { path: path.to_owned(), durability, woken, copied: copied.clone() };
        let (mut last, mut last_wake) = (0, None);
        let hook = move |wal: &mut Wal, pages: std::ffi::c_int| {
            let pages = i64::from(pages);
            if pages < last {
                // Begun anew: what was copied of the former one doesn't count.
                copied.store(0, Ordering::Relaxed);
            }
            last = pages;
            if pages >= COPY_FROM {
                after_commit(wal, pages, &copied, &mut last_wake, &wake);
            }
            Ok(())
        };
        connection.wal_hook(Some(hook)).map_err(|error| sqlite_error(&error))?;
        let thread = std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| StoreError::Other(error.to_string()))?;
        Ok(Self { connection, thread: Some(thread) })
    }
}

impl Deref for Writer {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Writer {
    /// Waits for the thread's end. The last connection that closes puts the write-ahead log away; of two that close at the same
    /// moment each finds the other, and neither does.
    fn drop(&mut self) {
        // What wakes the thread goes with the hook.
        let _ = self.connection.wal_hook(None::<fn(&mut Wal, std::ffi::c_int) -> rusqlite::Result<()>>);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn after_commit(
    wal: &mut Wal,
    pages: i64,
    copied: &AtomicI64,
    last_wake: &mut Option<Instant>,
    wake: &SyncSender<()>,
) {
    let rest = pages - copied.load(Ordering::Relaxed).min(pages);
    if pages >= FINISH_AT || (pages >= FINISH_FROM && rest <= LITTLE) {
        // The commit stands whatever comes of this; what isn't copied now is copied later.
        let mode = if pages >= WAIT_AT { CheckpointMode::FULL } else { CheckpointMode::PASSIVE };
        if let Err(error) = wal.checkpoint_v2(mode) {
            tracing::debug!(%error, "a checkpoint is left to a later commit");
        }
        copied.store(0, Ordering::Relaxed);
    } else if rest >= COPY_FROM.min(pages / 4) && last_wake.is_none_or(|at| at.elapsed() >= APART) {
        *last_wake = Some(Instant::now());
        // Full means that the thread has yet to see that it was woken.
        let _ = wake.try_send(());
    }
}

struct Thread {
    path: PathBuf,
    durability: Durability,
    woken: Receiver<()>,
    copied: Arc<AtomicI64>,
}

impl Thread {
    fn run(self) {
        let mut connection = None;
        while self.woken.recv().is_ok() {
            if connection.is_none() {
                connection = self.open().inspect_err(|error| tracing::warn!(%error, "no checkpoint")).ok();
            }
            let Some(open) = &connection else { continue };
            let copied = open.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(2));
            match copied {
                Ok(copied) => self.copied.store(copied, Ordering::Relaxed),
                Err(error) => {
                    tracing::warn!(path = %self.path.display(), %error, "a checkpoint failed");
                    connection = None;
                }
            }
        }
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "synchronous", self.durability.pragma())?;
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wal(path: &Path) -> PathBuf {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        wal.into()
    }

    fn wal_bytes(path: &Path) -> u64 {
        std::fs::metadata(wal(path)).map_or(0, |file| file.len())
    }

    #[test]
    fn the_write_ahead_log_is_begun_anew_while_commits_go_on_and_everything_is_in_the_database() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.db");
        let connection = super::super::open(&path, Durability::Normal).expect("it opens");
        let writer = Writer::new(connection, &path, Durability::Normal).expect("a thread starts");
        writer.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, data BLOB NOT NULL)").expect("a table");
        let rows = 3_500_i64;
        // 3,500 rows of ten pages each: half as much again as the write-ahead log may hold.
        for n in 0..rows {
            writer.execute("INSERT INTO t (n, data) VALUES (?1, randomblob(40000))", [n]).expect("a row");
        }
        let bound = (WAIT_AT as u64 + 100) * (4096 + 24);
        assert!(wal_bytes(&path) <= bound, "{} bytes, {bound} allowed", wal_bytes(&path));
        drop(writer);
        assert!(!wal(&path).exists(), "closed, it leaves no write-ahead log behind");
        let reader = Connection::open(&path).expect("it opens again");
        let found: (i64, i64) = reader
            .query_row("SELECT count(*), sum(length(data)) FROM t", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("rows");
        assert_eq!(found, (rows, rows * 40_000));
    }
}
