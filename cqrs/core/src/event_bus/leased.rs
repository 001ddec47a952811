//! Work that isn't an event handler's and that must run once however many processes there are.

use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use super::tenure::Tenure;
use crate::lease::LeaseStore;

/// How soon work that ended by itself is begun again.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs `work` whenever this process holds the lease `name`, until `stop` turns true; then gives the lease back. The work is
/// dropped at its next `await` when the lease goes, and begun again when it comes back; what it writes must bear a short
/// overlap with another process that took over, as writes that only ever move forward do.
pub async fn while_leased<W: Future<Output = ()>>(
    leases: &dyn LeaseStore,
    name: &'static str,
    holder: Uuid,
    mut stop: watch::Receiver<bool>,
    work: impl Fn() -> W,
) {
    let tenure = Tenure::default();
    let working = async {
        loop {
            let (mut changes, held) = tenure.now();
            match held {
                None => drop(changes.changed().await),
                Some(fence) => {
                    if tenure.while_held(fence, work()).await.is_some() {
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        }
    };
    let done = async {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = working => unreachable!("it has no end"),
        }
    };
    tenure.keep(leases, name, "", holder, done).await;
}
