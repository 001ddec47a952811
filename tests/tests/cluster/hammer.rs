//! Two chat processes, one conversation, and nobody waits for anybody: nothing is lost, nothing doubled, no gap.

use std::collections::BTreeSet;

use futures::future::join_all;
use parlor_tests::log::assert_gapless;
use parlor_tests::{Dice, Feed, User};

use crate::stage::{cluster, journal, page};

const WRITERS: usize = 16;
const EACH: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_hammering_one_conversation_lose_nothing_and_double_nothing() {
    let Some(cluster) = cluster().await else { return };
    let mut dice = Dice::new("hammer");
    let api = cluster.api();
    let host = User::sign_up(&api, "Host").await;
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        writers.push(User::sign_up(&api, &format!("Writer {number}")).await);
    }
    let room = host.group("Anvil", &writers.iter().collect::<Vec<_>>()).await;
    let processes = ["chat-1", "chat-2"].map(|name| cluster.api_of(name));
    let mut feed: Feed = host.feed(None).await;
    feed.until("caught-up").await;

    let seeds: Vec<u64> = (0..WRITERS).map(|_| dice.below(usize::MAX) as u64).collect();
    let writing = writers.iter().zip(seeds).enumerate().map(async |(number, (writer, seed))| {
        let mut replies = Vec::new();
        for count in 0..EACH {
            // Some ask both processes at once, under one key.
            let key = format!("{number}-{count}");
            let content = format!("w{number}x{count}");
            let both = (seed >> (count % 64)) & 1 == 1;
            let asked = if both { vec![0, 1] } else { vec![(number + count) % 2] };
            let answers = asked.iter().map(|process| {
                let writer = User { api: processes[*process].clone(), ..writer.clone() };
                let (room, content, key) = (room.clone(), content.clone(), key.clone());
                async move { writer.saying(&room, &content).key(&key).expect(201).await }
            });
            let mut answers = join_all(answers).await;
            assert!(answers.iter().all(|answer| answer.body == answers[0].body), "{answers:?}");
            assert_eq!(answers.iter().filter(|answer| !answer.replayed()).count(), 1, "one had the effect");
            replies.push(answers.remove(0));
        }
        replies
    });
    let replies = join_all(writing).await.concat();
    assert_eq!(replies.len(), WRITERS * EACH);

    let (said, last) = journal(&replies);
    let positions: BTreeSet<_> = said.iter().map(|said| said.position).collect();
    assert_eq!(positions.len(), said.len(), "each has a place of its own");
    for process in &processes {
        let seen = User { api: process.clone(), ..host.clone() };
        assert_eq!(page(&seen, &room, &last).await, said, "what was acknowledged, each once, in order");
        assert_eq!(seen.unread(&room, &last).await, said.len() as u64);
    }
    let newest = said[0].id.clone();
    let heard = feed.until_one(|event| event.data["id"] == *newest).await;
    let heard: Vec<_> = heard
        .iter()
        .filter(|event| event.kind == "chat.message-sent")
        .map(|event| event.data["id"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<_> = said.iter().rev().map(|said| said.id.clone()).collect();
    assert_eq!(heard, expected, "live, each once and in order, whichever process it was said to");

    let recorded = parlor_tests::log::read_postgres(&cluster.database_url("chat"), "chat").await;
    assert_gapless("chat", &recorded);
    let sent = recorded.iter().filter(|event| event.name == "message.sent").count();
    assert_eq!(sent, WRITERS * EACH);
}
