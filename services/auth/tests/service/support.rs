//! The whole service over HTTP on SQLite, with mails as files.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use cqrs_core::TokenCodec;
use cqrs_http::{Edge, EdgeParts, HttpOptions, NothingToWaitFor};
use cqrs_sql::testing::TestStore;
use cqrs_sql::{Location, Pool};
use http_body_util::BodyExt as _;
use parlor_auth::tokens::InstanceSecret;
use parlor_auth::tokens::access::TokenSettings;
use parlor_auth::{Admission, Auth, AuthOptions, AuthSettings};
use serde_json::Value;
use tower::ServiceExt as _;

pub const PASSWORD: &str = "three green parrots";

pub struct Parlor {
    pub auth: Auth,
    pub store: TestStore,
    pub data: tempfile::TempDir,
    router: Router,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.body)).to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().unwrap()
    }
}

impl Parlor {
    /// On SQLite.
    pub async fn start(settings: AuthSettings) -> Self {
        let store = TestStore::new(parlor_auth::NAME, parlor_auth::projections(), None).await.unwrap();
        Self::on(store, settings)
    }

    /// On PostgreSQL, in schemas of this process's own; `None` where the tests have no server.
    pub async fn start_on_postgres(settings: AuthSettings) -> Option<Self> {
        let url = std::env::var("PARLOR_TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty())?;
        let pool = Pool::new(&url, 4).unwrap();
        let schema = |part: &str| format!("auth_test_{}_{part}", std::process::id());
        let log = Location::Postgres { pool: pool.clone(), schema: schema("log") };
        let views = Location::Postgres { pool, schema: schema("views") };
        let store =
            TestStore::at(parlor_auth::NAME, log, views, parlor_auth::projections(), None).await.unwrap();
        Some(Self::on(store, settings))
    }

    fn on(store: TestStore, mut settings: AuthSettings) -> Self {
        settings.password.at_once = NonZeroUsize::new(2);
        let data = tempfile::tempdir().unwrap();
        let mailer = parlor_auth::mail::mailer(None, &data.path().join("mail")).unwrap();
        let (public_url, secret) = ("https://chat.example.org", InstanceSecret::new([3; 32]));
        let options = AuthOptions {
            settings,
            public_url,
            keys: &data.path().join("keys"),
            secret: &secret,
            admission: Admission::new(TokenSettings::of_instance(public_url), &secret),
            mailer,
        };
        let (auth, outbox) = Auth::new(store.store.executor.clone(), options).unwrap();
        tokio::spawn(outbox.run());
        let edge = Edge::new(EdgeParts {
            commands: parlor_auth::commands(&auth).build().unwrap(),
            queries: parlor_auth::queries(&auth, &store.store.views).build().unwrap(),
            log: parlor_auth::NAME,
            epoch: cqrs_core::Log::epoch(&*store.store.log),
            tokens: TokenCodec::new(&[7; 32]),
            waiter: Arc::new(NothingToWaitFor),
            authenticator: Arc::new(auth.clone()),
            options: HttpOptions::default(),
        });
        let (router, _) = parlor_auth::routes().split_for_parts();
        let router = cqrs_http::layer(router.with_state(edge), &HttpOptions::default());
        Self { auth, store, data, router }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = match body {
            Some(body) => {
                request.header("content-type", "application/json").body(Body::from(body.to_string()))
            }
            None => request.body(Body::empty()),
        };
        let mut request = request.unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
        self.send(request).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, None, Some(body)).await
    }

    pub async fn register(&self, email: &str) -> String {
        let body = serde_json::json!({"email": email, "password": PASSWORD, "displayName": "Ann"});
        let answer = self.post("/v1/auth/register", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.text("userId")
    }

    pub async fn login(&self, email: &str, password: &str) -> Answer {
        let body = serde_json::json!({"email": email, "password": password, "device": "laptop"});
        self.post("/v1/auth/login", body).await
    }

    /// The text of the mails so far, oldest first, once there are so many.
    pub async fn mails(&self, expected: usize) -> Vec<String> {
        let folder = self.data.path().join("mail");
        for _ in 0..5_000 {
            let mut files: Vec<_> = std::fs::read_dir(&folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
                .collect();
            if files.len() >= expected {
                files.sort();
                return files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        panic!("fewer than {expected} mails");
    }
}

pub fn token_in(mail: &str) -> String {
    mail.split_once("#token=").unwrap().1.lines().next().unwrap().trim().to_owned()
}
