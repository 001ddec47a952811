//! What isn't ours to open stays as it is, byte for byte, and the error says what is wrong.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{Balances, deposit};
use cqrs_core::{Clock as _, StoreError, SystemClock};
use cqrs_sql::testing::{TestSchema, TestStore};
use cqrs_sql::{Location, LogOptions, SqlKeyStore, SqlLog, Views};

/// All files of a folder with their content; not those that go while it looks.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter_map(|path| std::fs::read(&path).ok().map(|bytes| (path, bytes))).collect()
}

/// A folder with a log, views and keys that were written to and closed: `log.db`, `views.db`, `keys.db`.
async fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name| Location::Sqlite(folder.path().join(name));
    let store =
        TestStore::at("bank", at("log.db"), at("views.db"), vec![Balances::shared()], None).await.unwrap();
    let keys = SqlKeyStore::open(&at("keys.db")).await.unwrap();
    cqrs_core::KeyStore::ensure(&keys, vec![(uuid::Uuid::nil(), [7; 32])]).await.unwrap();
    for n in 0..300 {
        deposit(&store.store, n, 5).await;
    }
    store.project(&[]).await.unwrap();
    drop((store, keys));
    // The writer's thread closes its connection, which moves what is left of the write-ahead log into the file.
    while content(folder.path()).len() > 3 {
        tokio::task::yield_now().await;
    }
    folder
}

async fn open_log(folder: &Path) -> Result<(), StoreError> {
    open_log_called("bank", folder).await
}

async fn open_log_called(name: &'static str, folder: &Path) -> Result<(), StoreError> {
    let location = Location::Sqlite(folder.join("log.db"));
    SqlLog::open(name, &location, SystemClock.fresh_id(), None, LogOptions::default()).await.map(drop)
}

async fn open_views(folder: &Path) -> Result<(), StoreError> {
    Views::open(&Location::Sqlite(folder.join("views.db")).into(), vec![Balances::shared()], 2)
        .await
        .map(drop)
}

async fn open_keys(folder: &Path) -> Result<(), StoreError> {
    SqlKeyStore::open(&Location::Sqlite(folder.join("keys.db"))).await.map(drop)
}

/// Opens each store of the folder, whose files must be refused as corrupt with these words and left alone.
async fn refused(folder: &Path, words: &str) {
    let before = content(folder);
    for (name, result) in [
        ("log.db", open_log(folder).await),
        ("views.db", open_views(folder).await),
        ("keys.db", open_keys(folder).await),
    ] {
        match result {
            Err(StoreError::Corrupt(detail)) => {
                assert!(detail.contains(words) && detail.contains(name), "{name}: {detail}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(content(folder) == before, "nothing in the folder changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_of_a_newer_format_are_refused_and_left_alone() {
    let folder = folder().await;
    let change = |name: &str, sql: &str| {
        let connection = rusqlite::Connection::open(folder.path().join(name)).unwrap();
        connection.execute_batch(sql).unwrap();
    };
    change("log.db", "UPDATE meta SET value = x'0000000000000002' WHERE key = 'format'");
    change("views.db", "PRAGMA user_version = 2");
    change("keys.db", "PRAGMA user_version = 2");
    refused(folder.path(), "format 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_databases_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["log.db", "views.db", "keys.db"] {
        std::fs::write(
            folder.path().join(name),
            "not a database, but long enough to be looked at ".repeat(200),
        )
        .unwrap();
    }
    refused(folder.path(), "not a database").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_cut_short_are_refused_and_left_alone() {
    let folder = folder().await;
    for name in ["log.db", "views.db", "keys.db"] {
        let path = folder.path().join(name);
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 4096).unwrap();
    }
    refused(folder.path(), "malformed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_another_name_or_a_database_of_something_else_is_refused() {
    let folder = folder().await;
    let before = std::fs::read(folder.path().join("log.db")).unwrap();
    let error = open_log_called("library", folder.path()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(detail) if detail.contains("\"bank\"")), "{error}");
    assert!(std::fs::read(folder.path().join("log.db")).unwrap() == before);

    std::fs::rename(folder.path().join("keys.db"), folder.path().join("log.db")).unwrap();
    let before = content(folder.path());
    let error = open_log(folder.path()).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(detail) if detail.contains("something else")), "{error}");
    assert!(content(folder.path()) == before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_opens_again_with_the_version_that_made_it() {
    let folder = folder().await;
    open_log(folder.path()).await.unwrap();
    open_views(folder.path()).await.unwrap();
    open_keys(folder.path()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_a_newer_format_on_postgresql_is_refused() {
    let Some(schema) = TestSchema::new(2).unwrap() else { return };
    let open = || SqlLog::open("bank", &schema.location, SystemClock.fresh_id(), None, LogOptions::default());
    let epoch = cqrs_core::Log::epoch(&*open().await.unwrap());
    let set = |format: u8| {
        let Location::Postgres { schema, .. } = &schema.location else { panic!("it is on PostgreSQL") };
        format!(
            r#"UPDATE "{schema}".meta SET value = decode('00000000000000{format:02}', 'hex') WHERE key = 'format'"#
        )
    };
    let url = std::env::var(cqrs_sql::testing::POSTGRES_URL).unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&set(2)).await.unwrap();
    let error = open().await.err().unwrap();
    assert!(matches!(&error, StoreError::Corrupt(detail) if detail.contains("format 2")), "{error}");
    client.batch_execute(&set(1)).await.unwrap();
    assert_eq!(cqrs_core::Log::epoch(&*open().await.unwrap()), epoch);
}
