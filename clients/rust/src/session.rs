//! Somebody's session: gives access tokens, and renews them once however many calls need one.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::now;
use crate::{Error, Parlor, Result, SignedIn, TokenStore};

/// How long before its end an access token is renewed.
const EARLY: Duration = Duration::from_secs(20);

/// A pair of tokens, and when the access token ends.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Tokens {
    /// Goes into the `Authorization` header of every request.
    pub access_token: String,
    /// Gets the next pair; good once.
    pub refresh_token: String,
    /// Whose they are.
    pub user_id: Uuid,
    /// The session that they belong to.
    pub session_id: Uuid,
    /// When the access token ends.
    pub ends_at: Timestamp,
}

impl Tokens {
    fn holds(&self, refused: Option<&str>) -> bool {
        refused != Some(&self.access_token) && self.ends_at > now() + EARLY
    }
}

impl From<SignedIn> for Tokens {
    fn from(signed_in: SignedIn) -> Self {
        let SignedIn { access_token, refresh_token, user_id, session_id, expires_in, .. } = signed_in;
        let ends_at = now().saturating_add(Duration::from_secs(expires_in)).unwrap_or(Timestamp::MAX);
        Self { access_token, refresh_token, user_id, session_id, ends_at }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user_id, session_id, ends_at, .. } = self;
        f.debug_struct("Tokens")
            .field("user_id", user_id)
            .field("session_id", session_id)
            .field("ends_at", ends_at)
            .finish_non_exhaustive()
    }
}

type Renewal = Shared<BoxFuture<'static, Result<Tokens>>>;

pub(crate) struct Session {
    store: Arc<dyn TokenStore>,
    /// What the store was last seen to keep, so that it isn't asked for every request.
    held: Mutex<Option<Tokens>>,
    renewal: Mutex<Option<Renewal>>,
}

impl Session {
    pub(crate) fn new(store: Arc<dyn TokenStore>) -> Self {
        Self { store, held: Mutex::default(), renewal: Mutex::default() }
    }

    /// Begins, or ends with `None`; the server isn't told.
    pub(crate) async fn keep(&self, tokens: Option<Tokens>) -> Result<()> {
        let _alone = self.store.alone().await.map_err(Error::store)?;
        self.put(tokens).await
    }

    /// The same, for who is alone with the store already.
    async fn put(&self, tokens: Option<Tokens>) -> Result<()> {
        self.store.save(tokens.as_ref()).await.map_err(Error::store)?;
        *locked(&self.held) = tokens;
        Ok(())
    }

    /// What is kept, be it still good or not.
    pub(crate) async fn tokens(&self) -> Result<Option<Tokens>> {
        let held = locked(&self.held).clone();
        if held.is_some() {
            return Ok(held);
        }
        let kept = self.store.load().await.map_err(Error::store)?;
        locked(&self.held).clone_from(&kept);
        Ok(kept)
    }

    /// An access token that holds, and isn't the one that the server refused.
    pub(crate) async fn access_token(&self, parlor: &Parlor, refused: Option<&str>) -> Result<String> {
        match self.tokens().await? {
            None => return Err(Error::SignedOut),
            Some(tokens) if tokens.holds(refused) => return Ok(tokens.access_token),
            Some(_) => {}
        }
        let tokens = self.renewed(parlor, refused).await?;
        if refused != Some(&tokens.access_token) {
            return Ok(tokens.access_token);
        }
        // A renewal that was under way didn't know yet that this one is refused.
        Ok(self.renewed(parlor, refused).await?.access_token)
    }

    /// Joins the renewal that is under way, or begins one.
    fn renewed(&self, parlor: &Parlor, refused: Option<&str>) -> Renewal {
        let mut renewal = locked(&self.renewal);
        if let Some(under_way) = renewal.as_ref().filter(|renewal| renewal.peek().is_none()) {
            return under_way.clone();
        }
        let (parlor, refused) = (parlor.clone(), refused.map(str::to_owned));
        // A task of its own: who asked first may go away, and a pair that the server gave out must be kept.
        let task = tokio::spawn(async move { renew(&parlor, refused.as_deref()).await });
        let begun = async { task.await.unwrap_or(Err(Error::SignedOut)) }.boxed().shared();
        *renewal = Some(begun.clone());
        begun
    }
}

async fn renew(parlor: &Parlor, refused: Option<&str>) -> Result<Tokens> {
    let session = parlor.session().ok_or(Error::SignedOut)?;
    let _alone = session.store.alone().await.map_err(Error::store)?;
    // Somebody else who shares the store may have been faster.
    let Some(tokens) = session.store.load().await.map_err(Error::store)? else {
        *locked(&session.held) = None;
        return Err(Error::SignedOut);
    };
    if tokens.holds(refused) {
        *locked(&session.held) = Some(tokens.clone());
        return Ok(tokens);
    }
    let renewed = match parlor.refresh(&tokens.refresh_token).await {
        Ok(signed_in) => Ok(Tokens::from(signed_in)),
        Err(error) if error.status() == Some(401) => Err(Error::SignedOut),
        Err(error) => return Err(error),
    };
    session.put(renewed.as_ref().ok().cloned()).await?;
    renewed
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
