//! An account: how somebody proves who they are, which sessions they have, and what they may do.
//!
//! Its id is the user's. A session is live while it stands here: whatever ends sessions (logout, a reset, the disabling of
//! the account) is one event in this stream, and a refresh, which relies on it, can't slip through at the same time.

mod event;

use std::collections::{BTreeMap, BTreeSet};

use cqrs_core::{Aggregate, Personal, Plain};
use jiff::Timestamp;
use uuid::Uuid;

use crate::email::Email;
use crate::password::PasswordHash;
use crate::tokens::access::Role;
use crate::tokens::one_time::TokenHash;

pub use event::{AccountEvent, EndReason, SignInMethod};

/// The most sessions somebody has at once; the next one ends the oldest.
pub const MAX_SESSIONS: usize = 100;
/// Devices that are remembered, to tell a sign-in from a new one.
const MAX_DEVICES: usize = 20;

/// A live session, as its account knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveSession {
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Whether the user service has made a profile of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Profile {
    /// Not yet: it follows registration within moments, or once that service is up again.
    #[default]
    Pending,
    /// It is there.
    Ready,
    /// It can't, for good; with the code of its refusal.
    Refused(String),
}

/// A link that was sent and not used.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingLink {
    token: TokenHash,
    expires_at: Timestamp,
}

impl PendingLink {
    fn new(token: &Plain<String>, expires_at: Timestamp) -> Self {
        Self { token: TokenHash::from(token.0.clone()), expires_at }
    }

    /// Whether this is its token (compared in constant time) and it still works.
    pub fn is_opened_by(&self, token: TokenHash, now: Timestamp) -> bool {
        self.token == token && now < self.expires_at
    }
}

/// The present state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// Their address; none for users that an application signs in.
    pub email: Option<Email>,
    /// Whether the address was shown to be theirs.
    pub email_verified: bool,
    /// What they call themselves: no password of theirs.
    pub display_name: Option<String>,
    /// Their password.
    pub password: Option<PasswordHash>,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// Live sessions, the expired ones included until somebody notices.
    pub sessions: BTreeMap<Uuid, LiveSession>,
    /// The link for a new password.
    pub reset: Option<PendingLink>,
    /// The link that shows an address to be theirs, and the address.
    pub verification: Option<(PendingLink, Email)>,
    /// Whether there is a profile.
    pub profile: Profile,
    /// Kept out.
    pub disabled: bool,
    /// Given up.
    pub deleted: bool,
    devices: Vec<String>,
}

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    type Event = AccountEvent;

    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Registered { email, display_name, password_hash } => {
                self.email = address(email);
                self.display_name = display_name.get().cloned();
                self.password = hash(password_hash);
            }
            AccountEvent::Admitted {} | AccountEvent::ProfileMade {} => self.profile = Profile::Ready,
            AccountEvent::ProfileRefused { reason } => self.profile = Profile::Refused(reason.0.clone()),
            AccountEvent::Renamed { display_name } => self.display_name = display_name.get().cloned(),
            AccountEvent::SessionStarted { session, device, expires_at, .. } => {
                self.sessions.insert(*session, LiveSession { expires_at: *expires_at });
                let device = device.as_ref().map_or("", |device| device.text());
                self.devices.retain(|known| known != device);
                self.devices.push(device.to_owned());
                if self.devices.len() > MAX_DEVICES {
                    self.devices.remove(0);
                }
            }
            AccountEvent::SessionEnded { session, .. } => {
                self.sessions.remove(session);
            }
            AccountEvent::PasswordResetRequested { token, expires_at } => {
                self.reset = Some(PendingLink::new(token, *expires_at));
            }
            AccountEvent::PasswordChanged { password_hash } => {
                self.password = hash(password_hash);
                self.reset = None;
            }
            AccountEvent::PasswordRehashed { password_hash } => self.password = hash(password_hash),
            AccountEvent::EmailVerificationRequested { email, token, expires_at } => {
                self.verification = address(email).map(|email| (PendingLink::new(token, *expires_at), email));
            }
            AccountEvent::EmailVerified {} => {
                self.email_verified = true;
                self.verification = None;
            }
            AccountEvent::EmailChanged { email } => {
                self.email = address(email);
                self.email_verified = true;
                self.verification = None;
                // A link in the old mailbox must not open the account any more.
                self.reset = None;
            }
            AccountEvent::RoleGranted { role } => {
                self.roles.insert(*role);
            }
            AccountEvent::RoleRevoked { role } => {
                self.roles.remove(role);
            }
            AccountEvent::Disabled {} => self.disabled = true,
            AccountEvent::Enabled {} => self.disabled = false,
            AccountEvent::Deleted {} => {
                self.deleted = true;
                self.password = None;
                self.reset = None;
                self.verification = None;
                self.roles.clear();
            }
        }
    }

    fn weight(&self) -> usize {
        size_of::<Self>()
            + self.sessions.len() * 64
            + self.devices.iter().map(String::len).sum::<usize>()
            + 512
    }
}

impl Account {
    /// Whether nobody gets in.
    pub fn is_closed(&self) -> bool {
        self.disabled || self.deleted
    }

    /// Whether this session may be refreshed and its tokens hold.
    pub fn has_session(&self, session: Uuid, now: Timestamp) -> bool {
        !self.is_closed() && self.sessions.get(&session).is_some_and(|live| now < live.expires_at)
    }

    /// Whether this device is a new one; the first one ever isn't news.
    pub(crate) fn is_new_device(&self, device: Option<&str>) -> bool {
        !self.devices.is_empty() && !self.devices.iter().any(|known| known == device.unwrap_or_default())
    }

    /// The events that end all sessions but `kept`.
    pub(crate) fn end_sessions(
        &self,
        kept: Option<Uuid>,
        reason: EndReason,
    ) -> impl Iterator<Item = AccountEvent> {
        let ended = self.sessions.keys().filter(move |session| Some(**session) != kept);
        ended.map(move |session| AccountEvent::SessionEnded { session: *session, reason })
    }

    /// The events that make room for one more session: those whose time is over, and the oldest of too many.
    pub(crate) fn make_room(&self, now: Timestamp) -> Vec<AccountEvent> {
        let (expired, live): (Vec<_>, Vec<_>) =
            self.sessions.iter().partition(|(_, session)| session.expires_at <= now);
        let ended = |session: &Uuid, reason| AccountEvent::SessionEnded { session: *session, reason };
        // Ids are UUIDs v7, so the map's order is that of their beginning.
        let too_many = (live.len() + 1).saturating_sub(MAX_SESSIONS);
        let expired = expired.iter().map(|(session, _)| ended(session, EndReason::Expired));
        expired
            .chain(live.iter().take(too_many).map(|(session, _)| ended(session, EndReason::TooMany)))
            .collect()
    }
}

fn address(email: &Personal<String>) -> Option<Email> {
    email.get().and_then(|text| Email::parse(text).ok())
}

fn hash(password: &Personal<String>) -> Option<PasswordHash> {
    password.get().cloned().map(PasswordHash::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn started(session: u128, device: &str, expires_at: Timestamp) -> AccountEvent {
        AccountEvent::SessionStarted {
            session: Uuid::from_u128(session),
            device: Some(Personal::new(Uuid::nil(), device.to_owned())),
            address: None,
            method: SignInMethod::Password,
            new_device: false,
            expires_at,
        }
    }

    fn account(events: impl IntoIterator<Item = AccountEvent>) -> Account {
        let mut account = Account::default();
        events.into_iter().for_each(|event| account.apply(&event));
        account
    }

    #[test]
    fn a_session_is_live_from_its_start_to_its_end_or_expiry() {
        let one = Uuid::from_u128(1);
        let mut ann = account([started(1, "laptop", at(100))]);
        assert!(ann.has_session(one, at(99)));
        assert!(!ann.has_session(one, at(100)));
        ann.apply(&AccountEvent::SessionEnded { session: one, reason: EndReason::LoggedOut });
        assert!(!ann.has_session(one, at(0)));
    }

    #[test]
    fn a_closed_account_has_no_live_session() {
        let mut ann = account([started(1, "laptop", at(100)), AccountEvent::Disabled {}]);
        assert!(!ann.has_session(Uuid::from_u128(1), at(0)));
        ann.apply(&AccountEvent::Enabled {});
        assert!(ann.has_session(Uuid::from_u128(1), at(0)));
    }

    #[test]
    fn the_next_session_ends_the_expired_ones_and_the_oldest_of_too_many() {
        let ann =
            account((0..MAX_SESSIONS as u128).map(|n| started(n, "", at(if n == 50 { 1 } else { 100 }))));
        assert_eq!(ann.make_room(at(0)).len(), 1);
        assert_eq!(
            ann.make_room(at(0)),
            [AccountEvent::SessionEnded { session: Uuid::from_u128(0), reason: EndReason::TooMany }]
        );
        assert_eq!(
            ann.make_room(at(1)),
            [AccountEvent::SessionEnded { session: Uuid::from_u128(50), reason: EndReason::Expired }]
        );
    }

    #[test]
    fn a_device_is_new_when_others_are_known_and_it_is_not() {
        assert!(!account([]).is_new_device(Some("laptop")));
        let ann = account([started(1, "laptop", at(100))]);
        assert!(!ann.is_new_device(Some("laptop")));
        assert!(ann.is_new_device(Some("phone")));
        assert!(ann.is_new_device(None));
    }
}
