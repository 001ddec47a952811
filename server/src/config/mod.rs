//! What an operator can set: in a file, by environment variables, by flags; later wins.

mod keys;
mod leaving;
mod load;
mod render;
mod smtp;
mod stores;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cqrs_http::HttpOptions;
use ipnet::IpNet;
use parlor_auth::AuthSettings;
use parlor_auth::limits::RateSettings;
use parlor_auth::mail::SmtpSettings;
use serde::{Deserialize, Serialize};

pub use leaving::{OutboundConfig, PushConfig, WebhooksConfig};
pub use load::{ConfigError, Flag, Loaded, Sources, load};
pub use render::{example, show};
pub use stores::{
    KafkaConfig, KeysStoreConfig, PostgresConfig, SaslMechanism, SecurityProtocol, StoreConfig, StoreUrl,
};

/// The whole configuration. The module `keys` says what each key means, and is compared with this in a test.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the table of keys documents each field, for operators too")]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub secret_file: Option<PathBuf>,
    pub store_url: String,
    pub migrate_on_start: bool,
    pub public_url: Option<String>,
    pub metrics_listen: MetricsListen,
    pub trusted_proxies: Vec<IpNet>,
    pub auth_store: StoreConfig,
    pub user_store: StoreConfig,
    pub chat_store: StoreConfig,
    pub notification_store: StoreConfig,
    pub keys_store: KeysStoreConfig,
    pub postgres: PostgresConfig,
    pub kafka: KafkaConfig,
    pub http: HttpConfig,
    pub live: LiveConfig,
    pub ledger: LedgerConfig,
    pub auth: AuthConfig,
    pub limits: RateSettings,
    pub mail: MailConfig,
    pub outbound: OutboundConfig,
    pub webhooks: WebhooksConfig,
    pub push: PushConfig,
    pub log: LogConfig,
    pub traces: TracesConfig,
}

/// Section `http`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct HttpConfig {
    pub max_body_bytes: usize,
    pub deadline_ms: u64,
    pub min_position_wait_ms: u64,
}

/// Section `live`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct LiveConfig {
    pub connections_per_user: usize,
    pub allowed_origins: Vec<String>,
}

/// Section `ledger`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct LedgerConfig {
    pub retention_hours: u32,
}

/// Section `auth`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct AuthConfig {
    pub verify_email: bool,
    pub session_days: u32,
    pub access_token_seconds: u32,
    pub signing_key_days: u32,
    pub password: parlor_auth::settings::PasswordSettings,
}

/// Section `mail`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct MailConfig {
    pub smtp_url: Option<String>,
    pub from: String,
}

/// Section `log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct LogConfig {
    pub level: String,
    pub format: LogFormat,
}

/// Section `traces`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct TracesConfig {
    pub endpoint: Option<String>,
    pub sample: f64,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Where metrics are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MetricsListen {
    /// On a listener of their own.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl TryFrom<String> for MetricsListen {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse()
            .map(Self::At)
            .map_err(|_| format!("{text:?} is neither an address with a port nor \"off\""))
    }
}

impl From<MetricsListen> for String {
    fn from(listen: MetricsListen) -> Self {
        match listen {
            MetricsListen::At(address) => address.to_string(),
            MetricsListen::Off => "off".to_owned(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data_dir: PathBuf::from("data"),
            secret_file: None,
            store_url: "sqlite:".to_owned(),
            migrate_on_start: true,
            public_url: None,
            metrics_listen: MetricsListen::At(SocketAddr::from(([127, 0, 0, 1], 9464))),
            trusted_proxies: Vec::new(),
            auth_store: StoreConfig::default(),
            user_store: StoreConfig::default(),
            chat_store: StoreConfig::default(),
            notification_store: StoreConfig::default(),
            keys_store: KeysStoreConfig::default(),
            postgres: PostgresConfig::default(),
            kafka: KafkaConfig::default(),
            http: HttpConfig::default(),
            live: LiveConfig::default(),
            ledger: LedgerConfig::default(),
            auth: AuthConfig::default(),
            limits: RateSettings::default(),
            mail: MailConfig::default(),
            outbound: OutboundConfig::default(),
            webhooks: WebhooksConfig::default(),
            push: PushConfig::default(),
            log: LogConfig::default(),
            traces: TracesConfig::default(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { max_body_bytes: 1024 * 1024, deadline_ms: 10_000, min_position_wait_ms: 2_000 }
    }
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self { connections_per_user: 20, allowed_origins: Vec::new() }
    }
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self { retention_hours: 48 }
    }
}

impl Default for AuthConfig {
    fn default() -> Self {
        let settings = AuthSettings::default();
        Self {
            verify_email: settings.verify_email,
            session_days: settings.session_days,
            access_token_seconds: settings.access_token_seconds,
            signing_key_days: settings.signing_key_days,
            password: settings.password,
        }
    }
}

impl Default for MailConfig {
    fn default() -> Self {
        Self { smtp_url: None, from: "Parlor <parlor@localhost>".to_owned() }
    }
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self { endpoint: None, sample: 1.0 }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// Secrets stay out of logs: a configuration is never shown by accident.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailConfig").field("from", &self.from).finish_non_exhaustive()
    }
}

/// What is wrong with a value that has the right type: its key, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue {
    /// The key.
    pub key: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl Config {
    /// The address under which people reach this instance, without a slash at the end.
    pub fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.listen),
        }
    }

    /// How long a command may take.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.http.deadline_ms)
    }

    /// How long answers are kept for repeats.
    pub fn ledger_retention(&self) -> Duration {
        Duration::from_secs(3600 * u64::from(self.ledger.retention_hours))
    }

    /// The auth service's settings.
    pub fn auth_settings(&self) -> AuthSettings {
        AuthSettings {
            verify_email: self.auth.verify_email,
            session_days: self.auth.session_days,
            access_token_seconds: self.auth.access_token_seconds,
            signing_key_days: self.auth.signing_key_days,
            password: self.auth.password.clone(),
            limits: self.limits.clone(),
        }
    }

    /// How the edge works.
    pub fn http_options(&self) -> HttpOptions {
        HttpOptions {
            max_body: self.http.max_body_bytes,
            deadline: self.deadline(),
            view_wait: Duration::from_millis(self.http.min_position_wait_ms),
            trusted_proxies: self.trusted_proxies.clone(),
            ..HttpOptions::default()
        }
    }

    /// The origins from whose pages a browser may open a WebSocket: those configured, and this instance's own.
    pub fn allowed_origins(&self) -> Vec<String> {
        let own = self.public_url.as_deref().and_then(origin);
        self.live.allowed_origins.iter().filter_map(|url| origin(url)).chain(own).collect()
    }

    /// The mail server, if one is set.
    pub fn smtp(&self) -> Result<Option<SmtpSettings>, BadValue> {
        let Some(url) = &self.mail.smtp_url else { return Ok(None) };
        smtp::settings(url, &self.mail.from)
            .map(Some)
            .map_err(|problem| BadValue { key: "mail.smtp_url", problem })
    }

    /// Checks what types alone don't say.
    pub fn check(&self) -> Result<(), BadValue> {
        let bad = |key, problem: &str| Err(BadValue { key, problem: problem.to_owned() });
        self.check_stores()?;
        if let Some(url) = &self.public_url
            && !url::Url::parse(url)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        {
            return bad("public_url", "must be a URL such as `https://chat.example.org`");
        }
        if !(1..=300).contains(&self.auth.access_token_seconds) {
            return bad(
                "auth.access_token_seconds",
                "must be between 1 and 300: a token can't be taken back earlier",
            );
        }
        if self.auth.session_days == 0 {
            return bad("auth.session_days", "must be at least 1");
        }
        if self.auth.signing_key_days == 0 {
            return bad("auth.signing_key_days", "must be at least 1");
        }
        if self.live.connections_per_user == 0 {
            return bad("live.connections_per_user", "must be at least 1");
        }
        if self.live.allowed_origins.iter().any(|url| origin(url).is_none()) {
            return bad(
                "live.allowed_origins",
                "must be a list of origins such as `https://app.example.org`",
            );
        }
        if self.ledger.retention_hours < 24 {
            return bad("ledger.retention_hours", "must be at least 24, as clients are promised");
        }
        if self.http.deadline_ms == 0 {
            return bad("http.deadline_ms", "must be at least 1");
        }
        if self.log.level.parse::<tracing_subscriber::filter::EnvFilter>().is_err() {
            return bad(
                "log.level",
                "must be a level (`error`, `warn`, `info`, `debug`, `trace`) or a list like `info,cqrs_sql=debug`",
            );
        }
        if let Some(url) = &self.traces.endpoint
            && !url::Url::parse(url)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        {
            return bad("traces.endpoint", "must be a URL such as `http://localhost:4318`");
        }
        if !(0.0..=1.0).contains(&self.traces.sample) {
            return bad("traces.sample", "must be between 0 and 1");
        }
        self.check_leaving()?;
        self.smtp().map(drop)
    }
}

/// The origin of a page with this address, as browsers write it.
fn origin(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    Some(url.origin().ascii_serialization())
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.problem)
    }
}
