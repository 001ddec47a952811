//! Whose address a request has.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;

use crate::bank::{Bank, bank_with, options};
use crate::client::ask;

async fn client(bank: &Bank, peer: &str, forwarded: &[&str]) -> String {
    let peer: SocketAddr = peer.parse().unwrap();
    let request = ask("GET", "/v1/whoami").extension(ConnectInfo(peer));
    let request = forwarded.iter().fold(request, |request, line| request.header("x-forwarded-for", line));
    request.of(bank).await.json()["client"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn security_31_forwarded_addresses_are_believed_only_from_configured_proxies() {
    let trusting = bank_with(&cqrs_http::HttpOptions {
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        ..options()
    });
    for (peer, forwarded, expected) in [
        ("203.0.113.9:1", &["198.51.100.1"][..], "203.0.113.9"),
        ("10.0.0.1:1", &[], "10.0.0.1"),
        ("10.0.0.1:1", &["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1:1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1:1", &["1.1.1.1", "198.51.100.1, 10.2.2.2"], "198.51.100.1"),
        ("10.0.0.1:1", &["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1:1", &["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1:1", &["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1:1", &["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1:1", &["198.51.100.1, nonsense, 10.2.2.2"], "10.2.2.2"),
        ("[fd00::1]:1", &["198.51.100.1"], "198.51.100.1"),
        ("[::ffff:10.0.0.1]:1", &["198.51.100.1"], "198.51.100.1"),
    ] {
        assert_eq!(client(&trusting, peer, forwarded).await, expected, "{peer} {forwarded:?}");
    }
    let trusting_nobody = bank_with(&options());
    assert_eq!(client(&trusting_nobody, "10.0.0.1:1", &["198.51.100.1"]).await, "10.0.0.1");
}

#[tokio::test]
async fn without_a_connection_there_is_no_address() {
    let reply =
        ask("GET", "/v1/whoami").header("x-forwarded-for", "198.51.100.1").of(&bank_with(&options())).await;
    assert!(reply.json()["client"].is_null());
}
