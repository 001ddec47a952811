//! Rows and steps that are taken in together make the same views as each alone.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use std::sync::Arc;

use common::{Account, AccountEvent, Balances, balances, bank, deposit, expected, happen};
use cqrs_core::testing::keyring;
use cqrs_core::{
    Aggregate as _, Batch, CodecError, ColumnKind, EventHandler as _, Incoming, Position, Projection,
    RowExt as _, Schema, Together, Writes, params,
};
use cqrs_sql::{Projecting, ServiceStore};
use uuid::Uuid;

on_both_stores![
    it_makes_no_difference_how_many_rows_come_together,
    a_view_that_cannot_go_on_keeps_no_other_from_its_step,
    of_two_steps_from_the_same_place_taken_together_one_counts,
];

/// Deposits, numbered within their account.
static DEPOSITED: Together = Together {
    columns: &[
        ColumnKind::Uuid,
        ColumnKind::Int,
        ColumnKind::Int,
        ColumnKind::Text,
        ColumnKind::Bool,
        ColumnKind::Bytes,
    ],
    sqlite: &[
        "INSERT INTO {p}accounts (id, entries) VALUES (?1, 1) ON CONFLICT (id) DO UPDATE SET entries = entries + 1",
        "INSERT INTO {p}entries (account, number, position, cents, note, even, raw)
         SELECT id, entries, ?2, ?3, ?4, ?5, ?6 FROM {p}accounts WHERE id = ?1",
    ],
    postgres: &[
        "INSERT INTO {p}entries (account, number, position, cents, note, even, raw)
         SELECT n.c1, coalesce(a.entries, 0) + row_number() OVER (PARTITION BY n.c1 ORDER BY n.nth), c2, c3, c4, c5, c6
         FROM {rows} n LEFT JOIN {p}accounts a ON a.id = n.c1",
        "INSERT INTO {p}accounts AS a (id, entries) SELECT c1, count(*) FROM {rows} n GROUP BY c1
         ON CONFLICT (id) DO UPDATE SET entries = a.entries + excluded.entries",
    ],
};

/// Deposits of each account; each tenth is struck out with all of its account before it. It can't take in what is poisoned.
struct Entries;

impl Projection for Entries {
    fn name(&self) -> &'static str {
        "entries"
    }
    fn sources(&self) -> &'static [&'static str] {
        &["bank"]
    }
    fn schema(&self) -> Schema {
        Schema {
            version: 1,
            sqlite: "CREATE TABLE {p}accounts (id BLOB PRIMARY KEY, entries INTEGER NOT NULL);
                     CREATE TABLE {p}entries (account BLOB, number INTEGER, position INTEGER PRIMARY KEY, cents INTEGER,
                       note TEXT, even INTEGER, raw BLOB)",
            postgres: "CREATE TABLE {p}accounts (id uuid PRIMARY KEY, entries bigint NOT NULL);
                       CREATE TABLE {p}entries (account uuid, number bigint, position bigint PRIMARY KEY, cents bigint,
                         note text, even boolean, raw bytea)",
            tables: &["accounts", "entries"],
        }
    }
    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        if event.category() != Account::CATEGORY {
            return Ok(());
        }
        let (account, position) = (event.meta.stream, event.meta.position);
        match event.decode()? {
            AccountEvent::Deposited { cents } => {
                let note = (cents % 3 != 0).then(|| format!("'{cents}' {{p}} $1"));
                let raw = cents.to_be_bytes().to_vec();
                out.row(&DEPOSITED, params![account, position, cents, note, cents % 2 == 0, raw]);
                if cents % 10 == 0 {
                    out.run("UPDATE {p}entries SET note = 'struck out' WHERE account = ?1", params![account]);
                }
            }
            AccountEvent::Poisoned {} => out.run("INSERT INTO {p}accounts (id) VALUES (NULL)", params![]),
        }
        Ok(())
    }
}

type Entry = (Uuid, i64, u64, i64, Option<String>, bool, Vec<u8>);

async fn entries(store: &ServiceStore) -> Vec<Entry> {
    let sql = "SELECT account, number, position, cents, note, even, raw FROM {p}entries ORDER BY position";
    let read = |row: &dyn cqrs_core::Row| {
        let text = row.text(4)?;
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, text, row.get(5)?, row.get(6)?))
    };
    store.views.query("entries", sql, vec![], read).await.unwrap()
}

fn handler(store: &ServiceStore, view: &str) -> Projecting {
    let mut projections = store.views.projections().iter();
    let projection = projections.find(|projection| projection.name() == view).unwrap().clone();
    Projecting::new(projection, store.views.clone(), keyring(), &[store.source()])
}

async fn all(store: &ServiceStore, limit: usize, after: u64) -> Batch {
    store.source().read(Position(after), limit).await.unwrap()
}

async fn it_makes_no_difference_how_many_rows_come_together(postgres: bool) {
    const EVENTS: i64 = 60;
    let Some(bank) = bank(postgres, vec![Arc::new(Entries)]).await else { return };
    for cents in 1..=EVENTS {
        deposit(&bank.store, (cents % 4) as u128, cents).await;
    }
    let one_by_one = handler(&bank.store, "entries");
    for position in 0..EVENTS as u64 {
        one_by_one.handle("bank", &all(&bank.store, 1, position).await, None).await.unwrap();
    }
    let alone = entries(&bank.store).await;
    assert_eq!(alone.len(), EVENTS as usize);
    let last_of_all: Vec<_> =
        alone[56..].iter().map(|entry| (entry.1, entry.3, entry.4.as_deref())).collect();
    assert_eq!(
        last_of_all,
        [
            (15, 57, None),
            (15, 58, Some("'58' {p} $1")),
            (15, 59, Some("'59' {p} $1")),
            (15, 60, Some("struck out"))
        ]
    );
    // Rebuilding takes all of them in at once.
    bank.store.views.rebuild("entries", &[bank.store.source()], &keyring(), |_| {}).await.unwrap();
    assert_eq!(entries(&bank.store).await, alone);
}

async fn a_view_that_cannot_go_on_keeps_no_other_from_its_step(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared(), Arc::new(Entries)]).await else { return };
    for cents in 1..=7 {
        deposit(&bank.store, 1, cents).await;
    }
    happen(&bank.store, 1, AccountEvent::Poisoned {}).await;
    deposit(&bank.store, 1, 8).await;
    let (good, stuck) = (handler(&bank.store, "balances"), handler(&bank.store, "entries"));
    let batch = all(&bank.store, 100, 0).await;
    let (taken, failed) = tokio::join!(good.handle("bank", &batch, None), stuck.handle("bank", &batch, None));
    taken.unwrap();
    let failed = failed.unwrap_err();
    assert_eq!((failed.at, failed.passing, failed.moved), (Position(8), false, false), "{failed}");
    assert_eq!(balances(&bank.store.views).await, expected(&bank.store).await);
    let positions: Vec<_> = entries(&bank.store).await.iter().map(|entry| entry.2).collect();
    assert_eq!(positions, [1, 2, 3, 4, 5, 6, 7]);
    let places = (good.place("bank").await.unwrap(), stuck.place("bank").await.unwrap());
    assert_eq!(places, (Position(9), Position(7)));
}

async fn of_two_steps_from_the_same_place_taken_together_one_counts(postgres: bool) {
    let Some(bank) = bank(postgres, vec![Balances::shared(), Arc::new(Entries)]).await else { return };
    for cents in 1..=5 {
        deposit(&bank.store, 2, cents).await;
    }
    let batch = all(&bank.store, 100, 0).await;
    let handlers: Vec<_> = (0..4).map(|n| handler(&bank.store, ["balances", "entries"][n % 2])).collect();
    let taken =
        futures::future::join_all(handlers.iter().map(|handler| handler.handle("bank", &batch, None))).await;
    for view in 0..2 {
        let of_view: Vec<_> = taken.iter().skip(view).step_by(2).collect();
        assert!(
            of_view.iter().all(|taken| taken.as_ref().err().is_none_or(|error| error.moved)),
            "{taken:?}"
        );
        assert!(of_view.iter().any(|taken| taken.is_ok()), "{taken:?}");
    }
    assert_eq!(balances(&bank.store.views).await, expected(&bank.store).await);
    assert_eq!(entries(&bank.store).await.iter().map(|entry| entry.1).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}
