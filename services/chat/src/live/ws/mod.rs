//! `GET /v1/ws`: live delivery over a WebSocket (RFC 6455).
//!
//! - `said`: what clients say; `described`: what they are told. `talk`: one connection. `wire`: the socket, with its limits
//!   and closes.

mod described;
mod origins;
mod said;
mod talk;
mod wire;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::header::{ORIGIN, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use cqrs_http::{Answer, Edge, OpenAsking, Problem, unauthenticated};
use hyper::upgrade::OnUpgrade;
use serde::Deserialize;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use utoipa::IntoParams;

use super::Live;
use super::entry::Entry;

pub use origins::Origins;

use described::SocketFrame;

/// Who connects.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SocketParams {
    /// A ticket from `POST /v1/stream/ticket`, in place of the `Authorization` header.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// Live events over a WebSocket
///
/// The same events as by `GET /v1/stream`, each a text frame with `{"cursor", "type", "at", "data"}`; `typing` and `presence`
/// have no cursor. Who connects is said by the `Authorization` header, by a ticket, or else by a first frame
/// `{"type": "authenticate", "token"}`. The next frame says where to begin: `{"type": "start"}` for now, or
/// `{"type": "resume", "cursor"}`. Both within 10 seconds.
///
/// Later frames of the client's: `{"type": "typing", "conversationId"}`; `{"type": "authenticate", "token"}` with a fresh
/// token of the same user, so that the connection outlives the first one; `{"type": "ping"}`, answered by
/// `{"type": "pong"}`. What is understood and refused is answered by `{"type": "error", "code", "detail"}`.
///
/// A close has a reason in JSON, as the last event of a stream: `{"type": "closed", "code", "retryAfterMs"}`. 1001
/// `stopping`, 1013 `too-slow`, `unavailable` and `too-many-connections`: come back after `retryAfterMs`, nothing is lost.
/// 1008 `signed-out`, `invalid-cursor`, `epoch-changed` (a log was restored: read anew and begin without a cursor),
/// `malformed-frame`, `too-many-frames`, `too-late`. 1003 for binary frames, 1007 for what isn't UTF-8, 1009 for more than
/// 64 KiB. The server sends a ping every 15 seconds, and gives up who doesn't answer for 45.
///
/// Browsers are let in from this instance's own pages and from the configured origins only.
#[utoipa::path(get, path = "/v1/ws", tag = "live", params(SocketParams),
    responses(
        (status = 101, description = "A WebSocket from here on: what the server's text frames hold, and its close's reason",
            body = SocketFrame),
        (status = 403, description = "Not a user, or `origin-not-allowed`: a page that may not connect"),
        (status = 426, description = "`upgrade-required`: not a WebSocket's handshake")),
    security((), ("bearer" = [])))]
pub(crate) async fn socket(
    Shared(edge): Shared<Edge>,
    Extension(live): Extension<Live>,
    params: Result<OpenAsking<SocketParams>, Problem>,
    mut request: Request,
) -> Answer {
    let headers = request.headers();
    if let Some(origin) = headers.get(ORIGIN)
        && !live.0.origins.allow(origin, headers)
    {
        let detail = "pages of this origin may not open a WebSocket here; see live.allowed_origins";
        return Err(Problem::new(StatusCode::FORBIDDEN, "origin-not-allowed", detail));
    }
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let accepted = create_response_with_body(&request, Body::empty);
    let ticket = params.as_ref().ok().and_then(|OpenAsking(params)| params.ticket.as_deref());
    let entry = Entry::of(&edge, &live, request.headers(), ticket).await?;
    let handshake = accepted.ok().zip(upgrade);
    if handshake.is_none() && entry.is_none() {
        // A frame that says who it is can't come any more.
        return Err(unauthenticated("sign in first").into());
    }
    let OpenAsking(_) = params?;
    let (accepted, upgrade) = handshake.ok_or_else(not_a_handshake)?;
    tokio::spawn(async move {
        match upgrade.await {
            Ok(io) => talk::talk(wire::Wire::open(io).await, live, edge, entry).await,
            Err(error) => tracing::debug!(%error, "a WebSocket's handshake broke off"),
        }
    });
    Ok(accepted)
}

fn not_a_handshake() -> Problem {
    let detail = "this is for WebSockets: Upgrade: websocket, Sec-WebSocket-Version: 13 and a key are needed";
    Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade-required", detail)
        .with_header(UPGRADE, HeaderValue::from_static("websocket"))
}
