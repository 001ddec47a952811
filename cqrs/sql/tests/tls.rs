//! Encrypted connections to PostgreSQL: to a server that shows a certificate for its name, or not at all.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use std::path::{Path, PathBuf};

use common::postgres;
use cqrs_core::{Clock as _, StoreError, SystemClock};
use cqrs_sql::testing::{PGBOUNCER_URL, POSTGRES_URL, TestSchema};
use cqrs_sql::{Location, Pool, PoolOptions, SqlKeyStore};

/// Names the authority that vouches for the tests' server under the name `localhost`.
const CA: &str = "PARLOR_TEST_POSTGRES_CA";

/// An authority that vouches for nobody.
const OTHER_CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded/other-authority.pem");

struct Server {
    schema: TestSchema,
    url: String,
    authority: PathBuf,
}

impl Server {
    fn find() -> Option<Self> {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(authority) = set(CA) else {
            eprintln!("skipped: {CA} names no authority that vouches for the tests' server");
            return None;
        };
        let schema = TestSchema::new(2).unwrap()?;
        Some(Self { schema, url: set(POSTGRES_URL)?, authority: authority.into() })
    }

    /// Opens a store on the server, under this name and with these parameters, trusting this authority.
    async fn open(&self, host: &str, parameters: &str, authority: Option<&Path>) -> Result<(), StoreError> {
        let url = format!("{}?{parameters}", self.url.replace("@127.0.0.1:", &format!("@{host}:")));
        let options = PoolOptions { ca_file: authority.map(Path::to_owned), ..PoolOptions::of(2) };
        let Location::Postgres { schema, .. } = &self.schema.location else { panic!("it is on PostgreSQL") };
        let location =
            Location::Postgres { pool: Pool::with_options(&url, options)?, schema: schema.clone() };
        let store = SqlKeyStore::open(&location).await?;
        cqrs_core::KeyStore::find(&store, &[]).await.map(drop)
    }

    async fn refused(&self, host: &str, parameters: &str, authority: Option<&Path>, words: &str) {
        let error = self.open(host, parameters, authority).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// Whether the server sees the connections of this name as encrypted.
async fn encrypted(name: &str) -> bool {
    let sql = "SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
        WHERE a.application_name = $1";
    postgres().await.query_one(sql, &[&name]).await.unwrap().get::<_, Option<bool>>(0).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn security_34_a_connection_to_postgresql_is_encrypted_and_its_server_verified() {
    let Some(server) = Server::find() else { return };
    for mode in ["require", "verify-ca", "verify-full"] {
        let name = format!("tls-{}", SystemClock.fresh_id().simple());
        let parameters = format!("sslmode={mode}&application_name={name}");
        let url = format!("{}?{parameters}", server.url.replace("@127.0.0.1:", "@localhost:"));
        let options = PoolOptions { ca_file: Some(server.authority.clone()), ..PoolOptions::of(2) };
        let Location::Postgres { schema, .. } = &server.schema.location else { panic!("on PostgreSQL") };
        let pool = Pool::with_options(&url, options).unwrap();
        let location = Location::Postgres { pool, schema: schema.clone() };
        let _open = SqlKeyStore::open(&location).await.unwrap();
        assert!(encrypted(&name).await, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_34_a_certificate_for_another_name_is_refused() {
    let Some(server) = Server::find() else { return };
    for mode in ["require", "verify-ca", "verify-full"] {
        let parameters = format!("sslmode={mode}");
        server.refused("127.0.0.1", &parameters, Some(&server.authority), "not valid for name").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_34_an_authority_that_is_not_trusted_is_refused() {
    let Some(server) = Server::find() else { return };
    let other = Path::new(OTHER_CA);
    for authority in [None, Some(other)] {
        server.refused("localhost", "sslmode=require", authority, "UnknownIssuer").await;
    }
    // It is the certificate that is refused, not the server.
    server.open("localhost", "sslmode=require", Some(&server.authority)).await.unwrap();
    server.open("localhost", "sslmode=disable", None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn security_34_a_server_without_tls_is_not_spoken_to_in_plain_text() {
    let Ok(url) = std::env::var(PGBOUNCER_URL) else {
        eprintln!("skipped: {PGBOUNCER_URL} names no server without TLS");
        return;
    };
    let pool = Pool::new(&format!("{url}?sslmode=require"), 1).unwrap();
    let location = Location::Postgres { pool, schema: "never".to_owned() };
    let error = SqlKeyStore::open(&location).await.err().unwrap().to_string();
    assert!(error.contains("does not support TLS"), "{error}");
}

#[test]
fn a_file_without_certificates_is_refused_by_name() {
    for bad in [concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "/nowhere/ca.pem"] {
        let options = PoolOptions { ca_file: Some(bad.into()), ..PoolOptions::of(1) };
        let error = Pool::with_options("postgres://localhost/x", options).unwrap_err().to_string();
        assert!(error.contains("postgres.ca_file") && error.contains(bad), "{error}");
    }
}
