//! Stores elsewhere: copies that are equal, that go on where they died, and that nobody uses before they are whole.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use std::fs;
use std::path::Path;

use common::{Balances, deposit};
use cqrs_core::{Clock as _, ForeignRecord, Log as _, Park as _, ParkStore as _, SystemClock, Value};
use cqrs_sql::testing::{TestSchema, TestStore};
use cqrs_sql::transfer::archive::{Archive, ArchiveWriter};
use cqrs_sql::transfer::{
    Found, Kind, Mark, Snapshot, Stage, StoreDigest, Table, Target, copy, digest, find_older_log,
    pin_together,
};
use cqrs_sql::{Location, LogOptions, SqlLog};
use rusqlite::Connection;
use uuid::Uuid;

/// A table with a column of every kind.
const EVERY_KIND: (&str, &str) = (
    "CREATE TABLE IF NOT EXISTS cards (name TEXT NOT NULL, owner UUID NOT NULL, version BIGINT NOT NULL, frozen BOOLEAN
       NOT NULL, note TEXT, seal BLOB, PRIMARY KEY (name, owner))",
    "CREATE TABLE IF NOT EXISTS cards (name text NOT NULL, owner uuid NOT NULL, version bigint NOT NULL, frozen boolean
       NOT NULL, note text, seal bytea, PRIMARY KEY (name, owner))",
);
const BANK: Kind = Kind::Log { name: "bank", write_schema: Some(EVERY_KIND) };

async fn bank() -> TestStore {
    TestStore::new("bank", vec![Balances::shared()], Some(EVERY_KIND)).await.unwrap()
}

fn log_of(store: &TestStore) -> Location {
    Location::Sqlite(store.dir().unwrap().join("log.db"))
}

/// Events, and rows of every kind in more than one batch, with names that stores order differently unless told.
async fn filled() -> TestStore {
    let store = bank().await;
    for n in 0..50 {
        deposit(&store.store, n % 7, n as i64).await;
    }
    let connection = Connection::open(store.dir().unwrap().join("log.db")).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    let names = ["a", "B", "ä", "Z", "z", "_", "é", "e\u{301}", "10", "9", "ß", ""];
    for n in 0..2500_u128 {
        connection
            .execute(
                "INSERT INTO cards (name, owner, version, frozen, note, seal) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                rusqlite::params![
                    names[n as usize % names.len()],
                    Uuid::from_u128(n * 7919).as_bytes(),
                    n as i64 - 1000,
                    n % 3 == 0,
                    (n % 2 == 0).then(|| format!("note {n}\n'\"\\")),
                    (n % 5 != 0).then(|| vec![n as u8; (n % 40) as usize]),
                ],
            )
            .unwrap();
    }
    connection
        .execute_batch(
            "INSERT INTO claims VALUES ('email', x'00ff', x'00000000000000000000000000000007', NULL);
             INSERT INTO ledger VALUES (x'01', x'02', x'', 5);
             INSERT INTO places (consumer, source, position) VALUES ('loyalty', 'shop.public', 12);
             INSERT INTO parked (id, consumer, source, part, position, name, reason)
               VALUES (1, 'loyalty', 'shop.public', -1, 11, 'sold', 'no such thing');
             COMMIT",
        )
        .unwrap();
    store
}

fn mark(origin: &str) -> Mark {
    Mark { of: "a test".to_owned(), origin: origin.to_owned(), stage: Stage::Copying }
}

async fn digest_of(location: &Location, tables: &[Table]) -> StoreDigest {
    let snapshot = Snapshot::pin("bank", location).await.unwrap();
    digest(&snapshot, tables, |_| ()).await.unwrap()
}

async fn copy_whole(from: &Location, to: &Location) {
    let source = Snapshot::pin("bank", from).await.unwrap();
    let target = Target::create("bank", to, BANK, SystemClock.fresh_id(), &mark("x")).await.unwrap();
    copy(&source, &target, |_| ()).await.unwrap();
    target.finish().await.unwrap();
}

async fn open(location: &Location) -> Result<std::sync::Arc<SqlLog>, String> {
    SqlLog::open("bank", location, SystemClock.fresh_id(), Some(EVERY_KIND), LogOptions::default())
        .await
        .map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_every_row_is_the_same_and_the_log_goes_on() {
    let Some(schema) = TestSchema::new(4).unwrap() else { return };
    let store = filled().await;
    let (from, dir) = (log_of(&store), tempfile::tempdir().unwrap());
    let tables = Snapshot::pin("bank", &from).await.unwrap().tables().to_vec();
    let before = digest_of(&from, &tables).await;
    assert_eq!((before.0["events"].rows, before.0["cards"].rows), (50, 2500));
    copy_whole(&from, &schema.location).await;
    assert_eq!(digest_of(&schema.location, &tables).await, before);
    let back = Location::Sqlite(dir.path().join("log.db"));
    copy_whole(&schema.location, &back).await;
    assert_eq!(digest_of(&back, &tables).await, before);
    assert_eq!(digest_of(&back, &tables).await.hash(), before.hash());
    for location in [&schema.location, &back] {
        let log = open(location).await.unwrap();
        assert_eq!(log.epoch(), store.store.log.epoch());
        assert_eq!(log.head().borrow().0, 50);
        // What is parked from now on is numbered behind what was.
        let record = ForeignRecord {
            topic: "shop".to_owned(),
            partition: 0,
            offset: 1,
            key: None,
            headers: Vec::new(),
            value: None,
            reason: "not ours".to_owned(),
        };
        log.park(&record).await.unwrap();
        let ids: Vec<_> = log.parked().await.unwrap().iter().map(|parked| parked.id).collect();
        assert_eq!(ids, [1, 2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_died_is_opened_by_nobody_and_goes_on_behind_what_is_there_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    dies_and_goes_on(&Location::Sqlite(dir.path().join("log.db"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_died_is_opened_by_nobody_and_goes_on_behind_what_is_there_on_postgresql() {
    if let Some(schema) = TestSchema::new(4).unwrap() {
        dies_and_goes_on(&schema.location).await;
    }
}

async fn dies_and_goes_on(to: &Location) {
    let store = filled().await;
    let source = Snapshot::pin("bank", &log_of(&store)).await.unwrap();
    assert_eq!(Found::at(to).await.unwrap(), Found::Nothing);
    let target = Target::create("bank", to, BANK, SystemClock.fresh_id(), &mark("bank 50")).await.unwrap();
    let cards = source.table("cards").unwrap();
    let first = source.rows(cards, 0).next().await.unwrap().unwrap();
    let count = first.len() as u64;
    assert!((1..2500).contains(&count));
    target.insert(cards, first).await.unwrap();
    drop(target);

    assert_eq!(Found::at(to).await.unwrap(), Found::Unfinished(mark("bank 50")));
    let refused = open(to).await.err().unwrap();
    assert!(refused.contains("a test has begun to fill it"), "{refused}");
    assert!(Snapshot::pin("bank", to).await.is_err(), "it is nothing to copy from either");

    let target = Target::resume("bank", to).await.unwrap();
    let mut written = 0;
    copy(&source, &target, |rows| written += rows).await.unwrap();
    target.finish().await.unwrap();
    let tables = source.tables();
    assert_eq!(digest_of(to, tables).await, digest(&source, tables, |_| ()).await.unwrap());
    open(to).await.unwrap();
    assert!(matches!(Found::at(to).await.unwrap(), Found::Something(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_with_one_changed_value_is_told_from_the_source() {
    let store = filled().await;
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("log.db");
    let from = log_of(&store);
    copy_whole(&from, &Location::Sqlite(to.clone())).await;
    let tables = Snapshot::pin("bank", &from).await.unwrap().tables().to_vec();
    let wanted = digest_of(&from, &tables).await;
    let connection = Connection::open(&to).unwrap();
    assert_eq!(connection.execute("UPDATE cards SET seal = x'00' WHERE version = -999", []).unwrap(), 1);
    let error = wanted.must_equal("bank", &digest_of(&Location::Sqlite(to), &tables).await).unwrap_err();
    assert!(error.to_string().contains("the table cards came out differently"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_destination_has_no_column_for_is_refused() {
    let store = bank().await;
    let path = store.dir().unwrap().join("log.db");
    Connection::open(&path).unwrap().execute_batch("ALTER TABLE cards ADD COLUMN colour TEXT").unwrap();
    let source = Snapshot::pin("bank", &log_of(&store)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let to = Location::Sqlite(dir.path().join("log.db"));
    let target = Target::create("bank", &to, BANK, SystemClock.fresh_id(), &mark("x")).await.unwrap();
    let error = copy(&source, &target, |_| ()).await.unwrap_err().to_string();
    assert!(error.contains("cards has no column colour"), "{error}");
}

/// The same instant for two logs, of which one records what it has seen of the other.
#[tokio::test(flavor = "multi_thread")]
async fn logs_pinned_together_never_show_an_effect_without_its_cause() {
    let (cause, effect) = (bank().await, bank().await);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (writing, seeing) = (cause.store.clone(), effect.store.clone());
    let load = tokio::spawn(async move {
        while !*stopped.borrow() {
            deposit(&writing, 1, 1).await;
            let seen = writing.log.head().borrow().0;
            deposit(&seeing, 2, seen as i64).await;
        }
        writing.log.head().borrow().0
    });
    let (at_cause, at_effect) = (log_of(&cause), log_of(&effect));
    let keys = Location::Sqlite(cause.dir().unwrap().join("keys.db"));
    cqrs_sql::SqlKeyStore::open(&keys).await.unwrap();
    let mut ends = Vec::new();
    for _ in 0..20 {
        let logs = [("cause", &at_cause), ("effect", &at_effect)];
        let pinned = pin_together(&logs, ("keys", &keys)).await.unwrap();
        let end = pinned[0].position().unwrap().0;
        let events = pinned[1].table("events").unwrap();
        let data = events.columns.iter().position(|column| column == "data").unwrap();
        let (mut rows, mut seen) = (pinned[1].rows(events, 0), 0);
        while let Some(batch) = rows.next().await.unwrap() {
            for row in batch {
                let Value::Bytes(json) = &row[data] else { panic!("{row:?}") };
                let json: serde_json::Value = serde_json::from_slice(json).unwrap();
                seen = json["cents"].as_u64().unwrap().max(seen);
            }
        }
        assert!(seen <= end, "{seen} was seen of a log that ends at {end}");
        assert_eq!(pinned[0].count(pinned[0].table("events").unwrap()).await.unwrap(), end);
        ends.push(end);
        // The next is another instant.
        cause.store.log.head().wait_for(|head| head.0 > end).await.unwrap();
    }
    stop.send_replace(true);
    assert!(load.await.unwrap() >= *ends.last().unwrap());
    assert!(ends.is_sorted_by(|a, b| a < b), "commits went on meanwhile: {ends:?}");
}

async fn archive_of(store: &TestStore, path: &Path) -> Archive {
    let snapshot = Snapshot::pin("bank", &log_of(store)).await.unwrap();
    let mut writer = ArchiveWriter::create(path).unwrap();
    writer.store(&snapshot, |_| ()).await.unwrap();
    writer.file("keys/secret", b"not for everybody").unwrap();
    writer.finish("a test", SystemClock.now()).unwrap();
    Archive::open(path, |_| ()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_says_what_it_holds_and_only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (store, dir) = (filled().await, tempfile::tempdir().unwrap());
    let path = dir.path().join("bank.backup");
    let archive = archive_of(&store, &path).await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    let entry = &archive.manifest().stores[0];
    assert_eq!((entry.epoch, entry.position), (Some(store.store.log.epoch()), Some(50)));
    let tables = Snapshot::pin("bank", &log_of(&store)).await.unwrap().tables().to_vec();
    assert_eq!(entry.digest(), digest_of(&log_of(&store), &tables).await);
    assert!(ArchiveWriter::create(&path).is_err(), "it isn't overwritten");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_changed_or_cut_anywhere_is_refused() {
    let (store, dir) = (bank().await, tempfile::tempdir().unwrap());
    for n in 0..5 {
        deposit(&store.store, n, 7).await;
    }
    let path = dir.path().join("bank.backup");
    archive_of(&store, &path).await;
    let whole = fs::read(&path).unwrap();
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).unwrap();
        assert!(Archive::open(&path, |_| ()).is_err(), "{what}");
    };
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        refused(&changed, &format!("a bit flipped at {at} of {}", whole.len()));
    }
    for end in (0..whole.len()).step_by(7) {
        refused(&whole[..end], &format!("cut at {end}"));
    }
    refused(&[&whole[..], b"x"].concat(), "something follows");
    fs::write(&path, &whole).unwrap();
    Archive::open(&path, |_| ()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_before_what_a_view_or_a_consumer_has_seen_is_found() {
    let store = bank().await;
    let dir = store.dir().unwrap();
    let (log, views) = (log_of(&store), Location::Sqlite(dir.join("views.db")));
    deposit(&store.store, 1, 1).await;
    let old = dir.join("old.db");
    Connection::open(dir.join("log.db")).unwrap().execute("VACUUM INTO ?1", [old.to_str().unwrap()]).unwrap();
    for _ in 0..3 {
        deposit(&store.store, 1, 1).await;
    }
    store.project(&[]).await.unwrap();
    let looked = find_older_log(&[("bank", &log)], &[&views]).await.unwrap();
    assert_eq!(looked, None, "as long as it is the log that the view was filled from");
    let older =
        find_older_log(&[("bank", &Location::Sqlite(old.clone()))], &[&views]).await.unwrap().unwrap();
    assert_eq!((older.ends_at, older.seen, older.follower.as_str()), (1, 4, "the view balances"));

    let nothing = Location::Sqlite(dir.join("not-there.db"));
    let logs = [("bank", &Location::Sqlite(old))];
    assert_eq!(find_older_log(&logs, &[&nothing]).await.unwrap(), None);
    let consumer = bank().await;
    Connection::open(consumer.dir().unwrap().join("log.db"))
        .unwrap()
        .execute("INSERT INTO places (consumer, source, position) VALUES ('loyalty', 'bank.public', 2)", [])
        .unwrap();
    let other = log_of(&consumer);
    let older = find_older_log(&[logs[0], ("loyalty", &other)], &[]).await.unwrap().unwrap();
    assert_eq!(
        (older.log.as_str(), older.seen, older.follower.as_str()),
        ("bank", 2, "the consumer loyalty")
    );
}
