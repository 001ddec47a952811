//! Every row of the HTTP contract: status, headers and shapes, and that each operation of `/openapi.json` was asked.

mod auth;
mod chat;
mod conventions;
mod live;
mod notification;
mod operations;
mod user;

use parlor_tests::{Api, Reply, Server, User};
use serde_json::{Value, json};

/// A time as RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`.
#[track_caller]
fn assert_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{text}");
}

/// The members of an object, sorted.
fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> = value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"))
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

/// What every command answers with.
#[track_caller]
fn assert_command(reply: &Reply) {
    reply.position();
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply:?}");
    assert_eq!(reply.body.is_empty(), reply.status == 204, "{reply:?}");
    assert!(reply.header("x-request-id").is_some(), "{reply:?}");
}

/// What every query answers with.
#[track_caller]
fn assert_query(reply: &Reply) {
    assert_command(reply);
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

/// An application's key, made by the operator.
async fn service_key(server: &Server) -> String {
    let printed = server.run_ok(&["service-key", "create", "application"]).await;
    printed.split_whitespace().max_by_key(|word| word.len()).expect("a key is printed").to_owned()
}

/// Somebody whom the operator made an administrator.
async fn administrator(server: &Server) -> User {
    let mut admin = User::sign_up(server.api(), "Administrator").await;
    server.run_ok(&["user", "promote", &admin.email]).await;
    admin.sign_in().await;
    admin
}

/// That every operation whose path begins so was asked at least once.
async fn assert_all_asked(api: &Api, prefixes: &[&str]) {
    let description = api.get("/openapi.json").expect(200).await.json();
    let asked = api.asked();
    let mut operations = 0;
    let mut missing = Vec::new();
    for (path, item) in description["paths"].as_object().expect("paths") {
        if !prefixes.iter().any(|prefix| path.starts_with(prefix)) {
            continue;
        }
        for method in item.as_object().expect("operations").keys().map(|method| method.to_uppercase()) {
            operations += 1;
            if !asked.iter().any(|(with, at)| *with == method && matches(path, at)) {
                missing.push(format!("{method} {path}"));
            }
        }
    }
    assert!(operations > 0, "the description has nothing at {prefixes:?}");
    assert_eq!(missing, Vec::<String>::new(), "never asked");
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let same = |(expected, found): (&&str, &&str)| expected == found || expected.starts_with('{');
    template.len() == path.len() && template.iter().zip(&path).all(same)
}

/// An id that nobody has.
const NOBODY: &str = "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000";

fn no_body() -> Value {
    json!({})
}
