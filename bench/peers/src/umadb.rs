//! `UmaDB`: conditional appends guarded by a tag that only the membership has, over gRPC and embedded.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use futures::future::try_join_all;
use parlor_contest::{Contestant, Order, Sent, Stored, TEXT};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use umadb_client::{AsyncUmaDbClient, UmaDbClient};
use umadb_core::common::Position;
use umadb_core::db::{UmaDb, read_conditional};
use umadb_core::mvcc::{Mvcc, StorageOptions};
use umadb_core::writer_thread_blocking::writer_thread_blocking;
use umadb_core::writer_thread_request::WriterThreadRequest;
use umadb_dcb::{
    DcbAppendCondition, DcbError, DcbEvent, DcbEventStoreAsync as _, DcbEventStoreSync as _, DcbQuery,
    DcbQueryItem, DcbResult, DcbSequencedEvent,
};
use umadb_server::{ServerOptions, start_server_with_options};
use uuid::Uuid;

const BEGUN: &str = "ConversationBegun";
const SENT: &str = "MessageSent";

/// As many as the server takes together, and as many as it lets wait.
const BATCH: usize = 2048;
const WAITING: usize = 1024;

#[derive(Serialize, Deserialize)]
struct Begun {
    participants: Vec<Uuid>,
}

#[derive(Serialize, Deserialize)]
struct MessageSent {
    message: Uuid,
    sender: Uuid,
    text: String,
}

/// What guards a command: who takes part.
fn membership(conversation: Uuid) -> DcbQuery {
    DcbQuery::new().item(DcbQueryItem::new().types([BEGUN]).tags([format!("membership:{conversation}")]))
}

fn begun(conversation: Uuid, participants: &[Uuid]) -> anyhow::Result<DcbEvent> {
    let data = serde_json::to_vec(&Begun { participants: participants.to_vec() })?;
    Ok(DcbEvent::new().event_type(BEGUN).tags([format!("membership:{conversation}")]).data(data))
}

fn sent(conversation: Uuid, sender: Uuid, message: Uuid) -> anyhow::Result<DcbEvent> {
    let data = serde_json::to_vec(&MessageSent { message, sender, text: TEXT.to_owned() })?;
    let tags = [format!("conversation:{conversation}")];
    Ok(DcbEvent::new().event_type(SENT).tags(tags).data(data).uuid(message))
}

/// Both ways to reach it.
#[async_trait]
trait Access: std::marker::Send + Sync + 'static {
    async fn read(
        &self,
        client: usize,
        query: Option<DcbQuery>,
    ) -> DcbResult<(Vec<DcbSequencedEvent>, Option<u64>)>;
    async fn append(
        &self,
        client: usize,
        events: Vec<DcbEvent>,
        condition: Option<DcbAppendCondition>,
    ) -> DcbResult<u64>;
}

/// A server in this process, and a connection for each client.
struct Remote(Vec<AsyncUmaDbClient>);

#[async_trait]
impl Access for Remote {
    async fn read(
        &self,
        client: usize,
        query: Option<DcbQuery>,
    ) -> DcbResult<(Vec<DcbSequencedEvent>, Option<u64>)> {
        self.0[client % self.0.len()].read_with_head(query, None, false, None).await
    }
    async fn append(
        &self,
        client: usize,
        events: Vec<DcbEvent>,
        condition: Option<DcbAppendCondition>,
    ) -> DcbResult<u64> {
        self.0[client % self.0.len()].append(events, condition, None).await
    }
}

/// The engine with its writer's thread, as the server has it, without the server.
struct Embedded {
    mvcc: Arc<Mvcc>,
    writer: mpsc::Sender<WriterThreadRequest>,
    /// Kept open for the writer, which says where the log's head is.
    _head: watch::Receiver<Option<u64>>,
}

impl Embedded {
    fn open(path: PathBuf) -> anyhow::Result<Self> {
        let mvcc = Arc::new(Mvcc::new(false, StorageOptions::default().db_path(path))?);
        let (writer, requests) = mpsc::channel(WAITING);
        let (head, heads) = watch::channel(UmaDb::from_arc(mvcc.clone()).head()?);
        let of_writer = mvcc.clone();
        std::thread::spawn(move || writer_thread_blocking(of_writer, requests, head, BATCH));
        Ok(Self { mvcc, writer, _head: heads })
    }
}

#[async_trait]
impl Access for Embedded {
    async fn read(
        &self,
        _: usize,
        query: Option<DcbQuery>,
    ) -> DcbResult<(Vec<DcbSequencedEvent>, Option<u64>)> {
        let reader = self.mvcc.reader()?;
        let head = (reader.next_position > Position(1)).then(|| reader.next_position.0 - 1);
        let (events, tags) = (reader.events_tree_root_id, reader.tags_tree_root_id);
        let query = query.unwrap_or_default();
        let dirty = FxHashMap::default();
        let found =
            read_conditional(&*self.mvcc, &dirty, events, tags, query, None, false, None, false, None)?;
        Ok((found, head))
    }
    async fn append(
        &self,
        _: usize,
        events: Vec<DcbEvent>,
        condition: Option<DcbAppendCondition>,
    ) -> DcbResult<u64> {
        let gone = || DcbError::Io(std::io::Error::other("the writer's thread has ended"));
        let (response_tx, response) = oneshot::channel();
        let request =
            WriterThreadRequest::Append { events, condition, tracking_info: None, response_tx, cancel: None };
        self.writer.send(request).await.map_err(|_| gone())?;
        response.await.map_err(|_| gone())?
    }
}

struct Uma(Box<dyn Access>);

/// `umadb-grpc` or `umadb-embedded`.
pub(crate) async fn open(order: &Order) -> anyhow::Result<Arc<dyn Contestant>> {
    let path = order.dir.join("uma.db");
    if order.contestant == "umadb-embedded" {
        return Ok(Arc::new(Uma(Box::new(Embedded::open(path)?))));
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let options = ServerOptions {
        listen_addr: format!("127.0.0.1:{port}"),
        tls: None,
        api_key: None,
        storage: StorageOptions::default().db_path(path),
    };
    let (stop, stopped) = oneshot::channel();
    // A runtime of its own, as the server has that is a process of its own.
    std::thread::spawn(move || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Runtime::new()?;
        let served = runtime.block_on(start_server_with_options(options, stopped));
        served.map_err(|error| anyhow::anyhow!("UmaDB's server: {error}"))
    });
    // It serves until this process ends.
    std::mem::forget(stop);
    let url = format!("http://127.0.0.1:{port}");
    let mut first = None;
    for _ in 0..100 {
        match UmaDbClient::new(url.clone()).connect_async().await {
            Ok(client) => {
                first = Some(client);
                break;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    first.context("UmaDB's server doesn't answer")?;
    let most = order.clients.iter().copied().max().unwrap_or(1);
    let clients = (0..most).map(|_| {
        let one = UmaDbClient::new(url.clone());
        async move { one.connect_async().await }
    });
    Ok(Arc::new(Uma(Box::new(Remote(try_join_all(clients).await?)))))
}

impl Uma {
    async fn execute(
        &self,
        client: usize,
        conversation: Uuid,
        sender: Uuid,
        messages: &[Uuid],
    ) -> anyhow::Result<Sent> {
        let guard = membership(conversation);
        let (events, head) = self.0.read(client, Some(guard.clone())).await?;
        let mut participants = Vec::new();
        for event in &events {
            participants = serde_json::from_slice::<Begun>(&event.event.data)?.participants;
        }
        anyhow::ensure!(participants.contains(&sender), "not a participant");
        let events =
            messages.iter().map(|message| sent(conversation, sender, *message)).collect::<Result<_, _>>()?;
        let condition = DcbAppendCondition::new(guard).after(head);
        match self.0.append(client, events, Some(condition)).await {
            Ok(_) => Ok(Sent::Acknowledged),
            Err(DcbError::IntegrityError(_)) => Ok(Sent::Conflict),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl Contestant for Uma {
    async fn create(&self, conversation: Uuid, participants: &[Uuid]) -> anyhow::Result<()> {
        let condition = DcbAppendCondition::new(membership(conversation));
        self.0.append(0, vec![begun(conversation, participants)?], Some(condition)).await?;
        Ok(())
    }

    async fn fill(&self, conversation: Uuid, sender: Uuid, messages: &[Uuid]) -> anyhow::Result<()> {
        self.execute(0, conversation, sender, messages).await.map(drop)
    }

    async fn send(
        &self,
        client: usize,
        conversation: Uuid,
        sender: Uuid,
        message: Uuid,
    ) -> anyhow::Result<Sent> {
        self.execute(client, conversation, sender, &[message]).await
    }

    async fn stored(&self) -> anyhow::Result<Stored> {
        let (events, _) = self.0.read(0, None).await?;
        let (mut messages, mut seen) = (0, HashSet::new());
        for event in events.iter().filter(|event| event.event.event_type == SENT) {
            messages += 1;
            seen.insert(serde_json::from_slice::<MessageSent>(&event.event.data)?.message);
        }
        Ok(Stored { messages, distinct: seen.len() as u64 })
    }
}
