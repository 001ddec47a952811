//! Mails: what they say ([`messages`]) and how they leave ([`Mailer`]): by SMTP, or as files where none is configured.

mod files;
pub mod messages;
mod outbox;
mod smtp;

use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::email::Email;

pub use files::FileMailer;
pub use outbox::{Outbox, OutboxWorker};
pub use smtp::{InvalidSmtpSettings, SmtpMailer, SmtpSettings, Tls};

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

/// Why there is nothing that takes mails.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// The mail server's settings.
    #[error("mail.smtp: {0}")]
    Settings(#[from] InvalidSmtpSettings),
    /// The folder couldn't be made.
    #[error("the folder for mails: {0}")]
    Folder(#[from] io::Error),
}

/// The mail server, where one is configured; otherwise files in `folder`, from nobody that could be answered.
pub fn mailer(smtp: Option<&SmtpSettings>, folder: &Path) -> Result<Arc<dyn Mailer>, MailerError> {
    Ok(match smtp {
        Some(settings) => Arc::new(SmtpMailer::new(settings)?),
        None => Arc::new(FileMailer::new(folder, "Parlor <parlor@localhost>")?),
    })
}
