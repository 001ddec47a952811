//! The log in memory passes the suite that every log must pass.

use std::sync::Arc;

use cqrs_core::conformance::Fixture;
use cqrs_core::{MemoryLog, StoreError};

struct InMemory(Arc<MemoryLog>);

#[async_trait::async_trait]
impl Fixture for InMemory {
    type Log = MemoryLog;
    const REOPENS: bool = false;
    const SHARED: bool = true;

    async fn open(&self) -> Result<Arc<MemoryLog>, StoreError> {
        Ok(self.0.clone())
    }
}

cqrs_core::log_conformance!(async { Some(InMemory(Arc::new(MemoryLog::new("log")))) });
