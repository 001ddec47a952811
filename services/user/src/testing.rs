//! The whole service on a store of its own, for tests.

use std::sync::Arc;

use cqrs_core::testing::Told;
use cqrs_core::{
    Actor, Clock as _, Command, CommandBus, Context, EventSource, Failure, Incoming, Query, QueryBus,
    Reactor as _, Reply, SystemClock, TokenCodec,
};
use cqrs_sql::testing::TestStore;
use parlor_contracts::auth::AuthEvent;
use uuid::Uuid;

use crate::Deps;
use crate::create_user::UserMade;
use crate::profile_of_account::ProfileOfAccount;

pub(crate) struct World {
    pub(crate) store: TestStore,
    pub(crate) auth: Arc<Told>,
    pub(crate) reactor: ProfileOfAccount,
    commands: CommandBus,
    queries: QueryBus,
}

impl World {
    pub(crate) async fn new() -> Self {
        let store =
            TestStore::new(crate::NAME, crate::projections(), crate::WRITE_SCHEMA).await.expect("opens");
        let deps = Deps { store: store.store.clone(), tokens: TokenCodec::new(&[7; 32]) };
        let auth = Arc::new(Told::by("auth.public", deps.store.executor.keyring().clone()));
        let commands = crate::commands(&deps).build().expect("each has one handler");
        let queries = crate::queries(&deps).build().expect("each has one handler");
        let reactor = crate::profile_of_account(&deps, &commands);
        Self { store, auth, reactor, commands, queries }
    }

    /// A context of somebody with roles.
    pub(crate) fn cx(actor: Actor, roles: &[&str]) -> Context {
        let mut cx = SystemClock.context(actor);
        cx.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        cx
    }

    pub(crate) async fn send<C: Command>(&self, cx: &Context, command: C) -> Result<Reply, Failure> {
        self.commands.dispatch(cx, command).await
    }

    /// Sends a command given as JSON, as its route does.
    pub(crate) async fn send_json<C: Command + serde::de::DeserializeOwned>(
        &self,
        who: Uuid,
        json: &str,
    ) -> Reply {
        let command: C = serde_json::from_str(json).expect("sound");
        self.send(&Self::cx(Actor::User(who), &[]), command).await.expect("carried out")
    }

    /// Makes a user as an application does.
    pub(crate) async fn user(&self, json: &str) -> Uuid {
        let command: crate::create_user::CreateUser = serde_json::from_str(json).expect("sound");
        let cx = Self::cx(Actor::Service(Uuid::from_u128(5)), &["service"]);
        let made: UserMade = self.send(&cx, command).await.and_then(|reply| reply.parse()).expect("made");
        made.id
    }

    /// Auth says something, and the reactor hears of it.
    pub(crate) async fn auth_says(&self, event: &AuthEvent) {
        let told = self.auth.tell(event).await.expect("can be encoded");
        self.react(&told).await;
    }

    pub(crate) async fn react(&self, told: &Arc<cqrs_core::RecordedEvent>) {
        let keys = self.store.store.executor.keyring().keys().clone();
        let incoming = Incoming { source: "auth.public", meta: told, keys: &keys };
        self.reactor.react(&incoming).await.expect("reacts");
    }

    /// Asks, once the views hold everything.
    pub(crate) async fn ask<Q: Query>(&self, cx: &Context, query: Q) -> Result<Q::Answer, Failure> {
        let others: [Arc<dyn EventSource>; 1] = [self.auth.clone()];
        self.store.project(&others).await.expect("the views take everything in");
        self.queries.ask(cx, query).await
    }
}
