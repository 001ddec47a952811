//! Waiting for what becomes true by and by: looked at again and again until a deadline, never slept for.

use std::time::{Duration, Instant};

/// How long anything may take that isn't said to be quick.
pub const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Looks until `probe` gives something.
///
/// # Panics
/// After [`PATIENCE`], saying what didn't happen.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, probe).await.unwrap_or_else(|| panic!("after {PATIENCE:?} still not: {what}"))
}

/// Looks until `probe` gives something, at most as long as this.
pub async fn within<T>(patience: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = probe().await {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
