//! Reads the view `users`.

use std::ops::Deref;

use cqrs_core::{Record, Row, RowError, RowExt as _, Sql, StoreError, Value, params};
use cqrs_sql::{SqlReadRepository, Views};
use jiff::Timestamp;
use parlor_contracts::user::Availability;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::projection::stored;
use crate::user::Standing;
use crate::values::normalise_email;

/// A row of the view.
#[derive(Debug, Clone, PartialEq)]
pub struct UserRecord {
    /// The user.
    pub id: Uuid,
    /// Of the user's stream; 0 while only auth has spoken of them.
    pub version: u64,
    /// Whether the account stands.
    pub standing: Standing,
    /// What they are called.
    pub display_name: String,
    /// The same, folded for search.
    pub folded_name: String,
    /// What they say of themselves.
    pub bio: Option<String>,
    /// Where their picture is.
    pub avatar_url: Option<String>,
    /// Where their mail goes.
    pub email: Option<String>,
    /// What the application that created them calls them.
    pub external_id: Option<String>,
    /// What they say of their availability.
    pub status: Availability,
    /// In their own words.
    pub status_text: Option<String>,
    /// Since when they are there.
    pub created_at: Timestamp,
}

fn read_status(row: &dyn Row, column: usize) -> Result<Availability, RowError> {
    match row.get::<String>(column)?.as_str() {
        "online" => Ok(Availability::Online),
        "away" => Ok(Availability::Away),
        "busy" => Ok(Availability::Busy),
        "offline" => Ok(Availability::Offline),
        other => Err(RowError { column, detail: format!("no status: {other}") }),
    }
}

fn read_standing(row: &dyn Row, column: usize) -> Result<Standing, RowError> {
    match row.get::<String>(column)?.as_str() {
        "active" => Ok(Standing::Active),
        "disabled" => Ok(Standing::Disabled),
        "deleted" => Ok(Standing::Deleted),
        other => Err(RowError { column, detail: format!("no state: {other}") }),
    }
}

impl Record for UserRecord {
    const TABLE: &'static str = "{p}users";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "version",
        "state",
        "display_name",
        "folded_name",
        "bio",
        "avatar_url",
        "email",
        "email_key",
        "external_id",
        "status",
        "status_text",
        "created_at",
    ];
    const SEARCHED: &'static [&'static str] = &["folded_name"];

    fn to_persistence(&self) -> Vec<Value> {
        let state = match self.standing {
            Standing::Disabled => "disabled",
            Standing::Deleted | Standing::Refused => "deleted",
            Standing::Active | Standing::Unknown => "active",
        };
        params![
            self.id,
            self.version,
            state,
            self.display_name.clone(),
            self.folded_name.clone(),
            self.bio.clone(),
            self.avatar_url.clone(),
            self.email.clone(),
            self.email.as_deref().map(normalise_email),
            self.external_id.clone(),
            stored(self.status),
            self.status_text.clone(),
            self.created_at,
        ]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get(0)?,
            version: row.get(1)?,
            standing: read_standing(row, 2)?,
            display_name: row.get(3)?,
            folded_name: row.get(4)?,
            bio: row.get(5)?,
            avatar_url: row.get(6)?,
            email: row.get(7)?,
            external_id: row.get(9)?,
            status: read_status(row, 10)?,
            status_text: row.get(11)?,
            created_at: row.get(12)?,
        })
    }
}

/// Where a page of names ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// How well the name matched: 0 where it begins so, 1 where a word of it does, 2 elsewhere.
    pub rank: i64,
    /// The folded name.
    pub name: String,
    /// The user.
    pub id: Uuid,
}

/// The repository of users.
#[derive(Clone)]
pub struct Users(SqlReadRepository<UserRecord>);

impl Deref for Users {
    type Target = SqlReadRepository<UserRecord>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// As many of a search's words are looked at as the statement below has room for; the rest would only find less.
pub(super) const WORDS: usize = 4;

const SEARCH: Sql = Sql::Each {
    sqlite:
        "SELECT id, version, state, display_name, folded_name, bio, avatar_url, email, email_key, external_id,
         status, status_text, created_at, rank FROM (
       SELECT *, CASE WHEN substr(folded_name, 1, length(?5)) = ?5 THEN 0
           WHEN instr(folded_name, ' ' || ?5) > 0 THEN 1 ELSE 2 END AS rank
       FROM {p}users WHERE state = 'active' AND instr(folded_name, ?1) > 0 AND instr(folded_name, ?2) > 0
         AND instr(folded_name, ?3) > 0 AND instr(folded_name, ?4) > 0) AS found
     WHERE (rank, folded_name, id) > (?6, ?7, ?8) ORDER BY rank, folded_name, id LIMIT ?9",
    postgres:
        "SELECT id, version, state, display_name, folded_name, bio, avatar_url, email, email_key, external_id,
         status, status_text, created_at, rank FROM (
       SELECT *, CASE WHEN starts_with(folded_name, CAST(?5 AS TEXT)) THEN 0
           WHEN strpos(folded_name, ' ' || CAST(?5 AS TEXT)) > 0 THEN 1 ELSE 2 END AS rank
       FROM {p}users WHERE state = 'active' AND strpos(folded_name, ?1) > 0 AND strpos(folded_name, ?2) > 0
         AND strpos(folded_name, ?3) > 0 AND strpos(folded_name, ?4) > 0) AS found
     WHERE (rank, folded_name, id) > (?6, ?7, ?8) ORDER BY rank, folded_name, id LIMIT ?9",
};

const NEWEST: Sql = Sql::Each {
    sqlite: "SELECT id, version, state, display_name, folded_name, bio, avatar_url, email, email_key, external_id,
         status, status_text, created_at FROM {p}users
     WHERE id < ?5 AND instr(folded_name, ?1) > 0 AND instr(folded_name, ?2) > 0 AND instr(folded_name, ?3) > 0
       AND instr(folded_name, ?4) > 0 ORDER BY id DESC LIMIT ?6",
    postgres: "SELECT id, version, state, display_name, folded_name, bio, avatar_url, email, email_key, external_id,
         status, status_text, created_at FROM {p}users
     WHERE id < ?5 AND strpos(folded_name, ?1) > 0 AND strpos(folded_name, ?2) > 0 AND strpos(folded_name, ?3) > 0
       AND strpos(folded_name, ?4) > 0 ORDER BY id DESC LIMIT ?6",
};

/// The first columns are the record's; one more says the rank.
const RANK: usize = UserRecord::COLUMNS.len();

impl Users {
    /// Over the service's views.
    pub fn new(views: &Views) -> Self {
        Self(SqlReadRepository::new(views.clone(), "users"))
    }

    /// Those whose address this is, compared without case and width.
    pub async fn find_by_email(&self, email: &str) -> Result<Vec<UserRecord>, StoreError> {
        self.query(
            "SELECT id, version, state, display_name, folded_name, bio, avatar_url, email, email_key, external_id,
               status, status_text, created_at FROM {p}users WHERE email_key = ?1 ORDER BY id",
            params![normalise_email(email)],
        )
        .await
    }

    /// Those who stand and in whose folded name all `words` occur, `phrase` being the words with spaces between: first
    /// the names that begin with the phrase, then those with a word that does, then the others; each by name.
    pub async fn find_by_name(
        &self,
        words: &[String],
        phrase: &str,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<(i64, UserRecord)>, StoreError> {
        let word = |n: usize| words.get(n).cloned().unwrap_or_default();
        let after = after.unwrap_or(Place { rank: -1, name: String::new(), id: Uuid::nil() });
        let params =
            params![word(0), word(1), word(2), word(3), phrase, after.rank, after.name, after.id, limit];
        self.rows(SEARCH, params, |row| Ok((row.get(RANK)?, UserRecord::to_domain(row)?))).await
    }

    /// Those in whose folded name all `words` occur, whatever their standing, with ids below `before`; the newest first.
    pub async fn newest(
        &self,
        words: &[String],
        before: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<UserRecord>, StoreError> {
        let word = |n: usize| words.get(n).cloned().unwrap_or_default();
        let params = params![word(0), word(1), word(2), word(3), before.unwrap_or(Uuid::max()), limit];
        self.query(NEWEST, params).await
    }

    /// Those on `owner`'s list, by name.
    pub async fn contacts_of(
        &self,
        owner: Uuid,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<UserRecord>, StoreError> {
        let (name, id) = after.map_or_else(|| (String::new(), Uuid::nil()), |after| (after.name, after.id));
        self.query(
            "SELECT u.id, u.version, u.state, u.display_name, u.folded_name, u.bio, u.avatar_url, u.email, u.email_key,
               u.external_id, u.status, u.status_text, u.created_at
             FROM {contacts}contacts c JOIN {p}users u ON u.id = c.contact
             WHERE c.owner = ?1 AND (u.folded_name, u.id) > (?2, ?3) ORDER BY u.folded_name, u.id LIMIT ?4",
            params![owner, name, id, limit],
        )
        .await
    }
}
