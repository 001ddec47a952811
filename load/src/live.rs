//! Sockets that listen while a load goes on: how long each message takes to them, and whether each gets every message once.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use serde::Deserialize;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket, client::client_with_config};
use uuid::Uuid;

use crate::outcome::{Acknowledged, histogram, record};
use crate::world::World;

/// How often a listening thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);
/// How long connecting and the answer to the first frame may take.
const CONNECTING: Duration = Duration::from_secs(10);

/// A socket that has caught up.
pub struct Socket {
    stream: WebSocket<TcpStream>,
    person: usize,
    id: Uuid,
}

impl Socket {
    /// Opens a socket for somebody and waits until it has caught up: from now, or from a cursor. Its buffers are as small as the
    /// server's, for the tool's memory is the machine's, too. With the cursor that it begins at.
    ///
    /// # Errors
    /// If it isn't opened; many sockets need a higher limit of open files (`ulimit -n`).
    pub fn open(
        address: SocketAddr,
        world: &World,
        person: usize,
        cursor: Option<&str>,
    ) -> anyhow::Result<(Self, String)> {
        let mut request = format!("ws://{address}/v1/ws").into_client_request()?;
        request.headers_mut().insert("authorization", HeaderValue::try_from(&*world.authorization(person))?);
        let stream = TcpStream::connect_timeout(&address, CONNECTING)
            .context("no socket; with many, raise the limit of open files (ulimit -n)")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(CONNECTING))?;
        let config = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
        // The error of the handshake holds the stream, and can't be passed between threads.
        let (mut socket, _) = client_with_config(request, stream, Some(config))
            .map_err(|error| anyhow::anyhow!("the socket wasn't opened: {error}"))?;
        let begin = match cursor {
            Some(cursor) => serde_json::json!({"type": "resume", "cursor": cursor}),
            None => serde_json::json!({"type": "start"}),
        };
        socket.send(Message::text(begin.to_string()))?;
        let cursor = loop {
            match socket.read().context("a socket didn't catch up")? {
                Message::Text(text) => {
                    let frame: Frame<'_> = serde_json::from_str(&text)?;
                    if frame.kind == "caught-up" {
                        break frame.cursor.unwrap_or_default().to_owned();
                    }
                }
                Message::Close(close) => bail!("the server closed a socket: {close:?}"),
                _ => {}
            }
        };
        socket.get_ref().set_read_timeout(None)?;
        Ok((Self { stream: socket, person, id: world.people[person].id }, cursor))
    }
}

/// What a frame says, as far as it is looked at.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow, default)]
    cursor: Option<&'a str>,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(default)]
    id: Option<Uuid>,
    #[serde(default)]
    sender_id: Option<Uuid>,
    #[serde(borrow, default)]
    content: Option<std::borrow::Cow<'a, str>>,
}

/// What a socket heard: how many messages, and the sum of their ids, by which others than expected show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    messages: u64,
    ids: u128,
}

impl Sum {
    fn add(&mut self, id: Uuid) {
        self.messages += 1;
        self.ids = self.ids.wrapping_add(id.as_u128());
    }
}

/// What the sockets heard.
pub struct Heard {
    /// Microseconds from when a message was due until a socket of another member had it.
    pub latencies: Histogram<u64>,
    /// Deliveries to members other than the sender.
    pub deliveries: u64,
    /// Sockets that ended before they were told to, with why.
    pub ended: BTreeMap<String, u64>,
    /// What each socket heard, with whose it is.
    sums: Vec<(usize, Sum)>,
}

impl Heard {
    /// What is wrong with what the sockets heard, if everything that was acknowledged since they were opened is given.
    pub fn wrong(&self, world: &World, acknowledged: &[Acknowledged]) -> Vec<String> {
        let mut expected = vec![Sum::default(); world.people.len()];
        for one in acknowledged {
            for &member in &world.rooms[one.room as usize].members {
                expected[member].add(one.id);
            }
        }
        let mut wrong: Vec<String> =
            self.ended.iter().map(|(why, count)| format!("{count} sockets ended: {why}")).collect();
        let others = self.sums.iter().filter(|(person, heard)| expected[*person] != *heard);
        wrong.extend(others.take(5).map(|(person, heard)| {
            let expected = expected[*person];
            format!(
                "a socket of person {person} heard {} messages and not the {} that were sent to it, each once",
                heard.messages, expected.messages
            )
        }));
        wrong
    }
}

/// Sockets with a thread that reads them.
pub struct Listening {
    stop: Arc<AtomicBool>,
    messages: Arc<AtomicU64>,
    thread: JoinHandle<anyhow::Result<Heard>>,
}

impl Listening {
    /// Reads these sockets from now on, on a thread of their own. Messages say when they were due, counted from `began`
    /// ([`Options::stamped`](crate::Options::stamped)).
    ///
    /// # Errors
    /// If there can't be one more thread.
    pub fn start(sockets: Vec<Socket>, began: Instant) -> anyhow::Result<Self> {
        let (stop, messages) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (stop.clone(), messages.clone());
        let thread = std::thread::Builder::new()
            .name("load-live".to_owned())
            .spawn(move || listen(sockets, began, &stopped, &counted))?;
        Ok(Self { stop, messages, thread })
    }

    /// How many messages all sockets heard together, those of their own people included.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Waits until what was acknowledged has arrived or the time is over, closes the sockets and gives what they heard.
    ///
    /// # Errors
    /// If a frame was no frame.
    pub fn stop(
        self,
        world: &World,
        acknowledged: &[Acknowledged],
        within: Duration,
    ) -> anyhow::Result<Heard> {
        let expected: usize =
            acknowledged.iter().map(|one| world.rooms[one.room as usize].members.len()).sum();
        let until = Instant::now() + within;
        while self.messages() < expected as u64 && Instant::now() < until && !self.thread.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the thread that listens panicked"))?
    }
}

fn listen(
    sockets: Vec<Socket>,
    began: Instant,
    stop: &AtomicBool,
    messages: &AtomicU64,
) -> anyhow::Result<Heard> {
    let mut poll = Poll::new()?;
    let mut sockets: Vec<(Option<Socket>, usize, Sum)> = sockets
        .into_iter()
        .map(|socket| (socket.person, socket))
        .map(|(p, s)| (Some(s), p, Sum::default()))
        .collect();
    for (at, (socket, ..)) in sockets.iter().enumerate() {
        if let Some(socket) = socket {
            let stream = socket.stream.get_ref();
            stream.set_nonblocking(true)?;
            poll.registry().register(&mut SourceFd(&stream.as_raw_fd()), Token(at), Interest::READABLE)?;
        }
    }
    let mut heard = Heard { latencies: histogram(), deliveries: 0, ended: BTreeMap::new(), sums: Vec::new() };
    let mut events = Events::with_capacity(1024);
    while !stop.load(Ordering::Relaxed) {
        match poll.poll(&mut events, Some(LOOK)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            let (socket, _, sum) = &mut sockets[event.token().0];
            let Some(open) = socket else { continue };
            if let Some(why) = read(open, began, sum, &mut heard, messages)? {
                *heard.ended.entry(why).or_default() += 1;
                *socket = None;
            }
        }
    }
    heard.sums = sockets.into_iter().map(|(_, person, sum)| (person, sum)).collect();
    Ok(heard)
}

/// Reads all frames that are there; why the socket ended, if it did.
fn read(
    socket: &mut Socket,
    began: Instant,
    sum: &mut Sum,
    heard: &mut Heard,
    messages: &AtomicU64,
) -> anyhow::Result<Option<String>> {
    loop {
        let text = match socket.stream.read() {
            Ok(Message::Text(text)) => text,
            Ok(Message::Close(close)) => {
                return Ok(Some(close.map_or("closed".to_owned(), |close| close.to_string())));
            }
            Ok(_) => continue,
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Ok(Some(error.to_string())),
        };
        let now = began.elapsed();
        let frame: Frame<'_> = serde_json::from_str(&text).context("a frame that isn't one")?;
        if frame.kind != "chat.message-sent" {
            continue;
        }
        let Some(Data { id: Some(id), sender_id, content }) = frame.data else {
            bail!("a message without its id was delivered");
        };
        sum.add(id);
        messages.fetch_add(1, Ordering::Relaxed);
        if sender_id != Some(socket.id) {
            heard.deliveries += 1;
            let due = content.as_deref().and_then(|content| content.split_once(' ')?.0.parse().ok());
            if let Some(due) = due {
                record(&mut heard.latencies, now.saturating_sub(Duration::from_micros(due)));
            }
        }
    }
}
