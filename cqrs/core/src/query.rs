//! The query bus: queries change nothing and may be asked as often as one likes.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use crate::command::RegistrationError;
use crate::context::Context;
use crate::failure::Failure;

/// A request for information.
pub trait Query: Send + Sync + 'static {
    /// Stable name, as `chat.get-conversations`.
    const NAME: &'static str;
    /// The views it reads: a wait for a position waits for these.
    const VIEWS: &'static [&'static str];
    /// What the caller gets.
    type Answer: Send + 'static;
}

/// Answers one kind of query.
#[async_trait]
pub trait QueryHandler<Q: Query>: Send + Sync + 'static {
    /// Answers it.
    async fn handle(&self, cx: &Context, query: Q) -> Result<Q::Answer, Failure>;
}

type AnyAnswer = Result<Box<dyn Any + Send>, Failure>;
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

trait AnyHandler: Send + Sync {
    fn handle_any<'a>(
        &'a self,
        cx: &'a Context,
        query: Box<dyn Any + Send + Sync>,
    ) -> BoxFuture<'a, AnyAnswer>;
}

struct Typed<Q, H>(H, PhantomData<fn() -> Q>);

impl<Q: Query, H: QueryHandler<Q>> AnyHandler for Typed<Q, H> {
    fn handle_any<'a>(
        &'a self,
        cx: &'a Context,
        query: Box<dyn Any + Send + Sync>,
    ) -> BoxFuture<'a, AnyAnswer> {
        Box::pin(async move {
            let query = query
                .downcast::<Q>()
                .map_err(|_| Failure::internal(format!("{} reached another query's handler", Q::NAME)))?;
            let answer = self.0.handle(cx, *query).await?;
            Ok(Box::new(answer) as Box<dyn Any + Send>)
        })
    }
}

type Handlers = HashMap<TypeId, (&'static str, Box<dyn AnyHandler>)>;

/// Finds a query's handler.
#[derive(Clone)]
pub struct QueryBus {
    handlers: Arc<Handlers>,
}

impl QueryBus {
    /// An empty list of handlers.
    pub fn builder() -> QueryBusBuilder {
        QueryBusBuilder::default()
    }

    /// Asks a query.
    pub async fn ask<Q: Query>(&self, cx: &Context, query: Q) -> Result<Q::Answer, Failure> {
        let (_, handler) = self
            .handlers
            .get(&TypeId::of::<Q>())
            .ok_or_else(|| Failure::internal(RegistrationError::Missing(Q::NAME)))?;
        let started = std::time::Instant::now();
        let answer = handler.handle_any(cx, Box::new(query)).await;
        metrics::histogram!("cqrs_query_seconds", "query" => Q::NAME).record(started.elapsed().as_secs_f64());
        answer?.downcast().map(|answer| *answer).map_err(|_| Failure::internal("an answer of another type"))
    }

    /// The names of the queries that have a handler, sorted.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.handlers.values().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    }
}

/// Collects a service's query handlers.
#[derive(Default)]
pub struct QueryBusBuilder {
    handlers: Handlers,
    needed: Vec<(TypeId, &'static str)>,
    wrong: Option<RegistrationError>,
}

impl QueryBusBuilder {
    /// Queries of type `Q` go to `handler`.
    #[must_use]
    pub fn answer<Q: Query, H: QueryHandler<Q>>(mut self, handler: H) -> Self {
        let named_alike =
            self.handlers.iter().any(|(id, (name, _))| *name == Q::NAME && *id != TypeId::of::<Q>());
        if named_alike {
            self.wrong.get_or_insert(RegistrationError::SameName(Q::NAME));
        }
        let boxed: Box<dyn AnyHandler> = Box::new(Typed::<Q, H>(handler, PhantomData));
        if self.handlers.insert(TypeId::of::<Q>(), (Q::NAME, boxed)).is_some() {
            self.wrong.get_or_insert(RegistrationError::Twice(Q::NAME));
        }
        self
    }

    /// Something asks queries of type `Q`: there must be a handler.
    #[must_use]
    pub fn needs<Q: Query>(mut self) -> Self {
        self.needed.push((TypeId::of::<Q>(), Q::NAME));
        self
    }

    /// The bus, if every query has exactly one handler.
    pub fn build(self) -> Result<QueryBus, RegistrationError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        if let Some((_, name)) = self.needed.iter().find(|(id, _)| !self.handlers.contains_key(id)) {
            return Err(RegistrationError::Missing(name));
        }
        Ok(QueryBus { handlers: Arc::new(self.handlers) })
    }
}
