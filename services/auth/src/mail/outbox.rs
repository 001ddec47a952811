//! Mails leave after the answer: a slow mail server delays nobody, and the time of an answer doesn't tell whether one was
//! written.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Mail, MailError, Mailer};

/// Mails that may wait for a slow server; any more are dropped, and the log says so.
const WAITING: usize = 10_000;
/// How often one is tried.
const TRIES: u32 = 6;

/// Where mails are handed in.
#[derive(Debug, Clone)]
pub struct Outbox {
    queue: mpsc::Sender<Mail>,
}

/// Takes them out and sends them, one at a time.
pub struct OutboxWorker {
    queue: mpsc::Receiver<Mail>,
    mailer: Arc<dyn Mailer>,
    first_pause: Duration,
}

impl Outbox {
    /// An outbox and what empties it; the caller runs [`OutboxWorker::run`] as a task.
    pub fn new(mailer: Arc<dyn Mailer>) -> (Self, OutboxWorker) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (
            Self { queue: sender },
            OutboxWorker { queue: receiver, mailer, first_pause: Duration::from_secs(1) },
        )
    }

    /// Hands a mail in, without waiting.
    pub fn post(&self, mail: Mail) {
        if let Err(error) = self.queue.try_send(mail) {
            let (mpsc::error::TrySendError::Full(mail) | mpsc::error::TrySendError::Closed(mail)) = error;
            tracing::error!(mail = %mail.id, subject = mail.subject, "mail dropped: too many are waiting to be sent");
        }
    }
}

impl OutboxWorker {
    /// Sends what comes until every [`Outbox`] is gone and all that was handed in has been sent or given up.
    pub async fn run(mut self) {
        while let Some(mail) = self.queue.recv().await {
            self.deliver(&mail).await;
        }
    }

    async fn deliver(&self, mail: &Mail) {
        let mut pause = self.first_pause;
        for tried in 1..=TRIES {
            match self.mailer.send(mail).await {
                Ok(()) => return tracing::info!(mail = %mail.id, subject = mail.subject, "mail sent"),
                Err(MailError::Temporary(why)) if tried < TRIES => {
                    tracing::warn!(mail = %mail.id, tried, why, "mail not sent, tried again later");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => return tracing::error!(mail = %mail.id, %error, "mail given up"),
            }
        }
    }
}

impl std::fmt::Debug for OutboxWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboxWorker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use jiff::Timestamp;
    use parking_lot::Mutex;
    use uuid::Uuid;

    use super::*;
    use crate::email::Email;

    /// Fails as often as it is told to, then takes mails.
    struct Moody {
        failures: Mutex<Vec<MailError>>,
        taken: Mutex<Vec<Uuid>>,
    }

    #[async_trait]
    impl Mailer for Moody {
        async fn send(&self, mail: &Mail) -> Result<(), MailError> {
            if let Some(error) = self.failures.lock().pop() {
                return Err(error);
            }
            self.taken.lock().push(mail.id);
            Ok(())
        }
    }

    fn mail(n: u128) -> Mail {
        Mail {
            id: Uuid::from_u128(n),
            at: Timestamp::UNIX_EPOCH,
            to: Email::parse("ann@example.org").unwrap(),
            subject: "Hello".to_owned(),
            text: "prp_secret".to_owned(),
        }
    }

    async fn sent(failures: Vec<MailError>) -> Vec<Uuid> {
        let mailer = Arc::new(Moody { failures: Mutex::new(failures), taken: Mutex::default() });
        let (outbox, mut worker) = Outbox::new(mailer.clone());
        worker.first_pause = Duration::ZERO;
        outbox.post(mail(1));
        outbox.post(mail(2));
        drop(outbox);
        worker.run().await;
        mailer.taken.lock().split_off(0)
    }

    fn temporary() -> MailError {
        MailError::Temporary("busy".to_owned())
    }

    #[tokio::test]
    async fn a_mail_that_fails_for_now_is_tried_again_in_order() {
        assert_eq!(sent(vec![temporary(), temporary()]).await, [Uuid::from_u128(1), Uuid::from_u128(2)]);
    }

    #[tokio::test]
    async fn a_mail_that_never_leaves_does_not_hold_up_the_next() {
        let never = (0..TRIES).map(|_| temporary()).collect();
        assert_eq!(sent(never).await, [Uuid::from_u128(2)]);
        assert_eq!(sent(vec![MailError::Permanent("no".to_owned())]).await, [Uuid::from_u128(2)]);
    }

    #[test]
    fn security_35_a_mail_does_not_show_its_text_or_its_reader() {
        let shown = format!("{:?}", mail(1));
        assert!(!shown.contains("prp_secret") && !shown.contains("ann@"), "{shown}");
    }
}
