//! cqrs-es with postgres-es and sqlite-es: the framework as `postgres_cqrs`, `postgres_aggregate_cqrs` and their like make it,
//! on the pools that the crates offer.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventRepository, PersistedEventStore, QueryReplay};
use cqrs_es::{Aggregate, AggregateError, CqrsFramework, DomainEvent, EventEnvelope, Query};
use parlor_contest::{Contestant, Order, Sent, Stored, TEXT};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, SqlitePool};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum ConversationEvent {
    Begun { participants: Vec<Uuid> },
    MessageSent { message: Uuid, sender: Uuid, text: String },
}

impl DomainEvent for ConversationEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Begun { .. } => "Begun".to_owned(),
            Self::MessageSent { .. } => "MessageSent".to_owned(),
        }
    }
    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

enum Command {
    Begin { participants: Vec<Uuid> },
    Send { sender: Uuid, messages: Vec<Uuid> },
}

#[derive(Debug, thiserror::Error)]
#[error("not a participant")]
struct NotAParticipant;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Conversation {
    participants: Vec<Uuid>,
    messages: u64,
}

impl Aggregate for Conversation {
    const TYPE: &'static str = "conversation";
    type Command = Command;
    type Event = ConversationEvent;
    type Error = NotAParticipant;
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), NotAParticipant> {
        match command {
            Command::Begin { participants } => {
                sink.write(ConversationEvent::Begun { participants }, self).await;
            }
            Command::Send { sender, messages } => {
                if !self.participants.contains(&sender) {
                    return Err(NotAParticipant);
                }
                for message in messages {
                    let sent = ConversationEvent::MessageSent { message, sender, text: TEXT.to_owned() };
                    sink.write(sent, self).await;
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, event: ConversationEvent) {
        match event {
            ConversationEvent::Begun { participants } => self.participants = participants,
            ConversationEvent::MessageSent { .. } => self.messages += 1,
        }
    }
}

#[derive(Clone)]
enum Database {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

impl Database {
    async fn execute(&self, sql: &'static str) -> anyhow::Result<()> {
        match self {
            Self::Postgres(pool) => sqlx::raw_sql(sql).execute(pool).await.map(|_| ())?,
            Self::Sqlite(pool) => sqlx::raw_sql(sql).execute(pool).await.map(|_| ())?,
        }
        Ok(())
    }

    async fn numbers(&self, postgres: &'static str, sqlite: &'static str) -> anyhow::Result<(i64, i64)> {
        Ok(match self {
            Self::Postgres(pool) => sqlx::query_as(postgres).fetch_one(pool).await?,
            Self::Sqlite(pool) => sqlx::query_as(sqlite).fetch_one(pool).await?,
        })
    }
}

/// A row for each message: what a replay dispatches to.
struct Rows(Database);

#[async_trait]
impl Query<Conversation> for Rows {
    async fn dispatch(&self, conversation: &str, events: &[EventEnvelope<Conversation>]) {
        const SQL: &str = "INSERT INTO messages (id, conversation, sender, text) VALUES ($1, $2, $3, $4)";
        for event in events {
            let ConversationEvent::MessageSent { message, sender, text } = &event.payload else { continue };
            let (message, sender) = (message.to_string(), sender.to_string());
            // A query can't fail; what is missing is seen in the end, when the rows are counted.
            let _ = match &self.0 {
                Database::Postgres(pool) => {
                    let insert = sqlx::query(SQL).bind(message).bind(conversation).bind(sender).bind(text);
                    insert.execute(pool).await.map(drop)
                }
                Database::Sqlite(pool) => {
                    let insert = sqlx::query(SQL).bind(message).bind(conversation).bind(sender).bind(text);
                    insert.execute(pool).await.map(drop)
                }
            };
        }
    }
}

struct CqrsEs<R: PersistedEventRepository> {
    framework: CqrsFramework<Conversation, PersistedEventStore<R, Conversation>>,
    repository: Box<dyn Fn() -> R + Send + Sync>,
    database: Database,
}

/// `postgres-es` and `sqlite-es`, each alone (every event of the aggregate is read for each command), with `-aggregate`
/// (the aggregate is stored as well) or `-snapshot` (stored at every tenth event).
pub(crate) async fn open(order: &Order) -> anyhow::Result<Arc<dyn Contestant>> {
    let name = order.contestant.as_str();
    if name.starts_with("postgres-es") {
        let pool = postgres_es::default_postgress_pool(&order.postgres).await;
        let database = Database::Postgres(pool.clone());
        database.execute(include_str!("../sql/postgres_es.sql")).await?;
        let framework = match name {
            "postgres-es-aggregate" => postgres_es::postgres_aggregate_cqrs(pool.clone(), vec![], ()),
            "postgres-es-snapshot" => postgres_es::postgres_snapshot_cqrs(pool.clone(), vec![], 10, ()),
            _ => postgres_es::postgres_cqrs(pool.clone(), vec![], ()),
        };
        let repository = Box::new(move || postgres_es::PostgresEventRepository::new(pool.clone()));
        return Ok(Arc::new(CqrsEs { framework, repository, database }));
    }
    let url = format!("sqlite://{}", order.dir.join("peer.db").display());
    let pool = sqlite_es::default_sqlite_pool(&url).await;
    let database = Database::Sqlite(pool.clone());
    database.execute(include_str!("../sql/sqlite_es.sql")).await?;
    let framework = match name {
        "sqlite-es-aggregate" => sqlite_es::sqlite_aggregate_cqrs(pool.clone(), vec![], ()),
        "sqlite-es-snapshot" => sqlite_es::sqlite_snapshot_cqrs(pool.clone(), vec![], 10, ()),
        _ => sqlite_es::sqlite_cqrs(pool.clone(), vec![], ()),
    };
    let repository = Box::new(move || sqlite_es::SqliteEventRepository::new(pool.clone()));
    Ok(Arc::new(CqrsEs { framework, repository, database }))
}

impl<R: PersistedEventRepository> CqrsEs<R> {
    async fn execute(&self, conversation: Uuid, command: Command) -> anyhow::Result<Sent> {
        match self.framework.execute(&conversation.to_string(), command).await {
            Ok(()) => Ok(Sent::Acknowledged),
            Err(AggregateError::AggregateConflict) => Ok(Sent::Conflict),
            // Two writers at once, one of which would have to wait: SQLite's way of saying it.
            Err(error) if error.to_string().contains("locked") => Ok(Sent::Conflict),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl<R: PersistedEventRepository + 'static> Contestant for CqrsEs<R> {
    async fn create(&self, conversation: Uuid, participants: &[Uuid]) -> anyhow::Result<()> {
        let begin = Command::Begin { participants: participants.to_vec() };
        self.execute(conversation, begin).await.map(drop)
    }

    async fn fill(&self, conversation: Uuid, sender: Uuid, messages: &[Uuid]) -> anyhow::Result<()> {
        loop {
            let send = Command::Send { sender, messages: messages.to_vec() };
            if self.execute(conversation, send).await? == Sent::Acknowledged {
                return Ok(());
            }
        }
    }

    async fn send(&self, _: usize, conversation: Uuid, sender: Uuid, message: Uuid) -> anyhow::Result<Sent> {
        self.execute(conversation, Command::Send { sender, messages: vec![message] }).await
    }

    async fn stored(&self) -> anyhow::Result<Stored> {
        let (messages, distinct) = self
            .database
            .numbers(
                "SELECT count(*), count(DISTINCT payload->'MessageSent'->>'message') FROM events
                 WHERE event_type = 'MessageSent'",
                "SELECT count(*), count(DISTINCT json_extract(payload, '$.MessageSent.message')) FROM events
                 WHERE event_type = 'MessageSent'",
            )
            .await?;
        Ok(Stored { messages: messages as u64, distinct: distinct as u64 })
    }

    async fn replay(&self) -> anyhow::Result<Option<u64>> {
        self.database
            .execute(
                "CREATE TABLE messages (id text PRIMARY KEY, conversation text NOT NULL, sender text NOT NULL,
                   text text NOT NULL)",
            )
            .await?;
        QueryReplay::new((self.repository)(), Rows(self.database.clone())).replay_all().await?;
        let count = "SELECT count(*), 0::bigint FROM messages";
        let (rows, _) = self.database.numbers(count, "SELECT count(*), 0 FROM messages").await?;
        Ok(Some(rows as u64))
    }
}
