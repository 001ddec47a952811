//! Every event is read for each command.

use async_trait::async_trait;
use es_entity::*;
use parlor_contest::Sent;
use sqlx::PgPool;
use uuid::Uuid;

use super::{ConversationEvent, ConversationId, NewConversation, NotAParticipant};

#[derive(EsEntity)]
pub struct Conversation {
    pub id: ConversationId,
    participants: Vec<Uuid>,
    events: EntityEvents<ConversationEvent>,
}

impl Conversation {
    fn send(&mut self, sender: Uuid, messages: &[Uuid]) -> Result<(), NotAParticipant> {
        if !self.participants.contains(&sender) {
            return Err(NotAParticipant);
        }
        for message in messages {
            self.events.push(ConversationEvent::sent(*message, sender));
        }
        Ok(())
    }
}

impl TryFromEvents<ConversationEvent> for Conversation {
    fn try_from_events(events: EntityEvents<ConversationEvent>) -> Result<Self, EntityHydrationError> {
        let mut hydrator = Self::hydrator();
        for event in events.iter_all() {
            match event {
                ConversationEvent::Begun { id, participants } => {
                    hydrator.id(*id).participants(participants.clone());
                }
                ConversationEvent::MessageSent { .. } => {}
            }
        }
        hydrator.build(events)
    }
}

#[derive(EsRepo)]
#[es_repo(entity = "Conversation", id(ty = "ConversationId", source = caller))]
pub struct Repository {
    pool: PgPool,
}

impl Repository {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl super::Conversations for Repository {
    async fn begin(&self, new: NewConversation) -> anyhow::Result<()> {
        self.create(new).await?;
        Ok(())
    }

    async fn send(&self, id: ConversationId, sender: Uuid, messages: &[Uuid]) -> anyhow::Result<Sent> {
        let mut conversation = self.find_by_id(id).await?;
        conversation.send(sender, messages)?;
        super::outcome(self.update(&mut conversation).await.map(drop))
    }
}
