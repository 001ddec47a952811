//! Taking whole stores elsewhere: to another store, or into a file and back.
//!
//! - [`Snapshot`]: a store's tables as they were at one instant, read in the order of their keys; [`pin_together`] takes
//!   those of several stores at the same instant.
//! - [`Target`]: an empty store on its way to being a copy. Until it is finished nothing else opens it, and if whoever fills
//!   it dies, it is gone on with.
//! - [`copy`], [`digest`]: from one to the other, and a hash over every column of every row to compare them by. Both stores
//!   give the same hash for the same rows.
//! - [`archive`]: the same rows in a file, with a manifest.
//! - [`find_older_log`]: whether somebody put an older log back by hand.
//!
//! Tables aren't listed here but found in the store, so that one that is added later comes along.

pub mod archive;
mod copy;
mod hold;
mod mark;
mod older;
mod row;
mod rows;
mod snapshot;
mod table;
mod target;

use std::path::PathBuf;

use cqrs_core::StoreError;

pub use copy::{StoreDigest, TableDigest, copy, digest};
pub use hold::{Hold, running_handlers};
pub use mark::{Found, Mark, Stage};
pub(crate) use mark::{refuse_unfinished_postgres, refuse_unfinished_sqlite};
pub use older::{OlderLog, find_older_log};
pub use row::{Digest, Row};
pub use rows::Rows;
pub use snapshot::{Snapshot, pin_together};
pub use table::Table;
pub use target::{Kind, Target};

/// Why something wasn't copied.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A store failed.
    #[error("{store}: {error}")]
    Store {
        /// Which.
        store: String,
        /// Why.
        error: StoreError,
    },
    /// The copy isn't what it was made of.
    #[error("{store}: the table {table} came out differently: {expected} went in and {found} is there")]
    Unequal {
        /// The store.
        store: String,
        /// The table.
        table: String,
        /// How many rows, with what hash.
        expected: Box<TableDigest>,
        /// How many are there instead.
        found: Box<TableDigest>,
    },
    /// What the source has has no place at the destination.
    #[error(
        "{store}: {what}; both must be of the same version of Parlor: start the newer one on the older store once"
    )]
    Shape {
        /// The store.
        store: String,
        /// What doesn't fit.
        what: String,
    },
    /// A file that isn't a whole backup.
    #[error("{} {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file couldn't be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl TransferError {
    pub(crate) fn store(name: &str) -> impl Fn(StoreError) -> Self {
        move |error| Self::Store { store: name.to_owned(), error }
    }
}
