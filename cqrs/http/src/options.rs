//! How the edge works.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cqrs_core::{Clock, SystemClock};
use ipnet::IpNet;

/// How the edge works; the same for all services of a process.
#[derive(Clone)]
pub struct HttpOptions {
    /// The largest body taken, in bytes. 1 MiB unless set.
    pub max_body: usize,
    /// How long a command or query may take in all. 10 s unless set.
    pub deadline: Duration,
    /// How long to wait for a view to come to `Parlor-Min-Position`. 2 s unless set.
    pub view_wait: Duration,
    /// The proxies whose `X-Forwarded-For` is believed. None unless set.
    pub trusted_proxies: Vec<IpNet>,
    /// What a problem's `type` URI starts with, before `#` and its code. `/docs/problems` unless set.
    pub problems: Arc<str>,
    /// Where time and ids come from.
    pub clock: Arc<dyn Clock>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            max_body: 1024 * 1024,
            deadline: Duration::from_secs(10),
            view_wait: Duration::from_secs(2),
            trusted_proxies: Vec::new(),
            problems: Arc::from("/docs/problems"),
            clock: Arc::new(SystemClock),
        }
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("max_body", &self.max_body)
            .field("deadline", &self.deadline)
            .field("view_wait", &self.view_wait)
            .field("trusted_proxies", &self.trusted_proxies)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}
