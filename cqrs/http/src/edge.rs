//! One service's edge: takes commands and queries to their buses, and their answers back.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use cqrs_core::{Command, CommandBus, Context, Failure, PositionVector, Query, QueryBus, TokenCodec};
use serde::Serialize;
use uuid::Uuid;

use crate::answer;
use crate::auth::Authenticator;
use crate::options::HttpOptions;
use crate::page::Cursors;
use crate::problem::Problem;
use crate::request::RequestInfo;

/// Knows how far views have come, and waits for them.
#[async_trait]
pub trait Waiter: Send + Sync + 'static {
    /// Waits until all of `views` hold what `wanted` names of the logs that they follow; [`Failure::ViewBehind`] at
    /// `deadline`, [`Failure::EpochChanged`] where a log's epoch is another one now.
    async fn wait(
        &self,
        views: &'static [&'static str],
        wanted: &PositionVector,
        deadline: Instant,
    ) -> Result<(), Failure>;

    /// What all of `views` hold.
    fn position(&self, views: &'static [&'static str]) -> PositionVector;
}

/// The waiter of a service without views.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingToWaitFor;

#[async_trait]
impl Waiter for NothingToWaitFor {
    async fn wait(&self, _: &'static [&'static str], _: &PositionVector, _: Instant) -> Result<(), Failure> {
        Ok(())
    }
    fn position(&self, _: &'static [&'static str]) -> PositionVector {
        PositionVector::default()
    }
}

/// What an [`Edge`] is made of.
pub struct EdgeParts {
    /// The service's commands.
    pub commands: CommandBus,
    /// The service's queries.
    pub queries: QueryBus,
    /// The name of the log that its commands write to.
    pub log: &'static str,
    /// The log's present epoch.
    pub epoch: Uuid,
    /// Makes and reads position tokens and cursors.
    pub tokens: TokenCodec,
    /// Waits for the service's views.
    pub waiter: Arc<dyn Waiter>,
    /// Finds out who asks.
    pub authenticator: Arc<dyn Authenticator>,
    /// How it all works.
    pub options: HttpOptions,
}

/// One service's commands and queries, as its routes reach them: their axum state. Cheap to clone.
#[derive(Clone)]
pub struct Edge(Arc<EdgeParts>);

impl Edge {
    /// An edge.
    pub fn new(parts: EdgeParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Carries out a command: 201, 202, 200 or, without a body, 204, with `Parlor-Position`, the target's `ETag`, and
    /// `Idempotency-Replayed` where the answer is that of an earlier command.
    pub async fn command<C: Command>(&self, cx: Context, command: C) -> Result<Response, Problem> {
        self.wait(&cx, C::VIEWS).await?;
        let reply = self.0.commands.dispatch(&cx, command).await?;
        let written = PositionVector::of(self.0.log, self.0.epoch, reply.position);
        Ok(answer::of_command(reply, &self.0.tokens.encode_positions(&written)))
    }

    /// Answers a query: 200 with JSON and the view's `Parlor-Position`, once the view holds `Parlor-Min-Position`.
    pub async fn query<Q: Query>(&self, cx: Context, query: Q) -> Result<Response, Problem>
    where
        Q::Answer: Serialize,
    {
        self.query_versioned(cx, query, |_| None).await
    }

    /// Answers a query for a single resource, whose version goes into the `ETag`.
    pub async fn query_versioned<Q: Query>(
        &self,
        cx: Context,
        query: Q,
        version: impl FnOnce(&Q::Answer) -> Option<u64> + Send,
    ) -> Result<Response, Problem>
    where
        Q::Answer: Serialize,
    {
        let (found, position) = self.ask(&cx, query).await?;
        let version = version(&found);
        answer::of_query(&found, version, &self.0.tokens.encode_positions(&position))
    }

    /// Asks a query once its views hold `Parlor-Min-Position`, and gives what it found with what the views held: for
    /// routes that shape their answer themselves.
    pub async fn ask<Q: Query>(
        &self,
        cx: &Context,
        query: Q,
    ) -> Result<(Q::Answer, PositionVector), Failure> {
        self.once_held(cx, Q::VIEWS, self.0.queries.ask(cx, query)).await
    }

    /// Answers as a query is answered, with what `reading` gives once these views hold `Parlor-Min-Position`: for what is read
    /// from them and from elsewhere, such as who is connected.
    pub async fn read<T: Serialize>(
        &self,
        cx: &Context,
        views: &'static [&'static str],
        reading: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<Response, Problem> {
        let (found, position) = self.once_held(cx, views, reading).await?;
        answer::of_query(&found, None, &self.0.tokens.encode_positions(&position))
    }

    /// What `reading` gives once these views hold `Parlor-Min-Position`, and what they held.
    async fn once_held<T>(
        &self,
        cx: &Context,
        views: &'static [&'static str],
        reading: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<(T, PositionVector), Failure> {
        self.wait(cx, views).await?;
        // Before the question, so that the token never promises more than was read.
        let position = self.0.waiter.position(views);
        let deadline = cx.deadline.unwrap_or_else(|| Instant::now() + self.0.options.deadline);
        let found = tokio::time::timeout_at(deadline.into(), reading)
            .await
            .map_err(|_| Failure::DeadlineExceeded)??;
        Ok((found, position))
    }

    /// The context of whoever is signed in, by the request's headers; 401 if nobody is.
    pub async fn signed_in(&self, parts: &Parts) -> Result<Context, Problem> {
        let info = RequestInfo::of(parts, &self.0.options);
        let identity =
            self.0.authenticator.authenticate(&parts.headers, info.now).await.map_err(|failure| {
                let problem = Problem::from(failure);
                // RFC 6750 §3.1: the error is named only to who tried.
                if problem.status() == StatusCode::UNAUTHORIZED && parts.headers.contains_key(AUTHORIZATION) {
                    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                    return problem.with_header(WWW_AUTHENTICATE, challenge);
                }
                problem
            })?;
        let mut cx = info.context(identity.actor, &self.0.options);
        cx.roles = identity.roles;
        cx.session = identity.session;
        Ok(cx)
    }

    /// What makes and reads position tokens.
    pub fn tokens(&self) -> &TokenCodec {
        &self.0.tokens
    }

    /// What makes and reads the cursors of this service's lists.
    pub fn cursors(&self) -> Cursors {
        Cursors::new(self.0.tokens.clone(), self.0.epoch)
    }

    /// The service's commands, for routes that need more than [`Edge::command`].
    pub fn commands(&self) -> &CommandBus {
        &self.0.commands
    }

    /// The service's queries, for routes that need more than [`Edge::query`].
    pub fn queries(&self) -> &QueryBus {
        &self.0.queries
    }

    /// How it works.
    pub fn options(&self) -> &HttpOptions {
        &self.0.options
    }

    async fn wait(&self, cx: &Context, views: &'static [&'static str]) -> Result<(), Failure> {
        let Some(wanted) = &cx.wanted else { return Ok(()) };
        if wanted.get(self.0.log).is_some_and(|(epoch, _)| epoch != self.0.epoch) {
            return Err(Failure::EpochChanged);
        }
        if views.is_empty() {
            return Ok(());
        }
        let patience = Instant::now() + self.0.options.view_wait;
        let until = cx.deadline.map_or(patience, |deadline| deadline.min(patience));
        self.0.waiter.wait(views, wanted, until).await
    }
}
