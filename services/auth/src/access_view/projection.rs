//! Keeps the view `access`.

use cqrs_core::{Aggregate as _, CodecError, Incoming, Personal, Projection, Schema, Writes, params};
use uuid::Uuid;

use super::{AccountRow, ProfileState, SessionRow};
use crate::account::{Account, AccountEvent};
use crate::session::{Session, SessionEvent};
use crate::tokens::access::Role;

/// Accounts and their sessions.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccessProjection;

impl Projection for AccessProjection {
    fn name(&self) -> &'static str {
        super::NAME
    }

    fn sources(&self) -> &'static [&'static str] {
        &[crate::NAME]
    }

    fn schema(&self) -> Schema {
        Schema {
            version: 2,
            sqlite: include_str!("../../migrations/sqlite/access.sql"),
            postgres: include_str!("../../migrations/postgres/access.sql"),
            tables: &["accounts", "sessions"],
        }
    }

    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        let id = event.meta.stream;
        if event.category() == Account::CATEGORY {
            of_account(id, event, event.decode()?, out);
        } else if event.category() == Session::CATEGORY
            && let SessionEvent::Refreshed { .. } = event.decode()?
        {
            out.run("UPDATE {p}sessions SET last_used_at = ?2 WHERE id = ?1", params![id, event.meta.at]);
        }
        Ok(())
    }
}

fn of_account(id: Uuid, event: &Incoming<'_>, what: AccountEvent, out: &mut Writes) {
    let at = event.meta.at;
    match what {
        AccountEvent::Registered { email, .. } => out.save(&AccountRow {
            id,
            email: email.into_inner(),
            email_verified: false,
            admin: false,
            created_at: at,
            password_changed_at: Some(at),
            profile: ProfileState::Pending,
            profile_refusal: None,
        }),
        AccountEvent::Admitted {} => out.save(&AccountRow {
            id,
            email: None,
            email_verified: false,
            admin: false,
            created_at: at,
            password_changed_at: None,
            profile: ProfileState::Ready,
            profile_refusal: None,
        }),
        AccountEvent::ProfileMade {} => {
            out.run(
                "UPDATE {p}accounts SET profile = ?2 WHERE id = ?1",
                params![id, ProfileState::Ready.as_str()],
            );
        }
        AccountEvent::ProfileRefused { reason } => out.run(
            "UPDATE {p}accounts SET profile = ?2, profile_refusal = ?3 WHERE id = ?1",
            params![id, ProfileState::Refused.as_str(), reason.0],
        ),
        AccountEvent::SessionStarted { session, device, address, expires_at, .. } => out.save(&SessionRow {
            id: session,
            account: id,
            device: device.and_then(Personal::into_inner),
            address: address.and_then(Personal::into_inner),
            started_at: at,
            last_used_at: at,
            expires_at,
        }),
        AccountEvent::SessionEnded { session, .. } => out.delete::<SessionRow>(session),
        AccountEvent::PasswordChanged { .. } => {
            out.run("UPDATE {p}accounts SET password_changed_at = ?2 WHERE id = ?1", params![id, at]);
        }
        AccountEvent::EmailVerified {} => {
            out.run("UPDATE {p}accounts SET email_verified = ?2 WHERE id = ?1", params![id, true]);
        }
        AccountEvent::EmailChanged { email } => out.run(
            "UPDATE {p}accounts SET email = ?2, email_verified = ?3 WHERE id = ?1",
            params![id, email.into_inner(), true],
        ),
        AccountEvent::RoleGranted { role } => set_role(id, role, true, out),
        AccountEvent::RoleRevoked { role } => set_role(id, role, false, out),
        AccountEvent::Deleted {} => out.delete::<AccountRow>(id),
        AccountEvent::Renamed { .. }
        | AccountEvent::PasswordResetRequested { .. }
        | AccountEvent::PasswordRehashed { .. }
        | AccountEvent::EmailVerificationRequested { .. }
        | AccountEvent::Disabled {}
        | AccountEvent::Enabled {} => {}
    }
}

fn set_role(id: Uuid, role: Role, held: bool, out: &mut Writes) {
    match role {
        Role::Admin => out.run("UPDATE {p}accounts SET admin = ?2 WHERE id = ?1", params![id, held]),
        // Applications have keys, not accounts.
        Role::Service => {}
    }
}
