//! `POST /v1/stream/ticket`: a ticket that opens one live connection, for browsers that can't send a header with it.
//!
//! A ticket stands for the token that it was asked with, so that the connection ends when that token does. It is 32 random
//! bytes. What is stored finds it by its hash and holds the token sealed with the ticket itself: who reads the store has
//! neither.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cqrs_core::{Clock, Failure, InstanceKey, RowExt as _, StoreError, params};
use cqrs_http::{Answer, Input, NoBody};
use cqrs_sql::SqlLog;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::Live;
use super::rates::{Rate, Rates};

/// How long a ticket holds.
pub(super) const LIFETIME: Duration = Duration::from_secs(30);
/// A page asks for one per connection.
const RATE: Rate = Rate::new(1, 30);

/// Makes the 32 bytes of a ticket; they must come from a cryptographic random source.
pub type RandomBytes = fn() -> [u8; 32];

/// The tickets of all processes of the service.
pub(super) struct Tickets {
    log: Arc<SqlLog>,
    clock: Arc<dyn Clock>,
    random: RandomBytes,
    pub(super) rates: Rates,
}

/// What a ticket's bytes are good for.
struct Ticket {
    key: InstanceKey,
    hash: [u8; 32],
}

impl Ticket {
    fn new(bytes: &[u8; 32]) -> Self {
        let key = InstanceKey::new(bytes);
        let hash = key.hash(&[b"parlor live ticket v1"]);
        Self { key, hash }
    }
}

impl Tickets {
    pub(super) fn new(log: Arc<SqlLog>, clock: Arc<dyn Clock>, random: RandomBytes) -> Self {
        Self { log, clock, random, rates: Rates::new(RATE) }
    }

    /// A new ticket for a token.
    pub(super) async fn issue(&self, token: &str) -> Result<String, StoreError> {
        let bytes = (self.random)();
        let Ticket { key, hash } = Ticket::new(&bytes);
        let now = self.clock.now();
        let lifetime = SignedDuration::try_from(LIFETIME).unwrap_or_default();
        self.log.change_beside("DELETE FROM {s}tickets WHERE expires < ?1", params![now]).await?;
        let sql = "INSERT INTO {s}tickets (hash, token, expires) VALUES (?1, ?2, ?3)";
        let sealed = key.seal(&hash, token.as_bytes());
        self.log.change_beside(sql, params![hash, sealed, now + lifetime]).await?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The token that a ticket stands for, if it is one and still holds. Only one of those who ask gets it.
    pub(super) async fn redeem(&self, ticket: &str) -> Result<Option<String>, StoreError> {
        let Some(bytes) = URL_SAFE_NO_PAD.decode(ticket).ok().and_then(|bytes| bytes.try_into().ok()) else {
            return Ok(None);
        };
        let Ticket { key, hash } = Ticket::new(&bytes);
        let sql = "SELECT token, expires FROM {s}tickets WHERE hash = ?1";
        let map = |row: &dyn cqrs_core::Row| Ok((row.get::<Vec<u8>>(0)?, row.get::<Timestamp>(1)?));
        let found = self.log.rows_beside(sql, params![hash], map).await?;
        let Some((sealed, expires)) = found.into_iter().next() else { return Ok(None) };
        let taken = self.log.change_beside("DELETE FROM {s}tickets WHERE hash = ?1", params![hash]).await?;
        if taken == 0 || expires < self.clock.now() {
            return Ok(None);
        }
        Ok(key.open(&hash, &sealed).and_then(|token| String::from_utf8(token).ok()))
    }
}

/// A ticket for one live connection.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketAnswer {
    /// To be given as `?ticket=`, once.
    pub ticket: String,
    /// For how many seconds.
    pub expires_in: u64,
}

/// A ticket for a live connection
///
/// For browsers, where neither `EventSource` nor `WebSocket` can send a header: the ticket is given as `?ticket=` to
/// `GET /v1/stream` or `GET /v1/ws`, at any process of the installation. It opens one connection, within 30 seconds, and
/// stands for the token that it was asked with: the connection ends when that token does. Each connection needs a new one.
#[utoipa::path(post, path = "/v1/stream/ticket", tag = "live",
    responses(
        (status = 201, description = "A ticket", body = TicketAnswer),
        (status = 403, description = "Not a user"),
        (status = 429, description = "Too many tickets")),
    security(("bearer" = [])))]
pub(crate) async fn issue_ticket(
    Extension(live): Extension<Live>,
    headers: HeaderMap,
    input: Input<NoBody>,
) -> Answer {
    let user = input.ignoring_key().cx.actor.user();
    let user = user.ok_or_else(|| Failure::forbidden("only users have a feed"))?;
    let tickets = &live.0.tickets;
    tickets.rates.check(user)?;
    let token =
        bearer(&headers).ok_or_else(|| cqrs_http::unauthenticated("no token came with the request"))?;
    let ticket = tickets.issue(token).await.map_err(Failure::from)?;
    let answer = TicketAnswer { ticket, expires_in: LIFETIME.as_secs() };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// The token of a request's header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
