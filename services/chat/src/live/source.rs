//! The sources of a feed, and how far somebody has come in them.

use cqrs_core::{EventSource, Failure, Position, PositionVector, TokenCodec};
use std::sync::Arc;
use uuid::Uuid;

/// Where events of a feed come from. Order is promised within a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Chat's own log.
    Chat,
    /// What the user service makes public.
    User,
    /// What the notification service makes public.
    Notification,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Chat, Self::User, Self::Notification];
    /// Their names, in the same order.
    pub const NAMES: [&'static str; 3] = [crate::NAME, "user.public", "notification.public"];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The source of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }
}

/// A position in each source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places([u64; 3]);

impl Places {
    /// The position in a source.
    pub fn get(&self, source: Source) -> u64 {
        self.0[source as usize]
    }

    /// Moves the position in a source forward, never back.
    pub fn advance(&mut self, source: Source, position: u64) {
        let place = &mut self.0[source as usize];
        *place = position.max(*place);
    }

    /// Moves all positions forward to those of `other`.
    pub fn join(&mut self, other: &Self) {
        for source in Source::ALL {
            self.advance(source, other.get(source));
        }
    }

    /// The same as positions in the services' logs, which views can be waited for with; without those of logs that nothing
    /// has been heard of yet.
    pub(super) fn in_logs(&self, sources: &[Arc<dyn EventSource>]) -> PositionVector {
        let mut vector = PositionVector::default();
        for source in sources {
            let epoch = source.epoch();
            if let Some(known) = Source::named(source.name()).filter(|_| !epoch.is_nil()) {
                let log = source.name().strip_suffix(".public").unwrap_or(source.name());
                vector.advance(log, epoch, Position(self.get(known)));
            }
        }
        vector
    }

    /// Whether no position lies before that of `other`.
    pub fn reach(&self, other: &Self) -> bool {
        Source::ALL.into_iter().all(|source| self.get(source) >= other.get(source))
    }
}

/// Tells the present logs from those that were there before a restore: four bytes of each source, zero as long as its epoch
/// isn't known here. What isn't known on either side is taken to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epochs([[u8; 4]; 3]);

impl Epochs {
    /// Of these sources, as far as they are known at the moment.
    pub(super) fn of(sources: &[Arc<dyn EventSource>]) -> Self {
        Self(Source::NAMES.map(|name| {
            let source = sources.iter().find(|source| source.name() == name);
            let epoch = source.map_or(Uuid::nil(), |source| source.epoch());
            if epoch.is_nil() {
                return [0; 4];
            }
            let derived = cqrs_core::derived_id("parlor feed epoch v1", &[epoch.as_bytes()]);
            let mut tag = [0; 4];
            tag.copy_from_slice(&derived.as_bytes()[12..]);
            tag
        }))
    }

    /// Whether a cursor with these was made of the same logs.
    fn fit(self, made: Self) -> bool {
        self.0
            .into_iter()
            .zip(made.0)
            .all(|(present, made)| present == made || present == [0; 4] || made == [0; 4])
    }
}

/// Makes and reads the cursors of one person's feed: opaque, authenticated, theirs alone.
#[derive(Clone)]
pub(super) struct FeedCursors {
    tokens: TokenCodec,
    purpose: String,
    epochs: Epochs,
}

impl FeedCursors {
    pub(super) fn new(tokens: TokenCodec, user: Uuid, epochs: Epochs) -> Self {
        Self { tokens, purpose: format!("feed:{user}"), epochs }
    }

    pub(super) fn encode(&self, places: &Places) -> String {
        let mut content = Vec::with_capacity(28);
        content.extend_from_slice(self.epochs.0.as_flattened());
        for place in places.0 {
            // LEB128: seven bits a byte, the lowest first.
            let mut rest = place;
            while rest >= 0x80 {
                content.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            content.push(rest as u8);
        }
        self.tokens.encode(&self.purpose, &content)
    }

    /// Where a cursor points to: 422 unless it was made for this person; 410 if a log was restored since.
    pub(super) fn decode(&self, cursor: &str) -> Result<Places, Failure> {
        let bad = || Failure::invalid("cursor", "is not a cursor of this feed");
        let content = self.tokens.decode(&self.purpose, cursor).map_err(|_| bad())?;
        let (made, mut rest) = content.split_first_chunk::<12>().ok_or_else(bad)?;
        let mut epochs = [[0; 4]; 3];
        epochs.as_flattened_mut().copy_from_slice(made);
        if !self.epochs.fit(Epochs(epochs)) {
            return Err(Failure::EpochChanged);
        }
        let mut places = Places::default();
        for place in &mut places.0 {
            let end =
                rest.iter().position(|byte| byte & 0x80 == 0).filter(|end| *end < 10).ok_or_else(bad)?;
            let (digits, after) = rest.split_at(end + 1);
            *place = digits.iter().rev().fold(0, |n, byte| n << 7 | u64::from(byte & 0x7f));
            rest = after;
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors(secret: u8, user: u128, epochs: u8) -> FeedCursors {
        FeedCursors::new(TokenCodec::new(&[secret; 32]), Uuid::from_u128(user), Epochs([[epochs; 4]; 3]))
    }

    #[test]
    fn a_cursor_reads_back_and_is_short() {
        for places in [[0, 0, 0], [127, 128, 1], [1 << 40, 300, u64::MAX]].map(Places) {
            let cursor = cursors(7, 1, 1).encode(&places);
            assert_eq!(cursors(7, 1, 1).decode(&cursor).unwrap(), places);
        }
        assert!(cursors(7, 1, 1).encode(&Places([1_000_000, 10_000, 10_000])).len() < 56);
    }

    #[test]
    fn a_source_that_was_not_known_when_a_cursor_was_made_or_is_not_known_now_stands_in_nobodys_way() {
        let (known, unknown) = (cursors(7, 1, 1), cursors(7, 1, 0));
        let places = Places([1, 2, 3]);
        assert_eq!(unknown.decode(&known.encode(&places)).unwrap(), places);
        assert_eq!(known.decode(&unknown.encode(&places)).unwrap(), places);
    }

    #[test]
    fn a_cursor_of_somebody_else_or_made_elsewhere_is_refused_and_one_of_another_epoch_is_gone() {
        let cursor = cursors(7, 1, 1).encode(&Places([1, 2, 3]));
        let refused = |result| matches!(result, Err(Failure::Refused(_)));
        assert!(refused(cursors(7, 2, 1).decode(&cursor)), "somebody else's");
        assert!(refused(cursors(8, 1, 1).decode(&cursor)), "made elsewhere");
        assert!(refused(cursors(7, 1, 1).decode(&cursor[1..])), "cut");
        assert!(refused(cursors(7, 1, 1).decode("")), "empty");
        assert!(matches!(cursors(7, 1, 2).decode(&cursor), Err(Failure::EpochChanged)));
    }
}
