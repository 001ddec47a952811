//! Argon2id, off the request threads and never more at once than the machine can bear.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Password, PasswordAttempt};

/// The least memory of a hash, in KiB: 19 MiB with two passes and one lane, of the equivalent settings that the OWASP
/// Password Storage Cheat Sheet lists.
pub const MIN_MEMORY_KIB: u32 = 19 * 1024;
/// The fewest passes that go with it.
pub const MIN_PASSES: u32 = 2;

/// How dear a hash is, and how many may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HasherSettings {
    /// Memory of one hash in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Hashes computed at once; each takes a core and `memory_kib`.
    pub at_once: NonZeroUsize,
    /// Requests that may wait for their turn; any more are turned away.
    pub waiting: usize,
}

impl Default for HasherSettings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            memory_kib: MIN_MEMORY_KIB,
            passes: MIN_PASSES,
            lanes: 1,
            at_once: cores,
            waiting: 64 * cores.get(),
        }
    }
}

/// The settings are weaker than [`MIN_MEMORY_KIB`] and [`MIN_PASSES`], or none that Argon2 knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("password hashing takes at least {MIN_MEMORY_KIB} KiB, {MIN_PASSES} passes and 1 lane (argon2id)")]
pub struct WeakSettings;

/// Why there is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// As many as may wait are waiting; answered with 503 and this `Retry-After`.
    #[error("too many passwords are being checked just now")]
    Overloaded {
        /// When it's worth trying again.
        retry_after: Duration,
    },
    /// What is stored is no hash that can be checked.
    #[error("a stored password hash can't be read")]
    Unreadable,
    /// Argon2 failed, as when there is no memory.
    #[error("a password couldn't be hashed")]
    Failed,
}

/// A password as it is kept: a PHC string, which names its algorithm, settings and salt.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for PasswordHash {
    fn from(phc: String) -> Self {
        Self(phc)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Whether it was the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was.
    Match {
        /// The stored hash is weaker than the settings in force: hash again while the password is at hand.
        rehash_due: bool,
    },
    /// It wasn't, or there is no account.
    Mismatch,
}

/// Hashes and checks passwords.
#[derive(Clone)]
pub struct Hasher {
    inner: Arc<Inner>,
}

struct Inner {
    argon2: Argon2<'static>,
    /// Checked against when there is no account, so that its absence takes as long as a wrong password.
    nobody: PasswordHash,
    turns: Semaphore,
    at_once: usize,
    waiting: AtomicUsize,
    may_wait: usize,
}

impl Hasher {
    /// A hasher with these settings; computes one hash at once, for the accounts that don't exist.
    pub fn new(settings: &HasherSettings) -> Result<Self, WeakSettings> {
        if settings.memory_kib < MIN_MEMORY_KIB || settings.passes < MIN_PASSES {
            return Err(WeakSettings);
        }
        let params = Params::new(settings.memory_kib, settings.passes, settings.lanes, None)
            .map_err(|_| WeakSettings)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, b"a password that nobody has").map_err(|_| WeakSettings)?;
        Ok(Self {
            inner: Arc::new(Inner {
                argon2,
                nobody,
                turns: Semaphore::new(settings.at_once.get()),
                at_once: settings.at_once.get(),
                waiting: AtomicUsize::new(0),
                may_wait: settings.waiting,
            }),
        })
    }

    /// Hashes a new password with a fresh salt.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        self.in_turn(move |inner| hash(&inner.argon2, password.as_bytes())).await
    }

    /// Compares a password with an account's hash, or with nobody's where there is none: then the answer is
    /// [`Verdict::Mismatch`], and takes as long.
    pub async fn verify(
        &self,
        attempt: PasswordAttempt,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, HashError> {
        self.in_turn(move |inner| {
            let known = stored.is_some();
            let stored = stored.as_ref().unwrap_or(&inner.nobody);
            let parsed = phc::PasswordHash::new(stored.as_str()).map_err(|_| HashError::Unreadable)?;
            let matches = match inner.argon2.verify_password(attempt.as_bytes(), &parsed) {
                Ok(()) => true,
                Err(argon2::password_hash::Error::PasswordInvalid) => false,
                Err(_) => return Err(HashError::Unreadable),
            };
            if !(matches && known) {
                return Ok(Verdict::Mismatch);
            }
            Ok(Verdict::Match { rehash_due: is_weaker(&parsed, inner.argon2.params())? })
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let inner = self.inner.clone();
        let permit = self.turn().await?;
        // The permit goes along: a request that is dropped meanwhile still uses its core until the hash is done.
        permit.forget();
        tokio::task::spawn_blocking(move || {
            let _turn = Turn(&inner);
            work(&inner)
        })
        .await
        .map_err(|_| HashError::Failed)?
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, HashError> {
        if let Ok(permit) = self.inner.turns.try_acquire() {
            return Ok(permit);
        }
        let _waiting = Waiting::enter(&self.inner)?;
        self.inner.turns.acquire().await.map_err(|_| HashError::Failed)
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("at_once", &self.inner.at_once).finish_non_exhaustive()
    }
}

/// Gives the core back when the hash is done, also if it panicked.
struct Turn<'a>(&'a Inner);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.turns.add_permits(1);
    }
}

/// A place in the queue, given back when the turn comes or the request goes away.
struct Waiting<'a>(&'a Inner);

impl<'a> Waiting<'a> {
    fn enter(inner: &'a Inner) -> Result<Self, HashError> {
        let place = inner.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(inner);
        if place >= inner.may_wait {
            // A hash takes tens of milliseconds, so a queue of ordinary length is through in a second.
            return Err(HashError::Overloaded { retry_after: Duration::from_secs(1) });
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8]) -> Result<PasswordHash, HashError> {
    let hash: phc::PasswordHash = argon2.hash_password(password).map_err(|_| HashError::Failed)?;
    Ok(PasswordHash(hash.to_string()))
}

fn is_weaker(stored: &phc::PasswordHash, wanted: &Params) -> Result<bool, HashError> {
    let params = Params::try_from(stored).map_err(|_| HashError::Unreadable)?;
    let other_algorithm = stored.algorithm.as_str() != Algorithm::Argon2id.ident().as_str();
    Ok(other_algorithm
        || params.m_cost() < wanted.m_cost()
        || params.t_cost() < wanted.t_cost()
        || params.p_cost() < wanted.p_cost())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> HasherSettings {
        HasherSettings { at_once: NonZeroUsize::new(2).unwrap(), ..HasherSettings::default() }
    }

    fn password(text: &str) -> Password {
        Password::parse(text).unwrap()
    }

    fn attempt(text: &str) -> PasswordAttempt {
        PasswordAttempt::parse(text).unwrap()
    }

    #[tokio::test]
    async fn security_1_a_hash_is_argon2id_with_at_least_19_mib_two_passes_and_a_salt_of_its_own() {
        let hasher = Hasher::new(&settings()).unwrap();
        let one = hasher.hash(password("correct horse")).await.unwrap();
        let other = hasher.hash(password("correct horse")).await.unwrap();
        assert!(one.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", one.as_str());
        assert_ne!(one, other);
    }

    #[tokio::test]
    async fn the_right_password_matches_and_any_other_does_not() {
        let hasher = Hasher::new(&settings()).unwrap();
        let stored = hasher.hash(password("correct horse")).await.unwrap();
        let verify = |text: &str| hasher.verify(attempt(text), Some(stored.clone()));
        assert_eq!(verify("correct horse").await.unwrap(), Verdict::Match { rehash_due: false });
        for wrong in ["correct hors", "correct horse ", "Correct horse", ""] {
            assert_eq!(verify(wrong).await.unwrap(), Verdict::Mismatch, "{wrong}");
        }
    }

    #[tokio::test]
    async fn security_1_a_hash_made_with_weaker_settings_is_due_for_rehashing() {
        let weak = Hasher::new(&settings()).unwrap();
        let strong = Hasher::new(&HasherSettings { memory_kib: 20 * 1024, passes: 3, ..settings() }).unwrap();
        let stored = weak.hash(password("correct horse")).await.unwrap();
        let verdict = strong.verify(attempt("correct horse"), Some(stored)).await.unwrap();
        assert_eq!(verdict, Verdict::Match { rehash_due: true });
        let renewed = strong.hash(password("correct horse")).await.unwrap();
        let verdict = weak.verify(attempt("correct horse"), Some(renewed)).await.unwrap();
        assert_eq!(verdict, Verdict::Match { rehash_due: false }, "a stronger one is left alone");
    }

    #[test]
    fn security_1_settings_below_the_floor_are_refused() {
        for weak in [
            HasherSettings { memory_kib: MIN_MEMORY_KIB - 1, ..settings() },
            HasherSettings { passes: 1, ..settings() },
            HasherSettings { lanes: 0, ..settings() },
        ] {
            assert_eq!(Hasher::new(&weak).err(), Some(WeakSettings));
        }
    }

    #[tokio::test]
    async fn security_6_no_account_is_a_mismatch_whatever_is_tried() {
        let hasher = Hasher::new(&settings()).unwrap();
        for text in ["a password that nobody has", "correct horse"] {
            assert_eq!(hasher.verify(attempt(text), None).await.unwrap(), Verdict::Mismatch);
        }
    }

    #[tokio::test]
    async fn what_is_no_hash_is_an_error_and_not_a_mismatch() {
        let hasher = Hasher::new(&settings()).unwrap();
        let broken = PasswordHash::from("$argon2id$broken".to_owned());
        assert_eq!(hasher.verify(attempt("x"), Some(broken)).await, Err(HashError::Unreadable));
    }

    #[tokio::test]
    async fn security_5_no_more_than_may_wait_do_wait() {
        let one = HasherSettings { at_once: NonZeroUsize::MIN, waiting: 2, ..settings() };
        let hasher = Hasher::new(&one).unwrap();
        let running = hasher.turn().await.unwrap();
        // Polled in this order on one thread: two find a place, the third doesn't.
        let (a, b, c, ()) = tokio::join!(
            hasher.verify(attempt("a"), None),
            hasher.verify(attempt("b"), None),
            hasher.verify(attempt("c"), None),
            async { drop(running) }
        );
        assert_eq!((a, b), (Ok(Verdict::Mismatch), Ok(Verdict::Mismatch)));
        assert!(matches!(c, Err(HashError::Overloaded { .. })));
        assert_eq!(hasher.verify(attempt("d"), None).await, Ok(Verdict::Mismatch), "and it recovers");
        assert_eq!(hasher.inner.turns.available_permits(), 1);
        assert_eq!(hasher.inner.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn security_5_a_request_that_goes_away_while_waiting_leaves_its_place() {
        let one = HasherSettings { at_once: NonZeroUsize::MIN, waiting: 1, ..settings() };
        let hasher = Hasher::new(&one).unwrap();
        let running = hasher.turn().await.unwrap();
        {
            let mut waiting = Box::pin(hasher.verify(attempt("a"), None));
            assert!(futures_poll_once(&mut waiting).await.is_none());
            assert_eq!(hasher.inner.waiting.load(Ordering::Relaxed), 1);
        }
        assert_eq!(hasher.inner.waiting.load(Ordering::Relaxed), 0);
        drop(running);
        assert_eq!(hasher.inner.turns.available_permits(), 1);
    }

    async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
