//! The holder of a view's lease is halted past its lease: the other process takes over within five seconds, and the one
//! that wakes writes nothing.

use std::time::{Duration, Instant};

use parlor_tests::log::assert_gapless;
use parlor_tests::{Cluster, User, eventually};
use rustix::process::Signal;

use crate::stage::{cluster, journal, metric, page};

/// How long a view may stand still when its holder does, and a little for the machine.
const TAKEN_OVER: Duration = Duration::from_secs(5);

const MESSAGES: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_halted_past_its_lease_is_replaced_and_writes_nothing_when_it_wakes() {
    let Some(cluster) = cluster().await else { return };
    let (ann, bob) = (User::sign_up(&cluster.api(), "Ann").await, User::sign_up(&cluster.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    let mut replies = vec![ann.say(&room, "before").await];

    for _ in 0..2 {
        let holder = eventually("one of them keeps the timeline", async || holder(&cluster).await).await;
        let other = if holder == "chat-1" { "chat-2" } else { "chat-1" };
        cluster.signal(holder, Signal::STOP);
        // Past the proxy, which would wait for the halted one.
        let (ann, bob) = (of(&ann, &cluster, other), of(&bob, &cluster, other));
        let halted = Instant::now();
        let first = ann.say(&room, "to the one that goes on").await;
        page(&bob, &room, &first.position()).await;
        let stood = halted.elapsed();
        println!("{holder} was halted; {other} showed what was new after {stood:?}");
        assert!(stood <= TAKEN_OVER + Duration::from_secs(1), "{stood:?}");
        replies.push(first);
        for number in 0..MESSAGES {
            replies.push(ann.say(&room, &format!("number {number}")).await);
        }
        cluster.signal(holder, Signal::CONT);
        // Awake again, it answers as ever.
        let awake = of(&ann, &cluster, holder);
        replies.push(awake.say(&room, "to the one that woke").await);
        let (said, last) = journal(&replies);
        for process in [holder, other] {
            assert_eq!(page(&of(&bob, &cluster, process), &room, &last).await, said, "as seen by {process}");
            let unread = of(&bob, &cluster, process).unread(&room, &last).await;
            assert_eq!(unread, said.len() as u64, "each is counted once");
        }
        let holders = eventually("one holds it", async || {
            let held = [held(&cluster, holder).await, held(&cluster, other).await];
            (held != [true, true]).then_some(held)
        });
        assert_eq!(holders.await, [false, true], "it doesn't go back by itself");
    }
    let recorded = parlor_tests::log::read_postgres(&cluster.database_url("chat"), "chat").await;
    assert_gapless("chat", &recorded);
}

fn of(user: &User, cluster: &Cluster, process: &str) -> User {
    User { api: cluster.api_of(process), ..user.clone() }
}

async fn holder(cluster: &Cluster) -> Option<&'static str> {
    for process in ["chat-1", "chat-2"] {
        if held(cluster, process).await {
            return Some(process);
        }
    }
    None
}

async fn held(cluster: &Cluster, process: &str) -> bool {
    let labels = ["handler=\"timeline\"", "source=\"chat\""];
    metric(cluster, process, "cqrs_lease_held", &labels).await == Some(1.0)
}
