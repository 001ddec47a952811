//! From a store to another, and whether they are equal.

use std::collections::BTreeMap;
use std::fmt;

use super::{Digest, Snapshot, Table, Target, TransferError};

/// A table's rows, as a number and a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableDigest {
    /// How many rows.
    pub rows: u64,
    /// The hash over every column of every row, in the order of the key (BLAKE3).
    pub hash: [u8; 32],
}

impl From<&Digest> for TableDigest {
    fn from(digest: &Digest) -> Self {
        Self { rows: digest.rows(), hash: digest.hash() }
    }
}

impl fmt::Display for TableDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows with the hash {}", self.rows, blake3::Hash::from(self.hash))
    }
}

/// A store's tables, each with its rows' number and hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreDigest(pub BTreeMap<String, TableDigest>);

impl StoreDigest {
    /// How many rows there are in all.
    pub fn rows(&self) -> u64 {
        self.0.values().map(|table| table.rows).sum()
    }

    /// One hash for all of it.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = blake3::Hasher::new();
        for (name, table) in &self.0 {
            hash.update(&(name.len() as u64).to_be_bytes()).update(name.as_bytes());
            hash.update(&table.rows.to_be_bytes()).update(&table.hash);
        }
        *hash.finalize().as_bytes()
    }
}

/// Copies all rows of `from` that aren't in `to` yet. Rows go in the order of their keys, so that those that are there are
/// the first ones: a copy that died goes on behind them. `report` hears of each batch how many rows it had.
pub async fn copy(from: &Snapshot, to: &Target, mut report: impl FnMut(u64)) -> Result<(), TransferError> {
    let begun = to.snapshot().await?;
    to.take_epoch(from.epoch(), from.format()).await?;
    // What says of the store as a whole comes last: until then it isn't what it will be.
    let (last, first): (Vec<&Table>, Vec<&Table>) =
        from.tables().iter().partition(|table| table.is_replaced());
    for table in first.into_iter().chain(last) {
        to.fits(table)?;
        let there = match begun.table(&table.name) {
            Some(own) if !table.is_replaced() => begun.count(own).await?,
            _ => 0,
        };
        report(there);
        let mut rows = from.rows(table, there);
        while let Some(batch) = rows.next().await.map_err(TransferError::store(from.name()))? {
            let count = batch.len() as u64;
            to.insert(table, batch).await?;
            report(count);
        }
    }
    Ok(())
}

/// The digests of `tables` in a store.
pub async fn digest(
    of: &Snapshot,
    tables: &[Table],
    mut report: impl FnMut(u64),
) -> Result<StoreDigest, TransferError> {
    let mut digests = BTreeMap::new();
    for table in tables {
        let (mut digest, mut rows) = (Digest::default(), of.rows(table, 0));
        while let Some(batch) = rows.next().await.map_err(TransferError::store(of.name()))? {
            for row in &batch {
                digest.add(row);
            }
            report(batch.len() as u64);
        }
        digests.insert(table.name.clone(), TableDigest::from(&digest));
    }
    Ok(StoreDigest(digests))
}

impl StoreDigest {
    /// Refuses a copy that has something else than this.
    pub fn must_equal(&self, store: &str, copy: &Self) -> Result<(), TransferError> {
        let none = TableDigest::from(&Digest::default());
        for (table, expected) in &self.0 {
            let found = copy.0.get(table).copied().unwrap_or(none);
            if found != *expected {
                return Err(TransferError::Unequal {
                    store: store.to_owned(),
                    table: table.clone(),
                    expected: Box::new(*expected),
                    found: Box::new(found),
                });
            }
        }
        Ok(())
    }
}
