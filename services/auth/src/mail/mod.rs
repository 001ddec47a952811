//! Mails: what they say ([`messages`]) and how they leave ([`Mailer`]): by SMTP, or as files where none is configured.

mod files;
pub mod messages;
mod outbox;
mod smtp;

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::email::Email;

pub use files::FileMailer;
pub use outbox::{Outbox, OutboxWorker};
pub use smtp::{SmtpMailer, SmtpSettings, Tls};

/// A mail to one person. Its text may hold a token, so it never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its own id.
    pub id: Uuid,
    /// When it was written.
    pub at: Timestamp,
    /// To whom.
    pub to: Email,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("id", &self.id).field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// A mail that didn't leave. Says why, and nothing of the mail.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Trying again may help.
    #[error("the mail couldn't be delivered: {0}")]
    Temporary(String),
    /// It won't.
    #[error("the mail was refused: {0}")]
    Permanent(String),
}

/// Whatever takes mails.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Hands one mail over; done when it's safe with the mail server, or on the disk.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}
