//! Reads the view `rooms`.

use std::sync::Arc;

use cqrs_core::{Record, Row, RowError, RowExt as _, StoreError, Value, params};
use cqrs_sql::{AnswerKey, SqlReadRepository, Views};
use uuid::Uuid;

/// A row of the view: somebody in a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The conversation.
    pub conversation: Uuid,
    /// Who.
    pub user: Uuid,
    /// The place in chat's log where they joined.
    pub joined: u64,
    /// Whether it is a group.
    pub is_group: bool,
    /// What they are called, folded; empty while it isn't known.
    pub folded_name: String,
    /// Whether they want to be told of everything there, if it is a group.
    pub wants_all: bool,
}

impl Record for Member {
    const TABLE: &'static str = "{p}members";
    const COLUMNS: &'static [&'static str] =
        &["conversation_id", "user_id", "joined", "is_group", "folded_name", "wants_all"];

    fn to_persistence(&self) -> Vec<Value> {
        params![
            self.conversation,
            self.user,
            self.joined,
            self.is_group,
            self.folded_name.clone(),
            self.wants_all
        ]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self {
            conversation: row.get(0)?,
            user: row.get(1)?,
            joined: row.get(2)?,
            is_group: row.get(3)?,
            folded_name: row.get(4)?,
            wants_all: row.get(5)?,
        })
    }
}

/// What the view's answers depend on that depend on what anybody at all wants: it changes rarely.
pub(super) const WISHES: Uuid = Uuid::from_u128(0x7769_7368_6573_0000_0000_0000_0000_0001);

/// How many of one name are told of one naming.
const NAMESAKES: u32 = 50;

/// The repository of who is where. Every question is about now: whoever has left since isn't there, whoever joined
/// after the position asked about neither.
#[derive(Clone)]
pub struct Rooms(SqlReadRepository<Member>);

fn user(row: &dyn Row) -> Result<Uuid, RowError> {
    row.get(0)
}

impl Rooms {
    /// Over the service's views.
    pub fn new(views: &Views) -> Self {
        Self(SqlReadRepository::new(views.clone(), "rooms"))
    }

    /// How far the view has come in a source.
    pub async fn reached(&self, source: &'static str) -> Result<u64, StoreError> {
        Ok(self.0.views().place_of("rooms", source).await?.0)
    }

    /// How far this process has brought the view in a source by itself: 0 where others keep it.
    pub fn known(&self, source: &'static str) -> u64 {
        self.0.views().known_at("rooms", source).0
    }

    /// What somebody is called, if it's known.
    pub async fn name_of(&self, user: Uuid) -> Result<Option<String>, StoreError> {
        let sql = "SELECT display_name FROM {p}people WHERE user_id = ?1";
        let found = self.0.rows(sql, params![user], |row| row.get::<String>(0)).await?;
        Ok(found.into_iter().next())
    }

    /// Whether somebody is in a conversation since before `position`.
    pub async fn is_in(&self, conversation: Uuid, member: Uuid, position: u64) -> Result<bool, StoreError> {
        let sql =
            "SELECT user_id FROM {p}members WHERE conversation_id = ?1 AND user_id = ?2 AND joined < ?3";
        Ok(!self.0.rows(sql, params![conversation, member, position], user).await?.is_empty())
    }

    /// The two of a direct conversation.
    pub async fn both(&self, conversation: Uuid) -> Result<Vec<Uuid>, StoreError> {
        let sql = "SELECT user_id FROM {p}members WHERE conversation_id = ?1 AND is_group = ?2 ORDER BY user_id LIMIT 2";
        self.0.rows(sql, params![conversation, false], user).await
    }

    /// Those in a group who want to be told of everything there, with when they joined, if they are at most `most`: `None` if
    /// there are more, or if this process doesn't know the view to be at `places` in its sources. Remembered until somebody
    /// comes, goes, or wants something else.
    pub async fn all_wanting_all(
        &self,
        conversation: Uuid,
        places: &[(&'static str, u64)],
        most: usize,
    ) -> Result<Option<Arc<Vec<(Uuid, u64)>>>, StoreError> {
        let views = self.0.views();
        let here = |&(source, place): &(&'static str, u64)| self.known(source) >= place;
        let Some(mut watch) = views.watch().filter(|_| places.iter().all(here)) else { return Ok(None) };
        let key = AnswerKey { question: "wanting-all", of: conversation, by: Uuid::nil(), limit: most };
        if let Some(found) = views.recall(&key) {
            return Ok(Some(found));
        }
        watch.on([conversation, WISHES]);
        let sql =
            "SELECT user_id, joined FROM {p}members WHERE conversation_id = ?1 AND wants_all = ?2 LIMIT ?3";
        let params = params![conversation, true, most + 1];
        let found = self.0.rows(sql, params, |row| Ok((row.get::<Uuid>(0)?, row.get::<u64>(1)?))).await?;
        if found.len() > most {
            return Ok(None);
        }
        let found = Arc::new(found);
        if let Some(settled) = views.settled(&["rooms"]).await {
            let bytes = size_of::<(Uuid, u64)>() * found.len();
            views.remember(&settled, key, watch, found.clone(), bytes);
        }
        Ok(Some(found))
    }

    /// Those in a group who want to be told of everything there, after the user `after`, at most `limit`.
    pub async fn wanting_all(
        &self,
        conversation: Uuid,
        position: u64,
        after: Uuid,
        limit: usize,
    ) -> Result<Vec<Uuid>, StoreError> {
        let sql =
            "SELECT user_id FROM {p}members WHERE conversation_id = ?1 AND wants_all = ?2 AND user_id > ?3
           AND joined < ?4 ORDER BY user_id LIMIT ?5";
        self.0.rows(sql, params![conversation, true, after, position, limit], user).await
    }

    /// The greatest folded name in a conversation that isn't above `bound`: one step along an index, however many are in.
    pub async fn greatest_name(&self, conversation: Uuid, bound: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT folded_name FROM {p}members WHERE conversation_id = ?1 AND folded_name <= ?2
           AND folded_name > '' ORDER BY folded_name DESC LIMIT 1";
        let found = self.0.rows(sql, params![conversation, bound], |row| row.get::<String>(0)).await?;
        Ok(found.into_iter().next())
    }

    /// Those in a conversation who are called so, folded.
    pub async fn called(
        &self,
        conversation: Uuid,
        name: &str,
        position: u64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let sql =
            "SELECT user_id FROM {p}members WHERE conversation_id = ?1 AND folded_name = ?2 AND joined < ?3
           ORDER BY user_id LIMIT ?4";
        self.0.rows(sql, params![conversation, name, position, NAMESAKES], user).await
    }
}
