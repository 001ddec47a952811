//! What can't be handled is set aside, so that what comes after it goes on.

use async_trait::async_trait;

use crate::failure::StoreError;

/// A record that somebody else wrote where only events should be, or that can't be read as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRecord {
    /// The topic it came in.
    pub topic: String,
    /// The topic's partition.
    pub partition: i32,
    /// Its offset there; with topic and partition, it names the record.
    pub offset: i64,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Its value, if it has one.
    pub value: Option<Vec<u8>>,
    /// Why it is none of ours.
    pub reason: String,
}

/// Keeps foreign records for operators to look at.
#[async_trait]
pub trait Park: Send + Sync + 'static {
    /// Keeps a record; one that is kept already stays as it is.
    async fn park(&self, record: &ForeignRecord) -> Result<(), StoreError>;
}
