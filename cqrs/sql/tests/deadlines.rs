//! PostgreSQL that is slow, stuck, overrun or gone: an answer within three seconds, nothing left behind, and all well again
//! when it is back.

#![allow(clippy::unwrap_used, reason = "what surrounds the tests is tests as well")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{AccountEvent, Balances, Happen, postgres};
use cqrs_core::{Actor, Clock as _, Failure, Log as _, Position, RowExt as _, StoreError, SystemClock};
use cqrs_sql::testing::{POSTGRES_URL, TestSchema, TestStore};
use cqrs_sql::{Location, Pool};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// `PROOF.md`: a slow database is answered for within three seconds.
const BOUND: Duration = Duration::from_secs(3);

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A bank whose connections are called by a name of their own, through `address` if there is one.
struct Bank {
    store: TestStore,
    log: TestSchema,
    views: TestSchema,
    called: String,
}

const POOL: usize = 4;

impl Bank {
    async fn open(address: Option<SocketAddr>) -> Option<Self> {
        let (log, views) = (TestSchema::new(2).unwrap()?, TestSchema::new(2).unwrap()?);
        let called = format!("bank-{}", SystemClock.fresh_id().simple());
        let url = std::env::var(POSTGRES_URL).unwrap();
        let url = address.map_or(url.clone(), |address| through(&url, address));
        let separator = if url.contains('?') { '&' } else { '?' };
        let pool = Pool::new(&format!("{url}{separator}application_name={called}"), POOL).unwrap();
        let at = |schema: &TestSchema| {
            let Location::Postgres { schema, .. } = &schema.location else { panic!("it is on PostgreSQL") };
            Location::Postgres { pool: pool.clone(), schema: schema.clone() }
        };
        let store =
            TestStore::at("bank", at(&log), at(&views), vec![Balances::shared()], None).await.unwrap();
        Some(Self { store, log, views, called })
    }

    async fn deposit(&self, account: u128) -> Result<(), Failure> {
        let cx = SystemClock.context(Actor::System);
        let happen = Happen(account, AccountEvent::Deposited { cents: 1 });
        self.store.store.executor.run(&cx, &happen).await.map(drop)
    }

    async fn count(&self) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM {p}balances";
        let counted = self.store.store.views.query_one("balances", sql, Vec::new(), |row| row.get(0)).await?;
        Ok(counted.unwrap_or(-1))
    }

    /// The name of a table on the server.
    fn table(schema: &TestSchema, table: &str) -> String {
        let Location::Postgres { schema, .. } = &schema.location else { panic!("it is on PostgreSQL") };
        format!("{schema}.{table}")
    }

    /// Commands and queries by the dozen: each must be answered in time, and `fine` say whether well.
    async fn burst(&self, fine: bool) {
        let began = Instant::now();
        let deposits = futures::future::join_all((0..20).map(|n| self.deposit(1000 + n)));
        let counts = futures::future::join_all((0..20).map(|_| self.count()));
        let (deposits, counts) = tokio::join!(deposits, counts);
        assert!(began.elapsed() <= BOUND, "answered after {:?}", began.elapsed());
        for answer in deposits {
            match answer {
                Ok(()) => assert!(fine),
                Err(Failure::Unavailable(_) | Failure::DeadlineExceeded) => assert!(!fine),
                Err(other) => panic!("{other}"),
            }
        }
        for answer in counts {
            match answer {
                Ok(_) => assert!(fine),
                Err(StoreError::Unavailable(_)) => assert!(!fine),
                Err(other) => panic!("{other}"),
            }
        }
    }

    /// Waits until commands and queries work again.
    async fn recovered(&self) {
        let began = Instant::now();
        loop {
            if self.deposit(1).await.is_ok() && self.count().await.is_ok() {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "not well again after {PATIENCE:?}");
        }
        self.burst(true).await;
        // Whatever was answered and whatever wasn't: the log has no gap, and a deposit is in it once or not at all.
        let events = self.store.store.log.read(Position(0), 100_000).await.unwrap();
        assert!(events.iter().zip(1..).all(|(event, position)| event.position.0 == position));
    }

    /// How many connections the server sees.
    async fn connections(&self) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
        postgres().await.query_one(sql, &[&self.called]).await.unwrap().get(0)
    }

    /// Waits until there are no more connections than there may be: the pool's, and the committer's.
    async fn settled(&self) {
        let began = Instant::now();
        while self.connections().await > POOL as i64 + 1 {
            assert!(began.elapsed() < PATIENCE, "{} connections are left", self.connections().await);
        }
    }
}

/// The URL with another address.
fn through(url: &str, address: SocketAddr) -> String {
    let (before, rest) = url.rsplit_once('@').unwrap();
    let database = rest.split_once('/').map_or("", |(_, database)| database);
    format!("{before}@{address}/{database}")
}

/// What a [`Proxy`] does with what comes, in either direction.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Open,
    /// Takes everything and hands nothing on.
    Stuck,
    /// Hands everything on two seconds later.
    Slow,
}

/// Stands between Parlor and PostgreSQL.
struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
}

impl Proxy {
    async fn start(url: &str) -> Self {
        let (_, rest) = url.rsplit_once('@').unwrap();
        let server = rest.split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, ways) = watch::channel(Way::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                let ((client_in, client_out), (server_in, server_out)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(carry(client_in, server_out, ways.clone()));
                tokio::spawn(carry(server_in, client_out, ways.clone()));
            }
        });
        Self { address, way }
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
) {
    use tokio::io::AsyncReadExt as _;
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let now = *way.borrow();
        if now == Way::Slow {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        if way.wait_for(|way| *way != Way::Stuck).await.is_err()
            || to.write_all(&bytes[..read]).await.is_err()
        {
            return;
        }
    }
}

async fn with_proxy() -> Option<(Bank, Proxy)> {
    let url = std::env::var(POSTGRES_URL).ok().filter(|url| !url.is_empty());
    let Some(url) = url else { return Bank::open(None).await.map(|_| unreachable!("there is no server")) };
    let proxy = Proxy::start(&url).await;
    Some((Bank::open(Some(proxy.address)).await?, proxy))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_stops_answering_is_given_up_in_time_and_used_again_when_it_answers() {
    let Some((bank, proxy)) = with_proxy().await else { return };
    bank.burst(true).await;
    for _ in 0..2 {
        proxy.way.send_replace(Way::Stuck);
        bank.burst(false).await;
        proxy.way.send_replace(Way::Open);
        bank.recovered().await;
    }
    bank.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_two_seconds_away_is_given_up_in_time() {
    let Some((bank, proxy)) = with_proxy().await else { return };
    bank.burst(true).await;
    proxy.way.send_replace(Way::Slow);
    bank.burst(false).await;
    proxy.way.send_replace(Way::Open);
    bank.recovered().await;
    bank.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lock_that_somebody_holds_costs_three_seconds_at_most_and_nothing_is_written_late() {
    let Some(bank) = Bank::open(None).await else { return };
    bank.deposit(1).await.unwrap();
    let (head, balances) = (Bank::table(&bank.log, "head"), Bank::table(&bank.views, "g1_balances"));
    let holder = postgres().await;
    let lock =
        format!("BEGIN; SELECT 1 FROM {head} FOR UPDATE; LOCK TABLE {balances} IN ACCESS EXCLUSIVE MODE");
    holder.batch_execute(&lock).await.unwrap();
    bank.burst(false).await;
    holder.batch_execute("COMMIT").await.unwrap();
    let events = bank.store.store.log.read(Position(0), 10).await.unwrap();
    assert_eq!(events.len(), 1, "what was answered as failed didn't happen after all");
    bank.recovered().await;
    bank.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_times_the_pool_is_answered_in_time_and_dropped_requests_leave_nothing_behind() {
    let Some(bank) = Bank::open(None).await.map(Arc::new) else { return };
    bank.deposit(1).await.unwrap();
    let holder = postgres().await;
    let table = Bank::table(&bank.views, "g1_balances");
    holder.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).await.unwrap();
    let began = Instant::now();
    let answers = futures::future::join_all((0..10 * POOL).map(|_| bank.count())).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))), "{answers:?}");
    assert!(began.elapsed() <= BOUND, "answered after {:?}", began.elapsed());
    holder.batch_execute("COMMIT").await.unwrap();

    // Requests that go away at any moment, commands and queries alike.
    for round in 0..50 {
        let asked: Vec<_> = (0..10)
            .map(|n| {
                let bank = bank.clone();
                tokio::spawn(async move {
                    let _ = bank.count().await;
                    let _ = bank.deposit(round * 10 + n).await;
                    let _ = bank.count().await;
                })
            })
            .collect();
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        asked.iter().for_each(tokio::task::JoinHandle::abort);
    }
    bank.recovered().await;
    bank.settled().await;
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state LIKE 'idle in%'";
    let began = Instant::now();
    loop {
        let open: i64 = postgres().await.query_one(idle, &[&bank.called]).await.unwrap().get(0);
        if open == 0 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{open} transactions are left open");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_that_the_server_ends_are_replaced() {
    let Some(bank) = Bank::open(None).await else { return };
    for _ in 0..3 {
        bank.burst(true).await;
        let end = "WITH theirs AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE application_name = $1)
            SELECT count(*) FROM theirs WHERE pg_terminate_backend(pid)";
        let ended: i64 = postgres().await.query_one(end, &[&bank.called]).await.unwrap().get(0);
        assert!(ended > 0);
        bank.recovered().await;
    }
}
