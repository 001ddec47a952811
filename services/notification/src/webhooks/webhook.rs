//! A webhook: an address to which public events are sent. Stored as a row with a version, its events beside it.
//!
//! What it has taken in is kept with the places of reactors and relays, so that a restored backup treats it like theirs; how
//! its deliveries fare is a row of its own ([`Standing`]), written by whoever delivers and by nobody else.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use cqrs_core::{
    Event, Plain, Position, PositionVector, Record, Row, RowError, RowExt as _, StoreError, Value, params,
};
use cqrs_sql::{SqlLog, SqlWriteRepository};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::secret::SealedSecrets;
use crate::outbound::Target;

/// The category of webhooks' streams.
pub const CATEGORY: &str = "webhook";
/// The most webhooks that there may be: each is a lane of its own, and a series of its own in the metrics.
pub const MAX_WEBHOOKS: u64 = 100;

/// What happens to a webhook. Its secret is in none of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all_fields = "camelCase")]
pub enum WebhookEvent {
    /// Events are sent to an address from now on.
    #[serde(rename = "webhook.created")]
    Created {
        /// The address.
        url: Plain<String>,
        /// Which events; all of them if none is named.
        events: Vec<Plain<String>>,
    },
    /// Something about it is different; all of it, as it is now.
    #[serde(rename = "webhook.updated")]
    Updated {
        /// The address.
        url: Plain<String>,
        /// Which events; all of them if none is named.
        events: Vec<Plain<String>>,
        /// Whether events are sent.
        enabled: bool,
    },
    /// It signs with a new secret, and for a while with the old one too.
    #[serde(rename = "webhook.secret-rotated")]
    SecretRotated {},
    /// It goes on after it was parked.
    #[serde(rename = "webhook.retried")]
    Retried {},
    /// It goes on from another place.
    #[serde(rename = "webhook.replayed")]
    Replayed {
        /// From behind which positions of which logs.
        from: BTreeMap<Plain<String>, u64>,
    },
    /// Nothing is sent any more.
    #[serde(rename = "webhook.deleted")]
    Deleted {},
}

impl Event for WebhookEvent {}

/// Where to begin in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The log's epoch.
    pub epoch: Uuid,
    /// The last position that isn't sent.
    pub position: u64,
}

/// Where to begin, by the names of logs.
pub type Starts = BTreeMap<String, Start>;

/// A webhook as decisions and deliveries see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Its id.
    pub id: Uuid,
    /// Where to.
    pub target: Target,
    /// Which events; all of them if none is named.
    pub events: Vec<String>,
    /// What it is for, in an administrator's words.
    pub description: String,
    /// Whether events are sent.
    pub enabled: bool,
    /// What it signs with.
    pub secrets: SealedSecrets,
    /// Where it began, or was last told to begin anew.
    pub starts: Starts,
    /// How often it was told to begin anew: each time its places are others.
    pub replays: u32,
    /// How often it was told to go on: a standing from before doesn't count any more.
    pub retries: u32,
    /// Since when it exists.
    pub created_at: Timestamp,
    /// Whether it was deleted. The row stays, for its stream's version.
    pub deleted: bool,
}

impl Webhook {
    /// The name under which its places are kept.
    pub fn consumer(&self) -> String {
        format!("webhook/{}/{}", self.id, self.replays)
    }

    /// Whether it wants the event that `service` calls `name` (without a version).
    pub fn wants(&self, service: &str, name: &str) -> bool {
        self.events.is_empty()
            || self.events.iter().any(|wanted| {
                wanted.strip_prefix(service).and_then(|rest| rest.strip_prefix('.')) == Some(name)
            })
    }
}

fn read_json<T: DeserializeOwned>(row: &dyn Row, column: usize) -> Result<T, RowError> {
    serde_json::from_str(&row.get::<String>(column)?)
        .map_err(|error| RowError { column, detail: error.to_string() })
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl Record for Webhook {
    const TABLE: &'static str = "webhooks";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "url",
        "events",
        "description",
        "enabled",
        "secrets",
        "starts",
        "replays",
        "retries",
        "created_at",
        "deleted",
    ];

    fn to_persistence(&self) -> Vec<Value> {
        params![
            self.id,
            String::from(self.target.clone()),
            json(&self.events),
            self.description.clone(),
            self.enabled,
            json(&self.secrets),
            json(&self.starts),
            self.replays,
            self.retries,
            self.created_at,
            self.deleted,
        ]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        let url: String = row.get(1)?;
        Ok(Self {
            id: row.get(0)?,
            target: Target::parse(&url).map_err(|error| RowError { column: 1, detail: error.to_string() })?,
            events: read_json(row, 2)?,
            description: row.get(3)?,
            enabled: row.get(4)?,
            secrets: read_json(row, 5)?,
            starts: read_json(row, 6)?,
            replays: row.get::<u64>(7)? as u32,
            retries: row.get::<u64>(8)? as u32,
            created_at: row.get(9)?,
            deleted: row.get(10)?,
        })
    }
}

/// How the deliveries of a webhook fare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The webhook.
    pub webhook: Uuid,
    /// What it had been told to go on with, when this was written; see [`Webhook::retries`].
    pub retries: u32,
    /// Whether anything is sent.
    pub state: State,
    /// What the last try came to, if it failed.
    pub problem: Option<String>,
    /// How often the event that it stands at was tried.
    pub tries: u32,
    /// When that was tried first.
    pub failing_since: Option<Timestamp>,
    /// When it is tried again.
    pub next_try: Option<Timestamp>,
}

/// Whether anything is sent to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is.
    Active,
    /// Not any more: an event couldn't be delivered for too long. `retry` or `replay` has it go on.
    Parked,
    /// Not any more: the receiver said that it is gone (410).
    Gone,
    /// An administrator switched it off.
    Disabled,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Parked => "parked",
            Self::Gone => "gone",
            Self::Disabled => "disabled",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Parked, Self::Gone, Self::Disabled]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

impl Standing {
    /// Of one that nothing has gone wrong with.
    pub fn sound(webhook: &Webhook) -> Self {
        Self {
            webhook: webhook.id,
            retries: webhook.retries,
            state: State::Active,
            problem: None,
            tries: 0,
            failing_since: None,
            next_try: None,
        }
    }
}

impl Record for Standing {
    const TABLE: &'static str = "webhook_standings";
    const COLUMNS: &'static [&'static str] =
        &["webhook", "retries", "state", "problem", "tries", "failing_since", "next_try"];

    fn to_persistence(&self) -> Vec<Value> {
        params![
            self.webhook,
            self.retries,
            self.state.as_str(),
            self.problem.clone(),
            self.tries,
            self.failing_since,
            self.next_try,
        ]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        let state: String = row.get(2)?;
        Ok(Self {
            webhook: row.get(0)?,
            retries: row.get::<u64>(1)? as u32,
            state: State::parse(&state)
                .ok_or_else(|| RowError { column: 2, detail: format!("is no state: {state}") })?,
            problem: row.get(3)?,
            tries: row.get::<u64>(4)? as u32,
            failing_since: row.get(5)?,
            next_try: row.get(6)?,
        })
    }
}

/// The repository of webhooks.
#[derive(Clone)]
pub struct Webhooks(SqlWriteRepository<Webhook>);

impl Deref for Webhooks {
    type Target = SqlWriteRepository<Webhook>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Webhooks {
    /// Beside the service's log.
    pub fn new(log: &Arc<SqlLog>) -> Self {
        Self(SqlWriteRepository::new(log.clone()))
    }

    /// The one with this id, with its version, unless it was deleted.
    pub async fn existing(&self, id: Uuid) -> Result<Option<(u64, Webhook)>, StoreError> {
        Ok(self.load(id).await?.filter(|(_, webhook)| !webhook.deleted))
    }

    /// Up to `limit` of them behind the one with the id `after`, oldest first.
    pub async fn page(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<Webhook>, StoreError> {
        let mut options = cqrs_core::QueryOptions::all().filter("deleted", false).limit(limit);
        if let Some(after) = after {
            options = options.compare("id", cqrs_core::Comparison::Above, after);
        }
        self.find_all(&options).await
    }
}

/// The repository of standings.
#[derive(Clone)]
pub struct Standings(SqlWriteRepository<Standing>);

impl Deref for Standings {
    type Target = SqlWriteRepository<Standing>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Standings {
    /// Beside the service's log.
    pub fn new(log: &Arc<SqlLog>) -> Self {
        Self(SqlWriteRepository::new(log.clone()))
    }

    /// How `webhook` stands, with the row's version.
    pub async fn of(&self, webhook: &Webhook) -> Result<(u64, Standing), StoreError> {
        let found = self.load(webhook.id).await?;
        let version = found.as_ref().map_or(0, |(version, _)| *version);
        let standing = found.map(|(_, standing)| standing);
        // What was written before it was told to go on is over.
        let standing = standing.filter(|standing| standing.retries == webhook.retries);
        Ok((version, standing.unwrap_or_else(|| Standing::sound(webhook))))
    }
}

/// The same places as a vector, from which a cursor is made.
pub fn positions(starts: &Starts) -> PositionVector {
    let mut vector = PositionVector::default();
    for (log, start) in starts {
        vector.advance(log, start.epoch, Position(start.position));
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<WebhookEvent>(), Vec::<String>::new());
    }
}
