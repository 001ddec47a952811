//! Live delivery by server-sent events, as in the HTML standard, §9.2.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::user::User;
use crate::wait::PATIENCE;

/// One event of a feed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FeedEvent {
    /// Where to resume after it; transient events have none.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Such as `chat.message-sent`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    #[serde(default)]
    pub data: Value,
    /// What else it says: of an error, its code.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, Value>,
}

impl FeedEvent {
    /// All that it says, to look for words in it.
    pub fn to_text(&self) -> String {
        format!("{} {}", self.kind, self.data)
    }
}

/// What came of listening for a while.
#[derive(Debug)]
pub enum Heard {
    /// This.
    Event(FeedEvent),
    /// The connection ended.
    End,
    /// Nothing yet.
    Nothing,
}

/// An open connection of somebody's.
pub struct Feed {
    chunks: BoxStream<'static, Bytes>,
    unread: Vec<u8>,
    ready: VecDeque<FeedEvent>,
    cursor: Option<String>,
}

impl Feed {
    /// Opens it at a cursor, or now. Returns once the server has said what it resumes from.
    pub(crate) async fn open(user: &User, cursor: Option<&str>) -> Self {
        Self::try_open(user, cursor).await.expect("the feed opens")
    }

    /// Opens it; fails if the server isn't there.
    pub async fn try_open(user: &User, cursor: Option<&str>) -> Result<Self, reqwest::Error> {
        let call = user.get("/v1/stream").header("accept", "text/event-stream");
        let call = match cursor {
            Some(cursor) => call.header("last-event-id", cursor),
            None => call,
        };
        let mut response = call.builder().send().await?;
        if response.status().as_u16() == 503 {
            // It is starting: as good as not there.
            response = response.error_for_status()?;
        }
        let status = response.status().as_u16();
        assert_eq!(status, 200, "no feed: {response:?}");
        let kind = response.headers()["content-type"].to_str().expect("a media type").to_owned();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        let chunks = stream::unfold(response, |mut response| async {
            let chunk = response.chunk().await.ok()??;
            Some((chunk, response))
        });
        Ok(Self::of(chunks.boxed(), cursor))
    }

    /// Opens it by a connection of the test's own, from which nothing is read but what is asked for here.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn over(user: &User, mut connection: TcpStream) -> Self {
        // In HTTP/1.0 a body is what comes until the connection's end.
        let request = format!("GET /v1/stream HTTP/1.0\r\nauthorization: Bearer {}\r\n\r\n", user.token);
        connection.write_all(request.as_bytes()).await.expect("the server listens");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, connection.read_u8()).await.expect("there is an answer");
            head.push(byte.expect("an answer has a head"));
        }
        let head = String::from_utf8_lossy(&head);
        assert_eq!(head.split(' ').nth(1), Some("200"), "no feed: {head}");
        let chunks = stream::unfold(connection, |mut connection| async {
            let mut bytes = bytes::BytesMut::with_capacity(4096);
            let taken = connection.read_buf(&mut bytes).await.ok()?;
            (taken > 0).then(|| (bytes.freeze(), connection))
        });
        Self::of(chunks.boxed(), None)
    }

    fn of(chunks: BoxStream<'static, Bytes>, cursor: Option<&str>) -> Self {
        Self { chunks, unread: Vec::new(), ready: VecDeque::new(), cursor: cursor.map(str::to_owned) }
    }

    /// The next event; `None` if the connection has ended.
    ///
    /// # Panics
    /// If nothing comes for long.
    pub async fn next(&mut self) -> Option<FeedEvent> {
        timeout(PATIENCE, self.receive()).await.expect("the feed goes on")
    }

    /// What comes within this time.
    pub async fn next_within(&mut self, patience: Duration) -> Heard {
        match timeout(patience, self.receive()).await {
            Ok(Some(event)) => Heard::Event(event),
            Ok(None) => Heard::End,
            Err(_) => Heard::Nothing,
        }
    }

    /// All events up to the next one of this kind, which is the last.
    pub async fn until(&mut self, kind: &str) -> Vec<FeedEvent> {
        self.until_one(|event| event.kind == kind).await
    }

    /// All events up to the first that is as wanted, which is the last.
    pub async fn until_one(&mut self, wanted: impl Fn(&FeedEvent) -> bool) -> Vec<FeedEvent> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the feed ended after {events:?}"));
            events.push(event);
            if events.last().is_some_and(&wanted) {
                return events;
            }
        }
    }

    /// Where to resume after what has been received.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    async fn receive(&mut self) -> Option<FeedEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if event.cursor.is_some() {
                    self.cursor.clone_from(&event.cursor);
                }
                return Some(event);
            }
            let chunk = self.chunks.next().await?;
            self.unread.extend_from_slice(&chunk);
            while let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                self.ready.extend(parse(std::str::from_utf8(&block).expect("feeds are UTF-8")));
            }
        }
    }
}

/// One block of lines as an event; comments alone are none.
fn parse(block: &str) -> Option<FeedEvent> {
    let field = |name: &str| -> Option<String> {
        let values = block.lines().filter_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(':')?;
            Some(value.strip_prefix(' ').unwrap_or(value))
        });
        values.map(str::to_owned).reduce(|all, value| format!("{all}\n{value}"))
    };
    let data = field("data")?;
    let event: FeedEvent =
        serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error} in the feed: {block}"));
    assert_eq!(event.cursor, field("id"), "the SSE id is the cursor: {block}");
    Some(event)
}
