//! What lets requests in, known to every process: the public halves of the keys that sign access tokens, the sessions that
//! ended while a token of theirs may still hold, and the applications' service keys.
//!
//! All of it is told by auth's public events. A process keeps it in the view [`NAME`] of a store of its own
//! ([`AdmissionProjection`]) and in memory ([`FollowsAdmission`]), so that tokens are checked without asking auth: while
//! auth is down, while its events don't arrive, and after a restart.

mod follow;
mod projection;
mod rows;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::HeaderMap;
use cqrs_core::Failure;
use cqrs_http::{Authenticator, Identity};
use jiff::Timestamp;
use parking_lot::RwLock;
use parlor_contracts::auth::AuthEvent;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use crate::authenticator::{application, bearer, somebody};
use crate::tokens::InstanceSecret;
use crate::tokens::access::TokenSettings;
use crate::tokens::ended::EndedSessions;
use crate::tokens::service_key::{self, ServiceIdentity, ServiceKeyHash, ServiceKeys};
use crate::tokens::verify::{Jwk, Jwks, TokenRefusal, Verifier};

pub use follow::FollowsAdmission;
pub use projection::AdmissionProjection;

/// The view's name.
pub const NAME: &str = "admission";
/// The one source that it follows.
pub const SOURCE: &str = "auth.public";
/// The name of the handler that keeps a process's memory of it up to date.
pub const FOLLOWER: &str = "lets-in";
/// How long a service key that nothing is known of is waited for: it may have been made a moment ago, elsewhere.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many requests wait so at once; whoever comes beyond them, as when keys are guessed, is answered at once.
const WAITING: usize = 32;

/// What this process knows. Cheap to clone; as an [`Authenticator`] it serves processes that don't run auth.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    verifier: Arc<Verifier>,
    service_keys: ServiceKeys,
    known: RwLock<Known>,
    /// Moved whenever another service key is known.
    news: watch::Sender<u64>,
    waiting: Semaphore,
}

#[derive(Default)]
struct Known {
    /// The keys that this process signs with, if it does.
    own: Vec<Jwk>,
    /// Those that were heard of, by id.
    heard: BTreeMap<String, Jwk>,
    services: HashMap<Uuid, KnownService>,
}

#[derive(Clone)]
struct KnownService {
    name: Arc<str>,
    /// None once it is out of force.
    hash: Option<ServiceKeyHash>,
}

impl Known {
    fn jwks(&self) -> Jwks {
        let heard = self.heard.values().filter(|key| !self.own.iter().any(|own| own.kid == key.kid));
        Jwks { keys: self.own.iter().chain(heard).cloned().collect() }
    }
}

impl Admission {
    /// Of an instance with this secret, whose tokens are issued so. Knows nothing yet.
    pub fn new(tokens: TokenSettings, secret: &InstanceSecret) -> Self {
        let verifier = Verifier::new(tokens, &Jwks::default(), Arc::new(EndedSessions::new()));
        Self(Arc::new(Inner {
            verifier: Arc::new(verifier),
            service_keys: ServiceKeys::new(secret),
            known: RwLock::default(),
            news: watch::Sender::new(0),
            waiting: Semaphore::new(WAITING),
        }))
    }

    /// What checks access tokens.
    pub fn verifier(&self) -> &Arc<Verifier> {
        &self.0.verifier
    }

    /// The keys that tokens may be signed with, the ones to come included.
    pub fn jwks(&self) -> Jwks {
        self.0.known.read().jwks()
    }

    /// The keys that this process signs with are these.
    pub(crate) fn sign_with(&self, own: Jwks) {
        self.change_keys(|known| std::mem::replace(&mut known.own, own.keys) != known.own);
    }

    /// Makes and recognises service keys.
    pub(crate) fn service_keys(&self) -> &ServiceKeys {
        &self.0.service_keys
    }

    /// Takes over what one of auth's public events says, that happened at `at`. Saying so twice changes nothing.
    fn learn(&self, event: AuthEvent, at: Timestamp, now: Timestamp) {
        match event {
            AuthEvent::UserLoggedOut { session_id, .. } => {
                self.0.verifier.ended_sessions().end(session_id, at, now);
            }
            AuthEvent::SigningKeyAdded { kid, x } => self.add_key(Jwk::ed25519(kid.0, x.0)),
            AuthEvent::SigningKeyRetired { kid } => {
                self.change_keys(|known| known.heard.remove(&kid.0).is_some());
            }
            AuthEvent::ServiceKeyCreated { key_id, name, hash } => {
                self.know_service(key_id, name.0.into(), Some(hash.0.into()));
            }
            AuthEvent::ServiceKeyRevoked { key_id } => {
                if let Some(service) = self.0.known.write().services.get_mut(&key_id) {
                    service.hash = None;
                }
            }
            AuthEvent::UserRegistered { .. }
            | AuthEvent::UserLoggedIn { .. }
            | AuthEvent::PasswordResetRequested { .. }
            | AuthEvent::PasswordChanged { .. }
            | AuthEvent::EmailChanged { .. } => {}
        }
    }

    fn add_key(&self, key: Jwk) {
        self.change_keys(|known| known.heard.insert(key.kid.clone(), key.clone()) != Some(key));
    }

    fn change_keys(&self, change: impl FnOnce(&mut Known) -> bool) {
        let mut known = self.0.known.write();
        if change(&mut known) {
            self.0.verifier.replace_keys(&known.jwks());
        }
    }

    fn know_service(&self, id: Uuid, name: Arc<str>, hash: Option<ServiceKeyHash>) {
        self.0.known.write().services.insert(id, KnownService { name, hash });
        self.0.news.send_modify(|count| *count += 1);
    }

    /// Whose service key this is, if it is one that is in force, as far as this process has heard.
    pub async fn recognise(&self, text: &str) -> Option<ServiceIdentity> {
        let id = self.0.service_keys.id_of(text)?;
        let mut news = self.0.news.subscribe();
        let known = |_: &u64| self.0.known.read().services.contains_key(&id);
        if !known(&0)
            && let Ok(_permit) = self.0.waiting.try_acquire()
        {
            let _ = tokio::time::timeout(PATIENCE, news.wait_for(known)).await;
        }
        let service = self.0.known.read().services.get(&id).cloned()?;
        let in_force = self.0.service_keys.matches(text, service.hash?);
        in_force.then_some(ServiceIdentity { id, name: service.name })
    }
}

#[async_trait]
impl Authenticator for Admission {
    async fn authenticate(&self, headers: &HeaderMap, now: Timestamp) -> Result<Identity, Failure> {
        let token = bearer(headers)?;
        if token.starts_with(service_key::PREFIX) {
            return application(self.recognise(token).await);
        }
        // Asked first: the keys may come while a token is looked at that was good all the time.
        let knows_keys = self.0.verifier.knows_keys();
        match self.0.verifier.verify(token, now) {
            // Nothing has been heard of auth yet: whether the token is good can't be told.
            Err(TokenRefusal::UnknownKey) if !knows_keys => Err(Failure::Unavailable(
                "the keys that tokens are checked with are not known yet".to_owned(),
            )),
            verified => somebody(verified),
        }
    }
}

#[cfg(test)]
mod tests;
