//! A broker that is killed, stopped, and comes back.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use cqrs_core::{EventSource as _, Position};
use cqrs_kafka::Cluster;

use crate::common::{Places, Public, assert_same, follow, open, relay, settings, until};

/// A broker of the test's own, which it may kill.
struct Broker {
    xtask: String,
    folder: std::path::PathBuf,
    child: Child,
    address: String,
}

impl Broker {
    fn start() -> Option<Self> {
        let Some(xtask) = std::env::var("PARLOR_TEST_XTASK").ok().filter(|named| !named.is_empty()) else {
            eprintln!("skipped: PARLOR_TEST_XTASK names nothing that runs a broker; `cargo xtask test` does");
            return None;
        };
        let folder = std::env::temp_dir().join(format!("parlor-kafka-of-test-{}", std::process::id()));
        let (child, address) = run(&xtask, &folder);
        Some(Self { xtask, folder, child, address })
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.child = run(&self.xtask, &self.folder).0;
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Starts a broker; it becomes the process started, and says its address first.
fn run(xtask: &str, folder: &std::path::Path) -> (Child, String) {
    use std::io::BufRead as _;
    let mut child = Command::new(xtask)
        .args(["kafka", "node"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut address = String::new();
    std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    (child, address.trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_after_the_broker_was_away_however_it_went() {
    let Some(mut broker) = Broker::start() else { return };
    let (cluster, log) = (Cluster::new(settings(&broker.address, 3)).unwrap(), Public::new("chat.public", 1));
    let source = open(&cluster);
    let relay = relay(&cluster, &log, &Arc::new(Places::default()));
    log.happen(600, 20);
    assert_same(&follow(&*source, Position(0), Position(600)).await, &log.events());

    // Killed; what happens meanwhile waits in the log.
    broker.kill();
    log.happen(600, 20);
    until("it is noticed", || cluster.trouble().is_some()).await;
    assert!(source.trouble().unwrap().contains(&broker.address));
    broker.start_again();
    assert_same(&follow(&*source, Position(0), Position(1200)).await, &log.events());
    until("that is noticed as well", || source.trouble().is_none()).await;

    // Held up in the middle of things.
    log.happen(600, 20);
    broker.signal("-STOP");
    log.happen(600, 20);
    until("it is noticed", || cluster.trouble().is_some()).await;
    assert_eq!(*log.head().borrow(), Position(2400));
    broker.signal("-CONT");
    assert_same(&follow(&*source, Position(0), Position(2400)).await, &log.events());
    until("nothing stands still", || relay.error().is_none()).await;
}
