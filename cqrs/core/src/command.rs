//! The command bus: one handler per command, and the middleware around it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use crate::context::Context;
use crate::decision::Decide;
use crate::executor::{Executor, Reply};
use crate::failure::{Failure, FieldError, RefusalKind, Refused};

/// An intention to change something. It takes effect exactly once, or not at all.
pub trait Command: Send + Sync + 'static {
    /// Stable name, as `chat.send-message`.
    const NAME: &'static str;

    /// The views that its handler looks something up in before deciding: a client's minimum position is waited for
    /// there.
    const VIEWS: &'static [&'static str] = &[];

    /// What can be said about the values alone. Most commands need nothing here: their fields' types are parsed on
    /// arrival.
    fn validate(&self) -> Result<(), Vec<FieldError>> {
        Ok(())
    }
}

/// Carries out one kind of command.
#[async_trait]
pub trait CommandHandler<C: Command>: Send + Sync + 'static {
    /// Carries it out.
    async fn handle(&self, cx: &Context, command: C) -> Result<Reply, Failure>;
}

/// The handler of every command that is decided on streams alone.
struct Deciding<C>(Executor, PhantomData<fn() -> C>);

#[async_trait]
impl<C: Command + Decide> CommandHandler<C> for Deciding<C> {
    async fn handle(&self, cx: &Context, command: C) -> Result<Reply, Failure> {
        self.0.run(cx, &command).await
    }
}

/// A command on its way, its type forgotten.
pub struct AnyCommand {
    /// Its name.
    pub name: &'static str,
    value: Box<dyn Any + Send + Sync>,
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The rest of the way to the handler.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    layers: &'a [Arc<dyn Middleware>],
    handler: &'a dyn AnyHandler,
}

impl<'a> Next<'a> {
    /// Goes on towards the handler.
    pub fn run(self, cx: &'a Context, command: AnyCommand) -> BoxFuture<'a, Result<Reply, Failure>> {
        match self.layers.split_first() {
            Some((layer, layers)) => layer.handle(cx, command, Next { layers, ..self }),
            None => self.handler.handle_any(cx, command),
        }
    }
}

/// Something every command passes through.
#[async_trait]
pub trait Middleware: Send + Sync + 'static {
    /// Handles the command, usually by calling `next`.
    async fn handle(&self, cx: &Context, command: AnyCommand, next: Next<'_>) -> Result<Reply, Failure>;
}

trait AnyHandler: Send + Sync {
    fn handle_any<'a>(
        &'a self,
        cx: &'a Context,
        command: AnyCommand,
    ) -> BoxFuture<'a, Result<Reply, Failure>>;
}

struct Typed<C, H>(H, PhantomData<fn() -> C>);

impl<C: Command, H: CommandHandler<C>> AnyHandler for Typed<C, H> {
    fn handle_any<'a>(
        &'a self,
        cx: &'a Context,
        command: AnyCommand,
    ) -> BoxFuture<'a, Result<Reply, Failure>> {
        Box::pin(async move {
            let command = command
                .value
                .downcast::<C>()
                .map_err(|_| Failure::internal(format!("{} reached another command's handler", C::NAME)))?;
            command.validate().map_err(invalid)?;
            self.0.handle(cx, *command).await
        })
    }
}

fn invalid(errors: Vec<FieldError>) -> Failure {
    let detail = errors.first().map_or_else(String::new, |first| first.detail.clone());
    Failure::Refused(Box::new(Refused {
        code: "invalid-value",
        kind: RefusalKind::Invalid,
        detail,
        errors,
        retry_after: None,
        permits_replay: true,
    }))
}

/// What is wrong with a service's list of handlers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// Two handlers for one command or query.
    #[error("{0} has two handlers; a command or query has one")]
    Twice(&'static str),
    /// None, though something sends it.
    #[error("{0} is used and has no handler; add it to its service's list")]
    Missing(&'static str),
    /// Two commands or queries of one name.
    #[error("two types are called {0}")]
    SameName(&'static str),
}

/// Finds a command's handler and takes the command there, through the middleware.
#[derive(Clone)]
pub struct CommandBus {
    handlers: Arc<HashMap<TypeId, Box<dyn AnyHandler>>>,
    layers: Arc<[Arc<dyn Middleware>]>,
    names: Arc<[&'static str]>,
}

impl CommandBus {
    /// An empty list of handlers.
    pub fn builder() -> CommandBusBuilder {
        CommandBusBuilder::default()
    }

    /// Sends a command to its handler.
    pub async fn dispatch<C: Command>(&self, cx: &Context, command: C) -> Result<Reply, Failure> {
        let handler = self
            .handlers
            .get(&TypeId::of::<C>())
            .ok_or_else(|| Failure::internal(RegistrationError::Missing(C::NAME)))?;
        let command = AnyCommand { name: C::NAME, value: Box::new(command) };
        Next { layers: &self.layers, handler: &**handler }.run(cx, command).await
    }

    /// The names of the commands that have a handler, sorted.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }
}

/// Collects a service's command handlers.
#[derive(Default)]
pub struct CommandBusBuilder {
    handlers: HashMap<TypeId, (&'static str, Box<dyn AnyHandler>)>,
    needed: Vec<(TypeId, &'static str)>,
    layers: Vec<Arc<dyn Middleware>>,
    wrong: Option<RegistrationError>,
}

impl CommandBusBuilder {
    /// Commands of type `C` are decided on streams alone, by `executor`.
    #[must_use]
    pub fn decide<C: Command + Decide>(self, executor: &Executor) -> Self {
        self.handle::<C, _>(Deciding(executor.clone(), PhantomData))
    }

    /// Commands of type `C` go to `handler`.
    #[must_use]
    pub fn handle<C: Command, H: CommandHandler<C>>(mut self, handler: H) -> Self {
        let named_alike =
            self.handlers.iter().any(|(id, (name, _))| *name == C::NAME && *id != TypeId::of::<C>());
        if named_alike {
            self.wrong.get_or_insert(RegistrationError::SameName(C::NAME));
        }
        let boxed: Box<dyn AnyHandler> = Box::new(Typed::<C, H>(handler, PhantomData));
        if self.handlers.insert(TypeId::of::<C>(), (C::NAME, boxed)).is_some() {
            self.wrong.get_or_insert(RegistrationError::Twice(C::NAME));
        }
        self
    }

    /// Something sends commands of type `C`: there must be a handler.
    #[must_use]
    pub fn needs<C: Command>(mut self) -> Self {
        self.needed.push((TypeId::of::<C>(), C::NAME));
        self
    }

    /// Every command passes through `layer`, in the order of the calls.
    #[must_use]
    pub fn layer(mut self, layer: impl Middleware) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// The bus, if every command has exactly one handler.
    pub fn build(self) -> Result<CommandBus, RegistrationError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        if let Some((_, name)) = self.needed.iter().find(|(id, _)| !self.handlers.contains_key(id)) {
            return Err(RegistrationError::Missing(name));
        }
        let mut names: Vec<_> = self.handlers.values().map(|(name, _)| *name).collect();
        names.sort_unstable();
        Ok(CommandBus {
            handlers: Arc::new(self.handlers.into_iter().map(|(id, (_, handler))| (id, handler)).collect()),
            layers: self.layers.into(),
            names: names.into(),
        })
    }
}
