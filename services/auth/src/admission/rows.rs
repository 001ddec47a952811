//! The view's rows.

use cqrs_core::{Record, Row, RowError, RowExt as _, Value, params};
use jiff::Timestamp;
use uuid::Uuid;

/// The public half of a key that signs access tokens.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KeyRow {
    pub(super) kid: String,
    pub(super) x: String,
}

impl Record for KeyRow {
    const TABLE: &'static str = "{p}admission_keys";
    const COLUMNS: &'static [&'static str] = &["kid", "x"];

    fn to_persistence(&self) -> Vec<Value> {
        params![self.kid.clone(), self.x.clone()]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self { kid: row.get(0)?, x: row.get(1)? })
    }
}

/// A session that ended; kept until no token of it can hold any more.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EndedRow {
    pub(super) session: Uuid,
    pub(super) ended_at: Timestamp,
    pub(super) until: Timestamp,
}

impl Record for EndedRow {
    const TABLE: &'static str = "{p}admission_ended";
    const COLUMNS: &'static [&'static str] = &["session", "ended_at", "until"];

    fn to_persistence(&self) -> Vec<Value> {
        params![self.session, self.ended_at, self.until]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self { session: row.get(0)?, ended_at: row.get(1)?, until: row.get(2)? })
    }
}

/// An application's service key, without the key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ServiceRow {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) hash: String,
    pub(super) revoked: bool,
}

impl Record for ServiceRow {
    const TABLE: &'static str = "{p}admission_services";
    const COLUMNS: &'static [&'static str] = &["id", "name", "hash", "revoked"];

    fn to_persistence(&self) -> Vec<Value> {
        params![self.id, self.name.clone(), self.hash.clone(), self.revoked]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self { id: row.get(0)?, name: row.get(1)?, hash: row.get(2)?, revoked: row.get(3)? })
    }
}
