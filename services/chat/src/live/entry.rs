//! Who opens a connection, and whether they still may have it.

use async_trait::async_trait;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request};
use cqrs_core::Failure;
use cqrs_http::{Edge, Problem, unauthenticated};
use parking_lot::RwLock;
use std::sync::Arc;
use uuid::Uuid;

use super::Live;
use super::connection::StillSignedIn;

/// Somebody who may connect, by a token.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) user: Uuid,
    pub(super) token: Token,
}

impl Entry {
    /// Whoever a request comes from: by its `Authorization` header, or else by a ticket. Nobody if it has neither.
    pub(super) async fn of(
        edge: &Edge,
        live: &Live,
        headers: &HeaderMap,
        ticket: Option<&str>,
    ) -> Result<Option<Self>, Problem> {
        let header = match (headers.get(AUTHORIZATION), ticket) {
            (Some(_), _) => headers.get_all(AUTHORIZATION).iter().cloned().collect(),
            (None, Some(ticket)) => {
                let token = live.0.tickets.redeem(ticket).await.map_err(Failure::from)?;
                let token = token
                    .ok_or_else(|| unauthenticated("the ticket is used up, or older than 30 seconds"))?;
                vec![as_header(&token)?]
            }
            (None, None) => return Ok(None),
        };
        Self::by(edge, header).await.map(Some)
    }

    /// By a token that somebody said.
    pub(super) async fn by_token(edge: &Edge, token: &str) -> Result<Self, Problem> {
        Self::by(edge, vec![as_header(token)?]).await
    }

    async fn by(edge: &Edge, header: Vec<HeaderValue>) -> Result<Self, Problem> {
        let token = Token { edge: edge.clone(), header: Arc::new(RwLock::new(header)) };
        let cx = edge.signed_in(&token.parts()).await?;
        let user = cx.actor.user().ok_or_else(|| Failure::forbidden("only users have a feed"))?;
        Ok(Self { user, token })
    }
}

fn as_header(token: &str) -> Result<HeaderValue, Failure> {
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_| unauthenticated("this is no token"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The token that a connection has; another one may take its place. The clones are one.
#[derive(Clone)]
pub(super) struct Token {
    edge: Edge,
    header: Arc<RwLock<Vec<HeaderValue>>>,
}

impl Token {
    /// Nothing but the token: what else is known of a request was true when it came.
    fn parts(&self) -> Parts {
        let (mut parts, ()) = Request::new(()).into_parts();
        for value in self.header.read().iter() {
            parts.headers.append(AUTHORIZATION, value.clone());
        }
        parts
    }

    /// Takes over another one.
    pub(super) fn renew(&self, other: &Self) {
        let header = other.header.read().clone();
        *self.header.write() = header;
    }
}

#[async_trait]
impl StillSignedIn for Token {
    async fn check(&self) -> bool {
        self.edge.signed_in(&self.parts()).await.is_ok()
    }
}
