//! Keeps the view `users`.
//!
//! It follows auth's public events besides its own log: whoever has registered is shown from the very position at which
//! auth said so, a moment before the profile is made of it. What the user's own log says always counts more.

use cqrs_core::{Aggregate as _, CodecError, Incoming, Personal, Projection, Schema, Value, Writes, params};
use parlor_contracts::auth::AuthEvent;
use parlor_contracts::user::Availability;
use parlor_text::fold;

use crate::status::{StatusEvent, UserStatus};
use crate::user::{User, UserEvent};
use crate::values::{DisplayName, normalise_email};

/// The projection of the view `users`.
#[derive(Debug, Clone, Copy)]
pub struct UsersProjection;

impl Projection for UsersProjection {
    fn name(&self) -> &'static str {
        "users"
    }

    fn sources(&self) -> &'static [&'static str] {
        &["user", "auth.public"]
    }

    fn schema(&self) -> Schema {
        Schema {
            version: 2,
            sqlite: include_str!("../../migrations/sqlite/users.sql"),
            postgres: include_str!("../../migrations/postgres/users.sql"),
            tables: &["users"],
        }
    }

    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        match event.category() {
            User::CATEGORY => user_changed(event, &event.decode()?, out),
            UserStatus::CATEGORY => status_changed(event, &event.decode()?, out),
            cqrs_core::PUBLIC if event.source == "auth.public" => {
                if let AuthEvent::UserRegistered { user_id, display_name, email } = event.decode()? {
                    let name = DisplayName::nearest(display_name.text());
                    insert(event, user_id.into(), 0, name.as_str(), email.get(), out);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Puts somebody in who isn't there yet.
fn insert(
    event: &Incoming<'_>,
    id: Value,
    version: u64,
    name: &str,
    email: Option<&String>,
    out: &mut Writes,
) {
    out.run(
        "INSERT INTO {p}users (id, version, state, display_name, folded_name, email, email_key, status, created_at)
         VALUES (?1, ?2, 'active', ?3, ?4, ?5, ?6, 'offline', ?7)
         ON CONFLICT (id) DO NOTHING",
        params![
            id,
            version,
            name,
            fold(name),
            email.cloned(),
            email.map(|email| normalise_email(email)),
            event.meta.at
        ],
    );
}

fn user_changed(event: &Incoming<'_>, change: &UserEvent, out: &mut Writes) {
    let (id, version) = (event.meta.stream, event.meta.version);
    match change {
        UserEvent::Created { display_name, email, external_id, bio, avatar_url } => {
            let email = email.as_ref().and_then(Personal::get);
            insert(event, id.into(), version, display_name.text(), email, out);
            // What auth said before is overruled, in whatever order the two were heard of.
            out.run(
                "UPDATE {p}users SET version = ?2, display_name = ?3, folded_name = ?4, email = ?5, email_key = ?6,
                   external_id = ?7, bio = ?8, avatar_url = ?9, created_at = ?10 WHERE id = ?1",
                params![
                    id,
                    version,
                    display_name.text(),
                    fold(display_name.text()),
                    email.cloned(),
                    email.map(|email| normalise_email(email)),
                    value_of(external_id.as_ref()),
                    value_of(bio.as_ref()),
                    value_of(avatar_url.as_ref()),
                    event.meta.at
                ],
            );
        }
        // What auth said is undone, in whatever order the two were heard of: nobody is there.
        UserEvent::ProfileRefused { .. } => {
            insert(event, id.into(), version, "", None, out);
            out.run(
                "UPDATE {p}users SET version = ?2, state = 'deleted', display_name = '', folded_name = '', email = NULL,
                   email_key = NULL WHERE id = ?1",
                params![id, version],
            );
        }
        UserEvent::ProfileUpdated { display_name, bio, avatar_url } => out.run(
            "UPDATE {p}users SET version = ?2, display_name = ?3, folded_name = ?4, bio = ?5, avatar_url = ?6
             WHERE id = ?1",
            params![
                id,
                version,
                display_name.text(),
                fold(display_name.text()),
                value_of(bio.as_ref()),
                value_of(avatar_url.as_ref())
            ],
        ),
        UserEvent::EmailChanged { email } => out.run(
            "UPDATE {p}users SET version = ?2, email = ?3, email_key = ?4 WHERE id = ?1",
            params![id, version, value_of(Some(email)), email.get().map(|email| normalise_email(email))],
        ),
        UserEvent::Disabled {} => {
            out.run("UPDATE {p}users SET version = ?2, state = 'disabled' WHERE id = ?1", params![id, version]);
        }
        UserEvent::Enabled {} => {
            out.run("UPDATE {p}users SET version = ?2, state = 'active' WHERE id = ?1", params![id, version]);
        }
        // The name stays, for their messages stay; the rest goes.
        UserEvent::Deleted {} => out.run(
            "UPDATE {p}users SET version = ?2, state = 'deleted', bio = NULL, avatar_url = NULL, email = NULL,
               email_key = NULL, external_id = NULL, status = 'offline', status_text = NULL WHERE id = ?1",
            params![id, version],
        ),
    }
}

fn status_changed(event: &Incoming<'_>, change: &StatusEvent, out: &mut Writes) {
    let StatusEvent::Changed { status, text } = change;
    out.run(
        "UPDATE {p}users SET status = ?2, status_text = ?3 WHERE id = ?1",
        params![event.meta.stream, stored(*status), value_of(text.as_ref())],
    );
}

/// How an availability lies in the table.
pub(super) fn stored(status: Availability) -> &'static str {
    match status {
        Availability::Online => "online",
        Availability::Away => "away",
        Availability::Busy => "busy",
        Availability::Offline => "offline",
    }
}

fn value_of(text: Option<&Personal<String>>) -> Option<String> {
    text.and_then(Personal::get).cloned()
}
