//! Queries: their answers, and what they wait for.

use cqrs_core::{Position, PositionVector};
use uuid::Uuid;

use crate::bank::{Bank, bank};
use crate::client::{Reply, ask};

async fn balance(bank: &Bank, account: Uuid, tokens: &str) -> Reply {
    ask("GET", &format!("/v1/accounts/{account}")).header("parlor-min-position", tokens).of(bank).await
}

#[tokio::test]
async fn an_answer_carries_the_view_s_position_and_the_version() {
    let bank = bank();
    let account = bank.open_account().await;
    let reply = ask("GET", &format!("/v1/accounts/{account}")).of(&bank).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("etag"), Some("\"1\""));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let held = bank.tokens.decode_positions(reply.header("parlor-position").unwrap()).unwrap();
    assert_eq!(held.get("bank"), Some((bank.progress.epoch, Position(1))));
}

#[tokio::test]
async fn a_query_waits_until_the_view_holds_what_was_written() {
    let mut options = crate::bank::options();
    options.view_wait = std::time::Duration::from_secs(30);
    let bank = crate::bank::bank_with(&options);
    let opened = ask("POST", "/v1/accounts").json("{}").of(&bank).await;
    let (account, token) =
        (opened.json()["id"].as_str().unwrap().parse().unwrap(), opened.header("parlor-position"));
    let waiting = balance(&bank, account, token.unwrap());
    let filling = async { bank.progress.held.send_replace(Position(1)) };
    let (reply, before) = tokio::join!(biased; waiting, filling);
    assert_eq!(before, Position(0), "the query came first");
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test]
async fn a_view_that_does_not_get_there_is_behind() {
    let bank = bank();
    let account = bank.open_account().await;
    let token = bank.tokens.encode_positions(&PositionVector::of("bank", bank.progress.epoch, Position(9)));
    let reply = balance(&bank, account, &token).await;
    reply.is_problem(503, "view-behind");
    assert_eq!(reply.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn several_tokens_are_joined_by_commas() {
    let bank = bank();
    let account = bank.open_account().await;
    let token = |log: &str, position| {
        bank.tokens.encode_positions(&PositionVector::of(log, bank.progress.epoch, Position(position)))
    };
    let reply = balance(&bank, account, &format!("{}, {}", token("bank", 1), token("other", 5))).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let reply = balance(&bank, account, &format!("{},{}", token("other", 1), token("bank", 5))).await;
    reply.is_problem(503, "view-behind");
}

#[tokio::test]
async fn a_token_of_an_earlier_epoch_says_to_read_anew() {
    let bank = bank();
    let account = bank.open_account().await;
    let old = bank.tokens.encode_positions(&PositionVector::of("bank", Uuid::from_u128(1), Position(1)));
    balance(&bank, account, &old).await.is_problem(410, "epoch-changed");
}

#[tokio::test]
async fn a_token_that_was_changed_or_made_elsewhere_is_invalid() {
    let bank = bank();
    let account = bank.open_account().await;
    let elsewhere = cqrs_core::TokenCodec::new(&[4; 32]);
    let foreign = elsewhere.encode_positions(&PositionVector::of("bank", bank.progress.epoch, Position(1)));
    for token in ["", "x", &foreign, &foreign[..20]] {
        balance(&bank, account, token).await.is_problem(422, "invalid-token");
    }
}
