//! Who asks: the seam to whatever authenticates.

use async_trait::async_trait;
use axum::http::HeaderMap;
use cqrs_core::{Actor, Context, Failure, RefusalKind, Refused};
use jiff::Timestamp;
use uuid::Uuid;

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who asks.
    pub actor: Actor,
    /// Their roles.
    pub roles: Vec<String>,
    /// Their session, if they have one.
    pub session: Option<Uuid>,
}

/// Finds out who a request comes from.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Who it is, by the request's headers (`Authorization: Bearer …`); [`unauthenticated`] if that isn't said, or
    /// not rightly.
    async fn authenticate(&self, headers: &HeaderMap, now: Timestamp) -> Result<Identity, Failure>;
}

/// The refusal of somebody who isn't signed in: 401 with `WWW-Authenticate: Bearer`.
pub fn unauthenticated(detail: impl Into<String>) -> Failure {
    Failure::Refused(Box::new(Refused {
        code: "unauthenticated",
        kind: RefusalKind::Unauthenticated,
        detail: detail.into(),
        errors: Vec::new(),
        retry_after: None,
        permits_replay: false,
    }))
}

/// Refuses (403 `forbidden`) whoever doesn't hold `role`.
pub fn requires_role(cx: &Context, role: &str) -> Result<(), Failure> {
    requires_any_role(cx, &[role])
}

/// Refuses (403 `forbidden`) whoever holds none of `roles`.
pub fn requires_any_role(cx: &Context, roles: &[&str]) -> Result<(), Failure> {
    if roles.iter().any(|role| cx.has_role(role)) {
        return Ok(());
    }
    Err(Failure::forbidden(format!("this needs the role {}", roles.join(" or "))))
}
