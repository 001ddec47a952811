//! es-entity: an entity and its generated repository, without and with snapshots.

#![allow(clippy::wildcard_imports, reason = "what the derives make needs names that it doesn't say")]
#![allow(clippy::disallowed_methods, reason = "es-entity's ids can be made anew, which isn't done here")]

mod plain;
mod snapshots;

use std::sync::Arc;

use async_trait::async_trait;
use es_entity::*;
use parlor_contest::{Contestant, Order, Sent, Stored, TEXT};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

entity_id! { ConversationId }

#[derive(EsEvent, Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[es_event(id = "ConversationId")]
pub enum ConversationEvent {
    Begun { id: ConversationId, participants: Vec<Uuid> },
    MessageSent { message: Uuid, sender: Uuid, text: String },
}

impl ConversationEvent {
    fn sent(message: Uuid, sender: Uuid) -> Self {
        Self::MessageSent { message, sender, text: TEXT.to_owned() }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("not a participant")]
struct NotAParticipant;

pub struct NewConversation {
    id: ConversationId,
    participants: Vec<Uuid>,
}

impl es_entity::IntoEvents<ConversationEvent> for NewConversation {
    type IdSource = es_entity::FromCaller;
    fn into_events(
        self,
        builder: es_entity::EntityEventsBuilder<ConversationEvent, es_entity::FromCaller>,
    ) -> es_entity::EntityEvents<ConversationEvent> {
        let begun = ConversationEvent::Begun { id: self.id, participants: self.participants };
        builder.initial_events(self.id, [begun])
    }
}

/// What both repositories can do.
#[async_trait]
trait Conversations: Send + Sync + 'static {
    async fn begin(&self, new: NewConversation) -> anyhow::Result<()>;
    async fn send(&self, id: ConversationId, sender: Uuid, messages: &[Uuid]) -> anyhow::Result<Sent>;
}

struct EsEntity {
    conversations: Box<dyn Conversations>,
    pool: PgPool,
}

/// `es-entity`, or `es-entity-snapshots`: one with every tenth event.
pub(crate) async fn open(order: &Order) -> anyhow::Result<Arc<dyn Contestant>> {
    let pool = PgPool::connect(&order.postgres).await?;
    sqlx::raw_sql(include_str!("../../sql/es_entity.sql")).execute(&pool).await?;
    let conversations: Box<dyn Conversations> = if order.contestant == "es-entity-snapshots" {
        Box::new(snapshots::Repository::new(pool.clone()))
    } else {
        Box::new(plain::Repository::new(pool.clone()))
    };
    Ok(Arc::new(EsEntity { conversations, pool }))
}

/// A conflict if es-entity says that the entity has moved on since it was loaded.
fn outcome<E>(result: Result<(), E>) -> anyhow::Result<Sent>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(()) => Ok(Sent::Acknowledged),
        Err(error) if format!("{error:?}").contains("OptimisticConflict") => Ok(Sent::Conflict),
        Err(error) => Err(error.into()),
    }
}

#[async_trait]
impl Contestant for EsEntity {
    async fn create(&self, conversation: Uuid, participants: &[Uuid]) -> anyhow::Result<()> {
        let new = NewConversation { id: conversation.into(), participants: participants.to_vec() };
        self.conversations.begin(new).await
    }

    async fn fill(&self, conversation: Uuid, sender: Uuid, messages: &[Uuid]) -> anyhow::Result<()> {
        self.conversations.send(conversation.into(), sender, messages).await.map(drop)
    }

    async fn send(&self, _: usize, conversation: Uuid, sender: Uuid, message: Uuid) -> anyhow::Result<Sent> {
        self.conversations.send(conversation.into(), sender, &[message]).await
    }

    async fn stored(&self) -> anyhow::Result<Stored> {
        let (messages, distinct): (i64, i64) = sqlx::query_as(
            "SELECT count(*), count(DISTINCT event->>'message') FROM conversation_events
             WHERE event_type = 'message_sent'",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Stored { messages: messages as u64, distinct: distinct as u64 })
    }
}
