//! Who asks, when, and under which ids: everything a decision must not fetch for itself.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::position::PositionVector;

/// Who issued a command or query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "kebab-case")]
pub enum Actor {
    /// Nobody signed in (registration, sign-in, password reset).
    Anonymous,
    /// The application itself: a reactor, an operator's command.
    System,
    /// A signed-in user.
    User(Uuid),
    /// Another application, by the id of its service key.
    Service(Uuid),
}

impl Actor {
    /// The user's id, if the actor is a signed-in user.
    pub fn user(&self) -> Option<Uuid> {
        match self {
            Self::User(id) => Some(*id),
            _ => None,
        }
    }

    /// A small code for storage; see [`Actor::from_parts`].
    pub fn parts(&self) -> (i16, Option<Uuid>) {
        match self {
            Self::Anonymous => (0, None),
            Self::System => (1, None),
            Self::User(id) => (2, Some(*id)),
            Self::Service(id) => (3, Some(*id)),
        }
    }

    /// The inverse of [`Actor::parts`]; an unknown code reads as [`Actor::Anonymous`], which may do the least.
    pub fn from_parts(kind: i16, id: Option<Uuid>) -> Self {
        match (kind, id) {
            (1, _) => Self::System,
            (2, Some(id)) => Self::User(id),
            (3, Some(id)) => Self::Service(id),
            _ => Self::Anonymous,
        }
    }
}

/// A client's idempotency key with what it is bound to.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// The key as the client sent it.
    pub key: String,
    /// The route it was sent to, with the ids in it.
    pub route: String,
    /// The request's content, compared by a keyed hash.
    pub content: bytes::Bytes,
}

/// What surrounds one command or query. Built once at the edge; decisions only read it.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who asks.
    pub actor: Actor,
    /// The actor's roles (`admin`, `service`).
    pub roles: Vec<String>,
    /// The session of a signed-in user.
    pub session: Option<Uuid>,
    /// The client's address, if it came over a network.
    pub client: Option<IpAddr>,
    /// The request's id, as logged and returned.
    pub request_id: Arc<str>,
    /// Shared by everything that one request set off.
    pub correlation: Uuid,
    /// The event that set this command off, if one did.
    pub causation: Option<Uuid>,
    /// The time of the request. An event's own time is set when it commits.
    pub now: Timestamp,
    /// Source of the ids handed out by [`Context::fresh_id`]; a UUID v7.
    pub seed: Uuid,
    /// The client's idempotency key, if it sent one.
    pub idempotency: Option<Arc<IdempotencyKey>>,
    /// The version the client expects the resource to have (`If-Match`).
    pub if_match: Option<u64>,
    /// What the caller has seen or written and wants the views to hold (`Parlor-Min-Position`).
    pub wanted: Option<Arc<PositionVector>>,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

impl Context {
    /// A context for `actor` at `now`, with `seed` (a fresh UUID v7) as the source of its ids.
    pub fn new(actor: Actor, now: Timestamp, seed: Uuid) -> Self {
        Self {
            actor,
            roles: Vec::new(),
            session: None,
            client: None,
            request_id: Arc::from(""),
            correlation: seed,
            causation: None,
            now,
            seed,
            idempotency: None,
            if_match: None,
            wanted: None,
            deadline: None,
        }
    }

    /// The `n`-th id that this command may give away: the same for the same context, unique otherwise.
    pub fn fresh_id(&self, n: u32) -> Uuid {
        if n == 0 {
            return self.seed;
        }
        let mut hash = blake3::Hasher::new();
        hash.update(self.seed.as_bytes()).update(&n.to_be_bytes());
        let mut bytes = *self.seed.as_bytes();
        // The time stays in front, so that ids sort by creation; the random part is drawn anew.
        bytes[6..].copy_from_slice(&hash.finalize().as_bytes()[..10]);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Uuid::from_bytes(bytes)
    }

    /// Whether the actor holds `role`.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held == role)
    }
}

/// Where time and randomness come from: the system at run time, a fixed source in tests.
pub trait Clock: Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Timestamp;
    /// A new UUID v7.
    fn fresh_id(&self) -> Uuid;
    /// A context for `actor`, now.
    fn context(&self, actor: Actor) -> Context {
        Context::new(actor, self.now(), self.fresh_id())
    }
}

/// The system's clock and random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[expect(clippy::disallowed_methods, reason = "the one place where time and ids enter the system")]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    fn fresh_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// An id derived from others, the same everywhere: SHA-like, by BLAKE3, in the form of a UUID v8.
///
/// Used where a thing is identified by what it joins: a membership by conversation and user, a direct
/// conversation by its pair, a reaction's command by the event that set it off.
pub fn derived_id(domain: &str, parts: &[&[u8]]) -> Uuid {
    let mut hash = blake3::Hasher::new_derive_key(domain);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes()).update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ids_differ_by_number_and_repeat_for_the_same_context() {
        let cx = SystemClock.context(Actor::System);
        assert_eq!(cx.fresh_id(3), cx.fresh_id(3));
        assert_ne!(cx.fresh_id(3), cx.fresh_id(4));
        assert_eq!(cx.fresh_id(3).get_version_num(), 7);
        assert_eq!(cx.fresh_id(1).as_bytes()[..6], cx.seed.as_bytes()[..6]);
    }

    #[test]
    fn derived_ids_depend_on_domain_and_on_where_parts_end() {
        assert_ne!(derived_id("a", &[b"xy", b"z"]), derived_id("a", &[b"x", b"yz"]));
        assert_ne!(derived_id("a", &[b"x"]), derived_id("b", &[b"x"]));
        assert_eq!(derived_id("a", &[b"x"]), derived_id("a", &[b"x"]));
    }
}
