//! Stores in a file: the same rows, in the same order, with the same hashes as in a store.
//!
//! The file is a line that says what it is, then frames, then a hash over all of it. A frame is its kind (a byte), its length
//! (four bytes, the greatest first) and its content: the beginning of a table (JSON), rows, a file, and last the manifest
//! (JSON), which says what there must be. A file that was cut or changed anywhere is told from a whole one, and says where.

mod manifest;
mod read;
mod write;

pub use manifest::{FileEntry, Manifest, StoreEntry, TableEntry};
pub use read::{Archive, Part, Parts};
pub use write::ArchiveWriter;

/// What the file begins with; the number is the format's.
const MAGIC: &[u8; 16] = b"parlor backup 1\n";
/// What every format's file begins with.
const ANY_MAGIC: &[u8] = b"parlor backup ";
/// The longest frame: a batch of rows is far shorter.
const LONGEST: u32 = 256 * 1024 * 1024;

const TABLE: u8 = b'T';
const ROWS: u8 = b'R';
const FILE: u8 = b'F';
const MANIFEST: u8 = b'M';

/// The length of the hash at the end.
const HASH: usize = 32;
/// The length of a frame's kind and length.
const FRAME: usize = 5;

/// Where a table begins.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct TableStart {
    store: String,
    table: String,
    columns: Vec<String>,
    key: Vec<String>,
}
