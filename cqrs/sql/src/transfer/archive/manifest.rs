//! What is in a backup.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::transfer::{StoreDigest, TableDigest};

/// What is in a backup, and what it must hash to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The program and version that made it.
    pub made_by: String,
    /// When.
    pub created_at: Timestamp,
    /// The stores.
    pub stores: Vec<StoreEntry>,
    /// The files, whole.
    pub files: Vec<FileEntry>,
}

/// A store in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreEntry {
    /// Its name.
    pub name: String,
    /// A log's epoch.
    pub epoch: Option<Uuid>,
    /// A log's format.
    pub format: Option<i64>,
    /// The position of a log's newest event.
    pub position: Option<u64>,
    /// Its tables.
    pub tables: Vec<TableEntry>,
}

/// A table in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableEntry {
    /// Its name.
    pub name: String,
    /// How many rows.
    pub rows: u64,
    /// The hash over them (BLAKE3, hexadecimal).
    pub hash: String,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name: a path without `..`.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
}

impl StoreEntry {
    /// The digests of its tables, as those of a store are told.
    pub fn digest(&self) -> StoreDigest {
        let tables = self.tables.iter().filter_map(|table| {
            let hash = blake3::Hash::from_hex(&table.hash).ok()?;
            Some((table.name.clone(), TableDigest { rows: table.rows, hash: *hash.as_bytes() }))
        });
        StoreDigest(tables.collect())
    }

    /// How many rows of one of its tables there are.
    pub fn rows_of(&self, table: &str) -> u64 {
        self.tables.iter().find(|entry| entry.name == table).map_or(0, |entry| entry.rows)
    }
}
