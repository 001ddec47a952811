//! Who asks.

use crate::bank::{ALICE, bank};
use crate::client::ask;

#[tokio::test]
async fn who_is_not_signed_in_is_told_how_before_anything_is_read() {
    let bank = bank();
    let account = bank.open_account().await;
    let path = format!("/v1/accounts/{account}/deposits");
    let reply = ask("POST", &path).nobody().json("not json").of(&bank).await;
    reply.is_problem(401, "unauthenticated");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    let reply = ask("GET", &format!("/v1/accounts/{account}")).nobody().of(&bank).await;
    reply.is_problem(401, "unauthenticated");
}

#[tokio::test]
async fn who_shows_a_bad_token_is_told_so() {
    let bank = bank();
    let reply = ask("GET", "/v1/whoami").nobody().header("authorization", "Bearer mallory").of(&bank).await;
    assert_eq!(reply.is_problem(401, "unauthenticated")["detail"], "the access token has expired");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
}

#[tokio::test]
async fn an_open_command_needs_nobody_signed_in() {
    let reply = ask("POST", "/v1/accounts").nobody().json("{}").of(&bank()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
}

#[tokio::test]
async fn the_identity_reaches_the_context() {
    let bank = bank();
    let cx = ask("GET", "/v1/whoami").nobody().header("authorization", "Bearer admin").of(&bank).await.json();
    assert_eq!(cx["user"], ALICE.to_string());
    assert_eq!(cx["roles"][0], "admin");
    assert_eq!(cx["session"], "00000000-0000-0000-0000-000000000005");
    assert_eq!(cx["hasDeadline"], true);
}

#[tokio::test]
async fn a_role_that_is_missing_forbids() {
    let bank = bank();
    ask("GET", "/v1/admin").of(&bank).await.is_problem(403, "forbidden");
    let reply = ask("GET", "/v1/admin").nobody().header("authorization", "Bearer admin").of(&bank).await;
    assert_eq!(reply.status, 200);
}
