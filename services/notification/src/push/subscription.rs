//! A browser that is pushed to: a row without events, for nobody needs to know that it was there.

use std::ops::Deref;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cqrs_core::{
    InstanceKey, Order, Position, QueryOptions, Record, Row, RowError, RowExt as _, RowWrite, StoreError,
    Value, derived_id, params,
};
use cqrs_sql::{SqlLog, SqlWriteRepository};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::encryption::BrowserKeys;
use crate::outbound::Target;

/// The most browsers of one person; the oldest makes way.
pub const MAX_SUBSCRIPTIONS: usize = 20;

/// Where a browser is reached, and how it is written to. Whoever knows the address can disturb its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// What its push service calls it.
    pub endpoint: Target,
    /// What messages are encrypted with.
    pub keys: BrowserKeys,
}

/// A browser as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushSubscription {
    /// Made of the endpoint: a browser is one person's at a time.
    pub id: Uuid,
    /// Whose.
    pub user: Uuid,
    /// The session in which it was subscribed, and with which it ends.
    pub session: Option<Uuid>,
    /// Its address, sealed.
    sealed: String,
    /// Where the service's log was then: what it told of before isn't pushed.
    pub since: Position,
    /// Since when.
    pub created_at: Timestamp,
}

fn purpose(id: Uuid) -> Vec<u8> {
    [&b"the address of a browser"[..], id.as_bytes()].concat()
}

impl PushSubscription {
    /// `user`'s browser at `address`.
    pub fn new(
        user: Uuid,
        session: Option<Uuid>,
        address: &Address,
        key: &InstanceKey,
        (since, created_at): (Position, Timestamp),
    ) -> Self {
        let id = derived_id("parlor push subscription v1", &[address.endpoint.url().as_str().as_bytes()]);
        let plain = serde_json::to_vec(address).unwrap_or_default();
        let sealed = STANDARD.encode(key.seal(&purpose(id), &plain));
        Self { id, user, session, sealed, since, created_at }
    }

    /// Its address; `None` if it was sealed with another key.
    pub fn address(&self, key: &InstanceKey) -> Option<Address> {
        let plain = key.open(&purpose(self.id), &STANDARD.decode(&self.sealed).ok()?)?;
        serde_json::from_slice(&plain).ok()
    }
}

impl Record for PushSubscription {
    const TABLE: &'static str = "push_subscriptions";
    const COLUMNS: &'static [&'static str] =
        &["id", "user_id", "session_id", "sealed", "since", "created_at"];

    fn to_persistence(&self) -> Vec<Value> {
        params![self.id, self.user, self.session, self.sealed.clone(), self.since, self.created_at]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get(0)?,
            user: row.get(1)?,
            session: row.get(2)?,
            sealed: row.get(3)?,
            since: Position(row.get(4)?),
            created_at: row.get(5)?,
        })
    }
}

/// The repository of browsers that are pushed to.
#[derive(Clone)]
pub struct PushSubscriptions(SqlWriteRepository<PushSubscription>);

impl Deref for PushSubscriptions {
    type Target = SqlWriteRepository<PushSubscription>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl PushSubscriptions {
    /// Beside the service's log.
    pub fn new(log: &Arc<SqlLog>) -> Self {
        Self(SqlWriteRepository::new(log.clone()))
    }

    /// `user`'s, oldest first.
    pub async fn of_user(&self, user: Uuid) -> Result<Vec<PushSubscription>, StoreError> {
        let mut found = self.find_all(&QueryOptions::all().filter("user_id", user)).await?;
        found.sort_by_key(|subscription| subscription.created_at);
        Ok(found)
    }

    /// Since when the first of all is subscribed, in the service's log.
    pub async fn earliest(&self) -> Result<Option<Position>, StoreError> {
        let first = QueryOptions::all().sort("since", Order::Ascending).limit(1);
        Ok(self.find_all(&first).await?.first().map(|subscription| subscription.since))
    }

    /// Those of a session.
    pub async fn of_session(&self, session: Uuid) -> Result<Vec<PushSubscription>, StoreError> {
        self.find_all(&QueryOptions::all().filter("session_id", session)).await
    }

    /// The change that removes one, whatever its version.
    pub fn removal(&self, id: Uuid) -> RowWrite {
        RowWrite {
            table: PushSubscription::TABLE,
            key_column: PushSubscription::COLUMNS[0],
            key: id.into(),
            expected: None,
            columns: None,
        }
    }
}
