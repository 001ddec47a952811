//! esrs: `PgStore` and `AggregateManager`, loaded without a lock, so that who loses a race is told by the unique key.

use std::sync::Arc;

use async_trait::async_trait;
use esrs::handler::TransactionalEventHandler;
use esrs::manager::AggregateManager;
use esrs::rebuilder::{PgRebuilder, Rebuilder as _};
use esrs::store::StoreEvent;
use esrs::store::postgres::{PgStore, PgStoreBuilder, PgStoreError};
use esrs::{Aggregate, AggregateState};
use parlor_contest::{Contestant, Order, Sent, Stored, TEXT};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

#[derive(Debug, Clone, Serialize, Deserialize)]
enum ConversationEvent {
    Begun { participants: Vec<Uuid> },
    MessageSent { message: Uuid, sender: Uuid, text: String },
}

enum Command {
    Begin { participants: Vec<Uuid> },
    Send { sender: Uuid, messages: Vec<Uuid> },
}

#[derive(Debug, thiserror::Error)]
#[error("not a participant")]
struct NotAParticipant;

#[derive(Default)]
struct State {
    participants: Vec<Uuid>,
}

struct Conversation;
impl Aggregate for Conversation {
    const NAME: &'static str = "conversation";
    type State = State;
    type Command = Command;
    type Event = ConversationEvent;
    type Error = NotAParticipant;

    fn handle_command(state: &State, command: Command) -> Result<Vec<ConversationEvent>, NotAParticipant> {
        match command {
            Command::Begin { participants } => Ok(vec![ConversationEvent::Begun { participants }]),
            Command::Send { sender, messages } => {
                if !state.participants.contains(&sender) {
                    return Err(NotAParticipant);
                }
                let sent =
                    |message| ConversationEvent::MessageSent { message, sender, text: TEXT.to_owned() };
                Ok(messages.into_iter().map(sent).collect())
            }
        }
    }

    fn apply_event(state: State, event: ConversationEvent) -> State {
        match event {
            ConversationEvent::Begun { participants } => State { participants },
            ConversationEvent::MessageSent { .. } => state,
        }
    }
}

/// A row for each message, in the transaction that the rebuilder gives.
struct Rows;

#[async_trait]
impl TransactionalEventHandler<Conversation, PgStoreError, PgConnection> for Rows {
    async fn handle(
        &self,
        event: &StoreEvent<ConversationEvent>,
        transaction: &mut PgConnection,
    ) -> Result<(), PgStoreError> {
        if let ConversationEvent::MessageSent { message, sender, text } = &event.payload {
            sqlx::query("INSERT INTO messages (id, conversation, sender, text) VALUES ($1, $2, $3, $4)")
                .bind(message)
                .bind(event.aggregate_id)
                .bind(sender)
                .bind(text)
                .execute(transaction)
                .await?;
        }
        Ok(())
    }
}

struct Esrs {
    manager: AggregateManager<PgStore<Conversation>>,
    pool: PgPool,
}

pub(crate) async fn open(order: &Order) -> anyhow::Result<Arc<dyn Contestant>> {
    let pool = PgPool::connect(&order.postgres).await?;
    let store = PgStoreBuilder::<Conversation>::new(pool.clone()).try_build().await?;
    Ok(Arc::new(Esrs { manager: AggregateManager::new(store), pool }))
}

impl Esrs {
    async fn execute(&self, conversation: Uuid, command: Command) -> anyhow::Result<Sent> {
        let loaded = self.manager.load(conversation).await?;
        let state = loaded.unwrap_or_else(|| AggregateState::with_id(conversation));
        match self.manager.handle_command(state, command).await {
            Ok(Ok(_)) => Ok(Sent::Acknowledged),
            Ok(Err(refused)) => Err(refused.into()),
            Err(PgStoreError::Sqlx(error)) if crate::conflict::was_lost(&error) => Ok(Sent::Conflict),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl Contestant for Esrs {
    async fn create(&self, conversation: Uuid, participants: &[Uuid]) -> anyhow::Result<()> {
        let begin = Command::Begin { participants: participants.to_vec() };
        self.execute(conversation, begin).await.map(drop)
    }

    async fn fill(&self, conversation: Uuid, sender: Uuid, messages: &[Uuid]) -> anyhow::Result<()> {
        self.execute(conversation, Command::Send { sender, messages: messages.to_vec() }).await.map(drop)
    }

    async fn send(&self, _: usize, conversation: Uuid, sender: Uuid, message: Uuid) -> anyhow::Result<Sent> {
        self.execute(conversation, Command::Send { sender, messages: vec![message] }).await
    }

    async fn stored(&self) -> anyhow::Result<Stored> {
        let (messages, distinct): (i64, i64) = sqlx::query_as(
            "SELECT count(*), count(DISTINCT payload->'MessageSent'->>'message') FROM conversation_events
             WHERE payload ? 'MessageSent'",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Stored { messages: messages as u64, distinct: distinct as u64 })
    }

    async fn replay(&self) -> anyhow::Result<Option<u64>> {
        sqlx::raw_sql(
            "CREATE TABLE messages (id uuid PRIMARY KEY, conversation uuid NOT NULL, sender uuid NOT NULL,
               text text NOT NULL)",
        )
        .execute(&self.pool)
        .await?;
        PgRebuilder::<Conversation>::new()
            .with_transactional_event_handlers(vec![Box::new(Rows)])
            .all_at_once(self.pool.clone())
            .await?;
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(&self.pool).await?;
        Ok(Some(rows as u64))
    }
}
