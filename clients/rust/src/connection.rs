//! One connection of a feed, by whatever it travels over.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::sse::EventStream;
#[cfg(feature = "websocket")]
use crate::ws::Socket;
use crate::{Error, Parlor, Result};

/// How long a connection may give no sign of life before it is given up, unless said otherwise.
pub(crate) const SILENCE: Duration = Duration::from_secs(40);
/// The largest event: a message has at most 4,000 characters.
pub(crate) const MOST: usize = 1 << 20;

/// What a feed travels over. Both say the same, in the same order; cursors of one are good for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Transport {
    /// Server-sent events: an answer without end, which any HTTP proxy lets pass.
    #[default]
    ServerSentEvents,
    /// A WebSocket. It needs HTTP/1.1: a `reqwest::Client` of one's own ([`crate::Builder::http`]) is to be made with
    /// `http1_only`.
    #[cfg(feature = "websocket")]
    WebSocket,
}

/// An open connection.
pub(crate) enum Connection {
    ServerSentEvents(Box<EventStream>),
    #[cfg(feature = "websocket")]
    WebSocket(Box<Socket>),
}

impl Connection {
    /// Opens one that resumes after the event that had this cursor; from now on, if there is none.
    pub(crate) async fn open(
        transport: Transport,
        parlor: &Parlor,
        token: &str,
        cursor: Option<&str>,
    ) -> Result<Self> {
        Ok(match transport {
            Transport::ServerSentEvents => {
                Self::ServerSentEvents(Box::new(EventStream::open(parlor, token, cursor).await?))
            }
            #[cfg(feature = "websocket")]
            Transport::WebSocket => Self::WebSocket(Box::new(Socket::open(parlor, token, cursor).await?)),
        })
    }

    /// The next event, as JSON; `None` if the connection has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<String>> {
        match self {
            Self::ServerSentEvents(stream) => stream.next().await,
            #[cfg(feature = "websocket")]
            Self::WebSocket(socket) => socket.next().await,
        }
    }
}

/// Does something that gives a sign of life before so long a silence.
pub(crate) async fn in_time<T, E: Into<Error>>(
    silence: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T> {
    match timeout(silence, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(elapsed) => Err(Error::Unanswered(Arc::new(elapsed))),
    }
}
