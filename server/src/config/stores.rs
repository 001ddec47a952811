//! Where each service keeps what, and how processes hear of each other.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{BadValue, Config};
use crate::roles::{Roles, ServiceName};

/// Sections `auth_store`, `user_store`, `chat_store`, `notification_store`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct StoreConfig {
    pub log_url: Option<String>,
    pub views_url: Option<String>,
    pub views_replica_url: Option<String>,
}

/// Section `keys_store`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct KeysStoreConfig {
    pub url: Option<String>,
}

/// Section `postgres`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct PostgresConfig {
    pub pool_size: usize,
    pub ca_file: Option<PathBuf>,
}

/// Section `kafka`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct KafkaConfig {
    pub brokers: Option<String>,
    pub prefix: String,
    pub partitions: u16,
    pub replication: u16,
    pub security_protocol: SecurityProtocol,
    pub ca_file: Option<PathBuf>,
    pub sasl_mechanism: Option<SaslMechanism>,
    pub username: Option<String>,
    pub password: Option<String>,
    pub password_file: Option<PathBuf>,
}

/// How the brokers are spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub enum SecurityProtocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl SecurityProtocol {
    /// As Kafka's clients call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    /// Whether a user name and a password go with it.
    pub fn signs_in(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// How the process proves to the brokers who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub enum SaslMechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl SaslMechanism {
    /// As SASL calls it (RFC 4616, RFC 7677).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self { pool_size: 32, ca_file: None }
    }
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: None,
            prefix: "parlor".to_owned(),
            partitions: 12,
            replication: 1,
            security_protocol: SecurityProtocol::Plaintext,
            ca_file: None,
            sasl_mechanism: None,
            username: None,
            password: None,
            password_file: None,
        }
    }
}

/// Secrets stay out of logs.
impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig").finish_non_exhaustive()
    }
}

impl fmt::Debug for KeysStoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeysStoreConfig").finish_non_exhaustive()
    }
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

/// Where a store lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreUrl<'a> {
    /// Files in the data folder.
    Sqlite,
    /// A database, by its URL.
    Postgres(&'a str),
}

impl<'a> StoreUrl<'a> {
    fn of(url: &'a str) -> Self {
        if is_postgres(url) { Self::Postgres(url) } else { Self::Sqlite }
    }
}

fn is_postgres(url: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
}

impl Config {
    /// The section of a service's stores.
    pub fn store(&self, service: ServiceName) -> &StoreConfig {
        match service {
            ServiceName::Auth => &self.auth_store,
            ServiceName::User => &self.user_store,
            ServiceName::Chat => &self.chat_store,
            ServiceName::Notification => &self.notification_store,
        }
    }

    /// Where a service's log lies.
    pub fn log_url(&self, service: ServiceName) -> StoreUrl<'_> {
        StoreUrl::of(self.store(service).log_url.as_deref().unwrap_or(&self.store_url))
    }

    /// Where a service's views are kept.
    pub fn views_url(&self, service: ServiceName) -> StoreUrl<'_> {
        StoreUrl::of(self.store(service).views_url.as_deref().unwrap_or(&self.store_url))
    }

    /// Where persons' keys lie.
    pub fn keys_url(&self) -> StoreUrl<'_> {
        StoreUrl::of(self.keys_store.url.as_deref().unwrap_or(&self.store_url))
    }

    /// Whether a process with these roles keeps anything in PostgreSQL.
    pub fn uses_postgres(&self, roles: &Roles) -> bool {
        let stores =
            roles.services.iter().flat_map(|service| [self.log_url(*service), self.views_url(*service)]);
        stores.chain([self.keys_url()]).any(|url| url != StoreUrl::Sqlite)
    }

    /// Checks the stores' URLs and what the brokers are told.
    pub(super) fn check_stores(&self) -> Result<(), BadValue> {
        let bad = |key, problem: &str| Err(BadValue { key, problem: problem.to_owned() });
        if self.store_url != "sqlite:" && !is_postgres(&self.store_url) {
            return bad("store_url", "must be `sqlite:` or start with `postgres://`");
        }
        let mut urls = vec![("keys_store.url", &self.keys_store.url)];
        for (section, keys) in [
            (
                &self.auth_store,
                ["auth_store.log_url", "auth_store.views_url", "auth_store.views_replica_url"],
            ),
            (
                &self.user_store,
                ["user_store.log_url", "user_store.views_url", "user_store.views_replica_url"],
            ),
            (
                &self.chat_store,
                ["chat_store.log_url", "chat_store.views_url", "chat_store.views_replica_url"],
            ),
            (
                &self.notification_store,
                [
                    "notification_store.log_url",
                    "notification_store.views_url",
                    "notification_store.views_replica_url",
                ],
            ),
        ] {
            urls.extend(keys.into_iter().zip([
                &section.log_url,
                &section.views_url,
                &section.views_replica_url,
            ]));
        }
        for (key, url) in urls {
            if url.as_ref().is_some_and(|url| !is_postgres(url)) {
                return bad(key, "must start with `postgres://`; unset, it is as store_url says");
            }
        }
        if self.postgres.pool_size == 0 {
            return bad("postgres.pool_size", "must be at least 1");
        }
        self.check_kafka()
    }

    fn check_kafka(&self) -> Result<(), BadValue> {
        let bad = |key, problem: &str| Err(BadValue { key, problem: problem.to_owned() });
        let kafka = &self.kafka;
        if kafka.brokers.as_ref().is_some_and(|brokers| {
            brokers.split(',').any(|broker| {
                !broker
                    .trim()
                    .rsplit_once(':')
                    .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
            })
        }) {
            return bad("kafka.brokers", "must be a list of host:port, as \"kafka-1:9092,kafka-2:9092\"");
        }
        // Kafka's rule for the names of topics, which begin with it.
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if kafka.prefix.is_empty() || kafka.prefix.len() > 100 || !kafka.prefix.chars().all(legal) {
            return bad("kafka.prefix", "must be 1 to 100 letters, digits, dots, hyphens and underscores");
        }
        if kafka.partitions == 0 {
            return bad("kafka.partitions", "must be at least 1");
        }
        if kafka.replication == 0 {
            return bad("kafka.replication", "must be at least 1");
        }
        if kafka.password.is_some() && kafka.password_file.is_some() {
            return bad("kafka.password_file", "can't be set beside kafka.password: unset one of them");
        }
        if kafka.security_protocol.signs_in() {
            if kafka.sasl_mechanism.is_none() {
                return bad("kafka.sasl_mechanism", "must be set: the security protocol asks for it");
            }
            if kafka.username.is_none() {
                return bad("kafka.username", "must be set: the security protocol asks for it");
            }
            if kafka.password.is_none() && kafka.password_file.is_none() {
                return bad("kafka.password_file", "must be set: the security protocol asks for a password");
            }
        }
        Ok(())
    }
}
