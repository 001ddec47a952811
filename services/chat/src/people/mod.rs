//! The view `people`: who there is, by what the user service makes public.

use cqrs_core::{
    CodecError, Incoming, Projection, Record, Row, RowError, RowExt as _, Schema, Sql, StoreError, Value,
    Writes, params,
};
use cqrs_sql::{SqlReadRepository, Views};
use parlor_contracts::user::UserEvent;
use uuid::Uuid;

/// The view's name.
pub const VIEW: &str = "people";

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
}
