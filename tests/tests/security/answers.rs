//! Items 31, 32, 33 and 36: limits, whom they are counted for, and what an error tells to whom.

use parlor_tests::user::PASSWORD;
use parlor_tests::{Api, Options, Reply, Server, Store, User};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

fn limited(settings: Vec<(&'static str, String)>) -> Options {
    Options { limits: true, settings }
}

async fn wrong_sign_in(api: &Api, email: &str, forwarded: &str) -> Reply {
    let body = json!({"email": email, "password": "a wren sings at night"});
    api.post("/v1/auth/login", &body).header("x-forwarded-for", forwarded).send().await
}

#[tokio::test]
async fn security_31_whoever_makes_up_forwarded_addresses_is_limited_all_the_same() {
    const TRIES: usize = 40;
    let server = Server::start_with(Store::Sqlite, limited(Vec::new())).await;
    let mut limited_after = None;
    for number in 0..TRIES {
        let reply = wrong_sign_in(server.api(), "ann@example.org", &format!("198.51.100.{number}")).await;
        if reply.status == 429 {
            limited_after = Some(number);
            break;
        }
    }
    assert!(limited_after.is_some(), "{TRIES} tries from one peer under as many made-up addresses");
}

#[tokio::test]
async fn security_31_behind_a_configured_proxy_each_client_has_tries_of_its_own() {
    let trusted = vec![("PARLOR_TRUSTED_PROXIES", "[\"127.0.0.1/32\"]".to_owned())];
    let server = Server::start_with(Store::Sqlite, limited(trusted)).await;
    let mut last = 0;
    for _ in 0..40 {
        last = wrong_sign_in(server.api(), "ann@example.org", "198.51.100.1").await.status;
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429, "the guesser is limited");
    let other = wrong_sign_in(server.api(), "ann@example.org", "203.0.113.9").await;
    assert_eq!(other.status, 401, "somebody else isn't: {other:?}");
    // What the client adds in front of the proxy's own word isn't believed.
    let posing = wrong_sign_in(server.api(), "ann@example.org", "203.0.113.77, 198.51.100.1").await;
    assert_eq!(posing.status, 429, "{posing:?}");
}

#[tokio::test]
async fn security_32_whoever_is_limited_is_told_when_to_come_back() {
    let server = Server::start_with(Store::Sqlite, limited(Vec::new())).await;
    let api = server.api();
    let register = |number: usize| {
        let email = format!("somebody{number}@example.org");
        api.post("/v1/auth/register", &json!({"email": email, "password": PASSWORD, "displayName": "S"}))
    };
    let reset = |number: usize| {
        api.post("/v1/auth/password-reset", &json!({"email": format!("nobody{number}@example.org")}))
    };
    let login = |number: usize| {
        let email = format!("nobody{number}@example.org");
        api.post("/v1/auth/login", &json!({"email": email, "password": "wrong password"}))
    };
    let refresh = |_: usize| api.post("/v1/auth/refresh", &json!({"refreshToken": "nonsense"}));
    let confirm = |_: usize| {
        api.post("/v1/auth/password-reset/confirm", &json!({"token": "nonsense", "newPassword": PASSWORD}))
    };
    assert_limited("register", register, 31).await;
    assert_limited("password-reset", reset, 21).await;
    assert_limited("login", login, 150).await;
    assert_limited("refresh", refresh, 600).await;
    assert_limited("confirm", confirm, 600).await;
    // Whoever fails again and again at one account waits, without figures that would help them to plan.
    let server = Server::start_with(Store::Sqlite, limited(Vec::new())).await;
    let mut waits = Vec::new();
    for _ in 0..10 {
        let reply = wrong_sign_in(server.api(), "ann@example.org", "198.51.100.1").await;
        if reply.status == 429 {
            waits.push(reply.header("retry-after").and_then(|wait| wait.parse::<u64>().ok()));
        }
    }
    assert!(!waits.is_empty() && waits.iter().all(|wait| wait.is_some_and(|wait| wait >= 1)), "{waits:?}");
}

async fn assert_limited(what: &str, call: impl Fn(usize) -> parlor_tests::Call, at_most: usize) {
    for number in 0..at_most {
        let reply = call(number).send().await;
        if reply.status != 429 {
            continue;
        }
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{what}: {reply:?}");
        assert_eq!(reply.json()["status"], 429, "{what}");
        let wait = reply.header("retry-after").and_then(|wait| wait.parse::<u64>().ok());
        assert!(wait.is_some_and(|seconds| (1..=3_600).contains(&seconds)), "{what}: {reply:?}");
        assert!(reply.header("ratelimit").is_some(), "{what}: {reply:?}");
        assert!(reply.header("ratelimit-policy").is_some(), "{what}: {reply:?}");
        return;
    }
    panic!("{what}: {at_most} tries and no 429");
}

#[tokio::test]
async fn security_33_what_fails_inside_is_told_to_the_operator_and_to_nobody_else() {
    let server = Server::start(Store::Sqlite).await;
    let ann = User::sign_up(server.api(), "Ann").await;
    let bob = User::sign_up(server.api(), "Bob").await;
    let room = ann.direct(&bob).await;
    let sent = ann.say(&room, "hello").await;
    ann.messages(&room, Some(&sent.position())).await;
    let tables = break_views(&server, "chat");
    let mut told = 0;
    for (number, path) in [
        "/v1/conversations".to_owned(),
        format!("/v1/conversations/{room}"),
        format!("/v1/conversations/{room}/messages"),
        "/v1/messages/search?q=hello".to_owned(),
        "/v1/unread-count".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let id = format!("broken-{number}");
        let reply = ann.get(path).header("x-request-id", &id).send().await;
        assert!([500, 503].contains(&reply.status), "{path}: {reply:?}");
        let problem = reply.json();
        assert_eq!(problem["requestId"], id.as_str(), "{problem}");
        let body = problem.to_string().to_lowercase();
        for detail in ["sql", "table", "column", ".rs", "panicked", "data/", "select", "no such"] {
            assert!(!body.contains(detail), "{path} tells {detail}: {body}");
        }
        let folder = server.data().display().to_string().to_lowercase();
        assert!(!body.contains(&folder), "{path} tells where the data lie: {body}");
        for table in &tables {
            assert!(!body.contains(&table.to_lowercase()), "{path} tells {table}: {body}");
        }
        told += usize::from(
            server.log().lines().any(|line| line.contains(&id) && line.contains("no such table")),
        );
    }
    assert_eq!(told, 5, "the operator finds each by its request's id");
    // What doesn't need the views goes on.
    ann.saying(&room, "still here").expect(201).await;
}

/// Takes a service's view tables away while it runs; gives their names.
fn break_views(server: &Server, service: &str) -> Vec<String> {
    let views = Connection::open(server.data().join(service).join("views.db")).unwrap();
    views.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let names: Vec<String> =
        views.prepare(sql).unwrap().query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    // Prefixes name generations of views; what they are counted in is Parlor's own.
    let (kept, tables): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| ["views", "checkpoints"].contains(&name.as_str()));
    assert!(tables.len() >= 4, "{tables:?} besides {kept:?}");
    for table in &tables {
        views.execute_batch(&format!("DROP TABLE IF EXISTS \"{table}\"")).unwrap();
    }
    tables
}

/// What somebody could put into a field to make a line of the log look like another.
const FORGED: &str = "innocent\r\n2026-01-01T00:00:00Z  INFO parlor: forged line\n{\"level\":\"FORGED\"}\u{1b}[31m\u{9b}2J\u{2028}x";

async fn write_forgeries(server: &Server) {
    let api = server.api();
    let ann = User::sign_up(api, "Ann").await;
    let body = json!({"email": ann.email, "password": PASSWORD, "device": FORGED});
    api.post("/v1/auth/login", &body).send().await;
    api.post("/v1/auth/login", &json!({"email": FORGED, "password": FORGED})).send().await;
    let body = json!({"email": "x@example.org", "password": PASSWORD, "displayName": FORGED});
    api.post("/v1/auth/register", &body).send().await;
    let group = ann.group("Sound", &[]).await;
    ann.saying(&group, FORGED).send().await;
    ann.patch("/v1/users/me/profile", &json!({"bio": FORGED, "displayName": FORGED})).send().await;
    let escaped = parlor_tests::user::escape(FORGED);
    ann.get(&format!("/v1/users/{escaped}")).send().await;
    ann.get(&format!("/v1/messages/search?q={escaped}")).send().await;
    ann.get(&format!("/{escaped}")).send().await;
    for name in [
        "x-request-id",
        "traceparent",
        "user-agent",
        "x-forwarded-for",
        "idempotency-key",
        "parlor-min-position",
    ] {
        // What a header can hold at all: no line breaks, but quotes, tabs and bytes beyond ASCII.
        let call = ann.call(Method::GET, "/v1/conversations").builder();
        let value =
            reqwest::header::HeaderValue::from_bytes(b"x\"} {\"level\":\"FORGED\",\t\xc2\x9b2J\xff").unwrap();
        call.header(name, value).send().await.unwrap();
    }
}

#[tokio::test]
async fn security_36_nobody_writes_lines_of_their_own_into_the_log() {
    for format in ["json", "text"] {
        let settings =
            vec![("PARLOR_LOG_FORMAT", format.to_owned()), ("PARLOR_LOG_LEVEL", "debug".to_owned())];
        let mut server = Server::start_with(Store::Sqlite, Options { limits: false, settings }).await;
        write_forgeries(&server).await;
        server.stop().await;
        let log = server.log();
        assert!(log.lines().count() > 10, "{log}");
        let control = log.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{2028}');
        assert_eq!(control, None, "{format}: a control character in the log");
        for line in log.lines() {
            if format == "json" {
                let entry: Value =
                    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert!(entry.is_object(), "{line}");
                assert_ne!(entry["level"], "FORGED", "{line}");
            } else {
                assert!(
                    !line.contains("INFO parlor: forged line") || !line.starts_with("2026-01-01"),
                    "{line}"
                );
                assert!(!line.starts_with('{'), "{line}");
            }
        }
    }
}
