//! What comes out is what went in.

use std::sync::Arc;

use cqrs_core::{EventSource as _, Position};
use cqrs_kafka::{Cluster, KafkaSource, SourceOptions};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;

use crate::common::{Places, Public, assert_same, broker, cluster, follow, open, relay, settings};

#[tokio::test(flavor = "multi_thread")]
async fn events_come_out_of_several_partitions_in_the_logs_own_order() {
    let Some(broker) = broker() else { return };
    let (cluster, log) = (cluster(&broker, 5), Public::new("chat.public", 1));
    log.happen(1500, 40);
    let _relay = relay(&cluster, &log, &Arc::new(Places::default()));
    let source = open(&cluster);
    let first = follow(&*source, Position(0), Position(1500)).await;
    assert_same(&first, &log.events());
    assert_eq!(source.epoch(), log.epoch);

    log.happen(501, 40);
    let rest = follow(&*source, Position(1500), Position(2001)).await;
    assert_same(&[first, rest].concat(), &log.events());
    assert_eq!(source.trouble(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_behind_catches_up_from_any_position() {
    let Some(broker) = broker() else { return };
    let (cluster, log) = (cluster(&broker, 3), Public::new("chat.public", 1));
    log.happen(9000, 500);
    let _relay = relay(&cluster, &log, &Arc::new(Places::default()));
    // Nothing of it stays in memory.
    let options = SourceOptions { window_bytes: 1, ..SourceOptions::default() };
    let source = KafkaSource::open(&cluster, "chat.public", options);
    let upto = Position(9000);
    for after in [0, 1, 2, 511, 512, 1024, 4096, 4097, 8990, 8999] {
        let found = follow(&*source, Position(after), upto).await;
        let expected: Vec<_> = log.events().into_iter().filter(|event| event.position.0 > after).collect();
        assert_same(&found, &expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_may_get_more_partitions() {
    let Some(broker) = broker() else { return };
    let settings = settings(&broker, 2);
    let topic = settings.topic("chat");
    let (cluster, log) = (Cluster::new(settings).unwrap(), Public::new("chat.public", 1));
    let (source, places) = (open(&cluster), Arc::new(Places::default()));
    log.happen(300, 40);
    let running = relay(&cluster, &log, &places);
    follow(&*source, Position(0), Position(300)).await;
    drop(running);

    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &broker).create().unwrap();
    let more = [NewPartitions::new(&topic, 5)];
    for made in admin.create_partitions(&more, &AdminOptions::new()).await.unwrap() {
        made.unwrap();
    }
    let _relay = relay(&cluster, &log, &places);
    log.happen(300, 40);
    assert_same(&follow(&*source, Position(300), Position(600)).await, &log.events()[200..]);
    assert_same(&follow(&*open(&cluster), Position(0), Position(600)).await, &log.events());
}
