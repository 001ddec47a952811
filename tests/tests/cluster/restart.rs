//! One process after the other is stopped and started, as in an upgrade: every command is answered in the end, each once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::join_all;
use parlor_tests::{User, eventually};

use crate::stage::{cluster, journal, page, say_until_acknowledged};

const SENDERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_command() {
    let Some(mut cluster) = cluster().await else { return };
    let api = cluster.api();
    let host = User::sign_up(&api, "Host").await;
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        senders.push(User::sign_up(&api, &format!("Sender {number}")).await);
    }
    let room = host.group("Relay", &senders.iter().collect::<Vec<_>>()).await;
    let (sent, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let sending = join_all(senders.iter().enumerate().map(async |(number, sender)| {
        let mut replies = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            let key = format!("{number}-{}", replies.len());
            replies.push(say_until_acknowledged(sender, &room, &format!("say {key}"), &key).await);
            sent.fetch_add(1, Ordering::SeqCst);
        }
        replies
    }));
    let restarting = async {
        for name in cluster.parlors() {
            let goal = sent.load(Ordering::SeqCst) + 20;
            eventually("sending goes on", async || (sent.load(Ordering::SeqCst) >= goal).then_some(())).await;
            cluster.down(&[&name]).await;
            cluster.up(&[&name]).await;
        }
        stop.store(true, Ordering::SeqCst);
    };
    let (replies, ()) = tokio::join!(sending, restarting);
    let (said, last) = journal(&replies.concat());
    assert_eq!(page(&host, &room, &last).await, said);
}
