//! Kafka, where it is configured: what this process's services make public goes there, and what it follows of the others
//! comes from there.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use cqrs_core::{EventSource, StoreError};
use cqrs_kafka::{
    Cluster, KafkaNotes, KafkaSettings, KafkaSource, OtherHistory, Relay, SourceOptions, Upstream,
    other_history,
};
use cqrs_sql::{ServiceStore, SqlLog};
use futures::future::try_join_all;

use super::{Ground, OpenError, Sources};
use crate::config::{Config, SecurityProtocol};
use crate::roles::{Roles, ServiceName};

/// How long a start waits for Kafka to say what it has of the process's logs.
const LOOKED_FOR: Duration = Duration::from_secs(3);

/// Parlor's use of the brokers. Cheap to clone.
#[derive(Clone)]
pub struct Kafka {
    cluster: Arc<Cluster>,
    /// The consumer group whose offsets show how far this process has read.
    group: String,
    sources: Vec<Arc<KafkaSource>>,
}

impl Kafka {
    /// What the configuration says; nothing where it names no brokers. They needn't be there yet.
    pub fn of(config: &Config, roles: &Roles) -> Result<Option<Self>, OpenError> {
        let Some(settings) = settings(config)? else { return Ok(None) };
        let cluster = Cluster::new(settings).map_err(|error| OpenError::Kafka(error.to_string()))?;
        let group = roles.services.first().map_or("parlor", |service| service.name()).to_owned();
        Ok(Some(Self { cluster, group, sources: Vec::new() }))
    }

    /// The public events of a service that runs elsewhere.
    pub(super) fn source(&mut self, service: ServiceName) -> Arc<dyn EventSource> {
        let options = SourceOptions {
            group: Some(self.group.clone()),
            covers: service.turns().iter().map(|log| log.name()).collect(),
            ..SourceOptions::default()
        };
        let source = KafkaSource::open(&self.cluster, service.public(), options);
        self.sources.push(source.clone());
        source
    }

    /// Keeps the records that are no events in this log.
    pub(super) fn park_in(&self, log: &Arc<SqlLog>) {
        for source in &self.sources {
            source.park_in(log.clone());
        }
    }

    /// What makes a service's events public there. `reactors` are the service's, with what they follow.
    pub(super) fn relay(
        &self,
        ground: &Ground,
        service: ServiceName,
        store: &ServiceStore,
        sources: &Sources,
        reactors: &[Reacts],
    ) -> Result<Relay, OpenError> {
        let none =
            || OpenError::store(service.name(), StoreError::Other("it has no source of its own".to_owned()));
        let own = sources.public_of(service).cloned().ok_or_else(none)?;
        let upstream = service.reacts_to().iter().filter_map(|from| {
            let following = reactors.iter().filter(|(_, follows)| follows.contains(&from.public()));
            Some(Upstream {
                source: sources.public_of(*from)?.clone(),
                places: store.log.clone(),
                reactors: following.map(|(name, _)| *name).collect(),
                through: from.turns().iter().filter(|log| **log != service).map(|log| log.name()).collect(),
            })
        });
        let upstream = upstream.collect();
        let clock = ground.clock.clone();
        Ok(Relay::new(self.cluster.clone(), clock, service.public_source(), own, store.log.clone(), upstream))
    }

    /// Whether one of the logs behind `sources`, this process's own, is an older copy of what Kafka has of it, whether it has
    /// gone on since or not. Where Kafka doesn't answer soon, the process starts without knowing; the relay looks as well.
    pub(super) async fn other_history(&self, sources: &[Arc<dyn EventSource>]) -> Option<OtherHistory> {
        let looking = sources.iter().map(|source| other_history(&self.cluster, &**source));
        match tokio::time::timeout(LOOKED_FOR, try_join_all(looking)).await {
            Ok(Ok(found)) => return found.into_iter().flatten().next(),
            Ok(Err(error)) => {
                tracing::warn!(%error, "what Kafka has of the logs isn't told now; the relay looks at it");
            }
            Err(_) => {
                let seconds = LOOKED_FOR.as_secs();
                tracing::warn!(
                    "what Kafka has of the logs wasn't told within {seconds} s; the relay looks at it"
                );
            }
        }
        None
    }

    /// By which the processes of a service tell each other what passes.
    pub(super) fn notes(&self, service: ServiceName) -> Result<Arc<KafkaNotes>, OpenError> {
        let opened = KafkaNotes::open(&self.cluster, service.name());
        opened.map_err(|error| OpenError::Kafka(error.to_string()))
    }

    /// What keeps events from coming or going, for people.
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles: Vec<_> = self.sources.iter().filter_map(|source| source.trouble()).collect();
        troubles.extend(self.cluster.trouble());
        troubles.sort_unstable();
        troubles.dedup();
        troubles
    }
}

/// A reactor's name and the sources that it follows.
pub(super) type Reacts = (&'static str, &'static [&'static str]);

fn settings(config: &Config) -> Result<Option<KafkaSettings>, OpenError> {
    let kafka = &config.kafka;
    let Some(brokers) = &kafka.brokers else { return Ok(None) };
    let password = match (&kafka.password, &kafka.password_file) {
        (Some(password), _) => Some(password.clone()),
        (None, Some(file)) => {
            let read = fs::read_to_string(file);
            let text = read.map_err(|error| {
                OpenError::Kafka(format!("{}: {error} (kafka.password_file)", file.display()))
            })?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        (None, None) => None,
    };
    Ok(Some(KafkaSettings {
        prefix: kafka.prefix.clone(),
        partitions: kafka.partitions,
        replication: kafka.replication,
        security_protocol: match kafka.security_protocol {
            SecurityProtocol::Plaintext => cqrs_kafka::SecurityProtocol::Plaintext,
            SecurityProtocol::Ssl => cqrs_kafka::SecurityProtocol::Ssl,
            SecurityProtocol::SaslPlaintext => cqrs_kafka::SecurityProtocol::SaslPlaintext,
            SecurityProtocol::SaslSsl => cqrs_kafka::SecurityProtocol::SaslSsl,
        },
        ca_file: kafka.ca_file.clone(),
        sasl_mechanism: kafka.sasl_mechanism.map(|mechanism| mechanism.as_str().to_owned()),
        username: kafka.username.clone(),
        password: password.map(Into::into),
        ..KafkaSettings::new(brokers.clone())
    }))
}
