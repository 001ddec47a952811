//! Keeps the view [`admission`](super).

use cqrs_core::{CodecError, Incoming, Projection, Schema, Writes, params};
use jiff::Timestamp;
use parlor_contracts::auth::AuthEvent;

use super::rows::{EndedRow, KeyRow, ServiceRow};
use crate::tokens::access::MAX_LIFETIME;

/// The events that say something of who is let in. Nothing in them is personal, and the others aren't even decoded.
const CONCERNING: [&str; 5] = [
    "user-logged-out.v1",
    "signing-key-added.v1",
    "signing-key-retired.v1",
    "service-key-created.v1",
    "service-key-revoked.v1",
];

/// Whether an event of this name says something of who is let in.
pub(super) fn concerns(name: &str) -> bool {
    CONCERNING.contains(&name)
}

/// Who is let in, from auth's public events.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdmissionProjection;

impl Projection for AdmissionProjection {
    fn name(&self) -> &'static str {
        super::NAME
    }

    fn sources(&self) -> &'static [&'static str] {
        &[super::SOURCE]
    }

    fn schema(&self) -> Schema {
        Schema {
            version: 1,
            sqlite: include_str!("../../migrations/sqlite/admission.sql"),
            postgres: include_str!("../../migrations/postgres/admission.sql"),
            tables: &["admission_keys", "admission_ended", "admission_services"],
        }
    }

    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        if !concerns(&event.meta.name) {
            return Ok(());
        }
        let at = event.meta.at;
        match event.decode()? {
            AuthEvent::UserLoggedOut { session_id, .. } => {
                // By the events' own time, so that the view is the same however often it is made.
                out.run("DELETE FROM {p}admission_ended WHERE until <= ?1", params![at]);
                let until = at.saturating_add(MAX_LIFETIME).unwrap_or(Timestamp::MAX);
                out.save(&EndedRow { session: session_id, ended_at: at, until });
            }
            AuthEvent::SigningKeyAdded { kid, x } => out.save(&KeyRow { kid: kid.0, x: x.0 }),
            AuthEvent::SigningKeyRetired { kid } => out.delete::<KeyRow>(kid.0),
            AuthEvent::ServiceKeyCreated { key_id, name, hash } => {
                out.save(&ServiceRow { id: key_id, name: name.0, hash: hash.0, revoked: false });
            }
            AuthEvent::ServiceKeyRevoked { key_id } => {
                out.run("UPDATE {p}admission_services SET revoked = ?2 WHERE id = ?1", params![key_id, true]);
            }
            AuthEvent::UserRegistered { .. }
            | AuthEvent::UserLoggedIn { .. }
            | AuthEvent::PasswordResetRequested { .. }
            | AuthEvent::PasswordChanged { .. }
            | AuthEvent::EmailChanged { .. } => {}
        }
        Ok(())
    }
}
