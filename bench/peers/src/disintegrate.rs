//! disintegrate: a decision over a state query of who takes part, on `PgEventStore` with JSON, and `PgEventListener`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use disintegrate::serde::json::Json;
use disintegrate::{
    Decision, DecisionError, Event, EventListener, NoSnapshot, PersistedEvent, StateMutate, StateQuery,
    StreamQuery, query,
};
use disintegrate_postgres::{
    PgDecisionMaker, PgEventId, PgEventListener, PgEventListenerConfig, PgEventStore,
};
use parlor_contest::{Contestant, Order, Sent, Stored, TEXT};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq, Event, Serialize, Deserialize)]
#[stream(MembershipEvent, [ConversationBegun])]
#[stream(MessageEvent, [MessageSent])]
enum ChatEvent {
    ConversationBegun {
        #[id]
        conversation: Uuid,
        participants: Vec<Uuid>,
    },
    MessageSent {
        #[id]
        conversation: Uuid,
        message: Uuid,
        sender: Uuid,
        text: String,
    },
}

#[derive(Debug, Default, Clone, StateQuery, Serialize, Deserialize)]
#[state_query(MembershipEvent)]
struct Membership {
    #[id]
    conversation: Uuid,
    participants: Vec<Uuid>,
}

impl StateMutate for Membership {
    fn mutate(&mut self, event: Self::Event) {
        match event {
            MembershipEvent::ConversationBegun { participants, .. } => self.participants = participants,
        }
    }
}

fn membership(conversation: Uuid) -> Membership {
    Membership { conversation, ..Membership::default() }
}

#[derive(Debug, thiserror::Error)]
#[error("not a participant")]
struct NotAParticipant;

struct Begin {
    conversation: Uuid,
    participants: Vec<Uuid>,
}

impl Decision for Begin {
    type Event = ChatEvent;
    type StateQuery = Membership;
    type Error = NotAParticipant;
    fn state_query(&self) -> Membership {
        membership(self.conversation)
    }
    fn process(&self, _: &Membership) -> Result<Vec<ChatEvent>, NotAParticipant> {
        let (conversation, participants) = (self.conversation, self.participants.clone());
        Ok(vec![ChatEvent::ConversationBegun { conversation, participants }])
    }
}

struct Send {
    conversation: Uuid,
    sender: Uuid,
    messages: Vec<Uuid>,
}

impl Decision for Send {
    type Event = ChatEvent;
    type StateQuery = Membership;
    type Error = NotAParticipant;
    fn state_query(&self) -> Membership {
        membership(self.conversation)
    }
    fn process(&self, state: &Membership) -> Result<Vec<ChatEvent>, NotAParticipant> {
        if !state.participants.contains(&self.sender) {
            return Err(NotAParticipant);
        }
        let sent = |message: &Uuid| ChatEvent::MessageSent {
            conversation: self.conversation,
            message: *message,
            sender: self.sender,
            text: TEXT.to_owned(),
        };
        Ok(self.messages.iter().map(sent).collect())
    }
}

/// A row for each message.
struct Rows {
    query: StreamQuery<PgEventId, ChatEvent>,
    pool: PgPool,
}

#[async_trait]
impl EventListener<PgEventId, ChatEvent> for Rows {
    type Error = sqlx::Error;
    fn id(&self) -> &'static str {
        "messages"
    }
    fn query(&self) -> &StreamQuery<PgEventId, ChatEvent> {
        &self.query
    }
    async fn handle(&self, event: PersistedEvent<PgEventId, ChatEvent>) -> Result<(), sqlx::Error> {
        if let ChatEvent::MessageSent { conversation, message, sender, text } = event.into_inner() {
            sqlx::query("INSERT INTO messages (id, conversation, sender, text) VALUES ($1, $2, $3, $4)")
                .bind(message)
                .bind(conversation)
                .bind(sender)
                .bind(text)
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }
}

type Store = PgEventStore<ChatEvent, Json<ChatEvent>>;

struct Disintegrate {
    maker: PgDecisionMaker<ChatEvent, Json<ChatEvent>, NoSnapshot>,
    store: Store,
    pool: PgPool,
}

pub(crate) async fn open(order: &Order) -> anyhow::Result<Arc<dyn Contestant>> {
    let pool = PgPool::connect(&order.postgres).await?;
    sqlx::raw_sql(include_str!("../sql/disintegrate.sql")).execute(&pool).await?;
    let store: Store = PgEventStore::new_uninitialized(pool.clone(), Json::default());
    let maker = disintegrate_postgres::decision_maker(store.clone(), NoSnapshot);
    Ok(Arc::new(Disintegrate { maker, store, pool }))
}

/// Whether the state has moved on since it was read, or PostgreSQL could not put two transactions in an order.
fn was_lost(error: &(dyn std::error::Error + 'static)) -> bool {
    match error.downcast_ref::<disintegrate_postgres::Error>() {
        Some(disintegrate_postgres::Error::Concurrency) => true,
        Some(disintegrate_postgres::Error::Database(error)) => crate::conflict::was_lost(error),
        _ => false,
    }
}

impl Disintegrate {
    async fn make(&self, decision: Send) -> anyhow::Result<Sent> {
        match self.maker.make(decision).await {
            Ok(_) => Ok(Sent::Acknowledged),
            Err(DecisionError::StateStore(error) | DecisionError::EventStore(error)) if was_lost(&*error) => {
                Ok(Sent::Conflict)
            }
            Err(error) => Err(anyhow::anyhow!("{error:?}")),
        }
    }
}

#[async_trait]
impl Contestant for Disintegrate {
    async fn create(&self, conversation: Uuid, participants: &[Uuid]) -> anyhow::Result<()> {
        let begin = Begin { conversation, participants: participants.to_vec() };
        self.maker.make(begin).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        Ok(())
    }

    async fn fill(&self, conversation: Uuid, sender: Uuid, messages: &[Uuid]) -> anyhow::Result<()> {
        loop {
            let send = Send { conversation, sender, messages: messages.to_vec() };
            if self.make(send).await? == Sent::Acknowledged {
                return Ok(());
            }
        }
    }

    async fn send(&self, _: usize, conversation: Uuid, sender: Uuid, message: Uuid) -> anyhow::Result<Sent> {
        self.make(Send { conversation, sender, messages: vec![message] }).await
    }

    async fn stored(&self) -> anyhow::Result<Stored> {
        let (messages, distinct): (i64, i64) = sqlx::query_as(
            "SELECT count(*), count(DISTINCT convert_from(payload, 'UTF8')::json->'MessageSent'->>'message')
             FROM event WHERE event_type = 'MessageSent'",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Stored { messages: messages as u64, distinct: distinct as u64 })
    }

    async fn replay(&self) -> anyhow::Result<Option<u64>> {
        let events: i64 = sqlx::query_scalar("SELECT max(event_id) FROM event").fetch_one(&self.pool).await?;
        let rows = Rows { query: query!(ChatEvent), pool: self.pool.clone() };
        let config = PgEventListenerConfig::poller(Duration::from_millis(50));
        let (done, finished) = tokio::sync::oneshot::channel::<()>();
        let listening = PgEventListener::builder(self.store.clone())
            .register_listener(rows, config)
            .start_with_shutdown(async move { drop(finished.await) });
        let listening = tokio::spawn(listening);
        loop {
            // It tells nobody how far it has come but its table.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let place = sqlx::query_scalar::<_, i64>("SELECT last_processed_event_id FROM event_listener");
            if place.fetch_optional(&self.pool).await.ok().flatten() >= Some(events) {
                break;
            }
            anyhow::ensure!(!listening.is_finished(), "the listener has ended");
        }
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(&self.pool).await?;
        let _ = done.send(());
        listening.await??;
        Ok(Some(rows as u64))
    }
}
