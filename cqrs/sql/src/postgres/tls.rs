//! What a URL says of encryption, and the certificates that are trusted.
//!
//! Either a connection is encrypted and the server has shown a certificate for its name, or it is plain because the URL
//! says so. There is nothing between: what libpq calls `allow` and `prefer` would fall back to plain text whenever somebody
//! in the way wants it.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use cqrs_core::StoreError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A URL as the driver takes it: the driver knows fewer modes than libpq, and means less by them.
pub(super) fn parse(url: &str) -> Result<Config, StoreError> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (modes, others): (Vec<&str>, Vec<&str>) =
        query.split('&').filter(|part| !part.is_empty()).partition(|part| part.starts_with("sslmode="));
    if others.iter().any(|part| part.starts_with("sslrootcert=")) {
        return Err(refused("has sslrootcert; name the certificates in postgres.ca_file instead"));
    }
    let separator = if others.is_empty() { "" } else { "?" };
    let plain = format!("{base}{separator}{}", others.join("&"));
    // The driver's message says what is wrong with a URL without repeating it; there may be a password in it.
    let mut config: Config = plain.parse().map_err(|error: tokio_postgres::Error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        refused(&format!("can't be read: {error}{cause}"))
    })?;
    let mode = match modes.last().and_then(|mode| mode.split_once('=')).map(|(_, mode)| mode) {
        None if stays_on_this_machine(&config) => SslMode::Disable,
        None | Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
        Some("disable") => SslMode::Disable,
        Some(mode @ ("allow" | "prefer")) => {
            return Err(refused(&format!(
                "has sslmode={mode}, which would fall back to an unencrypted connection; say verify-full, or disable \
                 where the network is trusted"
            )));
        }
        Some(mode) => {
            return Err(refused(&format!("has sslmode={mode}; known are verify-full, require and disable")));
        }
    };
    config.ssl_mode(mode);
    Ok(config)
}

fn refused(problem: &str) -> StoreError {
    StoreError::Other(format!("the PostgreSQL URL {problem}"))
}

/// Whether nothing that is sent leaves the machine: Unix sockets and the loopback.
fn stays_on_this_machine(config: &Config) -> bool {
    let by_name = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        Host::Unix(_) => true,
    });
    // Where there are addresses, they are what is connected to.
    match config.get_hostaddrs() {
        [] => by_name,
        addresses => addresses.iter().all(IpAddr::is_loopback),
    }
}

/// What makes encrypted connections: trusting the authorities in `ca_file` (PEM) alone, or else those that Mozilla's
/// programme lists. The certificate's name is checked always.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let bad = |problem: &dyn std::fmt::Display| {
                StoreError::Other(format!("postgres.ca_file: {}: {problem}", path.display()))
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(&error))? {
                let certificate = certificate.map_err(|error| bad(&error))?;
                roots.add(certificate).map_err(|error| bad(&error))?;
            }
            if roots.is_empty() {
                return Err(bad(&"no certificate in it (PEM)"));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Other(format!("TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        parse(url).expect("a good URL").get_ssl_mode()
    }

    #[test]
    fn security_34_whatever_leaves_the_machine_is_encrypted_unless_the_url_says_otherwise() {
        assert_eq!(mode("postgres://me@db.example.org/parlor"), SslMode::Require);
        assert_eq!(mode("postgres://me@db.example.org/parlor?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://me@localhost/parlor"), SslMode::Disable);
        assert_eq!(mode("postgres://me@[::1]:5433/parlor"), SslMode::Disable);
        assert_eq!(mode("postgres://me@%2Frun%2Fpostgresql/parlor"), SslMode::Disable);
        assert_eq!(mode("postgres://me@localhost,db.example.org/parlor"), SslMode::Require);
        assert_eq!(mode("postgres://me@localhost/parlor?hostaddr=192.0.2.1"), SslMode::Require);
        for strict in ["require", "verify-ca", "verify-full"] {
            assert_eq!(mode(&format!("postgres://me@localhost/parlor?sslmode={strict}")), SslMode::Require);
        }
    }

    #[test]
    fn security_34_a_mode_that_falls_back_is_refused() {
        for bad in ["allow", "prefer", "Disable", ""] {
            let refused = parse(&format!("postgres://me:secret@db.example.org/parlor?sslmode={bad}"));
            let told = refused.expect_err("it would fall back, or nobody knows it").to_string();
            assert!(told.contains(&format!("sslmode={bad}")) && !told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn other_parameters_reach_the_driver() {
        let config =
            parse("postgres://db.example.org/?connect_timeout=7&sslmode=disable&user=me").expect("good");
        assert_eq!(config.get_user(), Some("me"));
        assert_eq!(config.get_connect_timeout(), Some(&std::time::Duration::from_secs(7)));
        assert!(parse("postgres://db.example.org/?sslrootcert=x").is_err());
    }
}
