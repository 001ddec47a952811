//! What this crate's tests share.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::testing::{TestClock, instance_key, keyring};
use cqrs_core::{Actor, Clock, CommandBus, Context, Executor, ExecutorOptions, Failure, MemoryLog, Personal};
use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::account::{AccountEvent, SignInMethod};
use crate::admission::Admission;
use crate::mail::{Mail, MailError, Mailer};
use crate::register_user::RegisterUser;
use crate::service::{Auth, AuthOptions};
use crate::settings::AuthSettings;
use crate::signing_in::SignedIn;
use crate::tokens::InstanceSecret;
use crate::tokens::access::TokenSettings;

pub(crate) const ANN: Uuid = Uuid::from_u128(0x0a);
pub(crate) const PASSWORD: &str = "three green parrots";

/// Ann registered, with this as her password's hash.
pub(crate) fn registered(hash: &str) -> AccountEvent {
    AccountEvent::Registered {
        email: Personal::new(ANN, "ann@example.org".to_owned()),
        display_name: Personal::new(ANN, "Ann".to_owned()),
        password_hash: Personal::new(ANN, hash.to_owned()),
    }
}

/// Ann signed in on her phone.
pub(crate) fn session_started(session: Uuid, expires_at: Timestamp) -> AccountEvent {
    AccountEvent::SessionStarted {
        session,
        device: Some(Personal::new(ANN, "phone".to_owned())),
        address: None,
        method: SignInMethod::Password,
        new_device: false,
        expires_at,
    }
}

/// A mailbox for everybody.
#[derive(Default)]
pub(crate) struct Mailbox(Mutex<Vec<Mail>>);

#[async_trait]
impl Mailer for Mailbox {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.0.lock().push(mail.clone());
        Ok(())
    }
}

/// The whole service on a log in memory, at a time that stands still until it is set.
pub(crate) struct World {
    pub(crate) auth: Auth,
    pub(crate) bus: CommandBus,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) log: Arc<MemoryLog>,
    mailbox: Arc<Mailbox>,
    keys: Arc<tempfile::TempDir>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(AuthSettings::default())
    }

    pub(crate) fn with(settings: AuthSettings) -> Self {
        let clock = Arc::new(TestClock::default());
        let log = Arc::new(MemoryLog::new(crate::NAME));
        let executor =
            Executor::new(log.clone(), keyring(), instance_key(), clock.clone(), &ExecutorOptions::default());
        Self::start(settings, executor, clock, log, Arc::new(tempfile::tempdir().unwrap()))
    }

    /// The same instance started again, with other settings.
    pub(crate) fn restarted(&self, settings: AuthSettings) -> Self {
        let executor = self.auth.executor.clone();
        Self::start(settings, executor, self.clock.clone(), self.log.clone(), self.keys.clone())
    }

    fn start(
        settings: AuthSettings,
        executor: Executor,
        clock: Arc<TestClock>,
        log: Arc<MemoryLog>,
        keys: Arc<tempfile::TempDir>,
    ) -> Self {
        let mailbox = Arc::new(Mailbox::default());
        let (public_url, secret) = ("https://chat.example.org", InstanceSecret::new([3; 32]));
        let options = AuthOptions {
            settings,
            public_url,
            keys: Path::new(keys.path()),
            secret: &secret,
            admission: Admission::new(TokenSettings::of_instance(public_url), &secret),
            mailer: mailbox.clone(),
        };
        let (auth, outbox) = Auth::new(executor, options).unwrap();
        tokio::spawn(outbox.run());
        Self { bus: crate::commands(&auth).build().unwrap(), auth, clock, log, mailbox, keys }
    }

    pub(crate) fn cx(&self, actor: Actor) -> Context {
        self.clock.context(actor)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn later(&self, seconds: i64) {
        self.clock.set(self.clock.now() + jiff::SignedDuration::from_secs(seconds));
    }

    pub(crate) async fn register(&self, email: &str) -> Uuid {
        let reply = self.bus.dispatch(&self.cx(Actor::Anonymous), register(email)).await.unwrap();
        reply.parse::<serde_json::Value>().unwrap()["userId"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Result<SignedIn, Failure> {
        let login = json(serde_json::json!({"email": email, "password": password}));
        let reply =
            self.bus.dispatch::<crate::login_user::LoginUser>(&self.cx(Actor::Anonymous), login).await?;
        reply.parse()
    }

    pub(crate) async fn refresh(&self, token: &str) -> Result<SignedIn, Failure> {
        let refresh = json(serde_json::json!({"refreshToken": token}));
        let cx = self.cx(Actor::Anonymous);
        self.bus.dispatch::<crate::refresh_token::RefreshToken>(&cx, refresh).await?.parse()
    }

    /// A context as the edge makes it of an access token.
    pub(crate) fn signed_in(&self, tokens: &SignedIn) -> Context {
        Context { session: Some(tokens.session_id), ..self.cx(Actor::User(tokens.user_id)) }
    }

    pub(crate) fn holds(&self, tokens: &SignedIn) -> bool {
        self.auth.verifier.verify(&tokens.access_token, self.clock.now()).is_ok()
    }

    /// The mails so far, once those under way have arrived.
    pub(crate) async fn mails(&self, expected: usize) -> Vec<Mail> {
        for _ in 0..10_000 {
            if self.mailbox.0.lock().len() >= expected {
                break;
            }
            tokio::task::yield_now().await;
        }
        let mails = self.mailbox.0.lock().clone();
        assert_eq!(mails.len(), expected, "{mails:?}");
        mails
    }
}

pub(crate) fn register(email: &str) -> RegisterUser {
    json(serde_json::json!({"email": email, "password": PASSWORD, "displayName": "Ann"}))
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(body: serde_json::Value) -> T {
    serde_json::from_value(body).unwrap()
}

/// The token in a mail's link.
pub(crate) fn token_in(mail: &Mail) -> String {
    let (_, rest) = mail.text.split_once("#token=").unwrap();
    rest.lines().next().unwrap().to_owned()
}

/// The code of a refusal.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Failure>) -> &'static str {
    match result.expect_err("it was taken") {
        Failure::Refused(refused) => refused.code,
        other => panic!("{other}"),
    }
}
