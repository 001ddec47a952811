//! A connection on loan: every request is bounded in time, and none goes back to the pool with an answer outstanding.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use cqrs_core::StoreError;
use deadpool_postgres::{ClientWrapper, Object};
use futures::TryFutureExt as _;
use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Settings;
use crate::dialect::{describe, postgres_error};

/// A parameter and its type: through a pooler a statement is sent whole, types and all, since one that is prepared belongs to a
/// session.
pub(crate) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// A connection for one operation, or a few, that must all have ended at a given time.
pub(crate) struct Connection {
    /// Taken only when it is dropped.
    held: Option<Held>,
    tls: MakeRustlsConnect,
    patience: Duration,
    until: Instant,
    /// Requests that were sent and not answered to the end.
    pending: AtomicUsize,
    in_transaction: AtomicBool,
    session: Session,
}

/// Why a transaction wasn't committed, as far as is known.
pub(crate) enum CommitFailed {
    /// It can't be: nothing of it has happened.
    Before(StoreError),
    /// It may have been.
    Unknown(StoreError),
}

impl From<StoreError> for CommitFailed {
    fn from(error: StoreError) -> Self {
        Self::Before(error)
    }
}

/// What the session behind a connection gives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    /// Statements stay prepared on the server: the session is the connection's own.
    pub(super) is_own: bool,
    /// It has the limits that this operation wants, so that no transaction need say them.
    pub(super) limited: bool,
}

pub(super) enum Held {
    /// Goes back to its pool.
    Pooled(Object),
    /// Closed when it is done with.
    Own(ClientWrapper),
}

impl Held {
    fn client(&self) -> &ClientWrapper {
        match self {
            Self::Pooled(object) => object,
            Self::Own(client) => client,
        }
    }

    /// Gives the connection up; a pool has room for another one then.
    fn close(self) {
        if let Self::Pooled(object) = self {
            drop(Object::take(object));
        }
    }
}

impl Connection {
    /// What is asked of `held` must be answered by `until`; `patience` is the time there was in all.
    pub(super) fn new(
        held: Held,
        tls: MakeRustlsConnect,
        session: Session,
        patience: Duration,
        until: Instant,
    ) -> Self {
        let connection = Self {
            held: Some(held),
            tls,
            patience,
            until,
            pending: AtomicUsize::new(0),
            in_transaction: AtomicBool::new(false),
            session,
        };
        connection.forget_many();
        connection
    }

    /// Each rebuilt view has tables of its own, so that there is no end of texts. They are forgotten between operations and never
    /// within one: what was prepared to be sent in order must still be when it is sent.
    fn forget_many(&self) {
        let cache = &self.wrapper().statement_cache;
        if cache.size() > PREPARED {
            cache.clear();
        }
    }

    /// What is asked of it past this one isn't bounded in time.
    pub(crate) fn client(&self) -> &Client {
        self.wrapper()
    }

    fn wrapper(&self) -> &ClientWrapper {
        self.held.as_ref().expect("held until it is dropped").client()
    }

    /// Begins another operation, with as much time from now on.
    pub(crate) fn restart(&mut self) {
        self.until = Instant::now() + self.patience;
        self.forget_many();
    }

    /// Whether nothing can be asked of it any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.client().is_closed() || self.pending.load(Ordering::Relaxed) > 0
    }

    /// Whether statements stay prepared: the session is the connection's own.
    pub(crate) fn owns_session(&self) -> bool {
        self.session.is_own
    }

    /// Whether the server itself ends what takes longer than there is time, whether or not a transaction says so.
    pub(super) fn is_limited(&self) -> bool {
        self.session.limited
    }

    /// Sends a request at its first poll, so that those polled together are sent together.
    async fn within<T>(&self, request: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        self.pending.fetch_add(1, Ordering::Relaxed);
        let Ok(answer) = tokio::time::timeout_at(self.until, request).await else {
            metrics::counter!("cqrs_postgres_timeouts").increment(1);
            return Err(StoreError::Unavailable(format!(
                "PostgreSQL did not answer within {:?}",
                self.patience
            )));
        };
        // A request that is given up stays pending: nobody can tell what the connection would answer next.
        self.pending.fetch_sub(1, Ordering::Relaxed);
        answer.map_err(|error| self.understood(&error))
    }

    /// The error in the kernel's words. A table that changed under a prepared statement is none that lasts.
    fn understood(&self, error: &Error) -> StoreError {
        if self.session.is_own && error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED) {
            self.wrapper().statement_cache.clear();
            return StoreError::Unavailable(describe(error));
        }
        postgres_error(error)
    }

    /// The statement as the session has it prepared; nothing where it is sent whole.
    async fn prepared(&self, sql: &str, types: &[Type]) -> Result<Option<Statement>, Error> {
        if !self.session.is_own {
            return Ok(None);
        }
        self.wrapper().prepare_typed_cached(sql, types).await.map(Some)
    }

    /// Prepares a statement, if it stays prepared. Of requests that are polled together, one that is prepared first would be
    /// sent behind those that needn't be: what must arrive in order is prepared beforehand.
    pub(crate) async fn prepare(&self, sql: &str, params: &[Param<'_>]) -> Result<(), StoreError> {
        if !self.session.is_own {
            return Ok(());
        }
        self.within(self.prepared(sql, &types(params))).map_ok(drop).await
    }

    /// The rows that a statement gives.
    pub(crate) async fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, StoreError> {
        self.within(async {
            match self.prepared(sql, &types(params)).await? {
                Some(statement) => self.client().query(&statement, &values(params)).await,
                None => self.client().query_typed(sql, params).await,
            }
        })
        .await
    }

    /// The only row that a statement gives.
    pub(crate) async fn query_one(&self, sql: &str, params: &[Param<'_>]) -> Result<Row, StoreError> {
        self.within(async {
            match self.prepared(sql, &types(params)).await? {
                Some(statement) => self.client().query_one(&statement, &values(params)).await,
                None => self.client().query_typed_one(sql, params).await,
            }
        })
        .await
    }

    /// The row that a statement gives, if it gives one.
    pub(crate) async fn query_opt(&self, sql: &str, params: &[Param<'_>]) -> Result<Option<Row>, StoreError> {
        self.within(async {
            match self.prepared(sql, &types(params)).await? {
                Some(statement) => self.client().query_opt(&statement, &values(params)).await,
                None => self.client().query_typed_opt(sql, params).await,
            }
        })
        .await
    }

    /// How many rows a statement changed.
    pub(crate) async fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        self.within(async {
            match self.prepared(sql, &types(params)).await? {
                Some(statement) => self.client().execute(&statement, &values(params)).await,
                None => self.client().execute_typed(sql, params).await,
            }
        })
        .await
    }

    /// Runs statements without parameters, one after the other.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.within(self.client().batch_execute(sql)).await
    }

    /// Begins a transaction; `first` are statements to begin it with. The server ends it by itself when it takes longer than
    /// there is time, or hears nothing for as long: whoever stands still holds no locks.
    pub(crate) async fn begin(&self, first: &str) -> Result<(), StoreError> {
        self.in_transaction.store(true, Ordering::Relaxed);
        if self.session.limited {
            return self.batch(&format!("BEGIN; {first}")).await;
        }
        let limits = Settings::limits(self.patience).for_transaction();
        self.batch(&format!("BEGIN; {limits}{first}")).await
    }

    /// Commits the transaction.
    pub(crate) async fn commit(&self) -> Result<(), StoreError> {
        self.batch("COMMIT").map_ok(|()| self.in_transaction.store(false, Ordering::Relaxed)).await
    }

    /// Carries requests of a transaction out and commits them. The commit goes along with them, but only once all of them were
    /// sent: what the server can't do keeps it from committing, and what it never got must too.
    ///
    /// They are sent at the first poll if their statements are [prepared](Self::prepare).
    pub(crate) async fn commit_with(
        &self,
        mut requests: BoxFuture<'_, Result<(), StoreError>>,
    ) -> Result<(), CommitFailed> {
        if let Poll::Ready(done) = futures::poll!(&mut requests) {
            done.map_err(CommitFailed::Before)?;
            return self.commit().await.map_err(CommitFailed::Unknown);
        }
        match futures::future::join(requests, self.commit()).await {
            (Ok(()), Ok(())) => Ok(()),
            // No answer in time says nothing of what came of it; some that pass are a no, which isn't told apart here.
            (Err(error @ StoreError::Unavailable(_)), _) | (_, Err(error)) => {
                Err(CommitFailed::Unknown(error))
            }
            // The server said no to a request: its commit was none.
            (Err(error), Ok(())) => Err(CommitFailed::Before(error)),
        }
    }

    /// Ends the transaction without effect. Whatever was sent before is answered before this.
    pub(crate) async fn rollback(&self) -> Result<(), StoreError> {
        self.batch("ROLLBACK").await?;
        self.in_transaction.store(false, Ordering::Relaxed);
        self.pending.store(0, Ordering::Relaxed);
        Ok(())
    }
}

/// How many statements a connection keeps prepared from one operation to the next.
pub(super) const PREPARED: usize = 500;

fn types(params: &[Param<'_>]) -> Vec<Type> {
    params.iter().map(|(_, of)| of.clone()).collect()
}

fn values<'a>(params: &[Param<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|(value, _)| *value).collect()
}

/// How long what was given up may still take, before its connection is given up as well. Making a new one costs a busy
/// server more than an answer that nobody wants.
const LAST_ORDERS: Duration = Duration::from_secs(2);

/// How long to try to tell the server that nobody waits for a statement any more.
const CANCEL: Duration = Duration::from_secs(2);

impl Drop for Connection {
    fn drop(&mut self) {
        let (pending, open) = (*self.pending.get_mut() > 0, *self.in_transaction.get_mut());
        let Some(held) = self.held.take() else { return };
        if !pending && !open {
            return;
        }
        let (token, tls) = (held.client().cancel_token(), self.tls.clone());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return held.close() };
        runtime.spawn(async move {
            // Answered behind everything else: the connection is as good as new.
            let last = held.client().batch_execute(if open { "ROLLBACK" } else { "" });
            if let Ok(Ok(())) = tokio::time::timeout(LAST_ORDERS, last).await {
                return;
            }
            if !held.client().is_closed() {
                let _ = tokio::time::timeout(CANCEL, token.cancel_query(tls)).await;
            }
            // Closed only now: a pooler knows whom to cancel as long as the client is there.
            held.close();
        });
    }
}
