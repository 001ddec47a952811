//! The proxy sends every operation of the API to the service that answers it.

use serde_json::Value;

use crate::{root, text_of};

/// A `location` of nginx, with the upstream that it leads to.
struct Location {
    exact: bool,
    path: String,
    upstream: String,
}

fn locations(routes: &str) -> Vec<Location> {
    let mut found = Vec::new();
    for block in routes.split("\nlocation ").skip(1) {
        let (head, body) = block.split_once('{').expect("a location has a block");
        let (exact, path) = match head.trim().strip_prefix("= ") {
            Some(path) => (true, path),
            None => (false, head.trim()),
        };
        let body = &body[..body.find("\n}").expect("a block ends")];
        if let Some(upstream) = body.split("proxy_pass http://").nth(1) {
            let upstream = upstream.split(';').next().unwrap_or_default().to_owned();
            found.push(Location { exact, path: path.to_owned(), upstream });
        }
    }
    found
}

/// Where nginx sends a path: an exact location first, then the one with the longest prefix.
fn upstream<'a>(locations: &'a [Location], path: &str) -> &'a str {
    let exact = locations.iter().find(|location| location.exact && location.path == path);
    let prefix = locations.iter().filter(|location| !location.exact && path.starts_with(&location.path));
    let chosen = exact.or_else(|| prefix.max_by_key(|location| location.path.len()));
    &chosen.expect("some location takes every path").upstream
}

#[test]
fn every_operation_goes_to_the_service_that_answers_it() {
    let locations = locations(&text_of("nginx/parlor/routes.conf"));
    let description = std::fs::read_to_string(root().join("docs/openapi.json")).unwrap();
    let description: Value = serde_json::from_str(&description).unwrap();
    let mut operations = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            operations += 1;
            if operation["tags"][0] == "admin" {
                // Each process answers for its own services.
                for service in ["auth", "user", "chat", "notification"] {
                    let path = path.replace("{service}", service);
                    if path.starts_with(&format!("/v1/admin/{service}/")) {
                        assert_eq!(upstream(&locations, &path), format!("parlor_{service}"), "{path}");
                    }
                }
                continue;
            }
            let expected = match operation["tags"][0].as_str().unwrap() {
                "auth" => "parlor_auth",
                "users" => "parlor_user",
                "notifications" | "webhooks" => "parlor_notification",
                "chat" | "live" | "operations" => "parlor_chat",
                other => panic!("{path} is of {other}, of which routes.conf knows nothing"),
            };
            assert_eq!(upstream(&locations, path), expected, "{path}");
        }
    }
    assert!(operations >= 50, "{operations} operations are described");
}

#[test]
fn every_upstream_that_is_named_has_servers() {
    let upstreams = text_of("nginx/parlor/upstreams.conf");
    for location in locations(&text_of("nginx/parlor/routes.conf")) {
        let block = upstreams.split(&format!("upstream {} {{", location.upstream)).nth(1);
        let block = block.unwrap_or_else(|| panic!("there is no upstream {}", location.upstream));
        assert!(block.split('}').next().unwrap().contains("    server "), "{}", location.upstream);
    }
}

#[test]
fn what_streams_is_neither_held_back_nor_cut() {
    let routes = text_of("nginx/parlor/routes.conf");
    for path in ["/v1/stream", "/v1/ws"] {
        let block =
            routes.split(&format!("location = {path} {{")).nth(1).unwrap().split("\n}").next().unwrap();
        assert!(block.contains("proxy_buffering off;"), "{block}");
        assert!(block.contains("proxy_read_timeout 1h;"), "{block}");
    }
    assert!(routes.contains("proxy_set_header Connection $parlor_connection;"), "WebSockets are upgraded");
}
