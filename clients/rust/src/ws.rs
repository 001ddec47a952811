//! A feed over a WebSocket (RFC 6455). The handshake goes through the client's own HTTP connections, so that a proxy, other
//! authorities and time limits hold for it as for every call.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use reqwest::header::{
    AUTHORIZATION, CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use reqwest::{Method, StatusCode, Upgraded};
use serde::Deserialize;
use serde_json::json;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use crate::client::whole;
use crate::connection::{MOST, in_time};
use crate::{Error, Parlor, Problem, Result};

/// What a connection is closed for that no other one would mend, with the status that a request would have been answered.
const FINAL: [(&str, StatusCode); 4] = [
    ("epoch-changed", StatusCode::GONE),
    ("invalid-cursor", StatusCode::UNPROCESSABLE_ENTITY),
    ("malformed-frame", StatusCode::BAD_REQUEST),
    ("frame-too-large", StatusCode::PAYLOAD_TOO_LARGE),
];

/// An open connection.
pub(crate) struct Socket {
    stream: WebSocketStream<Upgraded>,
    silence: Duration,
}

impl Socket {
    /// Opens one that resumes after the event that had this cursor; from now on, if there is none.
    pub(crate) async fn open(parlor: &Parlor, token: &str, cursor: Option<&str>) -> Result<Self> {
        let key = generate_key();
        let request = parlor
            .request(Method::GET, "/v1/ws", &[])?
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key);
        let silence = parlor.silence();
        let response = in_time(silence, request.send()).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let body = in_time(silence, whole(response)).await?;
            return Err(Error::Refused(Box::new(Problem::of(status, &headers, &body))));
        }
        let accepted = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(Error::Unreadable("what answered the handshake is no WebSocket server".to_owned()));
        }
        let upgraded = in_time(silence, response.upgrade()).await?;
        let config = WebSocketConfig::default().max_message_size(Some(MOST)).max_frame_size(Some(MOST));
        let mut stream = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
        let begin = match cursor {
            Some(cursor) => json!({"type": "resume", "cursor": cursor}),
            None => json!({"type": "start"}),
        };
        in_time(silence, stream.send(Message::text(begin.to_string()))).await?;
        Ok(Self { stream, silence })
    }

    /// The next event, as JSON; `None` if the connection has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<String>> {
        loop {
            // A ping counts as a sign of life; the socket answers it by itself, with the next read.
            let next = async { self.stream.next().await.transpose() };
            let Some(message) = in_time(self.silence, next).await? else {
                return Ok(None);
            };
            match message {
                Message::Text(text) => return Ok(Some(text.as_str().to_owned())),
                Message::Close(frame) => {
                    let reason = frame.map(|frame| frame.reason.as_str().to_owned());
                    return reason.map_or(Ok(None), |reason| ending(&reason));
                }
                _ => {}
            }
        }
    }
}

/// Why a connection was closed: what a stream's last event would have said, or a refusal that stays one.
fn ending(reason: &str) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Reason {
        code: String,
    }
    // Something in between may close with other words, or none.
    let Ok(Reason { code }) = serde_json::from_str(reason) else { return Ok(None) };
    let Some((_, status)) = FINAL.iter().find(|(known, _)| *known == code) else {
        return Ok(Some(reason.to_owned()));
    };
    Err(Error::Refused(Box::new(Problem {
        r#type: format!("/docs/problems#{code}"),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        detail: format!("the connection was closed: {code}"),
        code,
        errors: Vec::new(),
        request_id: String::new(),
        retry_after: None,
    })))
}

impl From<SocketError> for Error {
    fn from(error: SocketError) -> Self {
        match error {
            SocketError::Capacity(error) => Self::Unreadable(format!("an event of the feed: {error}")),
            error => Self::Unanswered(Arc::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_says_whether_another_connection_would_mend_it() {
        let passing = r#"{"type":"closed","code":"too-slow","retryAfterMs":1000}"#;
        assert_eq!(ending(passing).unwrap().as_deref(), Some(passing));
        for words in ["", "bye", "{}"] {
            assert_eq!(ending(words).unwrap(), None);
        }
        let over = ending(r#"{"type":"closed","code":"epoch-changed"}"#).unwrap_err();
        assert_eq!(
            (over.status(), over.code(), over.is_passing()),
            (Some(410), Some("epoch-changed"), false)
        );
    }
}
