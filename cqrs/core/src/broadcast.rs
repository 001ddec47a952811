//! What the processes of a service tell each other beside its log.

use std::sync::Arc;

use tokio::sync::broadcast;

/// Carries short notes between processes: recorded nowhere, in no order, and lost where they can't be carried. For what
/// is worth nothing a moment later, as that somebody is typing.
pub trait Broadcast: Send + Sync + 'static {
    /// Tells it to whoever listens, in every process; here, too.
    fn tell(&self, note: Vec<u8>);

    /// What is told from now on. Who is too slow misses some.
    fn listen(&self) -> broadcast::Receiver<Arc<[u8]>>;
}

/// How many notes wait for a slow listener.
const WAITING: usize = 4_096;

/// A [`Broadcast`] that doesn't leave the process. Cheap to clone; the clones are one.
#[derive(Debug, Clone)]
pub struct InProcess(broadcast::Sender<Arc<[u8]>>);

impl Default for InProcess {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Broadcast for InProcess {
    fn tell(&self, note: Vec<u8>) {
        // Nobody may be listening.
        let _ = self.0.send(note.into());
    }

    fn listen(&self) -> broadcast::Receiver<Arc<[u8]>> {
        self.0.subscribe()
    }
}
