//! Mails as files, for instances that have no mail server: the operator, or a test, reads them.

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::{fs, io};

use async_trait::async_trait;

use super::{Mail, MailError, Mailer};

/// Writes each mail into a file of its own, `<time>-<id>.eml`, which nobody else on the machine may read.
#[derive(Debug, Clone)]
pub struct FileMailer {
    folder: PathBuf,
    from: String,
}

impl FileMailer {
    /// Into this folder, which is made (mode 0700) if it isn't there.
    pub fn new(folder: impl Into<PathBuf>, from: impl Into<String>) -> io::Result<Self> {
        let folder = folder.into();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self { folder, from: from.into() })
    }

    fn render(&self, mail: &Mail) -> String {
        let date = mail.at.strftime("%a, %d %b %Y %H:%M:%S +0000");
        format!(
            "From: {}\r\nTo: {}\r\nSubject: {}\r\nDate: {date}\r\nMessage-ID: <{}@parlor>\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}",
            self.from,
            mail.to.as_str(),
            mail.subject,
            mail.id,
            mail.text.replace('\n', "\r\n"),
        )
    }
}

#[async_trait]
impl Mailer for FileMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let path = self.folder.join(format!("{}-{}.eml", mail.at.strftime("%Y%m%dT%H%M%S%3fZ"), mail.id));
        let text = self.render(mail);
        tokio::task::spawn_blocking(move || write(&path, &text))
            .await
            .map_err(|error| MailError::Temporary(error.to_string()))?
            .map_err(|error| MailError::Temporary(error.to_string()))
    }
}

/// Renamed into place, so that whoever watches the folder sees whole mails only.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("part");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::email::Email;

    #[tokio::test]
    async fn a_mail_is_a_file_that_only_its_owner_may_read() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("mail");
        let mailer = FileMailer::new(&folder, "Parlor <parlor@localhost>").unwrap();
        let mail = Mail {
            id: Uuid::from_u128(1),
            at: Timestamp::from_second(1_800_000_000).unwrap(),
            to: Email::parse("zoë@example.org").unwrap(),
            subject: "Choose a new password".to_owned(),
            text: "A very long link:\nhttps://chat.example.org/reset#token=prp_abc\n".to_owned(),
        };
        mailer.send(&mail).await.unwrap();
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        assert_eq!(
            files[0].file_name().unwrap(),
            "20270115T080000000Z-00000000-0000-0000-0000-000000000001.eml"
        );
        assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        let text = fs::read_to_string(&files[0]).unwrap();
        assert!(text.contains("To: zoë@example.org\r\nSubject: Choose a new password\r\n"));
        assert!(
            text.contains("\r\n\r\nA very long link:\r\nhttps://chat.example.org/reset#token=prp_abc\r\n")
        );
    }
}
