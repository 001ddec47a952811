//! What the dashboard shows and the alerts watch is what a running server tells.

use std::collections::BTreeSet;
use std::process::Command;

use parlor_tests::{Api, Server, Store, User, eventually};
use serde_json::Value;

use crate::{shipped, text_of};

/// Metrics that tell of trouble, which a server that is well doesn't have.
const IN_TROUBLE: [&str; 3] =
    ["cqrs_handler_errors_total", "cqrs_kafka_foreign_records_total", "cqrs_parked_events_total"];
/// Metrics of several processes, which one alone doesn't have.
const OF_SEVERAL: [&str; 2] = ["cqrs_lease_", "cqrs_kafka_"];
/// Prometheus's own.
const OF_PROMETHEUS: [&str; 1] = ["up"];

/// The names of metrics in `PromQL`: words that are no function, keyword or label.
fn names(expression: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = String::new();
    // Selectors, `by (…)` lists and durations hold labels and values.
    let mut depth = 0;
    for c in expression.chars() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ if depth == 0 => rest.push(c),
            _ => {}
        }
    }
    for keyword in ["by", "without"] {
        while let Some(at) = rest.find(&format!(" {keyword} (")) {
            let end = rest[at..].find(')').map_or(rest.len(), |end| at + end + 1);
            rest.replace_range(at..end, " ");
        }
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let bytes: Vec<char> = rest.chars().collect();
    let mut word = String::new();
    for (at, c) in bytes.iter().copied().chain([' ']).enumerate() {
        if is_name(c) {
            word.push(c);
            continue;
        }
        let called = bytes[at.min(bytes.len())..].iter().find(|c| !c.is_whitespace()) == Some(&'(');
        if word.starts_with(|c: char| c.is_ascii_alphabetic()) && !called {
            names.insert(std::mem::take(&mut word));
        }
        word.clear();
    }
    names
}

#[test]
fn names_are_found_among_functions_labels_and_numbers() {
    let found = names("topk(10, sum by (le, route) (rate(a_total{x=~\"up|b\"}[5m])) / count(c)) > 0.5");
    assert_eq!(found, BTreeSet::from(["a_total".to_owned(), "c".to_owned()]));
}

fn of_dashboard() -> BTreeSet<String> {
    let dashboard: Value = serde_json::from_str(&text_of("grafana/parlor.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.flat_map(|target| names(target["expr"].as_str().unwrap())).collect()
}

fn of_alerts() -> BTreeSet<String> {
    let rules = text_of("prometheus/parlor.rules.yml");
    let mut found = BTreeSet::new();
    for rule in rules.split("      - alert: ").skip(1) {
        let expression = rule.split("        expr:").nth(1).expect("an alert has an expression");
        // Up to the next key of the rule.
        let key = |line: &&str| line.starts_with("        ") && !line.starts_with("         ");
        let expression: String = expression
            .lines()
            .enumerate()
            .take_while(|(at, line)| *at == 0 || !key(line))
            .map(|(_, line)| line)
            .collect();
        let expression = expression.trim().trim_start_matches('|');
        found.extend(names(expression));
    }
    found
}

#[tokio::test]
async fn every_metric_of_the_dashboard_and_the_alerts_is_told_by_a_running_server_on_sqlite() {
    every_metric_is_told(Store::Sqlite).await;
}

#[tokio::test]
async fn every_metric_of_the_dashboard_and_the_alerts_is_told_by_a_running_server_on_postgresql() {
    if let Some(store) = Store::postgres() {
        every_metric_is_told(store).await;
    }
}

async fn every_metric_is_told(store: Store) {
    let in_one = !matches!(store, Store::Cluster { .. });
    let server = Server::start(store).await;
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    let sent = ann.say(&room, "hello").await;
    bob.messages(&room, Some(&sent.position())).await;
    let expected = |name: &&String| {
        let of_several = OF_SEVERAL.iter().any(|prefix| name.starts_with(prefix));
        !(IN_TROUBLE.contains(&name.as_str())
            || OF_PROMETHEUS.contains(&name.as_str())
            || in_one && of_several)
    };
    let wanted: BTreeSet<_> = of_dashboard().union(&of_alerts()).filter(expected).cloned().collect();
    assert!(wanted.len() > 8, "{wanted:?}");
    let all_told = async || {
        let mut told = BTreeSet::new();
        for address in server.metrics_addresses() {
            let reply = Api::new(&format!("http://{address}")).get("/metrics").expect(200).await;
            let text = String::from_utf8(reply.body.to_vec()).unwrap();
            told.extend(text.lines().filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned));
        }
        wanted.is_subset(&told).then_some(())
    };
    eventually(&format!("all of {wanted:?} are told"), all_told).await;
}

#[test]
fn prometheus_takes_the_alert_rules() {
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("skipped: there is no promtool here");
        return;
    }
    let rules = shipped("prometheus/parlor.rules.yml");
    let output = Command::new("promtool").args(["check", "rules"]).arg(rules).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_alert_is_explained_to_operators() {
    let guide = std::fs::read_to_string(crate::root().join("docs/operations.md")).unwrap();
    for rule in text_of("prometheus/parlor.rules.yml").split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        assert!(
            guide.contains(&format!("`{name}`")),
            "docs/operations.md doesn't say what to do about {name}"
        );
    }
}
