//! Records that others wrote where only events should be.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{ForeignRecord, Park, Position, StoreError};
use cqrs_kafka::{Cluster, KafkaSource, SourceOptions};
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::common::{Public, assert_same, broker, follow, relay, settings, until};

#[derive(Default)]
struct Lot(Mutex<Vec<ForeignRecord>>);

#[async_trait]
impl Park for Lot {
    async fn park(&self, record: &ForeignRecord) -> Result<(), StoreError> {
        self.0.lock().push(record.clone());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_and_malformed_records_are_set_aside_and_hold_nobody_up() {
    let Some(broker) = broker() else { return };
    let settings = settings(&broker, 2);
    let (events, marks) = (settings.topic("chat"), settings.watermark_topic("chat"));
    let cluster = Cluster::new(settings).unwrap();
    let log = Public::new("chat.public", 1);
    let lot = Arc::new(Lot::default());
    let options = SourceOptions { park: Some(lot.clone()), ..SourceOptions::default() };
    let source = KafkaSource::open(&cluster, "chat.public", options);
    let _relay = relay(&cluster, &log, &Arc::default());
    log.happen(10, 3);
    follow(&*source, Position(0), Position(10)).await;

    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", &broker).create().unwrap();
    let ours = |position: &str, value: &str| {
        let epoch = log.epoch.to_string();
        let id = "018f0000-0000-7000-8000-000000000000";
        let headers = [
            ("ce_specversion", "1.0"),
            ("ce_id", id),
            ("ce_type", "parlor.chat.thing-happened.v1"),
            ("ce_time", "2026-01-01T12:00:00Z"),
            ("ce_subject", id),
            ("ce_epoch", &epoch),
            ("ce_position", position),
            ("ce_version", "1"),
            ("ce_schema", "1"),
            ("ce_actor", "system"),
            ("ce_correlation", id),
        ];
        let none = OwnedHeaders::new();
        let headers =
            headers.iter().fold(none, |list, (key, value)| list.insert(Header { key, value: Some(*value) }));
        (headers, value.to_owned())
    };
    let bad = [
        (OwnedHeaders::new(), "hello".to_owned()),
        ours("minus one", "{}"),
        ours("0", "{}"),
        ours("18446744073709551615", "{}"),
        ours("20", "{\"cut"),
        ours("20", ""),
    ];
    for (partition, (headers, value)) in bad.iter().enumerate() {
        let record: FutureRecord<'_, [u8], str> =
            FutureRecord::to(&events).partition(partition as i32 % 2).headers(headers.clone()).payload(value);
        producer.send(record, Duration::from_secs(5)).await.unwrap();
    }
    let record: FutureRecord<'_, str, [u8]> = FutureRecord::to(&marks).key("a").payload(&[0xff]);
    producer.send(record, Duration::from_secs(5)).await.unwrap();

    log.happen(20, 3);
    assert_same(&follow(&*source, Position(0), Position(30)).await, &log.events());
    until("they are parked", || lot.0.lock().len() == bad.len() + 1).await;
    let parked = lot.0.lock();
    let reasons: Vec<&str> = parked.iter().map(|record| record.reason.as_str()).collect();
    for expected in ["the header ce_type is missing", "the header ce_position can't be read", "no JSON"] {
        assert!(
            reasons.iter().any(|reason| reason.contains(expected)),
            "{expected} is not among {reasons:?}"
        );
    }
    assert!(parked.iter().any(|record| record.topic == marks && record.value == Some(vec![0xff])));
    assert_eq!(source.trouble(), None);
}
