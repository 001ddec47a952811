//! An address to send to, parsed on arrival.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use super::Networks;

/// The most characters of an address.
pub const MAX_URL: usize = 2_048;

/// Why something can't be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// Too many characters.
    #[error("has at most {MAX_URL} characters")]
    TooLong,
    /// No URL, or one of another scheme.
    #[error("must be an https address, such as https://hooks.example.org/parlor")]
    NotWeb,
    /// It names a user or a password, which would be shown to whoever sees the address.
    #[error("must not name a user or password; put a secret into the path, or verify the signature")]
    Credentials,
    /// It has a fragment, which is never sent.
    #[error("must not have a fragment (#…), which isn't sent")]
    Fragment,
    /// Plain http, where no network is allowed for it.
    #[error("must begin with https://: plain http is for networks in outbound.allow_networks only")]
    Plain,
    /// An address that may not be reached.
    #[error("{0} is not a public address; an operator can allow its network (outbound.allow_networks)")]
    Private(IpAddr),
}

/// An http or https address of at most [`MAX_URL`] characters, as browsers understand it: `https://2130706433/` is
/// `https://127.0.0.1/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target(Url);

impl Target {
    /// Takes an address.
    pub fn parse(text: &str) -> Result<Self, BadTarget> {
        let text = text.trim();
        if text.chars().nth(MAX_URL).is_some() {
            return Err(BadTarget::TooLong);
        }
        let url = Url::parse(text).map_err(|_| BadTarget::NotWeb)?;
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            return Err(BadTarget::NotWeb);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadTarget::Credentials);
        }
        if url.fragment().is_some() {
            return Err(BadTarget::Fragment);
        }
        // Percent-encoding makes it longer.
        if url.as_str().len() > 4 * MAX_URL {
            return Err(BadTarget::TooLong);
        }
        Ok(Self(url))
    }

    /// What can be told before it is connected to: whether it needs a network that isn't allowed.
    pub fn check(&self, networks: &Networks) -> Result<(), BadTarget> {
        let literal = match self.0.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => None,
        };
        match literal {
            Some(address) if !networks.permit(address) => Err(BadTarget::Private(address)),
            Some(address) if self.is_plain() && !networks.allow(address) => Err(BadTarget::Plain),
            None if self.is_plain() && !networks.allow_any() => Err(BadTarget::Plain),
            _ => Ok(()),
        }
    }

    /// Whether it is spoken to without TLS.
    pub fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// The address.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Scheme, host and port (RFC 6454).
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl TryFrom<String> for Target {
    type Error = BadTarget;
    fn try_from(text: String) -> Result<Self, BadTarget> {
        Self::parse(&text)
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        target.0.into()
    }
}

impl PartialSchema for Target {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::Custom("uri".to_owned())))
            .max_length(Some(MAX_URL))
            .into()
    }
}

impl ToSchema for Target {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, networks: &Networks) -> Result<(), BadTarget> {
        Target::parse(text)?.check(networks)
    }

    /// Part of PROOF.md 19: what Parlor is made to ask for.
    #[test]
    fn an_address_is_what_it_means_and_not_how_it_is_written() {
        let public = Networks::default();
        assert_eq!(check("https://hooks.example.org:8443/parlor?x=y", &public), Ok(()));
        for disguised in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://１２７.0.0.1/",
        ] {
            assert!(matches!(check(disguised, &public), Err(BadTarget::Private(_))), "{disguised}");
        }
        for (bad, why) in [
            ("http://hooks.example.org/", BadTarget::Plain),
            ("http://1.1.1.1/", BadTarget::Plain),
            ("ftp://hooks.example.org/", BadTarget::NotWeb),
            ("file:///etc/passwd", BadTarget::NotWeb),
            ("//hooks.example.org/", BadTarget::NotWeb),
            ("", BadTarget::NotWeb),
            ("https://me:secret@hooks.example.org/", BadTarget::Credentials),
            ("https://hooks.example.org/#x", BadTarget::Fragment),
        ] {
            assert_eq!(check(bad, &public), Err(why), "{bad}");
        }
        let long = format!("https://hooks.example.org/{}", "x".repeat(MAX_URL));
        assert_eq!(check(&long, &public), Err(BadTarget::TooLong));
    }

    #[test]
    fn plain_http_is_for_allowed_networks_only() {
        let inside = Networks::and(vec!["10.0.0.0/8".parse().expect("a network")]);
        assert_eq!(check("http://10.1.2.3/", &inside), Ok(()));
        assert_eq!(check("http://1.1.1.1/", &inside), Err(BadTarget::Plain));
        // Where a name leads is seen when it is connected to.
        assert_eq!(check("http://receiver.internal/", &inside), Ok(()));
    }
}
