//! Relays and brokers that die.

use std::sync::Arc;
use std::time::Duration;

use cqrs_core::{EventSource as _, Position};
use cqrs_kafka::{KafkaSource, SourceOptions};

use crate::common::{Places, Public, assert_same, broker, cluster, events, follow, limit, open, relay};

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_dies_anywhere_repeats_and_never_skips() {
    let Some(broker) = broker() else { return };
    let (cluster, log, places) = (cluster(&broker, 12), Public::new("chat.public", 1), Arc::default());
    let source = open(&cluster);
    let upto = Position(events());
    let following = {
        let source = source.clone();
        tokio::spawn(async move { follow(&*source, Position(0), upto).await })
    };
    let crashes = 3;
    for n in 1..=crashes {
        let running = relay(&cluster, &log, &places);
        log.happen(upto.0 / (crashes + 1), 1000);
        // Somewhere in the middle of it, most likely while records are on their way.
        let mut head = source.head();
        let part = Position(upto.0 / (crashes + 1) * n - upto.0 / 20);
        tokio::time::timeout(limit(), head.wait_for(|head| *head >= part))
            .await
            .unwrap_or_else(|_| panic!("stands at {:?}: {:?}", source.head(), running.error()))
            .unwrap();
        drop(running);
    }
    let _last = relay(&cluster, &log, &places);
    let happened = log.head().borrow().0;
    log.happen(upto.0 - happened, 1000);
    assert_same(&following.await.unwrap(), &log.events());

    // And for one who comes afterwards, and reads it all from the topic.
    let options = SourceOptions { window_bytes: 1, ..SourceOptions::default() };
    let late = KafkaSource::open(&cluster, "chat.public", options);
    assert_same(&follow(&*late, Position(0), upto).await, &log.events());
    println!("{upto} events through {crashes} crashes, the same ones in the same order twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_but_not_noted_comes_again_and_is_dropped() {
    let Some(broker) = broker() else { return };
    let (cluster, log) = (cluster(&broker, 3), Public::new("chat.public", 1));
    let source = open(&cluster);
    log.happen(300, 10);
    // Each begins with no place noted, as after a crash between publishing and noting.
    for _ in 0..3 {
        let _relay = relay(&cluster, &log, &Arc::new(Places::default()));
        log.happen(30, 10);
        let upto = *log.head().borrow();
        assert_same(&follow(&*source, Position(0), upto).await, &log.events());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_at_once_confuse_nobody() {
    let Some(broker) = broker() else { return };
    let (cluster, log) = (cluster(&broker, 4), Public::new("chat.public", 1));
    let source = open(&cluster);
    let upto = Position(6000);
    let following = {
        let source = source.clone();
        tokio::spawn(async move { follow(&*source, Position(0), upto).await })
    };
    // Each takes itself for the only one, and opens a session whenever it finds that the other has.
    let _one = relay(&cluster, &log, &Arc::new(Places::default()));
    let _other = relay(&cluster, &log, &Arc::new(Places::default()));
    for _ in 0..20 {
        log.happen(300, 50);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_same(&following.await.unwrap(), &log.events());
    let options = SourceOptions { window_bytes: 1, ..SourceOptions::default() };
    let late = KafkaSource::open(&cluster, "chat.public", options);
    for after in [0, 1000, 2500, 5900] {
        let expected: Vec<_> = log.events().into_iter().filter(|event| event.position.0 > after).collect();
        assert_same(&follow(&*late, Position(after), upto).await, &expected);
    }
}
