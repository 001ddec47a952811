//! Schemas on PostgreSQL: what an older version made, what a newer one did, and what may not be changed.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use common::{Balances, deposit, postgres};
use cqrs_core::{Clock as _, KeyStore as _, Log as _, PlaceStore as _, Position, StoreError, SystemClock};
use cqrs_sql::testing::{TestSchema, TestStore};
use cqrs_sql::{Location, LogOptions, SqlKeyStore, SqlLog, Views};
use uuid::Uuid;

/// Everything the first version made.
const FIRST: &str = include_str!("recorded/first.sql");

/// What the first version runs for a commit and for a reactor's place, as far as it touches tables.
const COMMIT: &str = "
BEGIN;
UPDATE {log}.head SET position = position RETURNING position, at;
INSERT INTO {log}.events (position, id, category, stream, version, name, schema, at, actor_kind, actor, correlation,
  causation, data)
  SELECT position + 1, gen_random_uuid(), 'account', gen_random_uuid(), 1, 'account.deposited', 1, at, 1, NULL,
    gen_random_uuid(), NULL, '{\"cents\":1}' FROM {log}.head;
INSERT INTO {log}.ledger (key, content, answer, at) SELECT '\\x01', '\\x02', '\\x03', at FROM {log}.head;
UPDATE {log}.head SET position = position + 1;
COMMIT;
INSERT INTO {log}.places (consumer, source, position) VALUES ('reactor', 'other', 9)
  ON CONFLICT (consumer, source) DO UPDATE SET position = excluded.position
  WHERE excluded.position > places.position;
";

fn name(schema: &TestSchema) -> &str {
    let Location::Postgres { schema, .. } = &schema.location else { panic!("it is on PostgreSQL") };
    schema
}

async fn run(sql: &str, [log, views, keys]: [&TestSchema; 3]) {
    let sql = sql.replace("{log}", name(log)).replace("{views}", name(views)).replace("{keys}", name(keys));
    postgres().await.batch_execute(&sql).await.unwrap();
}

async fn open_log(location: &Location, migrate: bool) -> Result<std::sync::Arc<SqlLog>, StoreError> {
    let options = LogOptions { migrate, ..LogOptions::default() };
    SqlLog::open("bank", location, SystemClock.fresh_id(), None, options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_first_version_made_is_brought_up_to_date_and_the_first_version_goes_on_beside() {
    let (Some(log), Some(views), Some(keys)) =
        (TestSchema::new(4).unwrap(), TestSchema::new(4).unwrap(), TestSchema::new(4).unwrap())
    else {
        return;
    };
    let schemas = [&log, &views, &keys];
    run("CREATE SCHEMA {log}; CREATE SCHEMA {views}; CREATE SCHEMA {keys}", schemas).await;
    run(FIRST, schemas).await;

    let (at_log, at_views) = (log.location.clone(), views.location.clone());
    let bank = TestStore::at("bank", at_log, at_views, vec![Balances::shared()], None).await.unwrap();
    let epoch = Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0001);
    assert_eq!(bank.store.log.epoch(), epoch, "it is the same log");
    deposit(&bank.store, 2, 70).await;
    run(COMMIT, schemas).await;
    deposit(&bank.store, 3, 1).await;

    let events = bank.store.log.read(Position(0), 10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.position.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(&events[0].data[..], br#"{"cents":500}"#);
    let place = bank.store.log.load("reactor", "other").await.unwrap().unwrap();
    assert_eq!(place.position, Position(9), "moved by the version before");
    let keys = SqlKeyStore::open(&keys.location).await.unwrap();
    assert_eq!(keys.find(&[Uuid::from_u128(9)]).await.unwrap(), [(Uuid::from_u128(9), [7; 32])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_change_a_schema_is_told_that_it_is_missing_or_older() {
    let (Some(log), Some(views), Some(keys)) =
        (TestSchema::new(4).unwrap(), TestSchema::new(4).unwrap(), TestSchema::new(4).unwrap())
    else {
        return;
    };
    let schemas = [&log, &views, &keys];
    let told = |error: StoreError| {
        assert!(matches!(&error, StoreError::Other(detail) if detail.contains("older")), "{error}");
    };
    told(open_log(&log.location, false).await.err().unwrap());
    told(SqlKeyStore::open_with(&keys.location, false).await.err().unwrap());

    run("CREATE SCHEMA {log}; CREATE SCHEMA {views}; CREATE SCHEMA {keys}", schemas).await;
    run(FIRST, schemas).await;
    told(open_log(&log.location, false).await.err().unwrap());
    told(SqlKeyStore::open_with(&keys.location, false).await.err().unwrap());

    let epoch = open_log(&log.location, true).await.unwrap().epoch();
    SqlKeyStore::open(&keys.location).await.unwrap();
    assert_eq!(open_log(&log.location, false).await.unwrap().epoch(), epoch);
    SqlKeyStore::open_with(&keys.location, false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_services_own_tables_count_as_well() {
    let Some(log) = TestSchema::new(4).unwrap() else { return };
    let open = |postgres: &'static str, migrate| {
        let options = LogOptions { migrate, ..LogOptions::default() };
        SqlLog::open("bank", &log.location, SystemClock.fresh_id(), Some(("", postgres)), options)
    };
    let (one, two) = ("CREATE TABLE IF NOT EXISTS one (id uuid)", "CREATE TABLE IF NOT EXISTS two (id uuid)");
    open(one, true).await.unwrap();
    assert!(open(two, false).await.is_err(), "they were never made");
    open(two, true).await.unwrap();
    open(one, false).await.expect("the version before goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn views_and_keys_of_a_newer_format_are_refused_on_postgresql_too() {
    let (Some(views), Some(keys)) = (TestSchema::new(4).unwrap(), TestSchema::new(4).unwrap()) else {
        return;
    };
    let views_at = views.location.clone().into();
    let open_views = || Views::open(&views_at, vec![Balances::shared()], 2);
    let open_keys = || SqlKeyStore::open(&keys.location);
    open_views().await.unwrap();
    open_keys().await.unwrap();
    for (number, fine) in [(2, false), (1, true)] {
        for schema in [name(&views), name(&keys)] {
            let sql = format!(
                "UPDATE {schema}.meta SET value = decode('000000000000000{number}', 'hex') WHERE key = 'format'"
            );
            postgres().await.batch_execute(&sql).await.unwrap();
        }
        for error in [open_views().await.err(), open_keys().await.err()] {
            let newer = matches!(&error, Some(StoreError::Corrupt(detail)) if detail.contains("format 2"));
            assert!(if fine { error.is_none() } else { newer }, "{error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_brought_up_to_date_as_soon_as_nobody_holds_it() {
    let (Some(log), Some(views), Some(keys)) =
        (TestSchema::new(4).unwrap(), TestSchema::new(4).unwrap(), TestSchema::new(4).unwrap())
    else {
        return;
    };
    let schemas = [&log, &views, &keys];
    run("CREATE SCHEMA {log}; CREATE SCHEMA {views}; CREATE SCHEMA {keys}", schemas).await;
    run(FIRST, schemas).await;
    let reader = postgres().await;
    let hold = format!("BEGIN; SELECT * FROM {}.places", name(&log));
    reader.batch_execute(&hold).await.unwrap();
    let location = log.location.clone();
    let opening = tokio::spawn(async move { open_log(&location, true).await });
    // Whoever reads the table meanwhile isn't kept waiting behind the change for longer than it tries.
    let select = format!("SELECT count(*) FROM {}.places", name(&log));
    let counted: i64 = postgres().await.query_one(&select, &[]).await.unwrap().get(0);
    assert_eq!(counted, 1);
    reader.batch_execute("COMMIT").await.unwrap();
    opening.await.unwrap().unwrap();
}
