//! The whole service on a store of its own, for tests.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use cqrs_core::testing::Told;
use cqrs_core::{
    Actor, Clock as _, Command, CommandBus, Context, EventSource, Failure, Incoming, Query, QueryBus,
    Reactor as _, Reply, SystemClock, TokenCodec,
};
use cqrs_http::{Authenticator, Edge, EdgeParts, HttpOptions, Identity, NothingToWaitFor, unauthenticated};
use cqrs_sql::testing::TestStore;
use cqrs_sql::{Location, Pool};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use parlor_contracts::auth::AuthEvent;
use serde_json::Value;
use tower::ServiceExt as _;
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
    router: Router,
}

/// Believes what a request says: `Bearer USER ROLE…`.
struct AsSaid;

#[async_trait]
impl Authenticator for AsSaid {
    async fn authenticate(&self, headers: &HeaderMap, _: Timestamp) -> Result<Identity, Failure> {
        let said =
            headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let mut words = said.ok_or_else(|| unauthenticated("nobody"))?.split(' ');
        let id =
            words.next().and_then(|id| Uuid::parse_str(id).ok()).ok_or_else(|| unauthenticated("nobody"))?;
        let roles: Vec<String> = words.map(str::to_owned).collect();
        let is_service = roles.iter().any(|role| role == "service");
        let actor = if is_service { Actor::Service(id) } else { Actor::User(id) };
        Ok(Identity { actor, roles, session: None })
    }
}

/// What came back over HTTP.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// A header's value; empty if it isn't there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl World {
    /// On SQLite.
    pub(crate) async fn new() -> Self {
        Self::on(TestStore::new(crate::NAME, crate::projections(), crate::WRITE_SCHEMA).await.expect("opens"))
    }

    /// On PostgreSQL, in schemas of this test's own; `None` where the tests have no server.
    pub(crate) async fn on_postgres(test: &str) -> Option<Self> {
        let Some(url) = std::env::var("PARLOR_TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty()) else {
            eprintln!("skipped: PARLOR_TEST_POSTGRES_URL names no server (cargo xtask test starts one)");
            return None;
        };
        let pool = Pool::new(&url, 4).expect("a pool");
        let schema = |part: &str| format!("user_{test}_{}_{part}", std::process::id());
        let log = Location::Postgres { pool: pool.clone(), schema: schema("log") };
        let views = Location::Postgres { pool, schema: schema("views") };
        let store = TestStore::at(crate::NAME, log, views, crate::projections(), crate::WRITE_SCHEMA).await;
        Some(Self::on(store.expect("opens")))
    }

    fn on(store: TestStore) -> Self {
        let deps = Deps { store: store.store.clone(), tokens: TokenCodec::new(&[7; 32]) };
        let auth = Arc::new(Told::by("auth.public", deps.store.executor.keyring().clone()));
        let commands = crate::commands(&deps).build().expect("each has one handler");
        let queries = crate::queries(&deps).build().expect("each has one handler");
        let reactor = crate::profile_of_account(&deps, &commands);
        let edge = Edge::new(EdgeParts {
            commands: commands.clone(),
            queries: queries.clone(),
            log: crate::NAME,
            epoch: deps.store.executor.log().epoch(),
            tokens: deps.tokens.clone(),
            waiter: Arc::new(NothingToWaitFor),
            authenticator: Arc::new(AsSaid),
            options: HttpOptions::default(),
        });
        let (router, _) = crate::routes().split_for_parts();
        let router = cqrs_http::layer(router.with_state(edge), &HttpOptions::default());
        Self { store, auth, reactor, commands, queries, router }
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

    /// A request over HTTP, once the views hold everything; `headers` as `name: value`.
    pub(crate) async fn call(
        &self,
        who: &str,
        request: &str,
        body: Option<Value>,
        headers: &[&str],
    ) -> Answer {
        self.project().await;
        let (method, uri) = request.split_once(' ').expect("a method and a path");
        let mut builder =
            Request::builder().method(method).uri(uri).header("authorization", format!("Bearer {who}"));
        for header in headers {
            let (name, value) = header.split_once(": ").expect("a header");
            builder = builder.header(name, value);
        }
        let request = match body {
            Some(body) => {
                builder.header("content-type", "application/json").body(Body::from(body.to_string()))
            }
            None => builder.body(Body::empty()),
        };
        let response = self.router.clone().oneshot(request.expect("a request")).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Lets the views take everything in.
    pub(crate) async fn project(&self) {
        let others: [Arc<dyn EventSource>; 1] = [self.auth.clone()];
        self.store.project(&others).await.expect("the views take everything in");
    }

    /// Asks, once the views hold everything.
    pub(crate) async fn ask<Q: Query>(&self, cx: &Context, query: Q) -> Result<Q::Answer, Failure> {
        self.project().await;
        self.queries.ask(cx, query).await
    }
}
