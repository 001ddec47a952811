//! Chat processes killed under load, by turns and together: the clients' journal is what the views show.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use parlor_tests::log::assert_gapless;
use parlor_tests::{Cluster, Dice, User, cycles, eventually, within};
use serde_json::json;

use crate::stage::{cluster, journal, page, say_until_acknowledged, told_of};

const SENDERS: usize = 6;
/// How long notifications may take to catch up with all that was sent.
const TOLD: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chat_processes_killed_under_load_lose_nothing_and_double_nothing() {
    let Some(mut cluster) = cluster().await else { return };
    let kills = cycles(6);
    let mut dice = Dice::new("kills of chat processes");
    let api = cluster.api();
    let host = User::sign_up(&api, "Host").await;
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        senders.push(User::sign_up(&api, &format!("Sender {number}")).await);
    }
    let room = host.group("Storm", &senders.iter().collect::<Vec<_>>()).await;
    let mut wanted = host.get("/v1/notifications/preferences").expect(200).await.json();
    wanted["kinds"]["group"] = json!("all");
    host.put("/v1/notifications/preferences", &wanted).expect(200).await;
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
    let killing = async {
        for _ in 0..kills {
            more(&sent, 20 + dice.below(60)).await;
            let victims: &[&str] = match dice.below(5) {
                0 | 1 => &["chat-1"],
                2 | 3 => &["chat-2"],
                _ => &["chat-1", "chat-2"],
            };
            kill(&mut cluster, victims).await;
        }
        more(&sent, 50).await;
        stop.store(true, Ordering::SeqCst);
    };
    let (replies, ()) = tokio::join!(sending, killing);
    let replies = replies.concat();
    println!("{kills} kills, {} messages", replies.len());
    let (said, last) = journal(&replies);
    assert_eq!(page(&host, &room, &last).await, said);
    assert_eq!(host.unread(&room, &last).await, said.len() as u64);
    // What crossed Kafka meanwhile is complete, too, and nothing was told of twice.
    within(TOLD, async || {
        let asked = host.get("/v1/notifications?limit=1").after(&last).attempt().await;
        asked.ok().filter(|reply| reply.status == 200)
    })
    .await
    .expect("notifications catch up");
    assert_eq!(told_of(&host, &room).await, said.len());
    let recorded = parlor_tests::log::read_postgres(&cluster.database_url("chat"), "chat").await;
    assert_gapless("chat", &recorded);
    assert_eq!(recorded.iter().filter(|event| event.name == "message.sent").count(), said.len());
}

async fn more(sent: &AtomicUsize, many: usize) {
    let goal = sent.load(Ordering::SeqCst) + many;
    eventually("sending goes on", async || (sent.load(Ordering::SeqCst) >= goal).then_some(())).await;
}

async fn kill(cluster: &mut Cluster, victims: &[&str]) {
    for victim in victims {
        cluster.kill(victim).await;
    }
    cluster.up(victims).await;
}
