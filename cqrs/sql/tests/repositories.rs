//! The repositories on SQL do what the one in memory does, on both stores.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use std::sync::Arc;

use cqrs_core::{
    BaseReadRepository, BaseRepository, BaseWriteRepository, CodecError, Comparison, InMemoryRepository,
    Incoming, Order, Projection, QueryOptions, Record, Row, RowError, RowExt as _, Schema, Value, Writes,
    params,
};
use cqrs_sql::testing::TestStore;
use cqrs_sql::{SqlReadRepository, SqlWriteRepository};
use uuid::Uuid;

on_both_stores![
    a_read_repository_finds_what_the_one_in_memory_finds,
    a_write_repository_saves_loads_and_deletes_as_the_one_in_memory,
];

/// A book, as a view shows it and as a state-stored aggregate keeps it.
#[derive(Debug, Clone, PartialEq)]
struct Book<const VIEW: bool> {
    id: Uuid,
    title: String,
    subtitle: Option<String>,
    pages: i64,
    lent: bool,
    shelf: Option<i64>,
}

impl<const VIEW: bool> Record for Book<VIEW> {
    const TABLE: &'static str = if VIEW { "{p}books" } else { "books" };
    const COLUMNS: &'static [&'static str] = &["id", "title", "subtitle", "pages", "lent", "shelf"];
    const SEARCHED: &'static [&'static str] = &["title", "subtitle"];

    fn to_persistence(&self) -> Vec<Value> {
        params![self.id, self.title.clone(), self.subtitle.clone(), self.pages, self.lent, self.shelf]
    }
    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get(0)?,
            title: row.get(1)?,
            subtitle: row.get(2)?,
            pages: row.get(3)?,
            lent: row.get(4)?,
            shelf: row.get(5)?,
        })
    }
}

const SQLITE: &str = "CREATE TABLE {p}books (id BLOB PRIMARY KEY, title TEXT NOT NULL, subtitle TEXT,
    pages INTEGER NOT NULL, lent INTEGER NOT NULL, shelf INTEGER)";
const POSTGRES: &str = r#"CREATE TABLE {p}books (id uuid PRIMARY KEY, title text COLLATE "C" NOT NULL,
    subtitle text COLLATE "C", pages bigint NOT NULL, lent boolean NOT NULL, shelf bigint)"#;
const WRITE: (&str, &str) = (
    "CREATE TABLE IF NOT EXISTS books (id BLOB PRIMARY KEY, version INTEGER NOT NULL, title TEXT NOT NULL,
       subtitle TEXT, pages INTEGER NOT NULL, lent INTEGER NOT NULL, shelf INTEGER)",
    r#"CREATE TABLE IF NOT EXISTS books (id uuid PRIMARY KEY, version bigint NOT NULL, title text COLLATE "C" NOT NULL,
       subtitle text COLLATE "C", pages bigint NOT NULL, lent boolean NOT NULL, shelf bigint)"#,
);

/// The view's whole content comes with the first event.
struct Books;
impl Projection for Books {
    fn name(&self) -> &'static str {
        "books"
    }
    fn sources(&self) -> &'static [&'static str] {
        &["library"]
    }
    fn schema(&self) -> Schema {
        Schema { version: 1, sqlite: SQLITE, postgres: POSTGRES, tables: &["books"] }
    }
    fn project(&self, _: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        for book in books::<true>() {
            out.save(&Book { title: "to be replaced".to_owned(), ..book.clone() });
            out.save(&book);
        }
        let gone = Book { id: Uuid::from_u128(999), ..books::<true>().remove(0) };
        out.save(&gone);
        out.delete::<Book<true>>(gone.id);
        Ok(())
    }
}

fn books<const VIEW: bool>() -> Vec<Book<VIEW>> {
    let titles =
        ["Zelle", "apfel", "Äpfel", "Apfel", "你好 Welt", "100 % sure", "under_score", "back\\slash", ""];
    titles
        .iter()
        .zip(1_i64..)
        .map(|(title, n)| Book {
            id: Uuid::from_u128((n as u128 * 0x9e37_79b9_7f4a_7c15) << 40),
            title: (*title).to_owned(),
            subtitle: (n % 3 == 0).then(|| format!("part {n} of Apfel")),
            pages: n % 4 * 100,
            lent: n % 2 == 0,
            shelf: (n % 4 != 1).then_some(n - 5),
        })
        .collect()
}

async fn library(postgres: bool) -> Option<TestStore> {
    let projections: Vec<Arc<dyn Projection>> = vec![Arc::new(Books)];
    if postgres {
        common::on_postgres("library", projections, Some(WRITE)).await
    } else {
        Some(TestStore::new("library", projections, Some(WRITE)).await.unwrap())
    }
}

/// Every kind of option, alone and together.
fn cases() -> Vec<QueryOptions> {
    let all = QueryOptions::all;
    let id = books::<true>()[2].id;
    vec![
        all(),
        all().filter("id", id),
        all().filter("title", "apfel"),
        all().filter("title", "nowhere"),
        all().compare("title", Comparison::IsNot, "apfel"),
        all().compare("title", Comparison::Above, "Zelle").sort("title", Order::Ascending),
        all().compare("title", Comparison::Below, "Zelle").sort("title", Order::Descending),
        all().compare("pages", Comparison::Above, 100_i64),
        all().compare("pages", Comparison::Below, 100_i64),
        all().filter("lent", true),
        all().filter("lent", false).filter("pages", 100_i64),
        all().filter("shelf", Value::Null),
        all().compare("shelf", Comparison::IsNot, Value::Null),
        all().compare("shelf", Comparison::IsNot, 2_i64),
        all().compare("shelf", Comparison::Below, 1_i64),
        all().compare("shelf", Comparison::Above, Value::Null),
        all().sort("title", Order::Ascending),
        all().sort("pages", Order::Descending).sort("title", Order::Ascending),
        all().sort("lent", Order::Ascending).sort("id", Order::Descending),
        all().limit(3),
        all().limit(0),
        all().offset(4),
        all().sort("title", Order::Descending).limit(2).offset(3),
        all().limit(5).offset(100),
    ]
}

const TERMS: &[&str] = &["pfel", "Apfel", "apfel", "%", "_", "\\", "你好", "好 W", "part 3", "", "nowhere"];

async fn a_read_repository_finds_what_the_one_in_memory_finds(postgres: bool) {
    let Some(library) = library(postgres).await else { return };
    let memory = InMemoryRepository::<Book<true>>::default();
    for book in books() {
        memory.save(&book, 0).await.unwrap();
    }
    let source = library.store.source();
    let cx = cqrs_core::Clock::context(&cqrs_core::SystemClock, cqrs_core::Actor::System);
    let event = common::Happen(1, common::AccountEvent::Poisoned {});
    library.store.executor.run(&cx, &event).await.unwrap();
    library.project(&[]).await.unwrap();
    let sql = SqlReadRepository::<Book<true>>::new(library.store.views.clone(), "books");
    for round in 0..2 {
        for options in cases() {
            assert_eq!(
                sql.find_all(&options).await.unwrap(),
                memory.find_all(&options).await.unwrap(),
                "{options:?}"
            );
            assert_eq!(
                sql.count(&options).await.unwrap(),
                memory.count(&options).await.unwrap(),
                "{options:?}"
            );
            for term in TERMS {
                assert_eq!(
                    sql.search(term, &options).await.unwrap(),
                    memory.search(term, &options).await.unwrap(),
                    "{term:?} {options:?}"
                );
            }
        }
        for id in books::<true>().iter().map(|book| book.id).chain([Uuid::nil()]) {
            assert_eq!(sql.find_by_id(id).await.unwrap(), memory.find_by_id(id).await.unwrap());
            assert_eq!(sql.exists(id).await.unwrap(), memory.exists(id).await.unwrap());
        }
        if round == 0 {
            // And in the tables of another generation.
            let keyring = library.store.executor.keyring();
            library
                .store
                .views
                .rebuild("books", std::slice::from_ref(&source), keyring, |_| {})
                .await
                .unwrap();
        }
    }
    assert!(sql.find_all(&QueryOptions::all().filter("no_such", 1_i64)).await.is_err());
}

async fn a_write_repository_saves_loads_and_deletes_as_the_one_in_memory(postgres: bool) {
    let Some(library) = library(postgres).await else { return };
    let sql = SqlWriteRepository::<Book<false>>::new(library.store.log.clone());
    let memory = InMemoryRepository::<Book<false>>::default();
    let stores: [&dyn BaseWriteRepository<Book<false>>; 2] = [&sql, &memory];
    let books = books::<false>();
    for repository in stores {
        for book in &books {
            assert_eq!(repository.save(book, 0).await.unwrap(), 1);
        }
        let changed = Book { title: "changed".to_owned(), shelf: None, ..books[3].clone() };
        assert!(repository.save(&changed, 0).await.is_err());
        assert!(repository.save(&changed, 2).await.is_err());
        assert_eq!(repository.find_by_id(changed.id).await.unwrap(), Some(books[3].clone()));
        assert_eq!(repository.save(&changed, 1).await.unwrap(), 2);
        assert_eq!(repository.find_by_id(changed.id).await.unwrap(), Some(changed));
        assert!(repository.delete(books[5].id).await.unwrap());
        assert!(!repository.delete(books[5].id).await.unwrap());
        assert!(!repository.exists(books[5].id).await.unwrap());
        assert_eq!(repository.save(&books[5], 0).await.unwrap(), 1);
        assert!(repository.save(&Book { id: Uuid::from_u128(5), ..books[0].clone() }, 3).await.is_err());
    }
    for options in cases() {
        assert_eq!(
            sql.find_all(&options).await.unwrap(),
            memory.find_all(&options).await.unwrap(),
            "{options:?}"
        );
        assert_eq!(sql.count(&options).await.unwrap(), memory.count(&options).await.unwrap(), "{options:?}");
    }
    let (version, loaded) = sql.load(books[3].id).await.unwrap().unwrap();
    assert_eq!((version, &*loaded.title), (2, "changed"));
    assert_eq!(sql.load(Uuid::nil()).await.unwrap(), None);
}
