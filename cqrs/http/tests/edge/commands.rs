//! Commands: their answers, their keys, their expectations.

use cqrs_core::{Position, PositionVector};
use uuid::Uuid;

use crate::bank::bank;
use crate::client::ask;

#[tokio::test]
async fn an_answer_carries_status_body_position_and_version() {
    let bank = bank();
    let id = Uuid::from_u128(77);
    let opened = ask("POST", "/v1/accounts").json(format!(r#"{{"id":"{id}"}}"#)).of(&bank).await;
    assert_eq!(opened.status, 201);
    assert_eq!(opened.header("content-type"), Some("application/json"));
    assert_eq!(opened.header("etag"), Some("\"1\""));
    assert_eq!(opened.header("cache-control"), Some("no-store"));
    assert_eq!(opened.header("idempotency-replayed"), None);
    assert_eq!(opened.json()["openedAt"], "2026-01-01T12:00:00.000Z");
    let written = bank.tokens.decode_positions(opened.header("parlor-position").unwrap()).unwrap();
    assert_eq!(written.get("bank").unwrap().1, Position(1));

    let closed = ask("DELETE", &format!("/v1/accounts/{id}")).of(&bank).await;
    assert_eq!(closed.status, 204);
    assert_eq!(closed.body, b"");
    assert_eq!(closed.header("content-type"), None);
    assert_eq!(closed.header("etag"), Some("\"2\""));
}

#[tokio::test]
async fn the_same_key_route_and_content_get_the_same_bytes_and_one_effect() {
    let bank = bank();
    let account = bank.open_account().await;
    let deposit = || {
        ask("POST", &format!("/v1/accounts/{account}/deposits"))
            .header("idempotency-key", "salary-2026-01")
            .json(r#"{"cents":500}"#)
    };
    let first = deposit().of(&bank).await;
    let second = deposit().of(&bank).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!((second.status, &second.body), (first.status, &first.body));
    for name in ["etag", "parlor-position", "content-type"] {
        assert_eq!(second.header(name), first.header(name), "{name}");
    }
    assert_eq!(bank.events(), 2);
}

#[tokio::test]
async fn the_same_key_with_another_content_is_refused_be_it_in_the_query_string() {
    let bank = bank();
    let account = bank.open_account().await;
    let deposit = |query: &str, cents: u32| {
        ask("POST", &format!("/v1/accounts/{account}/deposits{query}"))
            .header("idempotency-key", "k")
            .json(format!(r#"{{"cents":{cents}}}"#))
    };
    assert_eq!(deposit("", 500).of(&bank).await.status, 200);
    deposit("", 501).of(&bank).await.is_problem(422, "idempotency-key-reused");
    deposit("?dry=1", 500).of(&bank).await.is_problem(422, "idempotency-key-reused");
    assert_eq!(bank.events(), 2);
}

#[tokio::test]
async fn the_same_key_on_another_route_is_another_key() {
    let bank = bank();
    let (one, two) = (bank.open_account().await, bank.open_account().await);
    for account in [one, two] {
        let path = format!("/v1/accounts/{account}/deposits");
        let reply = ask("POST", &path).header("idempotency-key", "k").json(r#"{"cents":5}"#).of(&bank).await;
        assert_eq!((reply.status.as_u16(), reply.header("idempotency-replayed")), (200, None));
    }
}

#[tokio::test]
async fn a_key_is_1_to_255_visible_ascii_characters_given_once() {
    let bank = bank();
    let account = bank.open_account().await;
    let deposit = || ask("POST", &format!("/v1/accounts/{account}/deposits")).json(r#"{"cents":5}"#);
    for bad in ["".as_bytes(), b"a b", "ü".as_bytes(), b"a\tb", "k".repeat(256).as_bytes()] {
        let document =
            deposit().header("idempotency-key", bad).of(&bank).await.is_problem(422, "invalid-value");
        assert_eq!(document["errors"][0]["pointer"], "Idempotency-Key");
    }
    let twice = deposit().header("idempotency-key", "a").header("idempotency-key", "b");
    twice.of(&bank).await.is_problem(422, "invalid-value");
    assert_eq!(bank.events(), 1);
    let longest = deposit().header("idempotency-key", "k".repeat(255)).of(&bank).await;
    assert_eq!(longest.status, 200);
}

#[tokio::test]
async fn if_match_lets_only_the_expected_version_change() {
    let bank = bank();
    let account = bank.open_account().await;
    let deposit = |expected: &str| {
        ask("POST", &format!("/v1/accounts/{account}/deposits"))
            .header("if-match", expected)
            .json(r#"{"cents":5}"#)
    };
    assert_eq!(deposit("\"1\"").of(&bank).await.header("etag"), Some("\"2\""));
    let stale = deposit("\"1\"").of(&bank).await.is_problem(412, "version-mismatch");
    assert_eq!((&stale["currentVersion"], &stale["expectedVersion"]), (&2.into(), &1.into()));
    assert_eq!(deposit("*").of(&bank).await.header("etag"), Some("\"3\""));
    for malformed in
        ["2", "W/\"3\"", "\"\"", "\"x\"", "\"3\", \"4\"", "\"+3\"", "\"99999999999999999999\"", ""]
    {
        let document = deposit(malformed).of(&bank).await.is_problem(422, "invalid-value");
        assert_eq!(document["errors"][0]["pointer"], "If-Match", "{malformed}");
    }
    assert_eq!(bank.events(), 3);
}

#[tokio::test]
async fn a_command_that_looks_into_a_view_waits_for_the_position_given() {
    let bank = bank();
    let account = bank.open_account().await;
    let token = |position| {
        bank.tokens.encode_positions(&PositionVector::of("bank", bank.progress.epoch, Position(position)))
    };
    let deposit = |position| {
        ask("POST", &format!("/v1/accounts/{account}/deposits"))
            .header("parlor-min-position", token(position))
            .json(r#"{"cents":5}"#)
    };
    assert_eq!(deposit(1).of(&bank).await.status, 200);
    deposit(9).of(&bank).await.is_problem(503, "view-behind");
    assert_eq!(bank.events(), 2);
    // Closing looks into no view, so that there is nothing to wait for.
    let close = ask("DELETE", &format!("/v1/accounts/{account}")).header("parlor-min-position", token(9));
    close.of(&bank).await.is_problem(409, "account-not-empty");
}
