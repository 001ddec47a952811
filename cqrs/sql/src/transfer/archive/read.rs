//! Reading a backup: all of it is checked before any of it is used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use cqrs_core::Value;

use super::{
    ANY_MAGIC, FILE, FRAME, FileEntry, HASH, LONGEST, MAGIC, MANIFEST, Manifest, ROWS, TABLE, TableStart,
};
use crate::transfer::row::take;
use crate::transfer::{Digest, Row, StoreDigest, Table, TableDigest, TransferError};

/// A backup that was found to be whole and consistent.
pub struct Archive {
    path: PathBuf,
    manifest: Manifest,
    hash: [u8; HASH],
}

/// What comes next in a backup.
#[derive(Debug)]
pub enum Part {
    /// A table of a store begins; its rows follow.
    Table {
        /// The store.
        store: String,
        /// The table.
        table: Table,
    },
    /// Rows of the table that began last.
    Rows(Vec<Row>),
    /// A file.
    File {
        /// Its name.
        name: String,
        /// Its content.
        bytes: Vec<u8>,
    },
}

impl Archive {
    /// Reads a backup from its first byte to its last, and compares it with its manifest. `report` hears of each part how
    /// many bytes it had.
    pub fn open(path: &Path, mut report: impl FnMut(u64)) -> Result<Self, TransferError> {
        let mut parts = Parts::open(path)?;
        let mut found = Contents::default();
        let mut read = 0;
        while let Some(part) = parts.part()? {
            found.take(part);
            report(parts.read - read);
            read = parts.read;
        }
        let (manifest, hash) = parts.end()?;
        let archive = Self { path: path.to_owned(), manifest, hash };
        found.check(&archive)?;
        Ok(archive)
    }

    /// What is in it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The hash over all of it: no other backup has the same.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Its parts, once more from the beginning.
    pub fn parts(&self) -> Result<Parts, TransferError> {
        Parts::open(&self.path)
    }

    fn damaged(&self, what: impl Into<String>) -> TransferError {
        TransferError::Damaged { path: self.path.clone(), what: what.into() }
    }
}

/// What was found in a backup, to be compared with what it says of itself.
#[derive(Default)]
struct Contents {
    stores: BTreeMap<String, StoreDigest>,
    files: Vec<FileEntry>,
    table: Option<(String, Table, Digest)>,
    /// Each consumer's place: the store it is in, the source, the source's epoch where it is told, the position.
    places: Vec<(String, String, Option<Vec<u8>>, u64)>,
}

impl Contents {
    fn take(&mut self, part: Part) {
        match part {
            Part::Table { store, table } => {
                self.end_table();
                self.table = Some((store, table, Digest::default()));
            }
            Part::Rows(rows) => {
                let Some((store, table, digest)) = &mut self.table else { return };
                for row in &rows {
                    digest.add(row);
                    if table.name == "places" {
                        let get = |name| table.column(name).and_then(|column| row.get(column));
                        if let (Some(Value::Text(source)), Some(Value::Int(position))) =
                            (get("source"), get("position"))
                        {
                            let epoch = match get("epoch") {
                                Some(Value::Bytes(epoch)) => Some(epoch.clone()),
                                _ => None,
                            };
                            self.places.push((store.clone(), source.clone(), epoch, *position as u64));
                        }
                    }
                }
            }
            Part::File { name, bytes } => self.files.push(FileEntry { name, bytes: bytes.len() as u64 }),
        }
    }

    fn end_table(&mut self) {
        if let Some((store, table, digest)) = self.table.take() {
            let digests = &mut self.stores.entry(store).or_default().0;
            digests.insert(table.name, TableDigest::from(&digest));
        }
    }

    fn check(mut self, archive: &Archive) -> Result<(), TransferError> {
        self.end_table();
        let manifest = &archive.manifest;
        if self.files != manifest.files {
            return Err(archive.damaged("doesn't hold the files that its manifest names"));
        }
        let told: BTreeMap<_, _> =
            manifest.stores.iter().map(|store| (store.name.clone(), store.digest())).collect();
        if told != self.stores {
            return Err(archive.damaged("doesn't hold the rows that its manifest names"));
        }
        for store in &manifest.stores {
            if let Some(position) = store.position
                && store.rows_of("events") != position
            {
                let (name, events) = (&store.name, store.rows_of("events"));
                let what = format!("holds {events} events of {name}, whose log ends at {position}");
                return Err(archive.damaged(what));
            }
        }
        for (store, source, epoch, position) in &self.places {
            let log = source.strip_suffix(".public").unwrap_or(source);
            let Some(entry) = manifest.stores.iter().find(|store| store.name == log) else { continue };
            let same = match (epoch, entry.epoch) {
                (Some(place), Some(log)) => place == log.as_bytes(),
                _ => true,
            };
            let end = entry.position.unwrap_or(0);
            if same && *position > end {
                let what =
                    format!("is inconsistent: {store} has seen {position} of {log}, which ends at {end}");
                return Err(archive.damaged(what));
            }
        }
        Ok(())
    }
}

/// A backup's parts, one after the other. That they are what was written is known only at the end.
pub struct Parts {
    path: PathBuf,
    file: BufReader<File>,
    hash: blake3::Hasher,
    /// How many columns the table that began last has.
    columns: Option<usize>,
    manifest: Option<Manifest>,
    read: u64,
}

impl Parts {
    fn open(path: &Path) -> Result<Self, TransferError> {
        let failed = |source| TransferError::Io { path: path.to_owned(), source };
        let file = BufReader::with_capacity(1024 * 1024, File::open(path).map_err(failed)?);
        let hash = blake3::Hasher::new();
        let mut parts = Self { path: path.to_owned(), file, hash, columns: None, manifest: None, read: 0 };
        let magic = parts.bytes(MAGIC.len())?;
        if magic != MAGIC {
            let what = if magic.starts_with(ANY_MAGIC) {
                "is a backup in a format that this version doesn't know; use the newer version that made it"
            } else {
                "is not a backup of Parlor's"
            };
            return Err(parts.damaged(what));
        }
        Ok(parts)
    }

    /// The next part; `None` before the manifest.
    pub fn part(&mut self) -> Result<Option<Part>, TransferError> {
        let head = self.bytes(FRAME)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        if length > LONGEST {
            return Err(self.damaged("is damaged: a part of it claims an impossible length"));
        }
        let content = self.bytes(length as usize)?;
        match head[0] {
            TABLE => {
                let start: TableStart = self.json(&content)?;
                self.columns = Some(start.columns.len());
                let table = Table { name: start.table, columns: start.columns, key: start.key };
                Ok(Some(Part::Table { store: start.store, table }))
            }
            ROWS => self.rows(&content).map(|rows| Some(Part::Rows(rows))),
            FILE => {
                let (name, bytes) = (|| {
                    let (length, rest) = content.split_first_chunk::<4>()?;
                    let (name, bytes) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
                    Some((String::from_utf8(name.to_vec()).ok()?, bytes.to_vec()))
                })()
                .ok_or_else(|| self.damaged("is damaged: a file in it has no name"))?;
                Ok(Some(Part::File { name, bytes }))
            }
            MANIFEST => {
                self.manifest = Some(self.json(&content)?);
                Ok(None)
            }
            _ => Err(self.damaged("is damaged: it has a part of an unknown kind")),
        }
    }

    fn rows(&self, content: &[u8]) -> Result<Vec<Row>, TransferError> {
        let rows = (|| {
            let (count, mut rest) = content.split_first_chunk::<4>()?;
            let columns = self.columns?;
            let rows: Option<Vec<Row>> =
                (0..u32::from_be_bytes(*count)).map(|_| take(&mut rest, columns)).collect();
            rows.filter(|_| rest.is_empty())
        })();
        rows.ok_or_else(|| self.damaged("is damaged: there are no rows where there should be"))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, content: &[u8]) -> Result<T, TransferError> {
        serde_json::from_slice(content).map_err(|error| self.damaged(format!("is damaged: {error}")))
    }

    fn damaged(&self, what: impl Into<String>) -> TransferError {
        TransferError::Damaged { path: self.path.clone(), what: what.into() }
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>, TransferError> {
        let mut bytes = Vec::with_capacity(length.min(16 * 1024 * 1024));
        let read = (&mut self.file).take(length as u64).read_to_end(&mut bytes);
        read.map_err(|source| TransferError::Io { path: self.path.clone(), source })?;
        if bytes.len() < length {
            return Err(self.damaged("is cut short"));
        }
        self.hash.update(&bytes);
        self.read += length as u64;
        Ok(bytes)
    }

    /// Makes sure, behind the last part, that they were those of `archive` when it was checked.
    pub fn must_be_of(self, archive: &Archive) -> Result<(), TransferError> {
        let path = self.path.clone();
        match self.end()? {
            (_, hash) if hash == archive.hash => Ok(()),
            _ => Err(TransferError::Damaged { path, what: "was changed while it was read".to_owned() }),
        }
    }

    /// What stands behind the last part: the manifest, and the hash of all that was read, which must be the one that was
    /// written.
    fn end(mut self) -> Result<(Manifest, [u8; HASH]), TransferError> {
        let hash = *self.hash.finalize().as_bytes();
        let written = self.bytes(HASH)?;
        let mut more = [0];
        let trailing = self.file.read(&mut more);
        let trailing = trailing.map_err(|source| TransferError::Io { path: self.path.clone(), source })?;
        if written != hash {
            return Err(self.damaged("is damaged: its hash isn't that of its content"));
        }
        match self.manifest.take() {
            Some(manifest) if trailing == 0 => Ok((manifest, hash)),
            _ => Err(self.damaged("is damaged: something follows its end")),
        }
    }
}
