//! What an operator does on the command line, beside a running server and without one.

use std::os::unix::fs::PermissionsExt as _;

use parlor_tests::{Api, Server, Store, User, eventually};
use serde_json::json;

#[tokio::test]
async fn an_operator_promotes_users_and_makes_service_keys_on_sqlite() {
    promotes_and_makes_keys(Store::Sqlite).await;
}

#[tokio::test]
async fn an_operator_promotes_users_and_makes_service_keys_on_postgresql() {
    if let Some(store) = Store::postgres() {
        promotes_and_makes_keys(store).await;
    }
}

async fn promotes_and_makes_keys(store: Store) {
    let mut server = Server::start(store).await;
    let api = server.api().clone();
    let (mut ann, mut bob) = (User::sign_up(&api, "Ann").await, User::sign_up(&api, "Bob").await);
    let body = json!({"displayName": "Made by an admin"});
    ann.post("/v1/users", &body).expect(403).await;

    // Beside a running server, through its socket.
    let socket = std::fs::metadata(server.data().join("admin.sock")).expect("the socket is there");
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    server.run_ok(&["user", "promote", &ann.email]).await;
    ann.sign_in().await;
    ann.post("/v1/users", &body).expect(201).await;
    let running = key_of(&server.run_ok(&["service-key", "create", "intranet"]).await);
    works(&api, &running, "alpha").await;
    let unknown = server.run(&["user", "promote", "nobody@example.org"]).await;
    assert!(!unknown.status.success(), "there is no such user");
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(said.contains("nobody@example.org"), "{said}");

    // Without one, on the data themselves.
    server.stop().await;
    server.run_ok(&["user", "promote", &bob.email]).await;
    let offline = key_of(&server.run_ok(&["service-key", "create", "shop"]).await);
    assert_ne!(offline, running);
    server.start_again().await;
    bob.sign_in().await;
    bob.post("/v1/users", &body).expect(201).await;
    works(&api, &offline, "beta").await;
    works(&api, &running, "gamma").await;
    assert!(!server.log().contains(&offline) && !server.log().contains(&running), "no key is logged");
}

/// The longest word of what was printed.
fn key_of(printed: &str) -> String {
    let words = printed.split_whitespace();
    words.max_by_key(|word| word.len()).expect("a key is printed").to_owned()
}

/// An application brings a user of its own and signs them in.
async fn works(api: &Api, key: &str, external: &str) {
    let body = json!({"displayName": "Application's own", "externalId": external});
    let made = api.post("/v1/users", &body).token(key).expect(201).await;
    let again = api.post("/v1/users", &body).token(key).send().await;
    assert!([200, 201].contains(&again.status), "{again:?}");
    assert_eq!(again.text("id"), made.text("id"), "the same externalId is the same user");
    let issue = api.post("/v1/auth/tokens", &json!({"userId": made.text("id")})).token(key);
    let issued = issue.after(&made.position()).expect(201).await;
    let me = api.get("/v1/users/me/profile").token(&issued.text("accessToken")).after(&made.position());
    assert_eq!(me.expect(200).await.text("id"), made.text("id"));
}

#[tokio::test]
async fn the_configuration_in_force_is_shown_without_secrets() {
    let server = Server::start(Store::Sqlite).await;
    let shown = server.run_ok(&["config", "show"]).await;
    let address = server.api().base().trim_start_matches("http://");
    assert!(shown.contains(address), "{shown}");
    let secret = "postgres://parlor:a-very-secret-word@db.example.org/parlor";
    let mut command = tokio::process::Command::from(server.command(&["config", "show"]));
    let output = command.env("PARLOR_STORE_URL", secret).output().await.unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(shown.contains("db.example.org") && !shown.contains("a-very-secret-word"), "{shown}");
}

#[tokio::test]
async fn the_help_names_every_command() {
    let server = Server::prepare(Store::Sqlite, parlor_tests::Options::default()).await;
    let help = server.run_ok(&["--help"]).await;
    for command in ["serve", "user", "service-key", "views", "config", "demo", "load"] {
        assert!(help.contains(command), "{command} is missing:\n{help}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_fills_an_empty_instance_once_and_leaves_no_key_in_force() {
    let server = Server::start(Store::Sqlite).await;
    let printed = server.run_ok(&["demo", "--conversations", "1"]).await;
    let password = printed.lines().find_map(|line| line.trim().strip_prefix("password ")).unwrap().trim();
    let body = json!({"email": "demo@example.org", "password": password});
    let token = server.api().post("/v1/auth/login", &body).expect(200).await.text("accessToken");
    eventually("a conversation in each language, with what was said", async || {
        let page = server.api().get("/v1/conversations?limit=200").token(&token).expect(200).await;
        let rooms = page.items();
        (rooms.len() == 28 && rooms.iter().all(|room| room["lastMessage"].is_object())).then_some(())
    })
    .await;

    let again = server.run(&["demo"]).await;
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && said.contains("holds the demo data already"), "{said}");
    let keys = server.run_ok(&["service-key", "list"]).await;
    assert_eq!(keys.matches("revoked").count(), 2, "one for each time: {keys}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_is_verified_to_the_last_message_and_leaves_no_key_in_force() {
    let server = Server::start(Store::Sqlite).await;
    let small = ["load", "--seconds", "1", "--people", "6", "--rooms", "4", "--members", "3", "--fill", "5"];
    let printed = server.run_ok(&[&small[..], &["--rate", "50", "--live", "6"]].concat()).await;
    // Five of fifty are messages, beside the twenty that are there to be read.
    assert!(printed.contains("Verified: 25 messages were acknowledged"), "{printed}");
    let live = printed.lines().find_map(|line| line.strip_prefix("live ")).unwrap_or_default();
    assert_eq!(live.split_whitespace().next(), Some("10"), "each to two others: {printed}");
    let keys = server.run_ok(&["service-key", "list"]).await;
    assert_eq!(keys.matches("revoked").count(), 1, "{keys}");
}
