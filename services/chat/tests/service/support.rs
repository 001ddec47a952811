//! The service on a store of its own, with users as the user service would announce them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use cqrs_core::{
    Actor, Append, Clock as _, Command, CommandBus, Commit, Context, Event, EventSource, Failure, Log,
    LogSource, MemoryLog, NewEvent, Personal, Query, QueryBus, Reply, StreamId, SystemClock, TokenCodec,
};
use cqrs_http::{
    Authenticator, Cursors, Edge, EdgeParts, HttpOptions, Identity, NothingToWaitFor, unauthenticated,
};
use cqrs_sql::testing::TestStore;
use cqrs_sql::{Location, Pool};
use http_body_util::BodyExt as _;
use parlor_chat::Deps;
use parlor_chat::conversations::ConversationAnswer;
use parlor_chat::create_conversation::{CreateConversation, CreateConversationBody};
use parlor_chat::message::MessageAnswer;
use parlor_chat::send_message::{SendMessage, SendMessageBody};
use parlor_chat::values::{Content, History, Kind, MessageType};
use parlor_contracts::user::UserEvent;
use serde_json::Value;
use tower::ServiceExt as _;
use uuid::Uuid;

pub struct Chat {
    pub store: TestStore,
    pub commands: CommandBus,
    pub queries: QueryBus,
    pub users: Arc<MemoryLog>,
    pub edge: Edge,
    router: Router,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

/// Takes a user's id as the token.
struct ByName;

#[async_trait::async_trait]
impl Authenticator for ByName {
    async fn authenticate(&self, headers: &HeaderMap, _: jiff::Timestamp) -> Result<Identity, Failure> {
        let token =
            headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let user = token.and_then(|token| Uuid::parse_str(token).ok());
        let actor = user.map(Actor::User).ok_or_else(|| unauthenticated("no such user"))?;
        Ok(Identity { actor, roles: Vec::new(), session: None })
    }
}

impl Chat {
    pub async fn start() -> Self {
        Self::on(
            TestStore::new(parlor_chat::NAME, parlor_chat::projections(), parlor_chat::WRITE_SCHEMA)
                .await
                .unwrap(),
        )
    }

    /// On PostgreSQL, in schemas of this test's own; `None` where the tests have no server.
    pub async fn start_on_postgres(test: &str) -> Option<Self> {
        let url = std::env::var("PARLOR_TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty())?;
        let pool = Pool::new(&url, 4).unwrap();
        let schema = |part: &str| format!("chat_{test}_{}_{part}", std::process::id());
        let log = Location::Postgres { pool: pool.clone(), schema: schema("log") };
        let views = Location::Postgres { pool, schema: schema("views") };
        let store = TestStore::at(
            parlor_chat::NAME,
            log,
            views,
            parlor_chat::projections(),
            parlor_chat::WRITE_SCHEMA,
        )
        .await;
        Some(Self::on(store.unwrap()))
    }

    pub fn on(store: TestStore) -> Self {
        let (tokens, epoch) = (TokenCodec::new(&[7; 32]), store.store.log.epoch());
        let deps = Deps { store: store.store.clone(), cursors: Cursors::new(tokens.clone(), epoch) };
        let commands = parlor_chat::commands(&deps).build().unwrap();
        let queries = parlor_chat::queries(&deps).build().unwrap();
        let edge = Edge::new(EdgeParts {
            commands: commands.clone(),
            queries: queries.clone(),
            log: parlor_chat::NAME,
            epoch,
            tokens,
            waiter: Arc::new(NothingToWaitFor),
            authenticator: Arc::new(ByName),
            options: HttpOptions::default(),
        });
        let (router, _) = parlor_chat::routes().split_for_parts();
        let router = cqrs_http::layer(router.with_state(edge.clone()), &HttpOptions::default());
        Self { store, commands, queries, users: Arc::new(MemoryLog::new("user.public")), edge, router }
    }

    /// Announces something of a user, as the user service does.
    pub async fn announce(&self, event: &UserEvent) {
        self.publish(&self.users, event).await;
    }

    /// Records a public event, as another service does.
    pub async fn publish<E: Event>(&self, log: &MemoryLog, event: &E) {
        let id = SystemClock.fresh_id();
        let keyring = self.store.store.executor.keyring();
        let NewEvent { id, name, schema, data } = keyring.encode(id, event).await.unwrap();
        let stream = StreamId { category: "public", id };
        let mut commit = Commit::new(Actor::System, id, SystemClock.now());
        let events = vec![NewEvent { id, name, schema, data }];
        commit.appends.push(Append { stream, expected: 0, events });
        log.commit(commit).await.unwrap();
    }

    /// Somebody new.
    pub async fn user(&self, name: &str) -> Uuid {
        let user_id = SystemClock.fresh_id();
        let display_name = Personal::new(user_id, name.to_owned());
        let event = UserEvent::UserCreated { user_id, display_name, avatar_url: None, external_id: None };
        self.announce(&event).await;
        self.project().await;
        user_id
    }

    /// What the user service made public.
    fn users(&self) -> Arc<dyn EventSource> {
        Arc::new(LogSource(self.users.clone()))
    }

    /// Lets the views take in everything.
    pub async fn project(&self) {
        self.store.project(&[self.users()]).await.unwrap();
    }

    /// Fills a view anew, from the beginning.
    pub async fn rebuild(&self, view: &str) {
        let (views, keyring) = (&self.store.store.views, self.store.store.executor.keyring());
        let sources = [self.users(), self.store.store.source()];
        views.rebuild(view, &sources, keyring, |_| ()).await.unwrap();
    }

    pub async fn act<C: Command>(&self, who: Uuid, command: C) -> Result<Reply, Failure> {
        self.commands.dispatch(&context(who), command).await
    }

    pub async fn ask<Q: Query>(&self, who: Uuid, query: Q) -> Result<Q::Answer, Failure> {
        self.queries.ask(&context(who), query).await
    }

    pub async fn group(&self, creator: Uuid, others: &[Uuid], history: History) -> ConversationAnswer {
        self.create(creator, Kind::Group, others, history).await
    }

    pub async fn create(
        &self,
        creator: Uuid,
        kind: Kind,
        others: &[Uuid],
        history: History,
    ) -> ConversationAnswer {
        let body = CreateConversationBody { kind, participants: others.to_vec(), title: None, history };
        self.act(creator, CreateConversation(body)).await.unwrap().parse().unwrap()
    }

    pub async fn say(&self, who: Uuid, conversation: Uuid, text: &str) -> MessageAnswer {
        self.act(who, saying(conversation, text)).await.unwrap().parse().unwrap()
    }

    pub async fn call(&self, who: Uuid, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_with(who, method, path, &[], body).await
    }

    pub async fn call_with(
        &self,
        who: Uuid,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {who}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match body {
            Some(body) => {
                request.header("content-type", "application/json").body(Body::from(body.to_string()))
            }
            None => request.body(Body::empty()),
        };
        let response = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

pub fn context(who: Uuid) -> Context {
    SystemClock.context(Actor::User(who))
}

pub fn content(text: &str) -> Content {
    Content::try_from(text.to_owned()).unwrap()
}

pub fn saying(conversation: Uuid, text: &str) -> SendMessage {
    let body =
        SendMessageBody { content: content(text), r#type: MessageType::Text, id: None, reply_to: None };
    SendMessage { conversation, body }
}

/// The code of a refusal.
#[track_caller]
pub fn code<T: std::fmt::Debug>(result: Result<T, Failure>) -> &'static str {
    match result {
        Err(Failure::Refused(refused)) => refused.code,
        other => panic!("{other:?} is no refusal"),
    }
}
