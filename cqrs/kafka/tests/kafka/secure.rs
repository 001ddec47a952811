//! TLS and passwords.

use std::sync::Arc;

use cqrs_core::Position;
use cqrs_kafka::{Cluster, KafkaSettings, SecurityProtocol};

use crate::common::{Places, Public, assert_same, follow, open, relay, settings, until};

/// Settings for the shared broker's other listener: `user:password@host:port?ca=FILE`.
fn secure() -> Option<KafkaSettings> {
    let Some(named) = std::env::var("PARLOR_TEST_KAFKA_SECURE").ok().filter(|named| !named.is_empty()) else {
        eprintln!("skipped: PARLOR_TEST_KAFKA_SECURE names no broker; `cargo xtask test` starts one");
        return None;
    };
    let (credentials, rest) = named.split_once('@').unwrap();
    let (user, password) = credentials.split_once(':').unwrap();
    let (address, authority) = rest.split_once("?ca=").unwrap();
    let mut settings = settings(address, 2);
    settings.security_protocol = SecurityProtocol::SaslSsl;
    settings.ca_file = Some(authority.into());
    settings.sasl_mechanism = Some("SCRAM-SHA-256".to_owned());
    settings.username = Some(user.to_owned());
    settings.password = Some(password.into());
    Some(settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn security_34_events_travel_over_tls_with_a_password() {
    let Some(settings) = secure() else { return };
    let (cluster, log) = (Cluster::new(settings).unwrap(), Public::new("chat.public", 1));
    log.happen(60, 7);
    let _relay = relay(&cluster, &log, &Arc::new(Places::default()));
    assert_same(&follow(&*open(&cluster), Position(0), Position(60)).await, &log.events());
}

#[tokio::test(flavor = "multi_thread")]
async fn security_34_a_broker_that_cannot_prove_who_it_is_gets_nothing() {
    let Some(mut settings) = secure() else { return };
    // The system's authorities didn't sign it.
    settings.ca_file = None;
    let (cluster, log) = (Cluster::new(settings).unwrap(), Public::new("chat.public", 1));
    log.happen(3, 1);
    let running = relay(&cluster, &log, &Arc::new(Places::default()));
    until("it is refused", || running.error().is_some()).await;
    until("it is said", || cluster.trouble().is_some_and(|trouble| trouble.contains("answers"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn security_34_a_wrong_password_is_an_error_and_nothing_worse() {
    let Some(mut settings) = secure() else { return };
    settings.password = Some("not it".into());
    let cluster = Cluster::new(settings).unwrap();
    until("it is said", || cluster.trouble().is_some_and(|trouble| trouble.contains("answers"))).await;
}
