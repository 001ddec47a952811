//! Several processes on one PostgreSQL: each event is taken in once, by one of them; another follows when it stops, dies or
//! is held up; who wakes too late writes nothing.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Balances, balances, deposit, expected, reopened};
use cqrs_core::testing::keyring;
use cqrs_core::{
    CodecError, EventBus, EventHandler as _, Fence, Incoming, LeaseStore as _, Log as _, Place, PlaceError,
    PlaceStore as _, Position, Projection, RunMode, Schema, Writes,
};
use cqrs_sql::testing::{POSTGRES_URL, TestStore};
use cqrs_sql::{Location, Pool, Projecting, ServiceStore};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The bank's view, and how many events this process made something of.
struct Counted(Arc<dyn Projection>, Arc<AtomicU64>);

impl Projection for Counted {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn sources(&self) -> &'static [&'static str] {
        self.0.sources()
    }
    fn schema(&self) -> Schema {
        self.0.schema()
    }
    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.project(event, out)
    }
}

/// A process that keeps the view, or watches others keep it.
struct Process {
    store: ServiceStore,
    bus: EventBus,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    projected: Arc<AtomicU64>,
}

async fn process(bank: &TestStore, mode: RunMode) -> Process {
    let projected = Arc::new(AtomicU64::new(0));
    let counted: Arc<dyn Projection> = Arc::new(Counted(Balances::shared(), projected.clone()));
    let store = reopened(bank, vec![counted]).await.store;
    let bus = store.subscribe_projections(&[]).build().unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn({
        let bus = bus.clone();
        async move { bus.run(stopped, mode).await }
    });
    Process { store, bus, stop, running, projected }
}

impl Process {
    /// Waits until the view shows everything up to `position` in this process; how long that took.
    async fn reaches(&self, position: u64) -> Duration {
        let begun = Instant::now();
        let mut at = self.bus.position("balances", "bank").unwrap();
        let reached = at.wait_for(|at| at.0 >= position);
        tokio::time::timeout(Duration::from_mins(1), reached).await.expect("it comes so far").unwrap();
        begun.elapsed()
    }

    fn projected(&self) -> u64 {
        self.projected.load(Ordering::SeqCst)
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.running.await.unwrap();
    }
}

async fn on_postgres() -> Option<TestStore> {
    TestStore::on_postgres("bank", vec![Balances::shared()], None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_processes_one_takes_each_event_in_and_all_know_how_far_it_is() {
    let Some(bank) = on_postgres().await else { return };
    let processes = [
        process(&bank, RunMode::Follow).await,
        process(&bank, RunMode::Follow).await,
        process(&bank, RunMode::Observe).await,
    ];
    for n in 0..100 {
        let written = &processes[n as usize % 3];
        deposit(&written.store, n % 7, n as i64).await;
    }
    for process in &processes {
        process.reaches(100).await;
        // What the position promises is there to be read.
        assert_eq!(balances(&process.store.views).await, expected(&bank.store).await);
    }
    let projected = processes.each_ref().map(Process::projected);
    assert_eq!(projected.iter().sum::<u64>(), 100, "{projected:?}");
    assert!(projected.contains(&100) && projected[2] == 0, "{projected:?}");
    for process in processes {
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_stops_is_followed_at_once_and_who_dies_within_five_seconds() {
    let Some(bank) = on_postgres().await else { return };
    let first = process(&bank, RunMode::Follow).await;
    deposit(&bank.store, 1, 1).await;
    first.reaches(1).await;
    let (one, two) = (process(&bank, RunMode::Follow).await, process(&bank, RunMode::Follow).await);
    first.stop().await;
    deposit(&bank.store, 1, 2).await;
    let stopped = one.reaches(2).await;
    assert!(stopped < Duration::from_secs(3), "it wasn't waited for to expire: {stopped:?}");

    let (holder, other) = if one.projected() == 1 { (one, two) } else { (two, one) };
    holder.running.abort();
    let _ = holder.running.await;
    deposit(&bank.store, 1, 3).await;
    let died = other.reaches(3).await;
    assert!(died <= Duration::from_secs(5), "{died:?}");
    assert_eq!(other.projected(), 1);
    assert_eq!(balances(&bank.store.views).await, expected(&bank.store).await);
    other.stop().await;
}

/// Takes the view's lease for so long.
async fn taken(store: &ServiceStore, ttl: Duration) -> Fence {
    let asking = async {
        loop {
            if let Some(fence) = store.views.acquire("balances", Uuid::from_u128(1), ttl).await.unwrap() {
                return fence;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.expect("a lease expires")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_holder_whose_lease_went_on_writes_neither_view_nor_place() {
    let Some(bank) = on_postgres().await else { return };
    for n in 1..=4 {
        deposit(&bank.store, n, 5).await;
    }
    let source = bank.store.source();
    let handler = |store: &ServiceStore| {
        let projection = store.views.projections()[0].clone();
        Projecting::new(projection, store.views.clone(), keyring(), &[store.source()])
    };
    let (other, keeps) = (reopened(&bank, vec![Balances::shared()]).await, handler(&bank.store));
    let stale = taken(&bank.store, Duration::from_millis(50)).await;
    // Under its lease it begins; nobody has taken that yet.
    keeps.handle("bank", &source.read(Position(0), 1).await.unwrap(), Some(stale)).await.unwrap();
    let before = balances(&bank.store.views).await;
    assert_eq!(before.len(), 1);
    let fence = taken(&other.store, Duration::from_mins(1)).await;
    // From a place that is there, and for one that isn't yet.
    let late = source.read(Position(1), 10).await.unwrap();
    for _ in 0..2 {
        let error = keeps.handle("bank", &late, Some(stale)).await.unwrap_err();
        assert!(error.moved, "{error}");
        assert_eq!(balances(&bank.store.views).await, before);
        assert_eq!(keeps.place("bank").await.unwrap(), Position(1));
    }
    handler(&other.store).handle("bank", &late, Some(fence)).await.unwrap();
    assert_eq!(balances(&bank.store.views).await, expected(&bank.store).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_view_that_was_never_begun_is_not_begun_under_a_lease_that_went_on() {
    let Some(bank) = on_postgres().await else { return };
    deposit(&bank.store, 1, 5).await;
    let stale = taken(&bank.store, Duration::from_millis(1)).await;
    taken(&bank.store, Duration::from_mins(1)).await;
    let projection = bank.store.views.projections()[0].clone();
    let handler = Projecting::new(projection, bank.store.views.clone(), keyring(), &[bank.store.source()]);
    let batch = bank.store.source().read(Position(0), 1).await.unwrap();
    let error = handler.handle("bank", &batch, Some(stale)).await.unwrap_err();
    assert!(error.moved, "{error}");
    assert_eq!(balances(&bank.store.views).await, []);
    assert_eq!(bank.store.views.place_of("balances", "bank").await.unwrap(), Position(0));
}

/// A connection of the test's own, and the names of the schemas of log and views.
async fn by_hand(bank: &TestStore) -> (tokio_postgres::Client, [String; 2]) {
    let url = std::env::var(POSTGRES_URL).unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let names = bank.schemas().iter().map(|schema| match &schema.location {
        Location::Postgres { schema, .. } => schema.clone(),
        Location::Sqlite(_) => unreachable!("it is on PostgreSQL"),
    });
    (client, names.collect::<Vec<_>>().try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_take_over_waits_for_a_write_under_way_and_a_renewal_does_not() {
    let Some(bank) = on_postgres().await else { return };
    let (client, [_, views]) = by_hand(&bank).await;
    let store = &bank.store;
    let fence = taken(store, Duration::from_mins(1)).await;
    // A step in the middle, as the server sees it.
    let step = format!("BEGIN; SELECT 1 FROM {views}.leases WHERE name = 'balances' FOR KEY SHARE");
    client.batch_execute(&step).await.unwrap();
    let renewed = store.views.renew("balances", fence, Duration::from_millis(1));
    assert!(tokio::time::timeout(Duration::from_secs(4), renewed).await.expect("it doesn't wait").unwrap());
    let other = reopened(&bank, vec![Balances::shared()]).await;
    let taking = tokio::spawn(async move { taken(&other.store, Duration::from_mins(1)).await });
    // It waits for the step's lock on the server.
    let (watching, _) = by_hand(&bank).await;
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{views}%leases%'"
    );
    let begun = Instant::now();
    while watching.query_one(&waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20) && !taking.is_finished());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.batch_execute("COMMIT").await.unwrap();
    assert!(taking.await.unwrap() > fence);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_place_that_an_earlier_version_keeps_is_gone_on_with() {
    let Some(bank) = on_postgres().await else { return };
    let (client, [log, _]) = by_hand(&bank).await;
    // Without an epoch, and so it goes on beside this one until it is stopped.
    for theirs in [
        format!("INSERT INTO {log}.places (consumer, source, position) VALUES ('relay', 'bank.public', 7)"),
        format!("UPDATE {log}.places SET position = position + 1 WHERE consumer = 'relay'"),
    ] {
        client.batch_execute(&theirs).await.unwrap();
    }
    let store = &bank.store.log;
    let kept = store.load("relay", "bank.public").await.unwrap();
    assert_eq!(kept, Some(Place { position: Position(8), epoch: Uuid::nil() }));
    let stale = store.acquire("relay", Uuid::nil(), Duration::from_millis(1)).await.unwrap().unwrap();
    let place = Place { position: Position(9), epoch: store.epoch() };
    store.save("relay", "bank.public", place, Some(stale)).await.unwrap();
    assert_eq!(store.load("relay", "bank.public").await.unwrap(), Some(place));
    tokio::time::sleep(Duration::from_millis(2)).await;
    store.acquire("relay", Uuid::nil(), Duration::from_mins(1)).await.unwrap().expect("it has expired");
    let further = Place { position: Position(10), ..place };
    let late = store.save("relay", "bank.public", further, Some(stale)).await;
    assert!(matches!(late, Err(PlaceError::LeaseLost)), "{late:?}");
    assert_eq!(store.load("relay", "bank.public").await.unwrap(), Some(place));
}

// A process of its own, which can be stopped as a whole.

/// Names the schemas of log and views for the process that [`another_process`] is.
const SCHEMAS: &str = "PARLOR_TEST_SCHEMAS";

/// Not a test: what the process does that the next one starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process() {
    let Ok(schemas) = std::env::var(SCHEMAS) else { return };
    let url = std::env::var(POSTGRES_URL).unwrap();
    // The server can so tell who wrote.
    let sign = if url.contains('?') { '&' } else { '?' };
    let pool = Pool::new(&format!("{url}{sign}options=-c%20test.process%3Dchild"), 4).unwrap();
    let (log, views) = schemas.split_once(' ').unwrap();
    let at = |schema: &str| Location::Postgres { pool: pool.clone(), schema: schema.to_owned() };
    let store = TestStore::at("bank", at(log), at(views), vec![Balances::shared()], None).await.unwrap();
    let bus = store.store.subscribe_projections(&[]).build().unwrap();
    let (_stop, stopped) = watch::channel(false);
    bus.run(stopped, RunMode::Follow).await;
}

/// Ended with the test.
struct Running(Child);

impl Running {
    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(signal).arg(self.0.id().to_string()).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_process_stopped_past_its_lease_writes_nothing_when_it_wakes() {
    let Some(bank) = on_postgres().await else { return };
    let (client, [log, views]) = by_hand(&bank).await;
    let audit = format!(
        "CREATE TABLE {views}.moved (who text, position bigint);
         CREATE FUNCTION {views}.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO {views}.moved VALUES (current_setting('test.process', true), NEW.position); RETURN NEW;
         END $$;
         CREATE TRIGGER note AFTER INSERT OR UPDATE ON {views}.view_places FOR EACH ROW EXECUTE FUNCTION {views}.note()"
    );
    client.batch_execute(&audit).await.unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "another_process", "--nocapture"])
        .env(SCHEMAS, format!("{log} {views}"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let child = Running(child);
    let here = process(&bank, RunMode::Observe).await;
    deposit(&bank.store, 1, 1).await;
    here.reaches(1).await;
    here.stop().await;

    // Events come all the time, so that it is in the middle of something when it is stopped.
    let (enough, stop_writing) = watch::channel(false);
    let writing = tokio::spawn({
        let store = bank.store.clone();
        async move {
            let mut written = 1;
            while !*stop_writing.borrow() {
                written += 1;
                deposit(&store, u128::from(written % 5), written as i64).await;
            }
            written
        }
    });
    let here = process(&bank, RunMode::Follow).await;
    here.reaches(20).await;
    assert_eq!(here.projected(), 0, "the other process holds the lease");
    child.signal("-STOP");
    let begun = Instant::now();
    while here.projected() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "nobody took over");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The first place after the take-over; from here on the other's writes would be a stale holder's.
    let theirs = format!("SELECT max(position), count(*) FROM {views}.moved WHERE who = 'child'");
    let written_by_child = async || {
        let row = client.query_one(&theirs, &[]).await.unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    let before = written_by_child().await;
    child.signal("-CONT");
    // Awake, it asks for its lease again and again, and events go on coming.
    let watched = format!("SELECT count(*) FROM {views}.moved WHERE who IS DISTINCT FROM 'child'");
    let ours = async || client.query_one(&watched, &[]).await.unwrap().get::<_, i64>(0);
    let (begun, at_waking) = (Instant::now(), ours().await);
    while begun.elapsed() < Duration::from_secs(2) || ours().await < at_waking + 20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    enough.send_replace(true);
    let written = writing.await.unwrap();
    here.reaches(written).await;
    assert_eq!(written_by_child().await, before, "it wrote after it had woken");
    assert_eq!(balances(&bank.store.views).await, expected(&bank.store).await);
    here.stop().await;
}
