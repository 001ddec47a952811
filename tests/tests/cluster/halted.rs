//! The holder of a view's lease, or of the relay's, is halted past its lease or dies: the other process takes over within five
//! seconds, and the one that wakes writes nothing.

use std::time::{Duration, Instant};

use parlor_tests::log::assert_gapless;
use parlor_tests::{Cluster, User, eventually};
use rustix::process::Signal;

use crate::stage::{cluster, journal, metric, page, told_of};

/// How long what a lease is for may stand still when its holder does.
const TAKEN_OVER: Duration = Duration::from_secs(5);

const MESSAGES: usize = 30;
/// The labels of the timeline's lease, and of the relay's.
const TIMELINE: [&str; 2] = ["handler=\"timeline\"", "source=\"chat\""];
const RELAY: [&str; 2] = ["handler=\"relay\"", "source=\"chat.public\""];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_halted_past_its_lease_is_replaced_and_writes_nothing_when_it_wakes() {
    let Some(cluster) = cluster().await else { return };
    let (ann, bob) = (User::sign_up(&cluster.api(), "Ann").await, User::sign_up(&cluster.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    let mut replies = vec![ann.say(&room, "before").await];

    for _ in 0..2 {
        let holder =
            eventually("one of them keeps the timeline", async || holder(&cluster, &TIMELINE).await).await;
        let other = other_than(holder);
        cluster.signal(holder, Signal::STOP);
        // Past the proxy, which would wait for the halted one.
        let (ann, bob) = (of(&ann, &cluster, other), of(&bob, &cluster, other));
        let halted = Instant::now();
        let first = ann.say(&room, "to the one that goes on").await;
        page(&bob, &room, &first.position()).await;
        let stood = halted.elapsed();
        println!("{holder} was halted; {other} showed what was new after {stood:?}");
        assert!(stood <= TAKEN_OVER, "{stood:?}");
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
            let held = [held(&cluster, holder, &TIMELINE).await, held(&cluster, other, &TIMELINE).await];
            (held != [true, true]).then_some(held)
        });
        assert_eq!(holders.await, [false, true], "it doesn't go back by itself");
    }
    let recorded = parlor_tests::log::read_postgres(&cluster.database_url("chat"), "chat").await;
    assert_gapless("chat", &recorded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_is_taken_over_from_a_process_that_dies_or_is_halted_and_each_message_is_told_of_once() {
    let Some(mut cluster) = cluster().await else { return };
    let (ann, bob) = (User::sign_up(&cluster.api(), "Ann").await, User::sign_up(&cluster.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    ann.say(&room, "before").await;
    let mut sent = 1;
    let told = async |bob: &User, sent: usize| {
        let told = told_of(bob, &room).await;
        assert!(told <= sent, "{told} notifications of {sent} messages");
        (told == sent).then_some(())
    };
    eventually("the first is told of", async || told(&bob, sent).await).await;

    for dies in [true, false] {
        let holder = eventually("one of them relays", async || holder(&cluster, &RELAY).await).await;
        let other = other_than(holder);
        let (ended, gone) = (if dies { "was killed" } else { "was halted" }, Instant::now());
        if dies {
            cluster.kill(holder).await;
        } else {
            cluster.signal(holder, Signal::STOP);
        }
        of(&ann, &cluster, other).say(&room, "to the one that goes on").await;
        sent += 1;
        eventually("it is told of", async || told(&bob, sent).await).await;
        let stood = gone.elapsed();
        println!("{holder} {ended}; what {other} was told went through Kafka after {stood:?}");
        assert!(stood <= TAKEN_OVER, "{stood:?}");
        assert!(held(&cluster, other, &RELAY).await);
        if dies {
            cluster.up(&[holder]).await;
        } else {
            cluster.signal(holder, Signal::CONT);
        }
        // Both work, and one of them relays what both were told; what the other still held is told of no second time.
        for number in 0..MESSAGES {
            let process = if number % 2 == 0 { holder } else { other };
            of(&ann, &cluster, process).say(&room, &format!("number {number}")).await;
        }
        sent += MESSAGES;
        eventually("each is told of", async || told(&bob, sent).await).await;
        let holders = eventually("one holds it", async || {
            let held = [held(&cluster, holder, &RELAY).await, held(&cluster, other, &RELAY).await];
            (held != [true, true]).then_some(held)
        });
        assert_eq!(holders.await, [false, true], "it doesn't go back by itself");
    }
    // A last one, behind everything that was sent: whatever came twice would have been told of by now.
    ann.say(&room, "the last").await;
    eventually("the last is told of", async || told(&bob, sent + 1).await).await;
}

fn of(user: &User, cluster: &Cluster, process: &str) -> User {
    User { api: cluster.api_of(process), ..user.clone() }
}

fn other_than(process: &str) -> &'static str {
    if process == "chat-1" { "chat-2" } else { "chat-1" }
}

async fn holder(cluster: &Cluster, lease: &[&str]) -> Option<&'static str> {
    for process in ["chat-1", "chat-2"] {
        if held(cluster, process, lease).await {
            return Some(process);
        }
    }
    None
}

async fn held(cluster: &Cluster, process: &str, lease: &[&str]) -> bool {
    metric(cluster, process, "cqrs_lease_held", lease).await == Some(1.0)
}
