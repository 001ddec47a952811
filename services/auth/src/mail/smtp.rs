//! Mails by SMTP.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls as LettreTls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{Mail, MailError, Mailer};

/// A mail server that doesn't answer within this is tried again later.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Which mail server, and as whom.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpSettings {
    /// Its host name; the certificate must be for it.
    pub host: String,
    /// Its port; by default 465 for [`Tls::Implicit`], 587 for [`Tls::Starttls`], 25 for [`Tls::None`].
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: Tls,
    /// The account on it, if it wants one.
    pub user: Option<String>,
    /// The account's password.
    pub password: Option<SecretString>,
    /// Who the mails are from: `Parlor <parlor@example.org>`.
    pub from: String,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// From the first byte (RFC 8314 recommends it).
    #[default]
    Implicit,
    /// After a plain greeting; refused if the server doesn't offer it.
    Starttls,
    /// Not at all: for a relay on the same machine. No password is ever sent over it.
    None,
}

/// The settings name no mail server that can be written to.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSmtpSettings {
    /// `from` isn't an address.
    #[error("`from` isn't an e-mail address such as `Parlor <parlor@example.org>`")]
    From,
    /// A user without a password, or the other way round.
    #[error("`user` and `password` belong together")]
    Credentials,
    /// A password over a connection that everyone can read.
    #[error("a password isn't sent over an unprotected connection; set `tls` to `implicit` or `starttls`")]
    Unprotected,
    /// The host can't be checked against a certificate.
    #[error("`host` isn't a host name: {0}")]
    Host(lettre::transport::smtp::Error),
}

/// Hands mails to a mail server.
#[derive(Debug)]
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl SmtpMailer {
    /// With these settings; connects when the first mail leaves.
    pub fn new(settings: &SmtpSettings) -> Result<Self, InvalidSmtpSettings> {
        let from = settings.from.parse().map_err(|_| InvalidSmtpSettings::From)?;
        let parameters = || TlsParameters::new(settings.host.clone()).map_err(InvalidSmtpSettings::Host);
        let (tls, port) = match settings.tls {
            Tls::Implicit => (LettreTls::Wrapper(parameters()?), 465),
            Tls::Starttls => (LettreTls::Required(parameters()?), 587),
            Tls::None => (LettreTls::None, 25),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port.unwrap_or(port))
            .tls(tls)
            .timeout(Some(TIMEOUT));
        match (&settings.user, &settings.password) {
            (Some(_), Some(_)) if settings.tls == Tls::None => return Err(InvalidSmtpSettings::Unprotected),
            (Some(user), Some(password)) => {
                builder =
                    builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
            }
            (None, None) => {}
            _ => return Err(InvalidSmtpSettings::Credentials),
        }
        Ok(Self { transport: builder.build(), from })
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let address =
            mail.to.as_str().parse().map_err(|_| MailError::Permanent("no such address".to_owned()))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, address))
            .subject(&mail.subject)
            .date(mail.at.into())
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            .map_err(|error| MailError::Permanent(error.to_string()))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(MailError::Permanent(error.to_string())),
            Err(error) => Err(MailError::Temporary(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;
    use uuid::Uuid;

    use super::*;
    use crate::email::Email;

    fn settings(port: u16) -> SmtpSettings {
        SmtpSettings {
            host: "127.0.0.1".to_owned(),
            port: Some(port),
            tls: Tls::None,
            user: None,
            password: None,
            from: "Parlor <parlor@example.org>".to_owned(),
        }
    }

    fn mail() -> Mail {
        Mail {
            id: Uuid::from_u128(1),
            at: Timestamp::from_second(1_800_000_000).unwrap(),
            to: Email::parse("ann@example.org").unwrap(),
            subject: "Hello".to_owned(),
            text: "One line.\n".to_owned(),
        }
    }

    /// As much of a mail server as one mail needs; gives what it was told. `answer` is said to the recipient.
    async fn mail_server(listener: TcpListener, answer: &'static str) -> String {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut heard = String::new();
        let mut in_message = false;
        write.write_all(b"220 test\r\n").await.unwrap();
        while let Ok(Some(line)) = lines.next_line().await {
            heard += &line;
            heard += "\n";
            let reply = match line.as_str() {
                "." => {
                    in_message = false;
                    "250 taken"
                }
                _ if in_message => continue,
                "DATA" => {
                    in_message = true;
                    "354 go on"
                }
                "QUIT" => break,
                line if line.starts_with("RCPT") => answer,
                _ => "250 ok",
            };
            write.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
        }
        heard
    }

    #[tokio::test]
    async fn a_mail_reaches_the_mail_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mailer = SmtpMailer::new(&settings(listener.local_addr().unwrap().port())).unwrap();
        let server = tokio::spawn(mail_server(listener, "250 ok"));
        mailer.send(&mail()).await.unwrap();
        drop(mailer);
        let heard = server.await.unwrap();
        for expected in
            ["MAIL FROM:<parlor@example.org>", "RCPT TO:<ann@example.org>", "Subject: Hello", "One line."]
        {
            assert!(heard.contains(expected), "{expected} in {heard}");
        }
    }

    #[tokio::test]
    async fn a_recipient_that_the_server_refuses_is_not_tried_again_and_one_it_puts_off_is() {
        for (answer, permanent) in [("550 no such person", true), ("450 later", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mailer = SmtpMailer::new(&settings(listener.local_addr().unwrap().port())).unwrap();
            let server = tokio::spawn(mail_server(listener, answer));
            let error = mailer.send(&mail()).await.unwrap_err();
            assert_eq!(matches!(error, MailError::Permanent(_)), permanent, "{error}");
            drop(mailer);
            server.await.unwrap();
        }
    }

    #[test]
    fn settings_that_would_send_a_password_in_the_clear_are_refused() {
        let credentials = |tls| SmtpSettings {
            user: Some("parlor".to_owned()),
            password: Some("secret".to_owned().into()),
            tls,
            ..settings(25)
        };
        assert!(matches!(SmtpMailer::new(&credentials(Tls::None)), Err(InvalidSmtpSettings::Unprotected)));
        assert!(SmtpMailer::new(&credentials(Tls::Starttls)).is_ok());
        let half = SmtpSettings { user: None, ..credentials(Tls::Implicit) };
        assert!(matches!(SmtpMailer::new(&half), Err(InvalidSmtpSettings::Credentials)));
        let nobody = SmtpSettings { from: "nobody".to_owned(), ..settings(25) };
        assert!(matches!(SmtpMailer::new(&nobody), Err(InvalidSmtpSettings::From)));
        assert!(!format!("{:?}", credentials(Tls::Implicit)).contains("secret"));
    }
}
