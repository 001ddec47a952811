//! Leases: which of several processes runs what must run once. Each holding has a number that only rises, and a store takes
//! nothing from who shows an older one: a holder that wakes from a pause can write nothing.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::failure::StoreError;

/// The fencing number of one holding of a lease, greater than that of every holding before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

/// Keeps leases beside what is written under them, so that a write can check its number in its own transaction.
///
/// Times are the store's own: processes' clocks may differ.
#[async_trait]
pub trait LeaseStore: Send + Sync + 'static {
    /// Takes the lease `name` for `ttl` if nobody holds it, `holder` being who asks; `None` if somebody does. A holding that
    /// has expired is none, whoever's it was. Who holds a lease already asks for [`LeaseStore::renew`].
    async fn acquire(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<Fence>, StoreError>;

    /// Holds the lease for another `ttl` from now on; `false` if it was taken over since. One that has expired and that nobody
    /// took is held again.
    async fn renew(&self, name: &str, fence: Fence, ttl: Duration) -> Result<bool, StoreError>;

    /// Gives the lease back, so that somebody else gets it at once. Nothing happens if it was taken over.
    async fn release(&self, name: &str, fence: Fence) -> Result<(), StoreError>;

    /// Who holds the lease now, for people to look at; `None` if nobody does, or where one process has the store and leases
    /// mean nothing.
    async fn holder(&self, name: &str) -> Result<Option<Uuid>, StoreError> {
        let _ = name;
        Ok(None)
    }
}

/// A lease as it stands: its number, and until when it is held.
struct Standing {
    fence: Fence,
    until: Instant,
}

/// Leases in memory.
#[derive(Default)]
pub(crate) struct MemoryLeases(Mutex<HashMap<String, Standing>>);

impl MemoryLeases {
    pub(crate) fn acquire(&self, name: &str, ttl: Duration) -> Option<Fence> {
        let (mut leases, now) = (self.0.lock(), Instant::now());
        let held = leases.entry(name.to_owned()).or_insert(Standing { fence: Fence(0), until: now });
        if held.until > now {
            return None;
        }
        *held = Standing { fence: Fence(held.fence.0 + 1), until: now + ttl };
        Some(held.fence)
    }

    pub(crate) fn renew(&self, name: &str, fence: Fence, ttl: Duration) -> bool {
        let mut leases = self.0.lock();
        let held = leases.get_mut(name).filter(|held| held.fence == fence);
        held.map(|held| held.until = Instant::now() + ttl).is_some()
    }

    pub(crate) fn release(&self, name: &str, fence: Fence) {
        if let Some(held) = self.0.lock().get_mut(name).filter(|held| held.fence == fence) {
            held.until = Instant::now();
        }
    }

    /// Whether the lease is still the one with this number.
    pub(crate) fn is_current(&self, name: &str, fence: Fence) -> bool {
        self.0.lock().get(name).is_some_and(|held| held.fence == fence)
    }
}
