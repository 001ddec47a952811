//! What leaves for addresses that others name: webhooks and Web Push.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use parlor_notification::LeavingSettings;
use parlor_notification::outbound::OutboundSettings;
use parlor_notification::webhooks::deliver::Pace;
use serde::{Deserialize, Serialize};

use super::{BadValue, Config};

/// Section `outbound`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct OutboundConfig {
    pub enabled: bool,
    pub allow_networks: Vec<IpNet>,
    pub ca_file: Option<PathBuf>,
    pub timeout_ms: u64,
}

/// Section `webhooks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct WebhooksConfig {
    pub first_retry_ms: u64,
    pub longest_retry_seconds: u64,
    pub park_after_tries: u32,
    pub park_after_hours: u32,
}

/// Section `push`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in the table of keys")]
pub struct PushConfig {
    pub contact: Option<String>,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        let OutboundSettings { enabled, allow_networks, ca_file, timeout } = OutboundSettings::default();
        Self { enabled, allow_networks, ca_file, timeout_ms: timeout.as_millis() as u64 }
    }
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        let Pace { first, longest, tries, patience } = Pace::default();
        Self {
            first_retry_ms: first.as_millis() as u64,
            longest_retry_seconds: longest.as_secs(),
            park_after_tries: tries,
            park_after_hours: (patience.as_secs() / 3600) as u32,
        }
    }
}

impl Config {
    /// What leaves, and how.
    pub fn leaving(&self) -> LeavingSettings {
        LeavingSettings {
            outbound: OutboundSettings {
                enabled: self.outbound.enabled,
                allow_networks: self.outbound.allow_networks.clone(),
                ca_file: self.outbound.ca_file.clone(),
                timeout: Duration::from_millis(self.outbound.timeout_ms),
            },
            pace: Pace {
                first: Duration::from_millis(self.webhooks.first_retry_ms),
                longest: Duration::from_secs(self.webhooks.longest_retry_seconds),
                tries: self.webhooks.park_after_tries,
                patience: Duration::from_hours(self.webhooks.park_after_hours.into()),
            },
            contact: self.push.contact.clone().unwrap_or_else(|| self.public_url()),
        }
    }

    pub(super) fn check_leaving(&self) -> Result<(), BadValue> {
        let bad = |key, problem: &str| Err(BadValue { key, problem: problem.to_owned() });
        let positive = [
            ("outbound.timeout_ms", self.outbound.timeout_ms),
            ("webhooks.first_retry_ms", self.webhooks.first_retry_ms),
            ("webhooks.longest_retry_seconds", self.webhooks.longest_retry_seconds),
            ("webhooks.park_after_tries", self.webhooks.park_after_tries.into()),
            ("webhooks.park_after_hours", self.webhooks.park_after_hours.into()),
        ];
        if let Some((key, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return bad(key, "must be at least 1");
        }
        if let Some(contact) = &self.push.contact
            && !["mailto:", "https:"].iter().any(|scheme| contact.starts_with(scheme))
        {
            return bad("push.contact", "must be a mailto: or https: address, as `mailto:admin@example.org`");
        }
        Ok(())
    }
}
