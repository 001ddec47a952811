//! The view `contacts`: who is on whose list.

pub mod get_user_contacts;

use cqrs_core::{Aggregate as _, CodecError, Incoming, Projection, Schema, Writes, params};

pub use get_user_contacts::{GetUserContacts, GetUserContactsHandler};

use crate::contact::{Contact, ContactEvent};

/// The projection of the view `contacts`.
#[derive(Debug, Clone, Copy)]
pub struct ContactsProjection;

impl Projection for ContactsProjection {
    fn name(&self) -> &'static str {
        "contacts"
    }

    fn sources(&self) -> &'static [&'static str] {
        &["user"]
    }

    fn schema(&self) -> Schema {
        Schema {
            version: 1,
            sqlite: include_str!("../../migrations/sqlite/contacts.sql"),
            postgres: include_str!("../../migrations/postgres/contacts.sql"),
            tables: &["contacts"],
        }
    }

    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        if event.category() != Contact::CATEGORY {
            return Ok(());
        }
        match event.decode()? {
            ContactEvent::Added { owner, contact } => out.run(
                "INSERT INTO {p}contacts (owner, contact) VALUES (?1, ?2) ON CONFLICT (owner, contact) DO NOTHING",
                params![owner, contact],
            ),
            ContactEvent::Removed { owner, contact } => {
                out.run("DELETE FROM {p}contacts WHERE owner = ?1 AND contact = ?2", params![owner, contact]);
            }
        }
        Ok(())
    }
}
