//! The view `people`: who there is, by what the user service makes public.

use std::time::{Duration, Instant};

use cqrs_core::{
    CodecError, Context, Incoming, Projection, Record, Row, RowError, RowExt as _, Schema, Sql, StoreError,
    Value, Writes, params,
};
use cqrs_sql::{SqlReadRepository, Views};
use jiff::Timestamp;
use parlor_contracts::user::UserEvent;
use uuid::Uuid;

/// The view's name.
pub const VIEW: &str = "people";

/// How long somebody is waited for whose registration may be on its way here. From auth by the user service to chat it takes some
/// 100 ms; this is for a busy machine.
const AWAITED: Duration = Duration::from_secs(2);
/// How far from now, by the time in their id, somebody registered for whom that is. Clocks of machines differ by less.
const NEWCOMER: Duration = Duration::from_mins(1);
/// The pause before the view is looked at again: at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(200)];

/// Somebody, as chat knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub id: Uuid,
    /// What they are called.
    pub display_name: String,
    /// Whether they have an account that isn't disabled.
    pub active: bool,
}

impl Record for Person {
    const TABLE: &'static str = "{p}people";
    const COLUMNS: &'static [&'static str] = &["id", "display_name", "active"];

    fn to_persistence(&self) -> Vec<Value> {
        params![self.id, self.display_name.as_str(), self.active]
    }
    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self { id: row.get(0)?, display_name: row.get(1)?, active: row.get(2)? })
    }
}

/// Keeps the view.
pub struct PeopleProjection;

impl Projection for PeopleProjection {
    fn name(&self) -> &'static str {
        VIEW
    }

    fn sources(&self) -> &'static [&'static str] {
        &["user.public"]
    }

    fn schema(&self) -> Schema {
        Schema {
            version: 1,
            sqlite: include_str!("../../migrations/sqlite/people.sql"),
            postgres: include_str!("../../migrations/postgres/people.sql"),
            tables: &["people"],
        }
    }

    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        let active = |user_id: Uuid, active: bool, out: &mut Writes| {
            out.run("UPDATE {p}people SET active = ?2 WHERE id = ?1", params![user_id, active]);
        };
        match event.decode()? {
            UserEvent::UserCreated { user_id, display_name, .. } => {
                let display_name = display_name.into_inner().unwrap_or_default();
                out.save(&Person { id: user_id, display_name, active: true });
            }
            UserEvent::UserProfileUpdated { user_id, display_name, .. } => {
                let sql = "UPDATE {p}people SET display_name = ?2 WHERE id = ?1";
                out.run(sql, params![user_id, display_name.text()]);
            }
            UserEvent::UserDisabled { user_id } | UserEvent::UserDeleted { user_id } => {
                active(user_id, false, out);
            }
            UserEvent::UserEnabled { user_id } => active(user_id, true, out),
            UserEvent::ProfileRefused { .. }
            | UserEvent::UserStatusChanged { .. }
            | UserEvent::UserContactAdded { .. }
            | UserEvent::UserContactRemoved { .. } => {}
        }
        Ok(())
    }
}

/// Who there is.
#[derive(Clone)]
pub struct People(SqlReadRepository<Person>);

impl People {
    /// Reads the view.
    pub fn new(views: Views) -> Self {
        Self(SqlReadRepository::new(views, VIEW))
    }

    /// Those of `persons` who have an account that isn't disabled.
    pub async fn active_among(&self, persons: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        // A list of any length is one parameter, as JSON.
        const SQL: Sql = Sql::Each {
            sqlite: "SELECT id FROM {p}people WHERE active AND id IN (SELECT unhex(value) FROM json_each(?1))",
            postgres: "SELECT id FROM {p}people WHERE active AND id IN
                (SELECT value::uuid FROM json_array_elements_text(CAST(CAST(?1 AS TEXT) AS JSON)))",
        };
        if persons.is_empty() {
            return Ok(Vec::new());
        }
        let named: Vec<_> = persons.iter().map(|person| person.simple().to_string()).collect();
        let named = serde_json::to_string(&named).map_err(|error| StoreError::Other(error.to_string()))?;
        self.0.rows(SQL, params![named], |row| row.get(0)).await
    }

    /// The same, once those among `persons` who have just registered have come here, or it has been waited long enough for them.
    /// Whoever only has a newcomer's id, and no position token of their registration, can so begin a conversation with them.
    ///
    /// No position says that somebody is on the way: they may stand in auth's log and not yet in the user service's. But ids of
    /// users hold the time of their registration, so that everybody else who is unknown is so at once.
    pub async fn active_by_now(&self, cx: &Context, persons: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        let enough = Instant::now() + AWAITED;
        let until = cx.deadline.map_or(enough, |deadline| deadline.min(enough));
        let [mut pause, longest] = PAUSES;
        loop {
            let active = self.active_among(persons).await?;
            let awaited = |who: &Uuid| is_newcomer(*who, cx.now) && !active.contains(who);
            if !persons.iter().any(awaited) || Instant::now() + pause >= until {
                return Ok(active);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

/// Whether somebody of this id may just have registered: it is a UUID v7 of about now.
fn is_newcomer(who: Uuid, now: Timestamp) -> bool {
    let made = who.get_timestamp().filter(|_| who.get_version_num() == 7).map(|made| made.to_unix());
    made.is_some_and(|(seconds, _)| now.as_second().abs_diff(seconds as i64) <= NEWCOMER.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_is_told_by_the_time_in_their_id() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let made = |seconds: i64| {
            let millis = (now.as_millisecond() + seconds * 1000) as u64;
            uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid()
        };
        assert!([-59, -1, 0, 1, 59].map(made).into_iter().all(|who| is_newcomer(who, now)));
        assert!(![-3_600, -62, 62, 3_600].map(made).into_iter().any(|who| is_newcomer(who, now)));
        let others = [
            Uuid::nil(),
            Uuid::from_u128(404),
            Uuid::max(),
            uuid::Builder::from_random_bytes([7; 16]).into_uuid(),
        ];
        assert!(!others.into_iter().any(|who| is_newcomer(who, now)), "these hold no time");
    }
}
