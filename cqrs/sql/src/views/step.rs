//! A projection's step: what a batch of events does to a view and the place that it moves, in one transaction. Steps of several
//! views that come together share a transaction; if that fails, each gets one of its own.

mod postgres;
mod rows;
mod sqlite;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cqrs_core::{Fence, Position, Statement, StoreError};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::side::Backend;
use super::{Views, prefix};
use crate::dialect::{resolve, sqlite_error};
use crate::postgres::log::quoted;
use crate::postgres::{STANDSTILL, Settings};

/// A process that is stopped in the middle of a step keeps its locks no longer than its lease.
const STANDS_STILL: Duration = Duration::from_secs(2);

/// What a transaction on PostgreSQL that changes the views in `schema` has set, beside its limits.
pub(super) fn settings(schema: &str) -> Settings {
    Settings::default().with(STANDSTILL, &STANDS_STILL.as_millis()).with("search_path", &quoted(schema))
}

/// How many statements the steps that share a transaction have at most: who has few needn't wait for those with many.
const SHARED: usize = 256;

/// In how many transactions steps are taken at the same time on PostgreSQL: a long one keeps no others waiting.
const AT_ONCE: usize = 4;

/// What a batch does to a view: statements, and the place it moves.
pub(crate) struct Step {
    pub(crate) source: &'static str,
    pub(crate) epoch: Uuid,
    pub(crate) statements: Vec<Statement>,
    /// What they change, for those who remember it.
    pub(crate) touched: Vec<Uuid>,
    /// Applied only if the view's lease has this number, where it is kept under one.
    pub(crate) fence: Option<Fence>,
    /// Applied only if the view's place is this.
    pub(crate) from: Position,
    pub(crate) to: Position,
}

/// Why a step wasn't taken.
pub(crate) enum StepError {
    /// The view's place is another, or its lease: somebody else moved it, or took it over.
    Moved,
    Store(StoreError),
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for StepError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(sqlite_error(&error))
    }
}

/// A step that waits to be taken.
struct Waiting {
    name: &'static str,
    generation: u64,
    step: Step,
    done: oneshot::Sender<Result<(), StepError>>,
}

/// The steps that wait, and where they are taken on PostgreSQL.
pub(super) struct Steps {
    queue: Mutex<Queue>,
    sessions: Option<postgres::StepSessions>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// How many are taking steps now.
    takers: usize,
}

impl Steps {
    /// For views that are kept there, if they are kept at all.
    pub(super) fn of(kept: Option<&Backend>) -> Result<Self, StoreError> {
        let sessions = match kept {
            Some(Backend::Postgres { pool, schema }) => Some(postgres::StepSessions::new(pool, schema)?),
            _ => None,
        };
        Ok(Self { queue: Mutex::default(), sessions })
    }

    /// Adds a step; gives who is to take it, and those that come meanwhile, if nobody does who would.
    fn add(&self, waiting: Waiting, at_once: usize) -> bool {
        let mut queue = self.queue.lock();
        queue.waiting.push_back(waiting);
        let another = queue.takers < at_once;
        queue.takers += usize::from(another);
        another
    }

    /// The steps to be taken together next. None if there aren't any: who asked takes no more then.
    fn next(&self) -> Vec<Waiting> {
        let mut queue = self.queue.lock();
        let mut together: Vec<Waiting> = Vec::new();
        let mut statements = 0;
        while let Some(next) = queue.waiting.front() {
            statements += next.step.statements.len();
            if statements > SHARED && !together.is_empty() {
                break;
            }
            together.extend(queue.waiting.pop_front());
        }
        queue.takers -= usize::from(together.is_empty());
        together
    }
}

/// Somebody who takes steps until there are none. If that ends otherwise, somebody else begins with the next step that comes.
struct Taker {
    views: Views,
    ended: bool,
}

impl Taker {
    fn new(views: &Views) -> Self {
        Self { views: views.clone(), ended: false }
    }

    fn next(&mut self) -> Option<Vec<Waiting>> {
        let steps = self.views.0.steps.next();
        self.ended = steps.is_empty();
        (!self.ended).then_some(steps)
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        if !self.ended {
            self.views.0.steps.queue.lock().takers -= 1;
        }
    }
}

impl Views {
    /// Takes a step in one transaction: statements and place.
    pub(crate) async fn step(
        &self,
        name: &'static str,
        generation: u64,
        step: Step,
    ) -> Result<(), StepError> {
        let kept = self.kept()?.clone();
        let (done, result) = oneshot::channel();
        let waiting = Waiting { name, generation, step, done };
        let at_once = match &kept.backend {
            Backend::Sqlite { .. } => 1,
            Backend::Postgres { .. } => AT_ONCE,
        };
        if self.0.steps.add(waiting, at_once) {
            let mut taker = Taker::new(self);
            let views = self.clone();
            // A task of its own: whoever waits for a step may be gone before it is taken, and it is taken all the same.
            tokio::spawn(async move {
                // Those whose events came at the same time have their steps ready at about the same time.
                tokio::task::yield_now().await;
                match (&kept.backend, &views.0.steps.sessions) {
                    (Backend::Sqlite { writer, .. }, _) => {
                        let writer = writer.clone();
                        let _ = tokio::task::spawn_blocking(move || taker.take_on_sqlite(&writer)).await;
                    }
                    (Backend::Postgres { .. }, Some(sessions)) => taker.take_on_postgres(sessions).await,
                    (Backend::Postgres { .. }, None) => unreachable!("they are kept there"),
                }
            });
        }
        let gone = || Err(StepError::Store(StoreError::Unavailable("a step's task ended".to_owned())));
        result.await.unwrap_or_else(|_| gone())
    }

    /// Tells of steps those who remember what they changed, and those who wait. A step of a generation which isn't live yet
    /// concerns nobody else.
    fn told(&self, steps: Vec<Waiting>, results: Vec<Result<(), StepError>>) {
        for (Waiting { name, generation, step, done }, result) in steps.into_iter().zip(results) {
            if generation == self.generation(name) {
                self.settle(name, step.source, result.is_ok().then_some((step.to, &step.touched)));
            }
            let _ = done.send(result);
        }
    }

    /// A statement as this store takes it, about the tables of one generation; `{rows}` stands for `rows` in it.
    fn text(&self, sql: &'static str, generation: u64, rows: impl Fn() -> String) -> Arc<str> {
        let name = |name: &str| if name == "rows" { rows() } else { prefix(generation) };
        self.0.resolved.get(sql, "", generation, || self.dialect().parameters(&resolve(sql, name)))
    }
}

fn in_statement(error: StoreError, sql: &str) -> StoreError {
    match error {
        StoreError::Other(detail) => StoreError::Other(format!("{detail}, in: {sql}")),
        other => other,
    }
}
