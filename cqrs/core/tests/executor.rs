//! Decisions carried out: races, caches, versions, repeats.

mod common;

use std::sync::Arc;

use common::{
    Account, AccountEvent, BankRefusal, Close, Deposit, Receipt, Spy, Withdraw, account, cx, executor,
    executor_with, keyed,
};
use cqrs_core::testing::keyring;
use cqrs_core::{
    Actor, Aggregate, Context, Decide, Decision, Event, ExecutorOptions, Failure, Log as _, MemoryLog,
    Outcome, Position, Reads, State,
};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

fn code(result: Result<cqrs_core::Reply, Failure>) -> &'static str {
    match result {
        Err(Failure::Refused(refused)) => refused.code,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_lost_race_is_decided_again_on_the_tail_alone() {
    let spy = Spy::new();
    let (one, other) = (executor(spy.clone()), executor(spy.clone()));
    one.run(&cx(&one), &Deposit { account: account(1), cents: 500 }).await.unwrap();
    other.run(&cx(&other), &Deposit { account: account(1), cents: 70 }).await.unwrap();
    spy.taken();

    // The first one still has version 1 at hand and decides on it.
    let reply = one.run(&cx(&one), &Withdraw { account: account(1), cents: 100 }).await.unwrap();
    assert_eq!(reply.parse::<Receipt>().unwrap(), Receipt { balance: 470, position: 3 });
    assert_eq!(reply.version, Some(3));
    assert_eq!(spy.taken(), (vec![1], 2), "one read, of what came after version 1; two tries");
}

#[tokio::test]
async fn a_refusal_decided_on_an_old_cache_is_looked_at_again() {
    let spy = Spy::new();
    let (one, other) = (executor(spy.clone()), executor(spy.clone()));
    one.run(&cx(&one), &Deposit { account: account(1), cents: 10 }).await.unwrap();
    other.run(&cx(&other), &Deposit { account: account(1), cents: 90 }).await.unwrap();
    let all = Withdraw { account: account(1), cents: 100 };
    assert!(one.run(&cx(&one), &all).await.is_ok());
    assert_eq!(code(one.run(&cx(&one), &all).await), BankCode::FUNDS);
}

struct BankCode;
impl BankCode {
    const FUNDS: &str = "insufficient-funds";
    const NOT_FOUND: &str = "not-found";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_writers_of_one_stream_all_succeed_or_are_refused_by_the_domain() {
    let log = Arc::new(MemoryLog::new("bank"));
    // As two processes would: two caches, two queues.
    let executors = [executor(log.clone()), executor(log.clone())];
    executors[0].run(&cx(&executors[0]), &Deposit { account: account(1), cents: 60 }).await.unwrap();
    let writers = (0..100).map(|n| {
        let executor = executors[n % 2].clone();
        tokio::spawn(async move {
            executor.run(&cx(&executor), &Withdraw { account: account(1), cents: 1 }).await
        })
    });
    let (mut done, mut refused) = (0, 0);
    for result in join_all(writers).await {
        match result.unwrap() {
            Ok(_) => done += 1,
            Err(Failure::Refused(because)) if because.code == BankCode::FUNDS => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((done, refused), (60, 40));
    let events = log.read_stream(Account::stream(account(1)), 0).await.unwrap();
    let versions: Vec<_> = events.iter().map(|event| event.version).collect();
    assert_eq!(versions, (1..=61).collect::<Vec<_>>());
    let (version, state) = executors[1].state::<Account>(account(1)).await.unwrap();
    assert_eq!((version, state.balance), (61, 0));
}

#[tokio::test]
async fn if_match_lets_through_the_version_that_is_and_no_other() {
    let executor = executor(Spy::new());
    let at = |version| Context { if_match: Some(version), ..cx(&executor) };
    let deposit = Deposit { account: account(1), cents: 5 };
    assert_eq!(executor.run(&at(0), &deposit).await.unwrap().version, Some(1));
    let late = executor.run(&at(0), &deposit).await;
    assert!(matches!(late, Err(Failure::VersionMismatch { expected: 0, current: 1 })), "{late:?}");
    let early = executor.run(&at(2), &deposit).await;
    assert!(matches!(early, Err(Failure::VersionMismatch { expected: 2, current: 1 })), "{early:?}");
    assert_eq!(executor.run(&at(1), &deposit).await.unwrap().version, Some(2));
}

#[tokio::test]
async fn a_version_that_another_process_wrote_satisfies_if_match() {
    let spy = Spy::new();
    let (one, other) = (executor(spy.clone()), executor(spy.clone()));
    one.run(&cx(&one), &Deposit { account: account(1), cents: 5 }).await.unwrap();
    other.run(&cx(&other), &Deposit { account: account(1), cents: 5 }).await.unwrap();
    let at_two = Context { if_match: Some(2), ..cx(&one) };
    let reply = one.run(&at_two, &Withdraw { account: account(1), cents: 10 }).await.unwrap();
    assert_eq!(reply.version, Some(3));
}

#[tokio::test]
async fn what_is_so_already_is_answered_without_a_write() {
    let spy = Spy::new();
    let executor = executor(spy.clone());
    executor.run(&cx(&executor), &Close(account(1))).await.unwrap();
    spy.taken();
    let reply = executor.run(&cx(&executor), &Close(account(1))).await.unwrap();
    assert_eq!((reply.position, reply.version, reply.body.len()), (Position(1), Some(1), 0));
    assert_eq!(spy.taken(), (vec![], 0));
}

/// Says "already" as long as the account is open.
struct StillOpen(Uuid);
impl Decide for StillOpen {
    type Answer = bool;
    type Refusal = BankRefusal;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.0)
    }
    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<bool>, BankRefusal> {
        Ok(Decision::already(!state.get::<Account>(self.0).closed))
    }
}

#[tokio::test]
async fn already_is_not_said_on_what_has_moved_since() {
    let spy = Spy::new();
    let (one, other) = (executor(spy.clone()), executor(spy.clone()));
    one.run(&cx(&one), &Deposit { account: account(1), cents: 5 }).await.unwrap();
    other.run(&cx(&other), &Close(account(1))).await.unwrap();
    let reply = one.run(&cx(&one), &StillOpen(account(1))).await.unwrap();
    assert!(!reply.parse::<bool>().unwrap());
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_byte_for_byte() {
    let spy = Spy::new();
    let executor = executor(spy.clone());
    let deposit = Deposit { account: account(1), cents: 500 };
    let first = executor.run(&keyed(&executor, "k", "500"), &deposit).await.unwrap();
    executor.run(&cx(&executor), &Deposit { account: account(1), cents: 1 }).await.unwrap();
    let repeat = executor.run(&keyed(&executor, "k", "500"), &deposit).await.unwrap();
    assert!(repeat.replayed && !first.replayed);
    assert_eq!(repeat.body, first.body);
    assert_eq!((repeat.outcome, repeat.version, repeat.position), (Outcome::Created, Some(1), Position(1)));
    assert_eq!(spy.log.read(Position(0), 10).await.unwrap().len(), 2);

    let other_content = executor.run(&keyed(&executor, "k", "501"), &deposit).await;
    assert!(matches!(other_content, Err(Failure::KeyReused)), "{other_content:?}");
    let mut another = keyed(&executor, "k", "500");
    another.actor = Actor::User(Uuid::from_u128(2));
    assert!(!executor.run(&another, &deposit).await.unwrap().replayed, "keys are each actor's own");
}

#[tokio::test]
async fn a_repeat_that_would_be_refused_now_gets_the_first_answer_unless_access_was_lost() {
    let spy = Spy::new();
    let executor = executor(spy.clone());
    executor.run(&cx(&executor), &Deposit { account: account(1), cents: 500 }).await.unwrap();
    let all = Withdraw { account: account(1), cents: 500 };
    let first = executor.run(&keyed(&executor, "k", "500"), &all).await.unwrap();

    // By now the account is empty, which says nothing against the first answer.
    let repeat = executor.run(&keyed(&executor, "k", "500"), &all).await.unwrap();
    assert_eq!((repeat.replayed, &repeat.body), (true, &first.body));
    let other_content = executor.run(&keyed(&executor, "k", "other"), &all).await;
    assert!(matches!(other_content, Err(Failure::KeyReused)), "{other_content:?}");
    assert_eq!(code(executor.run(&keyed(&executor, "new", "500"), &all).await), BankCode::FUNDS);

    // By now there is no account to be seen.
    executor.run(&cx(&executor), &Close(account(1))).await.unwrap();
    assert_eq!(code(executor.run(&keyed(&executor, "k", "500"), &all).await), BankCode::NOT_FOUND);
}

#[tokio::test]
async fn who_lost_access_in_another_process_gets_no_repeat_in_this_one() {
    let log = Arc::new(MemoryLog::new("bank"));
    let (here, there) = (executor(log.clone()), executor(log));
    let withdraw = Withdraw { account: account(1), cents: 10 };
    let repeat = keyed(&here, "k", "10");
    here.run(&cx(&here), &Deposit { account: account(1), cents: 100 }).await.unwrap();
    here.run(&repeat, &withdraw).await.unwrap();
    there.run(&cx(&there), &Close(account(1))).await.unwrap();
    assert_eq!(code(here.run(&repeat, &withdraw).await), "not-found");
}

#[tokio::test]
async fn a_repeat_under_if_match_gets_the_first_answer() {
    let executor = executor(Spy::new());
    let at_zero = || Context { if_match: Some(0), ..keyed(&executor, "k", "5") };
    let deposit = Deposit { account: account(1), cents: 5 };
    let first = executor.run(&at_zero(), &deposit).await.unwrap();
    let repeat = executor.run(&at_zero(), &deposit).await.unwrap();
    assert_eq!((repeat.replayed, repeat.body), (true, first.body));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_key_two_hundred_times_at_once_has_one_effect_and_one_answer() {
    let spy = Spy::new();
    let executor = executor(spy.clone());
    let repeats = (0..200).map(|_| {
        let executor = executor.clone();
        tokio::spawn(async move {
            let cx = keyed(&executor, "k", "5");
            executor.run(&cx, &Deposit { account: account(1), cents: 5 }).await.unwrap()
        })
    });
    let replies: Vec<_> = join_all(repeats).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(replies.iter().filter(|reply| !reply.replayed).count(), 1);
    assert!(replies.iter().all(|reply| reply.body == replies[0].body));
    assert_eq!(*spy.head().borrow(), Position(1));
}

/// Takes a name for an account.
struct TakeName(Uuid, &'static str);
impl Decide for TakeName {
    type Answer = ();
    type Refusal = BankRefusal;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.0)
    }
    fn decide(&self, _: &Context, _: &State<'_>) -> Result<Decision<()>, BankRefusal> {
        Ok(Decision::done()
            .record::<Account>(self.0, AccountEvent::Deposited { cents: 0 })
            .claim("name", self.1, self.0))
    }
    fn claim_taken(&self, _: &'static str) -> Option<BankRefusal> {
        Some(BankRefusal::NameTaken)
    }
}

#[tokio::test]
async fn a_claim_that_another_holds_is_the_commands_own_refusal() {
    let executor = executor(Spy::new());
    let cx = cx(&executor);
    executor.run(&cx, &TakeName(account(1), "savings")).await.unwrap();
    assert_eq!(code(executor.run(&cx, &TakeName(account(2), "savings")).await), "name-taken");
    executor.run(&cx, &TakeName(account(2), "travel")).await.unwrap();
    assert_eq!(executor.claim_owner("name", "savings").await.unwrap(), Some(account(1)));
    assert_eq!(executor.state::<Account>(account(2)).await.unwrap().0, 1);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", content = "data")]
enum MeterEvent {
    #[serde(rename = "meter.ticked")]
    Ticked {},
}
impl Event for MeterEvent {}

/// Counts, keeps snapshots, and says that it is big.
#[derive(Debug, Clone, Default)]
struct Meter(u64);
impl Aggregate for Meter {
    const CATEGORY: &'static str = "meter";
    const SNAPSHOT_EVERY: Option<u64> = Some(10);
    type Event = MeterEvent;
    fn apply(&mut self, _: &MeterEvent) {
        self.0 += 1;
    }
    fn weight(&self) -> usize {
        10_000
    }
    fn to_snapshot(&self) -> Option<Vec<u8>> {
        Some(self.0.to_be_bytes().to_vec())
    }
    fn from_snapshot(bytes: &[u8]) -> Option<Self> {
        Some(Self(u64::from_be_bytes(bytes.try_into().ok()?)))
    }
}

/// Ticks so many times at once.
struct Tick(Uuid, u64);
impl Decide for Tick {
    type Answer = u64;
    type Refusal = BankRefusal;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Meter>(self.0)
    }
    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<u64>, BankRefusal> {
        let count = state.get::<Meter>(self.0).0;
        let decision = Decision::answering(move |_| count);
        Ok((0..self.1).fold(decision, |decision, _| decision.record::<Meter>(self.0, MeterEvent::Ticked {})))
    }
}

#[tokio::test]
async fn a_stream_is_folded_from_its_snapshot_on() {
    let spy = Spy::new();
    let writer = executor(spy.clone());
    for _ in 0..13 {
        writer.run(&cx(&writer), &Tick(account(1), 1)).await.unwrap();
    }
    // Kept beside the command's answer.
    while spy.snapshot(Meter::stream(account(1))).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let (version, sealed) = spy.snapshot(Meter::stream(account(1))).await.unwrap().unwrap();
    assert_eq!(version, 10);
    assert_ne!(sealed, 10_u64.to_be_bytes());
    spy.taken();
    let fresh = executor(spy.clone());
    let reply = fresh.run(&cx(&fresh), &Tick(account(1), 1)).await.unwrap();
    assert_eq!(reply.parse::<u64>().unwrap(), 13);
    assert_eq!(spy.taken().0, [10]);
}

#[tokio::test]
async fn a_snapshot_is_kept_where_a_decision_passes_the_version_at_which_one_is_due() {
    let spy = Spy::new();
    let writer = executor(spy.clone());
    for _ in 0..2 {
        writer.run(&cx(&writer), &Tick(account(1), 7)).await.unwrap();
    }
    // Kept beside the command's answer.
    while spy.snapshot(Meter::stream(account(1))).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(spy.snapshot(Meter::stream(account(1))).await.unwrap().unwrap().0, 14);
}

#[tokio::test]
async fn those_who_go_on_with_one_stream_at_once_take_turns() {
    let spy = Spy::new();
    let executor = executor(spy.clone());
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let executor = executor.clone();
        clients.spawn(async move {
            for _ in 0..20 {
                executor.run(&cx(&executor), &Tick(account(1), 1)).await.unwrap();
            }
        });
    }
    clients.join_all().await;
    let (_, commits) = spy.taken();
    // Once each, before they know of each other; from then on nobody passes those who wait.
    assert!((160..=160 + 16).contains(&commits), "{commits} commits for 160 commands");
}

#[tokio::test]
async fn the_cache_holds_as_many_bytes_as_it_may() {
    let spy = Spy::new();
    let options = ExecutorOptions { cache_bytes: 1_000_000, ..ExecutorOptions::default() };
    let executor = executor_with(spy.clone(), keyring(), &options);
    let tick = async |n| executor.run(&cx(&executor), &Tick(account(n), 1)).await.unwrap();
    for round in 0..30 {
        for favourite in 0..10 {
            tick(favourite).await;
        }
        for passing in 0..10 {
            tick(1000 + 10 * round + passing).await;
        }
    }
    spy.taken();
    for favourite in 0..10 {
        tick(favourite).await;
    }
    assert_eq!(spy.taken().0, Vec::<u64>::new(), "what is used again and again stays at hand");
    for passing in 0..300 {
        tick(1000 + passing).await;
    }
    let at_hand = 300 - spy.taken().0.len();
    assert!(at_hand <= 100, "only 100 states of 10,000 bytes have room; {at_hand} were at hand");
}
