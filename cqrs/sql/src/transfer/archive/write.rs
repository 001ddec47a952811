//! Writing a backup.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{
    FILE, FRAME, FileEntry, LONGEST, MAGIC, MANIFEST, Manifest, ROWS, StoreEntry, TABLE, TableEntry,
    TableStart,
};
use crate::transfer::row::put;
use crate::transfer::{Digest, Row, Snapshot, Table, TableDigest, TransferError};

/// Writes a backup beside its final name; it gets that once it is whole and on disk. Dropped before, it leaves nothing. Its
/// writes block: a server gives it a runtime of its own.
pub struct ArchiveWriter {
    path: PathBuf,
    draft: Draft,
    out: BufWriter<File>,
    hash: blake3::Hasher,
    frame: Vec<u8>,
    stores: Vec<StoreEntry>,
    files: Vec<FileEntry>,
}

/// A file that goes unless it is kept.
struct Draft(Option<PathBuf>);

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            let _ = fs::remove_file(path);
        }
    }
}

impl ArchiveWriter {
    /// Begins a file that only its owner can read. One that is there isn't overwritten.
    pub fn create(path: &Path) -> Result<Self, TransferError> {
        let failed = |source| TransferError::Io { path: path.to_owned(), source };
        if path.exists() {
            return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "there is such a file already")));
        }
        let mut draft = path.as_os_str().to_owned();
        draft.push(".partial");
        let draft = PathBuf::from(draft);
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
        let mut writer = Self {
            path: path.to_owned(),
            draft: Draft(Some(draft)),
            out: BufWriter::with_capacity(1024 * 1024, file),
            hash: blake3::Hasher::new(),
            frame: Vec::new(),
            stores: Vec::new(),
            files: Vec::new(),
        };
        writer.write(MAGIC)?;
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), TransferError> {
        self.hash.update(bytes);
        self.out.write_all(bytes).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> TransferError {
        TransferError::Io { path: self.path.clone(), source }
    }

    fn frame(&mut self, kind: u8, content: &[u8]) -> Result<(), TransferError> {
        let length = u32::try_from(content.len()).ok().filter(|length| *length <= LONGEST);
        let Some(length) = length else {
            let detail = format!("a part of {} bytes, which is more than the format holds", content.len());
            return Err(self.failed(io::Error::new(io::ErrorKind::FileTooLarge, detail)));
        };
        let mut head = [kind; FRAME];
        head[1..].copy_from_slice(&length.to_be_bytes());
        self.write(&head)?;
        self.write(content)
    }

    fn json(&mut self, kind: u8, content: &impl serde::Serialize) -> Result<(), TransferError> {
        let content = serde_json::to_vec(content).map_err(|error| self.failed(error.into()))?;
        self.frame(kind, &content)
    }

    /// Writes a store, as it was when the snapshot was taken. `report` hears of each batch how many rows it had.
    pub async fn store(
        &mut self,
        store: &Snapshot,
        mut report: impl FnMut(u64),
    ) -> Result<(), TransferError> {
        let mut tables = Vec::with_capacity(store.tables().len());
        for table in store.tables() {
            tables.push(self.table(store, table, &mut report).await?);
        }
        self.stores.push(StoreEntry {
            name: store.name().to_owned(),
            epoch: store.epoch(),
            format: store.format(),
            position: store.position().map(|position| position.0),
            tables,
        });
        Ok(())
    }

    async fn table(
        &mut self,
        store: &Snapshot,
        table: &Table,
        report: &mut impl FnMut(u64),
    ) -> Result<TableEntry, TransferError> {
        self.json(
            TABLE,
            &TableStart {
                store: store.name().to_owned(),
                table: table.name.clone(),
                columns: table.columns.clone(),
                key: table.key.clone(),
            },
        )?;
        let (mut digest, mut rows) = (Digest::default(), store.rows(table, 0));
        while let Some(batch) = rows.next().await.map_err(TransferError::store(store.name()))? {
            self.rows(&batch, &mut digest)?;
            report(batch.len() as u64);
        }
        let TableDigest { rows, hash } = TableDigest::from(&digest);
        Ok(TableEntry { name: table.name.clone(), rows, hash: blake3::Hash::from(hash).to_hex().to_string() })
    }

    fn rows(&mut self, batch: &[Row], digest: &mut Digest) -> Result<(), TransferError> {
        let mut content = std::mem::take(&mut self.frame);
        content.clear();
        content.extend_from_slice(&(batch.len() as u32).to_be_bytes());
        for row in batch {
            digest.add(row);
            put(row, &mut content);
        }
        let written = self.frame(ROWS, &content);
        self.frame = content;
        written
    }

    /// Writes a file under a name.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), TransferError> {
        let mut content = Vec::with_capacity(bytes.len() + name.len() + 4);
        content.extend_from_slice(&(name.len() as u32).to_be_bytes());
        content.extend_from_slice(name.as_bytes());
        content.extend_from_slice(bytes);
        self.frame(FILE, &content)?;
        self.files.push(FileEntry { name: name.to_owned(), bytes: bytes.len() as u64 });
        Ok(())
    }

    /// Ends the file and gives it its name; what it holds.
    pub fn finish(mut self, made_by: &str, created_at: Timestamp) -> Result<Manifest, TransferError> {
        let manifest = Manifest {
            made_by: made_by.to_owned(),
            created_at,
            stores: std::mem::take(&mut self.stores),
            files: std::mem::take(&mut self.files),
        };
        self.json(MANIFEST, &manifest)?;
        let hash = *self.hash.finalize().as_bytes();
        let ended = (|| {
            self.out.write_all(&hash)?;
            self.out.flush()?;
            self.out.get_ref().sync_all()?;
            if let Some(draft) = self.draft.0.take() {
                fs::rename(draft, &self.path)?;
            }
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        })();
        ended.map_err(|source| self.failed(source))?;
        Ok(manifest)
    }
}
