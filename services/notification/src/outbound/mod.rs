//! Requests that Parlor sends to addresses that others name: webhooks' receivers and browsers' push services.
//!
//! Whoever names an address must not reach through Parlor what they can't reach themselves: its own machine, its private
//! network, a cloud's metadata. So every address is looked at when it is connected to, and not the name before; redirects
//! aren't followed, no proxy is asked, and of what comes back nothing is shown but the status.

mod client;
mod networks;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use client::{Answered, Outbound, OutboundError, Post, Unsent};
pub use networks::Networks;
pub use target::{BadTarget, MAX_URL, Target};

/// How requests leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundSettings {
    /// Whether any leave by themselves: webhooks' messages and pushed notifications. An instance that is a copy of another
    /// one is tried out without.
    pub enabled: bool,
    /// Networks that may be reached though they are private, and without TLS.
    pub allow_networks: Vec<IpNet>,
    /// The authorities (PEM) that receivers' certificates must be signed by; unless set, those that Mozilla trusts.
    pub ca_file: Option<PathBuf>,
    /// How long a request may take, its answer included.
    pub timeout: Duration,
}

impl Default for OutboundSettings {
    fn default() -> Self {
        Self { enabled: true, allow_networks: Vec::new(), ca_file: None, timeout: Duration::from_secs(15) }
    }
}
