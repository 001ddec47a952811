//! What passes between processes: heard by all who listen, and by nobody later.

use std::sync::Arc;
use std::time::Duration;

use cqrs_core::Broadcast as _;
use cqrs_kafka::{Cluster, KafkaNotes};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use crate::common::{broker, limit, settings};

/// Tells something again and again until it is heard: before that, the other side may not listen yet.
async fn told(notes: &KafkaNotes, note: &[u8], heard: &mut Receiver<Arc<[u8]>>) {
    let telling = async {
        loop {
            notes.tell(note.to_vec());
            while let Ok(Ok(came)) = timeout(Duration::from_millis(200), heard.recv()).await {
                if *came == *note {
                    return;
                }
            }
        }
    };
    timeout(limit(), telling).await.expect("it is heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_tells_the_others_hear_and_who_comes_later_hears_what_comes_later() {
    let Some(broker) = broker() else { return };
    let settings = settings(&broker, 1);
    let open = || KafkaNotes::open(&Cluster::new(settings.clone()).unwrap(), "chat").unwrap();
    let (one, other) = (open(), open());
    let (mut by_one, mut by_other) = (one.listen(), other.listen());
    told(&one, b"before", &mut by_other).await;
    told(&one, b"before", &mut by_one).await;
    let later = open();
    let mut by_later = later.listen();
    told(&other, b"after", &mut by_later).await;
    while let Ok(came) = by_later.try_recv() {
        assert_ne!(*came, *b"before");
    }
    told(&later, b"back", &mut by_one).await;
}
