//! Answers that are remembered are forgotten with what they were made of, whoever changed it.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use std::sync::Arc;

use common::{AccountEvent, Balances, Poison, balances, bank, deposit, happen, reopened};
use cqrs_core::Projection;
use cqrs_core::testing::keyring;
use cqrs_sql::{AnswerKey, Views};
use uuid::Uuid;

on_both_stores![
    an_answer_is_remembered_until_what_it_depends_on_changes,
    what_changed_while_it_was_read_is_not_remembered,
    what_another_process_brought_about_is_not_remembered_and_makes_all_be_forgotten,
    a_step_that_fails_makes_all_be_forgotten,
];

const KEY: AnswerKey = AnswerKey { question: "balances", of: Uuid::nil(), by: Uuid::nil(), limit: 0 };

fn account(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// Reads the view, to be remembered as depending on the first account.
async fn read(views: &Views) {
    let mut watch = views.watch().unwrap();
    watch.on([account(1)]);
    let found = balances(views).await;
    if let Some(settled) = views.settled(&["balances"]).await {
        views.remember(&settled, KEY, watch, Arc::new(found.len()), 8);
    }
}

fn recall(views: &Views) -> Option<usize> {
    views.recall::<usize>(&KEY).map(|found| *found)
}

async fn an_answer_is_remembered_until_what_it_depends_on_changes(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared()]).await else { return };
    let views = &bank.store.views;
    deposit(&bank.store, 1, 5).await;
    bank.project(&[]).await.unwrap();
    assert_eq!(recall(views), None);
    read(views).await;
    assert_eq!(recall(views), Some(1));
    deposit(&bank.store, 2, 5).await;
    bank.project(&[]).await.unwrap();
    assert_eq!(recall(views), Some(1), "it doesn't depend on the other account");
    deposit(&bank.store, 1, 5).await;
    assert_eq!(recall(views), Some(1), "the view hasn't taken it in");
    bank.project(&[]).await.unwrap();
    assert_eq!(recall(views), None);
    read(views).await;
    assert_eq!(recall(views), Some(2));
    views.rebuild("balances", &[bank.store.source()], &keyring(), |_| ()).await.unwrap();
    assert_eq!(recall(views), None);
}

async fn what_changed_while_it_was_read_is_not_remembered(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared()]).await else { return };
    let views = &bank.store.views;
    deposit(&bank.store, 1, 5).await;
    bank.project(&[]).await.unwrap();
    let mut watch = views.watch().unwrap();
    watch.on([account(1)]);
    deposit(&bank.store, 1, 5).await;
    bank.project(&[]).await.unwrap();
    let settled = views.settled(&["balances"]).await.unwrap();
    views.remember(&settled, KEY, watch, Arc::new(1_usize), 8);
    assert_eq!(recall(views), None);
}

async fn what_another_process_brought_about_is_not_remembered_and_makes_all_be_forgotten(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared()]).await else { return };
    let views = &bank.store.views;
    deposit(&bank.store, 1, 5).await;
    bank.project(&[]).await.unwrap();
    read(views).await;
    assert_eq!(recall(views), Some(1));
    let other = reopened(&bank, vec![Balances::shared()]).await;
    deposit(&bank.store, 2, 5).await;
    other.project(&[]).await.unwrap();
    assert!(views.settled(&["balances"]).await.is_none(), "the store is further than is known here");
    // Here the place is looked at before the next events are taken in.
    bank.project(&[]).await.unwrap();
    assert_eq!(recall(views), None);
    read(views).await;
    assert_eq!(recall(views), Some(2));
}

async fn a_step_that_fails_makes_all_be_forgotten(postgres: bool) {
    let projection: Arc<dyn Projection> = Arc::new(Balances { version: 1, poison: Poison::BadSql });
    let Some(bank) = bank(postgres, vec![projection]).await else { return };
    let views = &bank.store.views;
    deposit(&bank.store, 1, 5).await;
    bank.project(&[]).await.unwrap();
    read(views).await;
    assert_eq!(recall(views), Some(1));
    happen(&bank.store, 2, AccountEvent::Poisoned {}).await;
    assert!(bank.project(&[]).await.is_err());
    assert_eq!(recall(views), None);
}
