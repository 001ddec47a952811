//! When people were last connected, beside the log: no event, for it is worth little and changes all the time.

use std::collections::HashMap;
use std::sync::Arc;

use cqrs_core::{RowExt as _, Sql, StoreError, params};
use cqrs_sql::SqlLog;
use jiff::Timestamp;
use uuid::Uuid;

/// ?1 is a JSON array of ids in hexadecimal digits.
const TOUCH: Sql = Sql::Each {
    sqlite:
        "INSERT INTO {s}last_seen AS l (person, at) SELECT unhex(j.value), ?2 FROM json_each(?1) j WHERE true
        ON CONFLICT (person) DO UPDATE SET at = excluded.at WHERE excluded.at > l.at",
    postgres: "INSERT INTO {s}last_seen AS l (person, at)
        SELECT j.value::uuid, ?2::bigint FROM jsonb_array_elements_text(?1::jsonb) j
        ON CONFLICT (person) DO UPDATE SET at = excluded.at WHERE excluded.at > l.at",
};

const AMONG: Sql = Sql::Each {
    sqlite: "SELECT person, at FROM {s}last_seen WHERE person IN (SELECT unhex(value) FROM json_each(?1))",
    postgres: "SELECT person, at FROM {s}last_seen
        WHERE person IN (SELECT value::uuid FROM jsonb_array_elements_text(?1::jsonb))",
};

/// Ids as one parameter.
pub(super) fn listed(users: &[Uuid]) -> String {
    let ids = users.iter().map(|user| format!("\"{}\"", user.as_simple())).collect::<Vec<_>>();
    format!("[{}]", ids.join(","))
}

/// Keeps it. Cheap to clone.
#[derive(Clone)]
pub(super) struct LastSeen(pub(super) Arc<SqlLog>);

impl LastSeen {
    /// They were connected at this time; what is known to be later stays.
    pub(super) async fn touch(&self, users: &[Uuid], at: Timestamp) -> Result<(), StoreError> {
        if users.is_empty() {
            return Ok(());
        }
        self.0.change_beside(TOUCH, params![listed(users), at]).await.map(drop)
    }

    /// When these were, as far as they ever were.
    pub(super) async fn of(&self, users: &[Uuid]) -> Result<HashMap<Uuid, Timestamp>, StoreError> {
        if users.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.0.rows_beside(AMONG, params![listed(users)], |row| {
            Ok((row.get::<Uuid>(0)?, row.get::<Timestamp>(1)?))
        });
        Ok(found.await?.into_iter().collect())
    }

    /// Forgets somebody whose account is gone.
    pub(super) async fn forget(&self, user: Uuid) -> Result<(), StoreError> {
        self.0.change_beside("DELETE FROM {s}last_seen WHERE person = ?1", params![user]).await.map(drop)
    }
}
