//! Command and query buses: who is registered, and what surrounds a command.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use common::{Close, Deposit, Spy, Withdraw, account, cx, executor, keyed};
use cqrs_core::{
    Command, CommandBus, CommandHandler, Context, Deadline, Failure, FieldError, Idempotency, Outcome,
    Position, Query, QueryBus, QueryHandler, RegistrationError, Reply,
};
use tokio::sync::Semaphore;

#[test]
fn a_list_of_handlers_that_is_wrong_is_an_error_that_names_the_command() {
    let executor = executor(Spy::new());
    let twice = CommandBus::builder().decide::<Deposit>(&executor).decide::<Deposit>(&executor).build();
    assert_eq!(twice.err(), Some(RegistrationError::Twice("bank.deposit")));
    let missing = CommandBus::builder().decide::<Deposit>(&executor).needs::<Withdraw>().build();
    assert_eq!(missing.err(), Some(RegistrationError::Missing("bank.withdraw")));
    assert!(RegistrationError::Missing("bank.withdraw").to_string().contains("bank.withdraw"));
    let fine = CommandBus::builder()
        .decide::<Withdraw>(&executor)
        .decide::<Deposit>(&executor)
        .needs::<Withdraw>()
        .build()
        .unwrap();
    assert_eq!(fine.names(), ["bank.deposit", "bank.withdraw"]);
}

struct Balance;
impl Query for Balance {
    const NAME: &'static str = "bank.balance";
    const VIEWS: &'static [&'static str] = &[];
    type Answer = u64;
}
struct Always(u64);
#[async_trait]
impl QueryHandler<Balance> for Always {
    async fn handle(&self, _: &Context, _: Balance) -> Result<u64, Failure> {
        Ok(self.0)
    }
}

#[tokio::test]
async fn a_query_has_one_handler_and_gets_its_answer() {
    let twice = QueryBus::builder().answer::<Balance, _>(Always(1)).answer::<Balance, _>(Always(2)).build();
    assert_eq!(twice.err(), Some(RegistrationError::Twice("bank.balance")));
    let missing = QueryBus::builder().needs::<Balance>().build();
    assert_eq!(missing.err(), Some(RegistrationError::Missing("bank.balance")));
    let bus = QueryBus::builder().answer::<Balance, _>(Always(42)).build().unwrap();
    let executor = executor(Spy::new());
    assert_eq!(bus.ask(&cx(&executor), Balance).await.unwrap(), 42);
}

#[tokio::test]
async fn a_command_without_a_handler_fails_by_name() {
    let executor = executor(Spy::new());
    let bus = CommandBus::builder().decide::<Deposit>(&executor).build().unwrap();
    let failure = bus.dispatch(&cx(&executor), Close(account(1))).await.unwrap_err();
    assert!(failure.to_string().contains("bank.close"), "{failure}");
    let deposit = Deposit { account: account(1), cents: 5 };
    assert_eq!(bus.dispatch(&cx(&executor), deposit).await.unwrap().position, Position(1));
}

/// Waits at a gate and counts who is inside.
#[derive(Clone)]
struct Gate {
    open: Arc<Semaphore>,
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Self {
        Self { open: Arc::new(Semaphore::new(0)), inside: Arc::default(), most: Arc::default() }
    }
    async fn wait_for_inside(&self, count: usize) {
        while self.inside.load(Ordering::SeqCst) != count {
            tokio::task::yield_now().await;
        }
    }
}

struct Pass;
impl Command for Pass {
    const NAME: &'static str = "gate.pass";
}

#[async_trait]
impl CommandHandler<Pass> for Gate {
    async fn handle(&self, _: &Context, _: Pass) -> Result<Reply, Failure> {
        struct Leaving<'a>(&'a AtomicUsize);
        impl Drop for Leaving<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        let _leaving = Leaving(&self.inside);
        self.most.fetch_max(inside, Ordering::SeqCst);
        self.open.acquire().await.map_err(Failure::internal)?.forget();
        Ok(Reply {
            outcome: Outcome::Done,
            body: Vec::new(),
            version: None,
            position: Position(0),
            replayed: false,
        })
    }
}

#[tokio::test]
async fn a_command_past_its_deadline_is_answered_so() {
    let gate = Gate::new();
    let bus = CommandBus::builder()
        .layer(Deadline(Duration::from_millis(1)))
        .handle::<Pass, _>(gate.clone())
        .build()
        .unwrap();
    let executor = executor(Spy::new());
    let late = bus.dispatch(&cx(&executor), Pass).await;
    assert!(matches!(late, Err(Failure::DeadlineExceeded)), "{late:?}");
    gate.open.add_permits(1);
    let patient =
        Context { deadline: Some(std::time::Instant::now() + Duration::from_mins(10)), ..cx(&executor) };
    assert!(bus.dispatch(&patient, Pass).await.is_ok(), "the caller's own deadline comes before the default");
}

#[tokio::test]
async fn commands_with_one_key_run_one_after_the_other_and_others_beside_them() {
    let gate = Gate::new();
    let bus =
        CommandBus::builder().layer(Idempotency::default()).handle::<Pass, _>(gate.clone()).build().unwrap();
    let executor = executor(Spy::new());
    let send = |key: &'static str| {
        let (bus, cx) = (bus.clone(), keyed(&executor, key, ""));
        tokio::spawn(async move { bus.dispatch(&cx, Pass).await })
    };
    let same = [send("k"), send("k"), send("k")];
    gate.wait_for_inside(1).await;
    let other = send("other");
    gate.wait_for_inside(2).await;
    gate.open.add_permits(4);
    for sent in same.into_iter().chain([other]) {
        assert!(sent.await.unwrap().is_ok());
    }
    assert_eq!(gate.most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn who_waits_for_the_same_key_past_the_deadline_is_told_and_a_cancelled_command_holds_nobody_up() {
    let gate = Gate::new();
    let bus =
        CommandBus::builder().layer(Idempotency::default()).handle::<Pass, _>(gate.clone()).build().unwrap();
    let executor = executor(Spy::new());
    let (first_bus, first_cx) = (bus.clone(), keyed(&executor, "k", ""));
    let first = tokio::spawn(async move { first_bus.dispatch(&first_cx, Pass).await });
    gate.wait_for_inside(1).await;
    let hurried = Context { deadline: Some(std::time::Instant::now()), ..keyed(&executor, "k", "") };
    let waited = bus.dispatch(&hurried, Pass).await;
    assert!(matches!(waited, Err(Failure::InFlight)), "{waited:?}");
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    gate.open.add_permits(1);
    assert!(bus.dispatch(&keyed(&executor, "k", ""), Pass).await.is_ok());
}

struct Picky;
impl Command for Picky {
    const NAME: &'static str = "gate.picky";
    fn validate(&self) -> Result<(), Vec<FieldError>> {
        Err(vec![FieldError::new("/size", "too big")])
    }
}
#[async_trait]
impl CommandHandler<Picky> for Gate {
    async fn handle(&self, _: &Context, _: Picky) -> Result<Reply, Failure> {
        panic!("an invalid command reached its handler");
    }
}

#[tokio::test]
async fn an_invalid_command_does_not_reach_its_handler() {
    let bus = CommandBus::builder().handle::<Picky, _>(Gate::new()).build().unwrap();
    match bus.dispatch(&cx(&executor(Spy::new())), Picky).await {
        Err(Failure::Refused(refused)) => {
            assert_eq!((refused.code, &*refused.errors[0].pointer), ("invalid-value", "/size"));
        }
        other => panic!("{other:?}"),
    }
}
