//! A bank over a log in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response};
use cqrs_core::testing::{TestClock, instance_key, keyring};
use cqrs_core::*;
use cqrs_http::*;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::client::ask;

pub const ALICE: Uuid = Uuid::from_u128(0xA);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", content = "data")]
enum AccountEvent {
    #[serde(rename = "account.opened")]
    Opened {},
    #[serde(rename = "account.deposited")]
    Deposited { cents: u32 },
    #[serde(rename = "account.closed")]
    Closed {},
}
impl Event for AccountEvent {}

#[derive(Debug, Clone, Default)]
struct Account {
    open: bool,
    cents: u64,
}
impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;
    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened {} => self.open = true,
            AccountEvent::Deposited { cents } => self.cents += u64::from(*cents),
            AccountEvent::Closed {} => self.open = false,
        }
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum BankRefusal {
    #[error("there is no such account")]
    NoSuchAccount,
    #[error("nothing to deposit")]
    NothingToDeposit,
    #[error("the account holds {0} cents still")]
    NotEmpty(u64),
}
impl Refusal for BankRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchAccount => "not-found",
            Self::NothingToDeposit => "nothing-to-deposit",
            Self::NotEmpty(_) => "account-not-empty",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoSuchAccount => RefusalKind::NotFound,
            Self::NothingToDeposit => RefusalKind::Invalid,
            Self::NotEmpty(_) => RefusalKind::Conflict,
        }
    }
    fn pointer(&self) -> Option<&'static str> {
        matches!(self, Self::NothingToDeposit).then_some("/cents")
    }
}

struct Open(Uuid);
impl Command for Open {
    const NAME: &'static str = "bank.open";
}
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Opened {
    id: Uuid,
    #[serde(with = "cqrs_http::time")]
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
}
impl Decide for Open {
    type Answer = Opened;
    type Refusal = BankRefusal;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.0)
    }
    fn decide(&self, _: &Context, _: &cqrs_core::State<'_>) -> Result<Decision<Opened>, BankRefusal> {
        let id = self.0;
        Ok(Decision::answering(move |committed| Opened { id, opened_at: committed.at })
            .record::<Account>(id, AccountEvent::Opened {})
            .created())
    }
}

struct Deposit {
    account: Uuid,
    cents: u32,
}
impl Command for Deposit {
    const NAME: &'static str = "bank.deposit";
    const VIEWS: &'static [&'static str] = &["balances"];
}
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Balance {
    cents: u64,
}
impl Decide for Deposit {
    type Answer = Balance;
    type Refusal = BankRefusal;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.account)
    }
    fn decide(&self, _: &Context, state: &cqrs_core::State<'_>) -> Result<Decision<Balance>, BankRefusal> {
        let account: &Account = state.get(self.account);
        if !account.open {
            return Err(BankRefusal::NoSuchAccount);
        }
        if self.cents == 0 {
            return Err(BankRefusal::NothingToDeposit);
        }
        let cents = account.cents + u64::from(self.cents);
        Ok(Decision::answering(move |_| Balance { cents })
            .record::<Account>(self.account, AccountEvent::Deposited { cents: self.cents }))
    }
}

struct Close(Uuid);
impl Command for Close {
    const NAME: &'static str = "bank.close";
}
impl Decide for Close {
    type Answer = ();
    type Refusal = BankRefusal;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.0)
    }
    fn decide(&self, _: &Context, state: &cqrs_core::State<'_>) -> Result<Decision<()>, BankRefusal> {
        let account: &Account = state.get(self.0);
        match (account.open, account.cents) {
            (false, _) => Err(BankRefusal::NoSuchAccount),
            (true, 0) => Ok(Decision::done().record::<Account>(self.0, AccountEvent::Closed {})),
            (true, cents) => Err(BankRefusal::NotEmpty(cents)),
        }
    }
}

struct GetBalance(Uuid);
impl Query for GetBalance {
    const NAME: &'static str = "bank.get-balance";
    const VIEWS: &'static [&'static str] = &["balances"];
    type Answer = (u64, Balance);
}
struct Balances(Executor);
#[async_trait]
impl QueryHandler<GetBalance> for Balances {
    async fn handle(&self, _: &Context, query: GetBalance) -> Result<(u64, Balance), Failure> {
        let (version, account) = self.0.state::<Account>(query.0).await?;
        if !account.open {
            return Err(Failure::not_found("there is no such account"));
        }
        Ok((version, Balance { cents: account.cents }))
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OpenBody {
    id: Option<Uuid>,
}

/// A note on a deposit.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    #[allow(dead_code, reason = "only read from requests")]
    text: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DepositBody {
    cents: u32,
    #[serde(default)]
    #[allow(dead_code, reason = "only read from requests")]
    notes: Vec<Note>,
    #[serde(default)]
    #[allow(dead_code, reason = "only read from requests")]
    labels: BTreeMap<String, f64>,
    #[serde(default)]
    #[allow(dead_code, reason = "only read from requests")]
    way: Option<Way>,
}

/// How money gets in.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Way {
    Cash,
    Transfer,
}

/// Opens an account.
#[utoipa::path(post, path = "/v1/accounts", request_body = OpenBody,
    responses((status = 201, body = Opened), (status = 409, description = "`account-open`")))]
async fn open(State(edge): State<Edge>, input: OpenInput<OpenBody>) -> Answer {
    let id = input.body.id.unwrap_or_else(|| input.cx.fresh_id(0));
    edge.command(input.cx, Open(id)).await
}

/// Puts money in.
#[utoipa::path(post, path = "/v1/accounts/{id}/deposits", params(("id" = Uuid, Path,)),
    request_body = DepositBody, responses((status = 200, body = Balance)), security(("bearer" = [])))]
async fn deposit(State(edge): State<Edge>, PathId(account): PathId, input: Input<DepositBody>) -> Answer {
    edge.command(input.cx, Deposit { account, cents: input.body.cents }).await
}

/// Closes it.
#[utoipa::path(delete, path = "/v1/accounts/{id}", params(("id" = Uuid, Path,)), responses((status = 204)),
    security(("bearer" = [])))]
async fn close(State(edge): State<Edge>, PathId(account): PathId, input: Input<NoBody>) -> Answer {
    edge.command(input.cx, Close(account)).await
}

/// What it holds.
#[utoipa::path(get, path = "/v1/accounts/{id}", params(("id" = Uuid, Path,)),
    responses((status = 200, body = Balance)), security(("bearer" = [])))]
async fn balance(State(edge): State<Edge>, PathId(account): PathId, ask: Asking<NoParams>) -> Answer {
    edge.query_versioned(ask.cx, GetBalance(account), |(version, _)| Some(*version)).await
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// How many at most.
    #[serde(default)]
    limit: Limit,
    /// Where to go on.
    cursor: Option<String>,
    #[allow(dead_code, reason = "only read from requests")]
    unread: Option<bool>,
}

/// Numbers in pages.
#[utoipa::path(get, path = "/v1/numbers", params(ListParams), responses((status = 200, body = Page<u64>)), security(("bearer" = [])))]
async fn numbers(
    State(edge): State<Edge>,
    ask: Asking<ListParams>,
) -> Result<axum::Json<Page<u64>>, Problem> {
    let after = match &ask.params.cursor {
        Some(cursor) => edge.cursors().decode::<u64>("numbers", cursor)?,
        None => 0,
    };
    let items: Vec<u64> = (after + 1..=120).take(ask.params.limit.and_one()).collect();
    let page = Page::cut(items, ask.params.limit, |last| edge.cursors().encode("numbers", last).unwrap());
    Ok(axum::Json(page))
}

async fn fail(axum::extract::Path(kind): axum::extract::Path<String>) -> Answer {
    let failure = match kind.as_str() {
        "version-mismatch" => Failure::VersionMismatch { expected: 3, current: 7 },
        "concurrent-update" => Failure::Contended,
        "idempotency-key-reused" => Failure::KeyReused,
        "command-in-flight" => Failure::InFlight,
        "view-behind" => Failure::ViewBehind,
        "epoch-changed" => Failure::EpochChanged,
        "invalid-token" => Failure::BadToken,
        "deadline-exceeded" => Failure::DeadlineExceeded,
        "unavailable" => Failure::Unavailable("db-7.internal refused SECRET".to_owned()),
        "storage-full" => Failure::StorageFull,
        "internal-error" => Failure::Internal("row SECRET of table users".to_owned()),
        "missing-keys" => Failure::MissingKeys(vec![ALICE]),
        "forbidden" => Failure::forbidden("not yours"),
        "unauthenticated" => unauthenticated("sign in"),
        "gone" => refused("gone", RefusalKind::Gone, None),
        "slow-down" => refused("slow-down", RefusalKind::TooManyRequests, Some(Duration::from_millis(2_100))),
        "panic" => panic!("the SECRET handler broke"),
        other => unreachable!("{other}"),
    };
    Err(failure.into())
}

fn refused(code: &'static str, kind: RefusalKind, retry_after: Option<Duration>) -> Failure {
    let detail = "refused".to_owned();
    Failure::Refused(Box::new(Refused {
        code,
        kind,
        detail,
        errors: vec![],
        retry_after,
        permits_replay: true,
    }))
}

/// Says who asks, and under which ids.
async fn whoami(Caller(cx): Caller) -> axum::Json<Value> {
    axum::Json(json!({
        "user": cx.actor.user(), "roles": cx.roles, "session": cx.session, "client": cx.client,
        "requestId": &*cx.request_id, "correlation": cx.correlation, "hasDeadline": cx.deadline.is_some(),
    }))
}

async fn admin(Caller(cx): Caller) -> Answer {
    requires_any_role(&cx, &["admin", "service"])?;
    Ok(Response::new(Body::empty()))
}

/// Lets `Bearer alice` and `Bearer admin` in.
struct Doorman;
#[async_trait]
impl Authenticator for Doorman {
    async fn authenticate(&self, headers: &HeaderMap, _: Timestamp) -> Result<Identity, Failure> {
        let roles = match headers.get("authorization").map(HeaderValue::as_bytes) {
            Some(b"Bearer alice") => vec![],
            Some(b"Bearer admin") => vec!["admin".to_owned()],
            Some(_) => return Err(unauthenticated("the access token has expired")),
            None => return Err(unauthenticated("sign in first")),
        };
        Ok(Identity { actor: Actor::User(ALICE), roles, session: Some(Uuid::from_u128(5)) })
    }
}

/// A view whose progress the test sets.
pub struct Progress {
    pub held: watch::Sender<Position>,
    pub epoch: Uuid,
}
#[async_trait]
impl Waiter for Progress {
    async fn wait(
        &self,
        _: &'static [&'static str],
        wanted: &PositionVector,
        until: Instant,
    ) -> Result<(), Failure> {
        let (_, position) = wanted.get("bank").unwrap_or_default();
        let mut held = self.held.subscribe();
        let reached = held.wait_for(|held| *held >= position);
        tokio::time::timeout_at(until.into(), reached).await.map_err(|_| Failure::ViewBehind)?.unwrap();
        Ok(())
    }
    fn position(&self, _: &'static [&'static str]) -> PositionVector {
        PositionVector::of("bank", self.epoch, *self.held.borrow())
    }
}

pub struct Bank {
    pub router: Router,
    pub log: Arc<MemoryLog>,
    pub tokens: TokenCodec,
    pub progress: Arc<Progress>,
}

pub fn options() -> HttpOptions {
    HttpOptions {
        max_body: 4096,
        view_wait: Duration::from_millis(5),
        clock: Arc::new(TestClock::default()),
        ..HttpOptions::default()
    }
}

pub fn bank() -> Bank {
    bank_with(&options())
}

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(open))
        .routes(routes!(deposit))
        .routes(routes!(close, balance))
        .routes(routes!(numbers))
}

pub fn bank_with(options: &HttpOptions) -> Bank {
    let log = Arc::new(MemoryLog::new("bank"));
    let clock = options.clock.clone();
    let executor = Executor::new(log.clone(), keyring(), instance_key(), clock, &ExecutorOptions::default());
    let commands = CommandBus::builder()
        .layer(Tracing)
        .layer(Deadline(Duration::from_secs(5)))
        .layer(Idempotency::default())
        .decide::<Open>(&executor)
        .decide::<Deposit>(&executor)
        .decide::<Close>(&executor)
        .build()
        .unwrap();
    let queries = QueryBus::builder().answer::<GetBalance, _>(Balances(executor)).build().unwrap();
    let tokens = TokenCodec::new(&[3; 32]);
    let progress = Arc::new(Progress { held: watch::Sender::new(Position(0)), epoch: Log::epoch(&*log) });
    let edge = Edge::new(EdgeParts {
        commands,
        queries,
        log: "bank",
        epoch: Log::epoch(&*log),
        tokens: tokens.clone(),
        waiter: progress.clone(),
        authenticator: Arc::new(Doorman),
        options: options.clone(),
    });
    let router = Router::from(routes())
        .route("/v1/fail/{kind}", axum::routing::get(fail))
        .route("/v1/whoami", axum::routing::get(whoami))
        .route("/v1/admin", axum::routing::get(admin))
        .route("/v1/echo", axum::routing::post(async |body: String| body))
        .route("/v1/cached", axum::routing::get(async || ([("cache-control", "max-age=60")], "kept")))
        .with_state(edge);
    Bank { router: layer(router, options), log, tokens, progress }
}

impl Bank {
    /// How many events there are.
    pub fn events(&self) -> u64 {
        self.log.head().borrow().0
    }
    /// Opens an account.
    pub async fn open_account(&self) -> Uuid {
        let reply = ask("POST", "/v1/accounts").json("{}").of(self).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        self.progress.held.send_replace(Position(self.events()));
        reply.json()["id"].as_str().unwrap().parse().unwrap()
    }
}
