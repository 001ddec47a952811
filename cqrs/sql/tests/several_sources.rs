//! A view that several logs fill: what one says of the other's rows is never lost, however their steps meet.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use common::{bank, deposit};
use cqrs_core::testing::keyring;
use cqrs_core::{
    Batch, CodecError, EventHandler as _, EventSource, Incoming, Position, Projection, RowExt as _, Schema,
    StoreError, Writes, params,
};
use cqrs_sql::Projecting;
use tokio::sync::watch;
use uuid::Uuid;

on_both_stores![a_row_and_what_another_log_says_of_it_find_each_other,];

/// Accounts of the bank, and which of them the register names: whichever is heard of first looks for the other.
struct Registered;

impl Projection for Registered {
    fn name(&self) -> &'static str {
        "registered"
    }
    fn sources(&self) -> &'static [&'static str] {
        &["bank", "register"]
    }
    fn schema(&self) -> Schema {
        Schema {
            version: 1,
            sqlite: "CREATE TABLE {p}accounts (id BLOB PRIMARY KEY, registered INTEGER NOT NULL);
                     CREATE TABLE {p}register (id BLOB PRIMARY KEY)",
            postgres: "CREATE TABLE {p}accounts (id uuid PRIMARY KEY, registered bigint NOT NULL);
                       CREATE TABLE {p}register (id uuid PRIMARY KEY)",
            tables: &["accounts", "register"],
        }
    }
    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        let id = event.meta.stream;
        if event.source == "bank" {
            let sql = "INSERT INTO {p}accounts (id, registered)
                VALUES (?1, (SELECT count(*) FROM {p}register WHERE id = ?1))";
            out.run(sql, params![id]);
        } else {
            out.run("INSERT INTO {p}register (id) VALUES (?1)", params![id]);
            out.run("UPDATE {p}accounts SET registered = 1 WHERE id = ?1", params![id]);
        }
        Ok(())
    }
}

/// A log under another name.
struct Register(Arc<dyn EventSource>);

#[async_trait]
impl EventSource for Register {
    fn name(&self) -> &'static str {
        "register"
    }
    fn epoch(&self) -> Uuid {
        self.0.epoch()
    }
    async fn read(&self, after: Position, limit: usize) -> Result<Batch, StoreError> {
        self.0.read(after, limit).await
    }
    fn head(&self) -> watch::Receiver<Position> {
        self.0.head()
    }
}

async fn a_row_and_what_another_log_says_of_it_find_each_other(postgres: bool) {
    const ACCOUNTS: u128 = 200;
    let Some(bank) = bank(postgres, vec![Arc::new(Registered)]).await else { return };
    let Some(other) = common::bank(postgres, Vec::new()).await else { return };
    for account in 0..ACCOUNTS {
        deposit(&bank.store, account, 1).await;
        deposit(&other.store, account, 1).await;
    }
    let (accounts, register) = (bank.store.source(), Arc::new(Register(other.store.source())));
    let sources: [Arc<dyn EventSource>; 2] = [accounts, register];
    let projection = bank.store.views.projections()[0].clone();
    let handler = Projecting::new(projection, bank.store.views.clone(), keyring(), &sources);
    // One event at a time from each, side by side: each pair meets in the same moment.
    for position in 0..ACCOUNTS as u64 {
        let [one, two] = &sources;
        let (one, two) = tokio::join!(one.read(Position(position), 1), two.read(Position(position), 1));
        let (one, two) = (one.unwrap(), two.unwrap());
        let (one, two) =
            tokio::join!(handler.handle("bank", &one, None), handler.handle("register", &two, None));
        one.unwrap();
        two.unwrap();
    }
    let sql = "SELECT count(*) FROM {p}accounts WHERE registered = 1";
    let counted = bank.store.views.query_one("registered", sql, Vec::new(), |row| row.get::<i64>(0));
    assert_eq!(counted.await.unwrap(), Some(ACCOUNTS as i64));
}
