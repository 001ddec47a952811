//! How the brokers are reached and what the topics are called.

use std::path::PathBuf;
use std::str::FromStr;

use rdkafka::ClientConfig;
use secrecy::{ExposeSecret as _, SecretString};

/// How connections to the brokers are protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated: for brokers on the same machine or in a closed network.
    #[default]
    Plaintext,
    /// TLS; the brokers' certificates are verified, names included.
    Ssl,
    /// A name and a password over an open connection.
    SaslPlaintext,
    /// A name and a password over TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// As Kafka's own clients call it, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

impl FromStr for SecurityProtocol {
    type Err = SettingsError;

    fn from_str(name: &str) -> Result<Self, SettingsError> {
        [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl]
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| SettingsError::Protocol(name.to_owned()))
    }
}

/// What is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A protocol that there isn't.
    #[error("{0:?} is no security protocol; choose plaintext, ssl, sasl_plaintext or sasl_ssl")]
    Protocol(String),
    /// No broker is named.
    #[error("no broker is named; name at least one as host:port")]
    NoBrokers,
    /// A topic's name would be none that Kafka takes.
    #[error("{0:?} can't begin a topic's name; use letters, digits, '.', '_' and '-', 100 at most")]
    Prefix(String),
    /// Topics without partitions or copies.
    #[error("a topic needs at least one partition and one replica")]
    Nothing,
    /// SASL without a name and password.
    #[error("{0} needs a mechanism, a user name and a password")]
    NoCredentials(&'static str),
    /// TLS that isn't built in, or a file that can't be read.
    #[error("{0}")]
    Client(String),
}

/// How the brokers are reached and what the topics are called.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// Some of the brokers, as `host:port`, separated by commas; the others are learnt from them.
    pub brokers: String,
    /// Begins every topic's and consumer group's name, so that several installations share brokers.
    pub prefix: String,
    /// Begins every event's CloudEvents type and source. It says what the events are, not where they are kept, and so is the
    /// same in all installations.
    pub namespace: String,
    /// Partitions of a topic that is made here.
    pub partitions: u16,
    /// Copies of each partition of a topic that is made here. With 3 or more, 2 must be in step for a write to succeed.
    pub replication: u16,
    /// How connections are protected.
    pub security_protocol: SecurityProtocol,
    /// PEM file with the authorities that brokers' certificates may come from, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub sasl_mechanism: Option<String>,
    /// The user name for SASL.
    pub username: Option<String>,
    /// The password for SASL.
    pub password: Option<SecretString>,
}

impl KafkaSettings {
    /// Plain connections to `brokers`, everything else as it is unless configured: prefix and namespace `parlor`, 12
    /// partitions, one replica.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            prefix: "parlor".to_owned(),
            namespace: "parlor".to_owned(),
            partitions: 12,
            replication: 1,
            security_protocol: SecurityProtocol::Plaintext,
            ca_file: None,
            sasl_mechanism: None,
            username: None,
            password: None,
        }
    }

    /// The topic of a service's public events.
    pub fn topic(&self, service: &str) -> String {
        format!("{}.{service}.v1", self.prefix)
    }

    /// The topic of the watermarks that go with [`KafkaSettings::topic`].
    pub fn watermark_topic(&self, service: &str) -> String {
        format!("{}.{service}.v1.watermarks", self.prefix)
    }

    /// The topic by which a service's processes tell each other what passes.
    pub fn notes_topic(&self, service: &str) -> String {
        format!("{}.{service}.v1.notes", self.prefix)
    }

    /// Whether they can be used, without asking a broker.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.brokers.split(',').all(|broker| broker.trim().is_empty()) {
            return Err(SettingsError::NoBrokers);
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if self.prefix.is_empty() || self.prefix.len() > 100 || !self.prefix.chars().all(legal) {
            return Err(SettingsError::Prefix(self.prefix.clone()));
        }
        if self.partitions == 0 || self.replication == 0 {
            return Err(SettingsError::Nothing);
        }
        let given = self.sasl_mechanism.is_some() && self.username.is_some() && self.password.is_some();
        if self.security_protocol.has_sasl() && !given {
            return Err(SettingsError::NoCredentials(self.security_protocol.name()));
        }
        self.client()
            .create_native_config()
            .map(drop)
            .map_err(|error| SettingsError::Client(error.to_string()))
    }

    /// What every client of the brokers has in common.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.prefix)
            .set("security.protocol", self.security_protocol.name())
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "100")
            // A broker that is back is found within this time.
            .set("reconnect.backoff.max.ms", "2000");
        if self.security_protocol.has_tls()
            && let Some(file) = &self.ca_file
        {
            config.set("ssl.ca.location", file.to_string_lossy());
        }
        if self.security_protocol.has_sasl() {
            config.set("sasl.mechanism", self.sasl_mechanism.as_deref().unwrap_or_default());
            config.set("sasl.username", self.username.as_deref().unwrap_or_default());
            let password = self.password.as_ref().map_or("", |password| password.expose_secret());
            config.set("sasl.password", password);
        }
        config
    }

    /// A consumer that is told what to read and from where, and keeps nothing.
    pub(crate) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", format!("{}.{group}", self.prefix))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // What isn't where it was is said, never skipped.
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false")
            .set("fetch.error.backoff.ms", "100")
            .set("queued.max.messages.kbytes", "16384");
        config
    }

    /// A consumer for what is there already: it reads one stretch after the other, and the brokers answer at once instead of
    /// waiting for more.
    pub(crate) fn reader(&self) -> ClientConfig {
        let mut config = self.consumer("reader");
        config.set("fetch.wait.max.ms", "10");
        config
    }

    /// A consumer of what passes: nothing is waited for, and what was missed is skipped.
    pub(crate) fn listener(&self) -> ClientConfig {
        let mut config = self.consumer("notes");
        config.set("auto.offset.reset", "latest").set("fetch.wait.max.ms", "100");
        config
    }

    /// A producer of what passes: what the brokers don't take within seconds is lost.
    pub(crate) fn teller(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("acks", "1")
            .set("message.timeout.ms", "5000")
            .set("linger.ms", "1")
            .set("queue.buffering.max.messages", "10000")
            .set("compression.type", "lz4")
            .set("allow.auto.create.topics", "false");
        config
    }

    /// A producer that loses, doubles and reorders nothing, and waits for as long as the brokers are away.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "1")
            .set("compression.type", "lz4")
            .set("allow.auto.create.topics", "false");
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_refused_before_anybody_is_asked() {
        let settings = |change: fn(&mut KafkaSettings)| {
            let mut settings = KafkaSettings::new("127.0.0.1:9092");
            change(&mut settings);
            settings.check().err()
        };
        assert_eq!(settings(|_| ()), None);
        assert_eq!(settings(|s| s.brokers = " , ".into()), Some(SettingsError::NoBrokers));
        assert_eq!(settings(|s| s.prefix = "a b".into()), Some(SettingsError::Prefix("a b".into())));
        assert_eq!(settings(|s| s.partitions = 0), Some(SettingsError::Nothing));
        let refused = settings(|s| s.security_protocol = SecurityProtocol::SaslSsl);
        assert_eq!(refused, Some(SettingsError::NoCredentials("sasl_ssl")));
        assert_eq!("SASL_SSL".parse(), Ok(SecurityProtocol::SaslSsl));
        assert!("tls".parse::<SecurityProtocol>().is_err());
    }

    #[test]
    fn a_password_is_not_shown() {
        let mut settings = KafkaSettings::new("127.0.0.1:9092");
        settings.password = Some("correct horse".into());
        assert!(!format!("{settings:?}").contains("correct horse"));
    }
}
