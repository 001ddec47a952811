//! The view's rows and where they are read from.

use cqrs_core::{
    BaseReadRepository as _, Comparison, Order, QueryOptions, Record, Row, RowError, RowExt as _, StoreError,
    Value,
};
use cqrs_sql::{SqlReadRepository, Views};
use jiff::Timestamp;
use uuid::Uuid;

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
}

impl Record for AccountRow {
    const TABLE: &'static str = "{p}accounts";
    const COLUMNS: &'static [&'static str] =
        &["id", "email", "email_verified", "admin", "created_at", "password_changed_at"];

    fn to_persistence(&self) -> Vec<Value> {
        let Self { id, email, email_verified, admin, created_at, password_changed_at } = self.clone();
        cqrs_core::params![id, email, email_verified, admin, created_at, password_changed_at]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get(0)?,
            email: row.get(1)?,
            email_verified: row.get(2)?,
            admin: row.get(3)?,
            created_at: row.get(4)?,
            password_changed_at: row.get(5)?,
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
