//! A WebSocket with bounds: how much may come, how long sending may take, and how it is closed.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use governor::DefaultDirectRateLimiter;
use governor::RateLimiter;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::super::rates::Rate;

/// The largest message that is taken, in bytes.
const LARGEST: usize = 64 * 1024;
/// What a connection keeps for reading; a larger frame gets more while it comes.
const BUFFER: usize = 1024;
/// How much may lie between here and the socket: a message goes there whole.
const UNSENT: usize = 1024 * 1024;
/// How many frames may come, control frames included.
const RATE: Rate = Rate::new(20, 60);
/// How long sending one message may take.
const SENDING: Duration = Duration::from_secs(15);
/// How long the other side may take to close.
const CLOSING: Duration = Duration::from_secs(2);
/// How much is read away of what a client was sending when its connection was closed.
const DISCARDED: u64 = 8 * 1024 * 1024;

/// Why a connection is closed; with `code` and `retryAfterMs` in its reason, as a stream's last event has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closing {
    pub(super) close: CloseCode,
    pub(super) code: &'static str,
    pub(super) retry_after_ms: Option<u64>,
}

impl Closing {
    /// For good: coming back would end the same.
    pub(super) const fn for_good(close: CloseCode, code: &'static str) -> Self {
        Self { close, code, retry_after_ms: None }
    }

    /// For now.
    pub(super) const fn for_now(close: CloseCode, code: &'static str, retry_after_ms: u64) -> Self {
        Self { close, code, retry_after_ms: Some(retry_after_ms) }
    }

    fn frame(self) -> CloseFrame {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Reason {
            r#type: &'static str,
            code: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            retry_after_ms: Option<u64>,
        }
        let Self { close, code, retry_after_ms } = self;
        let reason = serde_json::to_string(&Reason { r#type: "closed", code, retry_after_ms });
        CloseFrame { code: close, reason: reason.unwrap_or_default().into() }
    }
}

/// What ends reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// The other side is gone, or has closed.
    Gone,
    /// It is to be closed.
    Closed(Closing),
}

/// The socket.
pub(super) struct Wire {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    rate: DefaultDirectRateLimiter,
    /// When something last came.
    heard: Instant,
}

impl Wire {
    pub(super) async fn open(io: Upgraded) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(UNSENT)
            .max_message_size(Some(LARGEST))
            .max_frame_size(Some(LARGEST));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(io), Role::Server, Some(config)).await;
        Self { socket, rate: RateLimiter::direct(RATE.quota()), heard: Instant::now() }
    }

    /// For how long nothing has come.
    pub(super) fn silence(&self) -> Duration {
        self.heard.elapsed()
    }

    /// The next text. May be given up at any time without losing one.
    pub(super) async fn next(&mut self) -> Result<String, Over> {
        loop {
            let message = self.socket.next().await.ok_or(Over::Gone)?.map_err(|error| over(&error))?;
            self.heard = Instant::now();
            if self.rate.check().is_err() {
                return Err(Over::Closed(Closing::for_good(CloseCode::Policy, "too-many-frames")));
            }
            match message {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Binary(_) => {
                    return Err(Over::Closed(Closing::for_good(CloseCode::Unsupported, "malformed-frame")));
                }
                // The answer to a ping goes out by itself; that to a close, with the next turn.
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Sends a text; fails where the other side doesn't take it in time.
    pub(super) async fn send(&mut self, text: String) -> Result<(), Over> {
        self.put(Message::text(text)).await
    }

    /// Asks for a sign of life.
    pub(super) async fn ping(&mut self) -> Result<(), Over> {
        self.put(Message::Ping(Bytes::new())).await
    }

    async fn put(&mut self, message: Message) -> Result<(), Over> {
        match timeout(SENDING, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Over::Gone),
        }
    }

    /// Says why, and closes. What the client is sending meanwhile is read away: it would see a broken connection otherwise,
    /// and not why.
    pub(super) async fn close(mut self, closing: Closing) {
        metrics::counter!("live_closed_total", "code" => closing.code).increment(1);
        tracing::debug!(code = closing.code, "a WebSocket is closed");
        let said = timeout(CLOSING, self.socket.send(Message::Close(Some(closing.frame())))).await;
        if !matches!(said, Ok(Ok(()))) {
            return;
        }
        let mut rest = self.socket.get_mut().take(DISCARDED);
        let _ = timeout(CLOSING, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    }
}

/// What follows from an error: RFC 6455, section 7.4.1.
fn over(error: &Error) -> Over {
    let (close, code) = match error {
        Error::Capacity(_) => (CloseCode::Size, "frame-too-large"),
        Error::Utf8(_) => (CloseCode::Invalid, "malformed-frame"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return Over::Gone,
        Error::Protocol(_) => (CloseCode::Protocol, "malformed-frame"),
        _ => return Over::Gone,
    };
    Over::Closed(Closing::for_good(close, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_into_a_close() {
        // RFC 6455, section 5.5: a control frame has 125 bytes, 2 of which are the code.
        let longest = Closing::for_now(CloseCode::Again, "too-many-connections", 30_000).frame();
        assert!(longest.reason.len() <= 123, "{}", longest.reason);
        assert_eq!(
            longest.reason.as_str(),
            r#"{"type":"closed","code":"too-many-connections","retryAfterMs":30000}"#
        );
    }
}
