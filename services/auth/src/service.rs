//! The auth service's parts.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use cqrs_core::{Context, Executor, Failure, Refusal, RefusalKind, Reply};
use jiff::Timestamp;
use parking_lot::RwLock;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::account::Account;
use crate::admission::Admission;
use crate::email::Email;
use crate::limits::{AccountKey, FailureGuard, Origin, Rates, TooMany};
use crate::mail::messages::{Letter, Links};
use crate::mail::{Mail, Mailer, Outbox, OutboxWorker};
use crate::password::{HashError, Hasher, PasswordAttempt, PasswordHash, Verdict, WeakSettings};
use crate::settings::AuthSettings;
use crate::tokens::InstanceSecret;
use crate::tokens::access::{Grant, TokenSettings};
use crate::tokens::keys::{KeyRing, KeyRingError};
use crate::tokens::one_time::OneTimeTokens;
use crate::tokens::refresh::RefreshTokens;
use crate::tokens::verify::{Jwks, Verifier};

/// The set in which an e-mail address is unique.
pub(crate) const EMAILS: &str = "email";

/// The auth service. Cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<Parts>);

/// What the handlers share.
pub struct Parts {
    /// Decides and commits on the auth log.
    pub executor: Executor,
    /// What the operator set.
    pub settings: AuthSettings,
    /// What lets requests in; every service of this process uses it.
    pub admission: Admission,
    /// Checks access tokens.
    pub verifier: Arc<Verifier>,
    pub(crate) hasher: Hasher,
    pub(crate) rates: Rates,
    pub(crate) failures: FailureGuard,
    pub(crate) refresh_tokens: RefreshTokens,
    pub(crate) one_time: OneTimeTokens,
    pub(crate) links: Links,
    pub(crate) background: TaskTracker,
    keys: RwLock<KeyRing>,
    tokens: TokenSettings,
    outbox: Outbox,
}

/// Why the service can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The signing keys.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// The cost of a hash.
    #[error(transparent)]
    Password(#[from] WeakSettings),
}

/// What the service is made of.
pub struct AuthOptions<'a> {
    /// What the operator set.
    pub settings: AuthSettings,
    /// The address under which people reach this instance, `https://chat.example.org`: links in mails lead there, and
    /// tokens are issued in its name.
    pub public_url: &'a str,
    /// The folder of the signing keys; made if it isn't there.
    pub keys: &'a Path,
    /// The instance's secret, from which keyed hashes derive their keys.
    pub secret: &'a InstanceSecret,
    /// What lets requests in; the service's own keys are added to it.
    pub admission: Admission,
    /// Whatever takes mails.
    pub mailer: Arc<dyn Mailer>,
}

impl Auth {
    /// The service, on the log of `executor`, and what sends its mails, to be run as a task of its own.
    pub fn new(executor: Executor, options: AuthOptions<'_>) -> Result<(Self, OutboxWorker), StartError> {
        let AuthOptions { settings, public_url, keys, secret, admission, mailer } = options;
        let now = executor.clock().now();
        let ring = KeyRing::open(keys, now)?;
        let mut tokens = TokenSettings::of_instance(public_url);
        tokens.lifetime = jiff::SignedDuration::from_secs(settings.access_token_seconds.into());
        admission.sign_with(ring.jwks(now));
        let (outbox, worker) = Outbox::new(mailer);
        let parts = Parts {
            hasher: Hasher::new(&settings.password.hasher())?,
            rates: Rates::new(&settings.limits),
            failures: FailureGuard::new(settings.limits.enabled),
            refresh_tokens: RefreshTokens::new(secret),
            one_time: OneTimeTokens::new(secret),
            links: Links::new(public_url),
            background: TaskTracker::new(),
            verifier: admission.verifier().clone(),
            admission,
            keys: RwLock::new(ring),
            executor,
            settings,
            tokens,
            outbox,
        };
        Ok((Self(Arc::new(parts)), worker))
    }

    /// The public keys, for `/.well-known/jwks.json`: those of all auth processes, as far as they were heard of.
    pub fn jwks(&self) -> Jwks {
        self.admission.jwks()
    }

    /// Who issues and who takes tokens: what another process's verifier needs besides the public keys.
    pub fn token_settings(&self) -> TokenSettings {
        self.tokens.clone()
    }

    /// Announces a new signing key when the present one is old enough, takes over what was added to the folder, and tells
    /// the other processes which keys are good. Run at start, before anybody signs in, and every few minutes.
    pub async fn tend_keys(&self) -> Result<(), Failure> {
        let auth = self.clone();
        let turned = tokio::task::spawn_blocking(move || auth.turn_keys()).await;
        let (good, expired) = turned.map_err(Failure::internal)?.map_err(Failure::internal)?;
        self.tell_of_keys(&good.keys, expired).await
    }

    /// The good keys in the folder, and those that are good for nothing any more.
    fn turn_keys(&self) -> Result<(Jwks, Vec<String>), KeyRingError> {
        let now = self.executor.clock().now();
        let lifetime =
            jiff::SignedDuration::from_hours(24 * i64::from(self.settings.signing_key_days.max(1)));
        let mut keys = self.keys.write();
        keys.reload()?;
        let expired = keys.expired(now);
        if keys.is_due(now, lifetime) {
            let kid = keys.rotate(now)?;
            tracing::info!(kid, "a new signing key was announced");
        }
        let good = keys.jwks(now);
        self.admission.sign_with(good.clone());
        Ok((good, expired))
    }

    /// Waits for what goes on after its answer (password resets being looked up): for a graceful stop.
    pub async fn finish(&self) {
        self.background.close();
        self.background.wait().await;
    }
}

impl Deref for Auth {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Parts {
    /// The account with this address.
    pub(crate) async fn find_account(&self, email: &Email) -> Result<Option<(Uuid, Account)>, Failure> {
        let Some(user) = self.executor.claim_owner(EMAILS, &email.normalised()).await? else {
            return Ok(None);
        };
        let (_, account) = self.executor.state::<Account>(user).await?;
        Ok(Some((user, account)))
    }

    pub(crate) fn sign(&self, grant: Grant, now: Timestamp) -> String {
        self.keys.read().sign(&self.tokens, grant, now)
    }

    pub(crate) fn access_token_seconds(&self) -> u64 {
        self.tokens.lifetime.min(crate::tokens::access::MAX_LIFETIME).as_secs().unsigned_abs()
    }

    pub(crate) fn post(&self, cx: &Context, to: Email, letter: Letter) {
        let id = self.executor.clock().fresh_id();
        self.outbox.post(Mail { id, at: cx.now, to, subject: letter.subject.to_owned(), text: letter.text });
    }

    /// The account and its hash, if this is the password of somebody who is signed in. Guesses are counted as those of a
    /// sign-in are: whoever stole an access token doesn't get to try passwords.
    pub(crate) async fn prove_again(
        &self,
        cx: &Context,
        user: Uuid,
        attempt: PasswordAttempt,
    ) -> Result<Option<(Account, PasswordHash)>, Failure> {
        let (_, account) = self.executor.state::<Account>(user).await?;
        let (Some(email), Some(stored)) = (&account.email, account.password.clone()) else { return Ok(None) };
        let counted = self.failures.attempt(AccountKey::of(email), origin(cx), cx.now)?;
        match self.hasher.verify(attempt, Some(stored.clone())).await {
            Ok(Verdict::Match { .. }) => {
                self.failures.succeeded(&counted);
                Ok(Some((account, stored)))
            }
            Ok(Verdict::Mismatch) => Ok(None),
            Err(error) => {
                self.failures.undecided(&counted);
                Err(error.into())
            }
        }
    }

    /// Refuses the tokens of the sessions that a command says it ended, here and at once; other processes hear of it by
    /// the event. The caller gets no body.
    pub(crate) fn ended(&self, cx: &Context, mut reply: Reply) -> Result<Reply, Failure> {
        for session in reply.parse::<Vec<Uuid>>()? {
            self.verifier.ended_sessions().end(session, cx.now, cx.now);
        }
        reply.body.clear();
        reply.version = None;
        Ok(reply)
    }
}

/// Where the request comes from; a call from within counts as one origin.
pub(crate) fn origin(cx: &Context) -> Origin {
    cx.client.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into()).into()
}

/// The context without its idempotency key: an answer that holds a secret is never kept to be given again.
pub(crate) fn unkeyed(cx: &Context) -> Context {
    Context { idempotency: None, ..cx.clone() }
}

/// The caller is signed in, and is an application: it has no account, session or password of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only users have accounts")]
pub struct NotAUser;

impl Refusal for NotAUser {
    fn code(&self) -> &'static str {
        "forbidden"
    }
    fn kind(&self) -> RefusalKind {
        RefusalKind::Forbidden
    }
}

impl Refusal for TooMany {
    fn code(&self) -> &'static str {
        "too-many-requests"
    }
    fn kind(&self) -> RefusalKind {
        RefusalKind::TooManyRequests
    }
    fn retry_after(&self) -> Option<std::time::Duration> {
        Some(self.retry_after)
    }
}

impl From<HashError> for Failure {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Overloaded { .. } => Self::Unavailable(error.to_string()),
            HashError::Unreadable | HashError::Failed => Self::internal(error),
        }
    }
}
