//! Opens the kernel on either store and does the works with it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use cqrs_core::testing::{instance_key, keyring};
use cqrs_core::{
    Actor, Clock as _, Executor, ExecutorOptions, Failure, Keyring, Log as _, Position, Projection,
    RowExt as _, RunMode, SystemClock,
};
use cqrs_sql::{Location, LogOptions, OpenService, Pool, ServiceStore};
use parlor_contest::{Contestant, Order, Sent, Stored, TEXT, Work};
use uuid::Uuid;

use crate::model::{
    Begin, LOG, Message, MessageEvent, Messages, SendInThread, SendMessages, Thread, ThreadEvent, VIEW,
};

/// Connections to PostgreSQL, beside the committer's.
const CONNECTIONS: usize = 8;

/// Events read at once to count them.
const PAGE: usize = 10_000;

/// A replay that makes no headway for as long has failed.
const PATIENCE: Duration = Duration::from_mins(1);

struct Kernel {
    store: ServiceStore,
    keyring: Keyring,
    /// Whether the messages of a conversation lie in one stream.
    one_stream: bool,
}

/// The kernel as the order names it: on `postgres` or `sqlite` (at `synchronous=FULL`); `-thread` has the messages of a
/// conversation in one stream, `-cold` does so and is without the cache.
pub(crate) async fn open(order: &Order) -> anyhow::Result<Arc<dyn Contestant>> {
    let at = |schema: &str| -> anyhow::Result<Location> {
        let name = order.contestant.as_str();
        if name.starts_with("kernel-postgres") {
            let pool = Pool::new(&order.postgres, CONNECTIONS)?;
            return Ok(Location::Postgres { pool, schema: schema.to_owned() });
        }
        if name.starts_with("kernel-sqlite") {
            return Ok(Location::Sqlite(order.dir.join(format!("{schema}.db"))));
        }
        bail!(
            "no contestant is called {name}: there are kernel-postgres and kernel-sqlite, with -thread or -cold"
        )
    };
    let cold = order.contestant.ends_with("-cold");
    let keyring = keyring();
    let mut executor_options = ExecutorOptions::default();
    if cold {
        executor_options.cache_bytes = 0;
    }
    let projections: Vec<Arc<dyn Projection>> =
        if order.work == Work::K4 { vec![Arc::new(Messages)] } else { Vec::new() };
    let store = ServiceStore::open(OpenService {
        name: LOG,
        log: at("log")?,
        views: at("views")?.into(),
        write_schema: None,
        projections,
        keyring: keyring.clone(),
        instance: instance_key(),
        clock: Arc::new(SystemClock),
        log_options: LogOptions::default(),
        executor_options,
        view_readers: 4,
    })
    .await?;
    let one_stream = cold || order.contestant.ends_with("-thread");
    Ok(Arc::new(Kernel { store, keyring, one_stream }))
}

impl Kernel {
    fn executor(&self) -> &Executor {
        &self.store.executor
    }

    async fn record(&self, conversation: Uuid, sender: Uuid, messages: &[Uuid]) -> Result<(), Failure> {
        let cx = SystemClock.context(Actor::User(sender));
        let send = SendMessages { conversation, sender, messages: messages.to_vec(), text: TEXT };
        if self.one_stream {
            self.executor().run(&cx, &SendInThread(send)).await.map(drop)
        } else {
            self.executor().run(&cx, &send).await.map(drop)
        }
    }
}

#[async_trait]
impl Contestant for Kernel {
    async fn create(&self, conversation: Uuid, participants: &[Uuid]) -> anyhow::Result<()> {
        let begin = Begin { conversation, participants: participants.to_vec() };
        self.executor().run(&SystemClock.context(Actor::System), &begin).await?;
        Ok(())
    }

    async fn fill(&self, conversation: Uuid, sender: Uuid, messages: &[Uuid]) -> anyhow::Result<()> {
        Ok(self.record(conversation, sender, messages).await?)
    }

    async fn send(&self, _: usize, conversation: Uuid, sender: Uuid, message: Uuid) -> anyhow::Result<Sent> {
        match self.record(conversation, sender, &[message]).await {
            Ok(()) => Ok(Sent::Acknowledged),
            Err(Failure::Contended) => Ok(Sent::Conflict),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn stored(&self) -> anyhow::Result<Stored> {
        let (mut messages, mut seen, mut after) = (0, HashSet::new(), Position(0));
        loop {
            let page = self.store.log.read(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.position;
            for event in &page {
                if event.category == <Message as cqrs_core::Aggregate>::CATEGORY {
                    let MessageEvent::Sent { .. } = self.keyring.decode(event).await?;
                    messages += 1;
                    seen.insert(event.stream);
                } else if event.category == <Thread as cqrs_core::Aggregate>::CATEGORY
                    && let ThreadEvent::Sent { message, .. } = self.keyring.decode(event).await?
                {
                    messages += 1;
                    seen.insert(message);
                }
            }
        }
        Ok(Stored { messages, distinct: seen.len() as u64 })
    }

    async fn replay(&self) -> anyhow::Result<Option<u64>> {
        let head = *self.store.log.head().borrow();
        let bus = self.store.subscribe_projections(&[]).build()?;
        let mut position = bus.position(VIEW, LOG).context("the view isn't subscribed")?;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let running = tokio::spawn(async move { bus.run(stopped, RunMode::Follow).await });
        while *position.borrow_and_update() < head {
            tokio::time::timeout(PATIENCE, position.changed()).await.context("the replay stands still")??;
        }
        stop.send_replace(true);
        running.await?;
        let count = |row: &dyn cqrs_core::Row| row.get::<i64>(0);
        let rows = self.store.views.query(VIEW, "SELECT count(*) FROM {p}messages", vec![], count).await?;
        Ok(rows.first().map(|rows| *rows as u64))
    }
}
