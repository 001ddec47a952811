//! Sends a request, to addresses that may be reached and to no others.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::{BadTarget, Networks, OutboundSettings, Target};

/// How much of an answer is read, for the connection to be used again; of a longer one the connection is closed.
const READ_AT_MOST: usize = 16 * 1024;
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Why nothing can be sent at all.
#[derive(Debug, thiserror::Error)]
#[error("outbound.{key}: {problem}")]
pub struct OutboundError {
    key: &'static str,
    problem: String,
}

/// Sends requests out. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    networks: Arc<Networks>,
    /// With TLS, to whatever is permitted.
    secure: Client,
    /// Without, to what an operator allowed.
    plain: Client,
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Post {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// How long the receiver asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// Why nothing came back. The texts name nothing that the network answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// It may not be reached.
    #[error("{0}")]
    Refused(BadTarget),
    /// Its name leads to no address that may be reached.
    #[error(
        "the name leads to no public address; an operator can allow its network (outbound.allow_networks)"
    )]
    NoPermittedAddress,
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// It couldn't be connected to: no such name, nobody there, no trusted certificate.
    #[error("can't be connected to")]
    NoConnection,
    /// The connection broke.
    #[error("the connection broke off")]
    Broken,
}

impl Outbound {
    /// By these settings.
    pub fn new(settings: &OutboundSettings) -> Result<Self, OutboundError> {
        let networks = Arc::new(Networks::and(settings.allow_networks.clone()));
        let tls = tls(settings.ca_file.as_deref())?;
        let client = |only_allowed| {
            let resolver = Checked { networks: networks.clone(), only_allowed };
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(Policy::none())
                .no_proxy()
                .referer(false)
                .timeout(settings.timeout)
                .connect_timeout(settings.timeout)
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(4)
                .user_agent(concat!("Parlor/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Arc::new(resolver))
                .https_only(!only_allowed)
                .build()
                .map_err(|error| OutboundError { key: "ca_file", problem: error.to_string() })
        };
        let (secure, plain) = (client(false)?, client(true)?);
        Ok(Self { networks, secure, plain })
    }

    /// What may be reached.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// Sends a POST request and waits for the answer, of which only the status is kept. `now` is what a date in
    /// `Retry-After` is compared with.
    pub async fn post(&self, target: &Target, post: Post, now: Timestamp) -> Result<Answered, Unsent> {
        target.check(&self.networks).map_err(Unsent::Refused)?;
        let client = if target.is_plain() { &self.plain } else { &self.secure };
        let request = client.post(target.url().clone()).headers(post.headers).body(post.body);
        let mut response = request.send().await.map_err(|error| unsent(&error))?;
        let answered = Answered {
            status: response.status().as_u16(),
            retry_after: retry_after(response.headers(), now),
        };
        let mut read = 0;
        // A body that breaks off changes nothing about the status.
        while let Ok(Some(part)) = response.chunk().await {
            read += part.len();
            if read > READ_AT_MOST {
                break;
            }
        }
        Ok(answered)
    }
}

/// What an error of the client's is to people.
fn unsent(error: &reqwest::Error) -> Unsent {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(inner) = cause {
        if inner.is::<NoPermittedAddress>() {
            return Unsent::NoPermittedAddress;
        }
        cause = inner.source();
    }
    if error.is_timeout() {
        Unsent::TimedOut
    } else if error.is_connect() {
        Unsent::NoConnection
    } else {
        Unsent::Broken
    }
}

/// `Retry-After`, in seconds or as a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    at.duration_since(now).try_into().ok()
}

/// Looks names up, and gives only those of their addresses that may be reached: they are what is connected to.
struct Checked {
    networks: Arc<Networks>,
    /// Only those that an operator allowed.
    only_allowed: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("the name leads to no address that may be reached")]
struct NoPermittedAddress;

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (networks, only_allowed) = (self.networks.clone(), self.only_allowed);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let may = |address: &SocketAddr| {
                if only_allowed { networks.allow(address.ip()) } else { networks.permit(address.ip()) }
            };
            let permitted: Vec<SocketAddr> = found.filter(may).collect();
            if permitted.is_empty() {
                return Err(NoPermittedAddress.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, OutboundError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let bad = |problem: &dyn std::fmt::Display| OutboundError {
                key: "ca_file",
                problem: format!("{}: {problem}", path.display()),
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(&error))? {
                let certificate = certificate.map_err(|error| bad(&error))?;
                roots.add(certificate).map_err(|error| bad(&error))?;
            }
            if roots.is_empty() {
                return Err(bad(&"holds no certificate"));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OutboundError { key: "ca_file", problem: error.to_string() })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post() -> Post {
        Post { headers: HeaderMap::new(), body: Bytes::from_static(b"{}") }
    }

    fn outbound(allowed: &[&str]) -> Outbound {
        let allow_networks = allowed.iter().map(|network| network.parse().expect("a network")).collect();
        Outbound::new(&OutboundSettings { allow_networks, ..OutboundSettings::default() }).expect("sound")
    }

    #[test]
    fn a_date_or_seconds_say_when_to_come_back() {
        let now = "2026-01-01T12:00:00Z".parse().expect("a time");
        let after = |text: &str| {
            let headers = [(RETRY_AFTER, text.parse().expect("a value"))].into_iter().collect();
            retry_after(&headers, now)
        };
        assert_eq!(after("120"), Some(Duration::from_mins(2)));
        assert_eq!(after("Thu, 01 Jan 2026 12:01:00 GMT"), Some(Duration::from_mins(1)));
        assert_eq!(after("Thu, 01 Jan 2026 11:00:00 GMT"), None);
        assert_eq!(after("soon"), None);
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
        let (public, inside) = (outbound(&[]), outbound(&["10.0.0.0/8"]));
        let now = Timestamp::UNIX_EPOCH;
        let at = |url: &str| Target::parse(url).expect("an address");
        let refused = Err(Unsent::NoPermittedAddress);
        assert_eq!(public.post(&at("https://localhost:1/"), post(), now).await, refused);
        assert_eq!(inside.post(&at("https://localhost:1/"), post(), now).await, refused);
        assert_eq!(inside.post(&at("http://localhost:1/"), post(), now).await, refused);
        let allowed = outbound(&["127.0.0.0/8"]);
        assert_eq!(allowed.post(&at("http://localhost:1/"), post(), now).await, Err(Unsent::NoConnection));
    }
}
