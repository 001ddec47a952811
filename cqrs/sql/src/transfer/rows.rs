//! Rows on their way, a batch at a time.

use cqrs_core::StoreError;
use tokio::sync::mpsc;

use super::row::{Row, weight};

/// How many rows a batch holds at most, and about how many bytes.
const BATCH_ROWS: usize = 1000;
const BATCH_BYTES: usize = 2 * 1024 * 1024;

/// A table's rows in the order of its key. Dropped, it stops whoever reads them.
pub struct Rows(mpsc::Receiver<Result<Vec<Row>, StoreError>>);

impl Rows {
    /// Rows, and where they are put in.
    pub(crate) fn channel() -> (Batches, Self) {
        let (sender, receiver) = mpsc::channel(2);
        (Batches { sender, rows: Vec::new(), bytes: 0 }, Self(receiver))
    }

    /// The next ones; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, StoreError> {
        self.0.recv().await.transpose()
    }
}

/// Gathers rows into batches.
pub(crate) struct Batches {
    sender: mpsc::Sender<Result<Vec<Row>, StoreError>>,
    rows: Vec<Row>,
    bytes: usize,
}

impl Batches {
    /// Takes a row in; whether a batch is full.
    pub(crate) fn push(&mut self, row: Row) -> bool {
        self.bytes += weight(&row);
        self.rows.push(row);
        self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    fn take(&mut self) -> Vec<Row> {
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }

    /// Hands over what was gathered, on a thread that may block; whether anybody still wants it.
    pub(crate) fn flush_blocking(&mut self) -> bool {
        let rows = self.take();
        rows.is_empty() || self.sender.blocking_send(Ok(rows)).is_ok()
    }

    /// The same in a task.
    pub(crate) async fn flush(&mut self) -> bool {
        let rows = self.take();
        rows.is_empty() || self.sender.send(Ok(rows)).await.is_ok()
    }

    /// Ends with an error. Who doesn't listen any more needn't hear of it.
    pub(crate) fn fail_blocking(self, error: StoreError) {
        let _ = self.sender.blocking_send(Err(error));
    }

    /// The same in a task.
    pub(crate) async fn fail(self, error: StoreError) {
        let _ = self.sender.send(Err(error)).await;
    }
}
