//! The view's rows and where they are read from.

use cqrs_core::{
    BaseReadRepository as _, Comparison, Order, QueryOptions, Record, Row, RowError, RowExt as _, StoreError,
    Value,
};
use cqrs_sql::{SqlReadRepository, Views};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Whether there is a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileState {
    /// Not yet: it follows registration within moments.
    Pending,
    /// It is there.
    Ready,
    /// None can be made, for good.
    Refused,
}

impl ProfileState {
    /// As it is stored and answered.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Refused => "refused",
        }
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountRow {
    /// The user's id.
    pub id: Uuid,
    /// Their address; none for users that an application signs in.
    pub email: Option<String>,
    /// Whether the address was shown to be theirs.
    pub email_verified: bool,
    /// Whether they are an administrator.
    pub admin: bool,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the password was chosen; none where there is no password.
    pub password_changed_at: Option<Timestamp>,
    /// Whether the user service has made a profile of it.
    pub profile: ProfileState,
    /// The code of its refusal, if it can't.
    pub profile_refusal: Option<String>,
}

impl Record for AccountRow {
    const TABLE: &'static str = "{p}accounts";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "email",
        "email_verified",
        "admin",
        "created_at",
        "password_changed_at",
        "profile",
        "profile_refusal",
    ];

    fn to_persistence(&self) -> Vec<Value> {
        let Self {
            id,
            email,
            email_verified,
            admin,
            created_at,
            password_changed_at,
            profile,
            profile_refusal,
        } = self.clone();
        let profile = profile.as_str();
        cqrs_core::params![
            id,
            email,
            email_verified,
            admin,
            created_at,
            password_changed_at,
            profile,
            profile_refusal
        ]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get(0)?,
            email: row.get(1)?,
            email_verified: row.get(2)?,
            admin: row.get(3)?,
            created_at: row.get(4)?,
            password_changed_at: row.get(5)?,
            profile: match row.get::<String>(6)?.as_str() {
                "pending" => ProfileState::Pending,
                "ready" => ProfileState::Ready,
                "refused" => ProfileState::Refused,
                other => {
                    return Err(RowError { column: 6, detail: format!("no state of a profile: {other}") });
                }
            },
            profile_refusal: row.get(7)?,
        })
    }
}

/// A session that hasn't been ended. Its time may be over.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRow {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub account: Uuid,
    /// What the client calls the device.
    pub device: Option<String>,
    /// The address from which it began.
    pub address: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was last refreshed.
    pub last_used_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

impl Record for SessionRow {
    const TABLE: &'static str = "{p}sessions";
    const COLUMNS: &'static [&'static str] =
        &["id", "account", "device", "address", "started_at", "last_used_at", "expires_at"];

    fn to_persistence(&self) -> Vec<Value> {
        let Self { id, account, device, address, started_at, last_used_at, expires_at } = self.clone();
        cqrs_core::params![id, account, device, address, started_at, last_used_at, expires_at]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get(0)?,
            account: row.get(1)?,
            device: row.get(2)?,
            address: row.get(3)?,
            started_at: row.get(4)?,
            last_used_at: row.get(5)?,
            expires_at: row.get(6)?,
        })
    }
}

/// Accounts, as their owners may look at them.
pub type Accounts = SqlReadRepository<AccountRow>;

/// Sessions, as their owners may look at them.
#[derive(Clone)]
pub struct Sessions(SqlReadRepository<SessionRow>);

impl Sessions {
    /// In the view `access` of this store.
    pub fn new(views: Views) -> Self {
        Self(SqlReadRepository::new(views, super::NAME))
    }

    /// Those of an account whose time isn't over, newest first.
    pub async fn live_of(&self, account: Uuid, now: Timestamp) -> Result<Vec<SessionRow>, StoreError> {
        let live = QueryOptions::all()
            .filter("account", account)
            .compare("expires_at", Comparison::Above, now)
            .sort("started_at", Order::Descending);
        self.0.find_all(&live).await
    }
}
