//! The whole service on a store of its own, for tests; other services are told.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use cqrs_core::testing::Told;
use cqrs_core::{
    Actor, Clock as _, Command, CommandBus, Context, Event, EventSource, Failure, Incoming, Personal,
    PublicSource, Query, QueryBus, Reactor, RecordedEvent, Reply, SystemClock, TokenCodec,
};
use cqrs_http::{
    Authenticator, Edge, EdgeParts, HttpOptions, Identity, Limit, NothingToWaitFor, Page, unauthenticated,
};
use cqrs_sql::testing::TestStore;
use cqrs_sql::{Location, Pool};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use parlor_contracts::chat::{
    ChatEvent, ConversationHistory, ConversationKind, MessageType, ParticipantRole,
};
use parlor_contracts::user::UserEvent;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::inbox::{GetUnreadNotificationsCount, GetUserNotifications, ShownNotification};
use crate::notify_of_chat::NotifyOfChat;
use crate::notify_of_sign_ins::NotifyOfSignIns;
use crate::outbound::OutboundSettings;
use crate::preferences::Preferences;
use crate::push::forget_push::ForgetPushReactor;
use crate::update_preferences::UpdateNotificationPreferences;
use crate::webhooks::deliver::Pace;
use crate::{Deps, Leaving, LeavingSettings};

pub(crate) const ANN: Uuid = Uuid::from_u128(0xa);
pub(crate) const BOB: Uuid = Uuid::from_u128(0xb);
pub(crate) const CY: Uuid = Uuid::from_u128(0xc);
pub(crate) const ROOM: Uuid = Uuid::from_u128(0x100);
/// The session of everybody who asks over HTTP.
pub(crate) const SESSION: Uuid = Uuid::from_u128(0x5e5);

pub(crate) struct World {
    pub(crate) store: TestStore,
    pub(crate) chat: Arc<Told>,
    pub(crate) users: Arc<Told>,
    pub(crate) auth: Arc<Told>,
    pub(crate) notify_of_chat: NotifyOfChat,
    pub(crate) notify_of_sign_ins: NotifyOfSignIns,
    deps: Deps,
    commands: CommandBus,
    queries: QueryBus,
    router: Router,
}

/// Deliveries at work; they end with this, wherever they are.
pub(crate) struct Delivering {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Delivering {
    /// Ends them as a process that is asked to stop.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        (&mut self.task).await.expect("they end");
    }
}

impl Drop for Delivering {
    fn drop(&mut self) {
        self.task.abort();
    }
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
        let session = (!is_service).then_some(SESSION);
        Ok(Identity { actor, roles, session })
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
        let schema = |part: &str| format!("notification_{test}_{}_{part}", std::process::id());
        let log = Location::Postgres { pool: pool.clone(), schema: schema("log") };
        let views = Location::Postgres { pool, schema: schema("views") };
        let store = TestStore::at(crate::NAME, log, views, crate::projections(), crate::WRITE_SCHEMA).await;
        Some(Self::on(store.expect("opens")))
    }

    fn on(store: TestStore) -> Self {
        let keyring = store.store.executor.keyring().clone();
        let told = |name| Arc::new(Told::by(name, keyring.clone()));
        let (chat, users, auth) = (told("chat.public"), told("user.public"), told("auth.public"));
        let own =
            PublicSource::new(crate::PUBLIC, store.store.log.clone(), keyring.clone(), crate::publisher());
        let sources: Vec<Arc<dyn EventSource>> =
            vec![chat.clone(), users.clone(), auth.clone(), Arc::new(own)];
        // What tests have around them is on this machine, and is tried often and soon.
        let settings = LeavingSettings {
            outbound: OutboundSettings {
                allow_networks: vec!["127.0.0.0/8".parse().expect("a network")],
                ..OutboundSettings::default()
            },
            pace: Pace { first: Duration::from_millis(1), tries: 4, ..Pace::default() },
            contact: "mailto:admin@example.org".to_owned(),
        };
        let leaving = Leaving::new(&[7; 32], sources, settings).expect("it can be sent");
        let deps = Deps { store: store.store.clone(), tokens: TokenCodec::new(&[7; 32]), leaving };
        let commands = crate::commands(&deps).build().expect("each has one handler");
        let queries = crate::queries(&deps).build().expect("each has one handler");
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
        Self {
            router,
            chat,
            notify_of_chat: crate::notify_of_chat(&deps, &commands, users.head()),
            users,
            auth,
            notify_of_sign_ins: crate::notify_of_sign_ins(&deps, &commands),
            store,
            deps,
            commands,
            queries,
        }
    }

    /// Begins to send what leaves.
    pub(crate) fn deliver(&self) -> Delivering {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(crate::deliver(self.deps.clone(), Uuid::nil(), stopped));
        Delivering { stop, task }
    }

    /// The reactor that forgets browsers.
    pub(crate) fn forget_push(&self) -> ForgetPushReactor {
        crate::forget_push(&self.deps, &self.commands)
    }

    /// A world in which Ann, Bob and Cy are known by name and in one conversation.
    pub(crate) async fn with_three_in(kind: ConversationKind) -> Self {
        Self::new().await.peopled(kind).await
    }

    /// The same, of this world.
    pub(crate) async fn peopled(self, kind: ConversationKind) -> Self {
        for (user, name) in [(ANN, "Ann"), (BOB, "Bob"), (CY, "Cy")] {
            self.call_them(user, name).await;
        }
        let members: &[Uuid] = if kind == ConversationKind::Direct { &[ANN, BOB] } else { &[ANN, BOB, CY] };
        for user in members {
            self.chat_says(&joined(*user, *user, kind)).await;
        }
        self
    }

    pub(crate) fn cx(actor: Actor) -> Context {
        SystemClock.context(actor)
    }

    pub(crate) async fn send<C: Command>(&self, cx: &Context, command: C) -> Result<Reply, Failure> {
        self.commands.dispatch(cx, command).await
    }

    /// User says what somebody is called.
    pub(crate) async fn call_them(&self, user: Uuid, name: &str) {
        let display_name = Personal::new(user, name.to_owned());
        let event =
            UserEvent::UserProfileUpdated { user_id: user, display_name, bio: None, avatar_url: None };
        self.users.tell(&event).await.expect("told");
    }

    pub(crate) async fn prefer(&self, user: Uuid, json: &str) {
        let preferences: Preferences = serde_json::from_str(json).expect("sound");
        let cx = Self::cx(Actor::User(user));
        self.send(&cx, UpdateNotificationPreferences(preferences)).await.expect("updated");
    }

    /// Chat says something; views and reactor take it in.
    pub(crate) async fn chat_says(&self, event: &ChatEvent) -> Arc<RecordedEvent> {
        let told = self.chat.tell(event).await.expect("told");
        self.project().await;
        self.react(&self.notify_of_chat, "chat.public", &told).await.expect("reacts");
        told
    }

    pub(crate) async fn auth_says<E: Event>(&self, event: &E) {
        let told = self.auth.tell(event).await.expect("told");
        self.react(&self.notify_of_sign_ins, "auth.public", &told).await.expect("reacts");
    }

    pub(crate) async fn react(
        &self,
        reactor: &impl Reactor,
        source: &str,
        told: &Arc<RecordedEvent>,
    ) -> Result<(), Failure> {
        let keys = self.store.store.executor.keyring().keys().clone();
        reactor.react(&Incoming { source, meta: told, keys: &keys }).await
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
        let others: [Arc<dyn EventSource>; 3] = [self.chat.clone(), self.users.clone(), self.auth.clone()];
        self.store.project(&others).await.expect("the views take everything in");
    }

    /// Fills every view anew, the sources one after the other and in another order than they were heard.
    pub(crate) async fn rebuild(&self) {
        let store = &self.store.store;
        let own = store.source();
        let sources: [Arc<dyn EventSource>; 4] =
            [own, self.auth.clone(), self.users.clone(), self.chat.clone()];
        for projection in crate::projections() {
            let rebuilt =
                store.views.rebuild(projection.name(), &sources, store.executor.keyring(), |_| {}).await;
            rebuilt.expect("rebuilt");
        }
    }

    pub(crate) async fn ask<Q: Query>(&self, user: Uuid, query: Q) -> Result<Q::Answer, Failure> {
        self.project().await;
        self.queries.ask(&Self::cx(Actor::User(user)), query).await
    }

    pub(crate) async fn page(&self, user: Uuid, unread: bool, limit: u64) -> Page<ShownNotification> {
        let limit = Limit::new(limit).expect("allowed");
        self.ask(user, GetUserNotifications { unread, cursor: None, limit }).await.expect("a page")
    }

    /// Kind and title of what somebody was told, newest first.
    pub(crate) async fn inbox(&self, user: Uuid) -> Vec<(String, String)> {
        self.page(user, false, 200).await.items.into_iter().map(|told| (told.kind, told.title)).collect()
    }

    pub(crate) async fn unread(&self, user: Uuid) -> u64 {
        self.ask(user, GetUnreadNotificationsCount).await.expect("counted").count
    }
}

pub(crate) fn joined(user: Uuid, by: Uuid, kind: ConversationKind) -> ChatEvent {
    ChatEvent::ParticipantAdded {
        conversation_id: ROOM,
        user_id: user,
        role: ParticipantRole::Member,
        added_by: by,
        kind,
        title: (kind == ConversationKind::Group).then(|| Personal::new(by, "Team".to_owned())),
        history: ConversationHistory::SinceJoining,
    }
}

pub(crate) fn left(user: Uuid) -> ChatEvent {
    ChatEvent::ParticipantRemoved { conversation_id: ROOM, user_id: user, removed_by: user }
}

pub(crate) fn message(id: u128, sender: Uuid, kind: ConversationKind, content: &str) -> ChatEvent {
    ChatEvent::MessageSent {
        conversation_id: ROOM,
        kind,
        title: (kind == ConversationKind::Group).then(|| Personal::new(sender, "Team".to_owned())),
        message_id: Uuid::from_u128(id),
        sender_id: sender,
        message_type: MessageType::Text,
        content: Personal::new(sender, content.to_owned()),
        reply_to: None,
    }
}

pub(crate) fn group(id: u128, sender: Uuid, content: &str) -> ChatEvent {
    message(id, sender, ConversationKind::Group, content)
}

pub(crate) fn direct(id: u128, sender: Uuid, content: &str) -> ChatEvent {
    message(id, sender, ConversationKind::Direct, content)
}
