//! Keeps who is there up to date, and tells those who may know.

use std::sync::{Arc, Weak};
use std::time::Duration;

use cqrs_core::StoreError;
use parlor_contracts::user::Availability;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::super::Inner;
use super::super::event::LiveEvent;
use super::super::note::{Note, Word};
use super::{KNOWN, Telling, frame};

/// How many users one note names.
const NAMED: usize = 2_000;
/// How often it is stored who is there, so that a process that is killed knows it of its people this well.
const STORED: Duration = Duration::from_mins(5);

/// Runs as long as live delivery is there.
pub(in super::super) async fn keep(live: Weak<Inner>, heard: broadcast::Receiver<Arc<[u8]>>) {
    if let Some(live) = live.upgrade() {
        live.tell(Word::Who);
    }
    tokio::join!(hear(live.clone(), heard), look(live));
}

/// Hears what the other processes say.
async fn hear(live: Weak<Inner>, mut heard: broadcast::Receiver<Arc<[u8]>>) {
    loop {
        let note = match heard.recv().await {
            Ok(note) => note,
            // What matters is said again.
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let Some(live) = live.upgrade() else { return };
        let Some(Note { process, word }) = Note::from_bytes(&note) else { continue };
        if process == live.presence.process {
            continue;
        }
        match word {
            Word::Here { users } => live.presence.hear_of(process, &users, Instant::now()),
            Word::Gone { user } => live.presence.hear_of_leaving(process, user, Instant::now()),
            Word::Who => live.say_who_is_here(),
            Word::Typing { conversation, user } => live.show_typing(conversation, user),
        }
    }
}

/// Looks at those of whom something may have changed.
async fn look(live: Weak<Inner>) {
    // Between two turns nothing but this is kept alive.
    let Some(presence) = live.upgrade().map(|live| live.presence.clone()) else { return };
    let every = presence.rhythm.again;
    let (mut again, mut stored) = (Instant::now() + every, Instant::now() + STORED);
    loop {
        {
            let Some(live) = live.upgrade() else { return };
            let now = Instant::now();
            if again <= now {
                again = now + every;
                presence.expire(now);
                live.say_who_is_here();
                live.typing_rates.sweep();
                live.tickets.rates.sweep();
            }
            if stored <= now {
                stored = now + STORED;
                if let Err(error) = live.last_seen.touch(&presence.seen_here(), live.clock.now()).await {
                    tracing::warn!(%error, "when people were last seen isn't stored");
                }
            }
            for user in presence.take_due(now) {
                if let Err(error) = live.look_at(user).await {
                    tracing::warn!(%error, "who is there isn't known at the moment");
                    presence.look_at(user, Instant::now() + every);
                }
            }
        }
        let until = presence.next_due().map_or(again, |due| due.min(again));
        tokio::select! {
            () = presence.woken.notified() => {}
            () = sleep_until(until) => {}
        }
    }
}

impl Inner {
    pub(in super::super) fn tell(&self, word: Word) {
        self.broadcast.tell(Note { process: self.presence.process, word }.to_bytes());
    }

    fn say_who_is_here(&self) {
        for users in self.presence.here().chunks(NAMED) {
            self.tell(Word::Here { users: users.to_vec() });
        }
    }

    /// Looks how somebody is, and tells of it if that has changed.
    async fn look_at(&self, user: Uuid) -> Result<(), StoreError> {
        let here = self.hub.is_connected(user);
        let status = if here || self.presence.is_elsewhere(user) {
            // Who never said anything is simply there.
            self.feed.availability(user).await?.unwrap_or(Availability::Online)
        } else {
            Availability::Offline
        };
        if self.presence.of(user) != status {
            let (at, audience) = (self.clock.now(), self.acquainted_here(user, here).await?);
            if status == Availability::Offline {
                self.last_seen.touch(&[user], at).await?;
            }
            self.presence.note(user, status);
            if let Some(event) = frame(user, status, Some(at), at) {
                self.hub.show(&event.into(), &audience);
            }
        }
        match self.presence.note_here(user, here) {
            Telling::Nothing => {}
            Telling::Here => self.tell(Word::Here { users: vec![user] }),
            Telling::Gone => self.tell(Word::Gone { user }),
        }
        Ok(())
    }

    /// Frames of those who are there, as far as `viewer` may know it.
    pub(in super::super) async fn those_present(
        &self,
        viewer: Uuid,
    ) -> Result<Vec<Arc<LiveEvent>>, StoreError> {
        if !self.presence.is_anybody() {
            return Ok(Vec::new());
        }
        let (acquainted, at) = (self.feed.acquainted(viewer, KNOWN).await?, self.clock.now());
        let present = acquainted.into_iter().filter_map(|user| {
            let status = self.presence.of(user);
            (status != Availability::Offline).then(|| frame(user, status, None, at)).flatten()
        });
        Ok(present.map(Arc::new).collect())
    }

    /// Those connected to this process who may know how somebody is.
    async fn acquainted_here(&self, user: Uuid, here: bool) -> Result<Vec<Uuid>, StoreError> {
        if self.hub.is_idle() {
            return Ok(Vec::new());
        }
        let conversations = match self.hub.conversations_of(user) {
            Some(conversations) if here => conversations,
            _ => self.feed.conversations_of(user).await?,
        };
        let contacts = self.feed.contacts_of(user).await?;
        Ok(self.hub.those_with(user, &contacts, &conversations))
    }
}
