//! Topics that aren't what they should be.

use std::sync::Arc;
use std::time::Duration;

use cqrs_core::{EventSource as _, Position};
use cqrs_kafka::{OtherHistory, other_history};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::common::{Places, Public, assert_same, broker, cluster, follow, open, relay, until};

/// How many records a topic's partition has ever got.
fn records(broker: &str, topic: &str, partition: i32) -> i64 {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", broker).create().unwrap();
    consumer.fetch_watermarks(topic, partition, Duration::from_secs(5)).unwrap().1
}

async fn delete(broker: &str, topics: &[&str]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", broker).create().unwrap();
    for deleted in admin.delete_topics(topics, &AdminOptions::new()).await.unwrap() {
        deleted.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_another_epoch_is_refused_and_nothing_is_written() {
    let Some(broker) = broker() else { return };
    let (settings, cluster) = {
        let settings = crate::common::settings(&broker, 1);
        (settings.clone(), cqrs_kafka::Cluster::new(settings).unwrap())
    };
    let log = Public::new("chat.public", 1);
    log.happen(30, 3);
    let source = open(&cluster);
    drop({
        let running = relay(&cluster, &log, &Arc::default());
        follow(&*source, Position(0), Position(30)).await;
        running
    });
    let before = (
        records(&broker, &settings.topic("chat"), 0),
        records(&broker, &settings.watermark_topic("chat"), 0),
    );

    let restored = Public::new("chat.public", 2);
    restored.happen(40, 3);
    let refused = relay(&cluster, &restored, &Arc::new(Places::default()));
    until("it is refused", || refused.error().is_some()).await;
    let error = refused.error().unwrap();
    for said in
        [log.epoch.to_string(), restored.epoch.to_string(), settings.topic("chat"), "delete".to_owned()]
    {
        assert!(error.contains(&said), "{said:?} is missing in {error:?}");
    }
    let after = (
        records(&broker, &settings.topic("chat"), 0),
        records(&broker, &settings.watermark_topic("chat"), 0),
    );
    assert_eq!(before, after);
    assert_eq!(source.epoch(), log.epoch);

    // Done as told, the relay goes on by itself, and who followed the old log is told to begin anew.
    delete(&broker, &[&settings.topic("chat"), &settings.watermark_topic("chat")]).await;
    let fresh = open(&cluster);
    assert_same(&follow(&*fresh, Position(0), Position(40)).await, &restored.events());
    restored.happen(1, 3);
    until("the change is noticed", || source.trouble().is_some_and(|trouble| trouble.contains("Rebuild")))
        .await;
    assert!(source.read(Position(30), 10).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_log_is_noticed() {
    let Some(broker) = broker() else { return };
    let (cluster, log) = (cluster(&broker, 2), Public::new("chat.public", 1));
    log.happen(30, 3);
    let source = open(&cluster);
    drop({
        let running = relay(&cluster, &log, &Arc::default());
        follow(&*source, Position(0), Position(30)).await;
        running
    });
    // The copy is of when 20 had happened; what comes to it afterwards is something else.
    let older = Public::forked("chat.public", 1, Some(20));
    older.happen(20, 3);
    let refused = relay(&cluster, &older, &Arc::new(Places::default()));
    let says = |said: &'static str| refused.error().is_some_and(|error| error.contains(said));
    until("it is refused", || says("ends at 20, but 30")).await;
    let seen = other_history(&cluster, &*older).await.unwrap();
    assert!(matches!(seen, Some(OtherHistory::Behind { .. })), "{seen:?}");

    // It stays so when the copy has outgrown what was published.
    for many in [12, 10] {
        older.happen(many, 3);
        until("it is still refused", || says("another event at 30")).await;
        let seen = other_history(&cluster, &*older).await.unwrap();
        assert!(matches!(seen, Some(OtherHistory::Diverged { .. })), "{seen:?}");
        let anew = relay(&cluster, &older, &Arc::new(Places::default()));
        until("so is another process", || anew.error().is_some_and(|error| error.contains("parlor restore")))
            .await;
    }
    drop(refused);
    assert_eq!(*source.head().borrow(), Position(30), "nothing of it was published");

    // The log itself goes on.
    log.happen(5, 3);
    assert_eq!(other_history(&cluster, &*log).await.unwrap(), None);
    let _running = relay(&cluster, &log, &Arc::default());
    let events = follow(&*source, Position(0), Position(35)).await;
    assert_same(&events, &log.events());
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_were_deleted_are_filled_again() {
    let Some(broker) = broker() else { return };
    let settings = crate::common::settings(&broker, 2);
    let cluster = cqrs_kafka::Cluster::new(settings.clone()).unwrap();
    let (log, places) = (Public::new("chat.public", 1), Arc::new(Places::default()));
    log.happen(600, 30);
    let source = open(&cluster);
    let running = relay(&cluster, &log, &places);
    follow(&*source, Position(0), Position(600)).await;
    drop(running);
    delete(&broker, &[&settings.topic("chat"), &settings.watermark_topic("chat")]).await;

    // The place in the store says that it is all out; the topic says otherwise.
    let _running = relay(&cluster, &log, &places);
    log.happen(1, 30);
    let fresh = open(&cluster);
    assert_same(&follow(&*fresh, Position(0), Position(601)).await, &log.events());
    // Nor does who read the old ones lose anything.
    assert_same(&follow(&*source, Position(600), Position(601)).await, &log.events()[400..]);
}
