//! What an operator can set.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::limits::RateSettings;
use crate::password::HasherSettings;

/// The auth service's part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// Whether an address must be shown to be one's own before the first sign-in. Needs mail.
    pub verify_email: bool,
    /// Days after which a session ends, however often it was refreshed.
    pub session_days: u32,
    /// Seconds that an access token lives, at most 300.
    pub access_token_seconds: u32,
    /// Days after which a new signing key takes over.
    pub signing_key_days: u32,
    /// What hashing a password costs.
    pub password: PasswordSettings,
    /// How often somebody may try.
    pub limits: RateSettings,
}

/// What hashing a password costs. Defaults are the least that is allowed; raising them rehashes each password when its
/// owner signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordSettings {
    /// KiB of memory.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Hashes computed at once; as many as there are cores if not set.
    pub at_once: Option<std::num::NonZeroUsize>,
    /// Requests that may wait for their turn.
    pub waiting: usize,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            verify_email: false,
            session_days: 30,
            access_token_seconds: 300,
            signing_key_days: 90,
            password: PasswordSettings::default(),
            limits: RateSettings::default(),
        }
    }
}

impl Default for PasswordSettings {
    fn default() -> Self {
        let settings = HasherSettings::default();
        Self {
            memory_kib: settings.memory_kib,
            passes: settings.passes,
            at_once: None,
            waiting: settings.waiting,
        }
    }
}

impl PasswordSettings {
    /// As the hasher takes them.
    pub fn hasher(&self) -> HasherSettings {
        let defaults = HasherSettings::default();
        HasherSettings {
            memory_kib: self.memory_kib,
            passes: self.passes,
            at_once: self.at_once.unwrap_or(defaults.at_once),
            waiting: self.waiting,
            ..defaults
        }
    }
}

impl AuthSettings {
    /// How long a session lasts.
    pub fn session_lifetime(&self) -> SignedDuration {
        SignedDuration::from_hours(24 * i64::from(self.session_days.max(1)))
    }
}
