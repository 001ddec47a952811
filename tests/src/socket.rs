//! Live delivery over a WebSocket (RFC 6455).

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::client::Api;
use crate::feed::FeedEvent;
use crate::user::User;
use crate::wait::PATIENCE;

/// An open connection.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    cursor: Option<String>,
}

/// What came by it.
#[derive(Debug, Clone, PartialEq)]
pub enum Came {
    /// A frame.
    Frame(FeedEvent),
    /// The server closed it: with this code, for this reason.
    Closed(u16, Value),
    /// It broke off.
    End,
}

impl Socket {
    /// Opens one with these headers; `query` follows the path. Fails with the status that the handshake was answered with.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn open(api: &Api, query: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let address = api.base().trim_start_matches("http://");
        let stream = TcpStream::connect(address).await.expect("the server listens");
        Self::open_over(stream, api, query, headers).await
    }

    async fn open_over(
        stream: TcpStream,
        api: &Api,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        match Self::handshake(stream, api, query, headers).await {
            Ok(socket) => Ok(socket),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no handshake: {error}"),
        }
    }

    async fn handshake(
        stream: TcpStream,
        api: &Api,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let address = api.base().trim_start_matches("http://");
        let mut request =
            format!("ws://{address}/v1/ws{query}").into_client_request().expect("the address is one");
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).expect("a header's name");
            request.headers_mut().append(name, HeaderValue::try_from(*value).expect("a header's value"));
        }
        let handshake = timeout(PATIENCE, client_async(request, stream)).await;
        let (stream, _) = handshake.expect("the handshake is answered")?;
        Ok(Self { stream, cursor: None })
    }

    /// Opens somebody's, and begins at a cursor, or now.
    pub async fn of(user: &User, cursor: Option<&str>) -> Self {
        let address = user.api.base().trim_start_matches("http://");
        Self::over(user, TcpStream::connect(address).await.expect("the server listens"), cursor).await
    }

    /// The same by a connection of the test's own, from which nothing is read but what is asked for here.
    pub async fn over(user: &User, connection: TcpStream, cursor: Option<&str>) -> Self {
        let opened = Self::open_over(connection, &user.api, "", &[("authorization", &user.bearer())]).await;
        opened.expect("the socket opens").begin(cursor).await
    }

    /// The same of a server that may not be there, or is starting.
    pub async fn try_of(user: &User, cursor: Option<&str>) -> Option<Self> {
        let address = user.api.base().trim_start_matches("http://");
        let connection = TcpStream::connect(address).await.ok()?;
        let opened = Self::handshake(connection, &user.api, "", &[("authorization", &user.bearer())]).await;
        Some(opened.ok()?.begin(cursor).await)
    }

    async fn begin(mut self, cursor: Option<&str>) -> Self {
        self.cursor = cursor.map(str::to_owned);
        self.say(&match cursor {
            Some(cursor) => json!({"type": "resume", "cursor": cursor}),
            None => json!({"type": "start"}),
        })
        .await;
        self
    }

    /// Says something.
    pub async fn say(&mut self, frame: &Value) {
        self.send(Message::text(frame.to_string())).await;
    }

    /// Sends any message; that the server may have closed meanwhile is seen by what comes.
    pub async fn send(&mut self, message: Message) {
        let _ = self.stream.send(message).await;
    }

    /// Sends bytes as they are, past the protocol.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes).await;
    }

    /// What comes next.
    ///
    /// # Panics
    /// If nothing comes for long.
    pub async fn next(&mut self) -> Came {
        loop {
            let message = timeout(PATIENCE, self.stream.next()).await.expect("the socket goes on");
            match message {
                Some(Ok(Message::Text(text))) => {
                    let event: FeedEvent = serde_json::from_str(&text).expect("a frame is JSON");
                    if event.cursor.is_some() {
                        self.cursor.clone_from(&event.cursor);
                    }
                    return Came::Frame(event);
                }
                Some(Ok(Message::Close(Some(close)))) => {
                    let reason = serde_json::from_str(&close.reason).unwrap_or(Value::Null);
                    return Came::Closed(close.code.into(), reason);
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Came::End,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The first frame of this type, whatever comes before.
    ///
    /// # Panics
    /// If the connection ends first.
    pub async fn until(&mut self, kind: &str) -> FeedEvent {
        loop {
            match self.next().await {
                Came::Frame(event) if event.kind == kind => return event,
                Came::Frame(_) => {}
                other => panic!("{other:?} instead of {kind}"),
            }
        }
    }

    /// How the server closes it, whatever frames come before.
    ///
    /// # Panics
    /// If it breaks off without a word.
    pub async fn closed(&mut self) -> (u16, Value) {
        loop {
            match self.next().await {
                Came::Frame(_) => {}
                Came::Closed(code, reason) => return (code, reason),
                Came::End => panic!("it broke off"),
            }
        }
    }

    /// Where to resume after what has been received.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }
}
