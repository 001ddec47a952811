//! What happens to an account.

use cqrs_core::{Event, Personal, Plain};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::tokens::access::Role;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// Its owner signed out.
    LoggedOut,
    /// Its owner ended it from another session.
    EndedByOwner,
    /// An administrator ended it.
    EndedByAdmin,
    /// Its owner chose a new password.
    PasswordChanged,
    /// An old refresh token was shown: somebody has a copy.
    TokenReused,
    /// Its time was over.
    Expired,
    /// Its owner had too many.
    TooMany,
    /// An administrator disabled the account.
    AccountDisabled,
    /// Its owner gave the account up.
    AccountDeleted,
}

/// What a session was started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignInMethod {
    /// The account's password.
    Password,
    /// Another application's word, by its service key.
    Service,
}

/// What happens to an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all_fields = "camelCase")]
pub enum AccountEvent {
    /// Somebody registered.
    #[serde(rename = "account.registered")]
    Registered {
        /// Their address, not yet shown to be theirs.
        email: Personal<String>,
        /// What they call themselves.
        display_name: Personal<String>,
        /// Their password, as a PHC string.
        password_hash: Personal<String>,
    },
    /// The user service made a user: an account without a password, that an application signs in.
    #[serde(rename = "account.admitted")]
    Admitted {},
    /// The user service has made the profile of a registered account.
    #[serde(rename = "account.profile-made")]
    ProfileMade {},
    /// The user service can't make a profile of it, for good.
    #[serde(rename = "account.profile-refused")]
    ProfileRefused {
        /// The code of the refusal.
        reason: Plain<String>,
    },
    /// They call themselves something else.
    #[serde(rename = "account.renamed")]
    Renamed {
        /// What.
        display_name: Personal<String>,
    },
    /// A session began.
    #[serde(rename = "account.session-started")]
    SessionStarted {
        /// Its id.
        session: Uuid,
        /// What the client calls the device.
        device: Option<Personal<String>>,
        /// The client's address.
        address: Option<Personal<String>>,
        /// How they proved themselves.
        method: SignInMethod,
        /// Whether they never signed in with this device before (and did with others).
        new_device: bool,
        /// When it ends however often it is refreshed.
        expires_at: Timestamp,
    },
    /// A session ended.
    #[serde(rename = "account.session-ended")]
    SessionEnded {
        /// Its id.
        session: Uuid,
        /// Why.
        reason: EndReason,
    },
    /// Somebody asked for a new password. An older link no longer works.
    #[serde(rename = "account.password-reset-requested")]
    PasswordResetRequested {
        /// Keyed hash of the link's token.
        token: Plain<String>,
        /// Until when the link works.
        expires_at: Timestamp,
    },
    /// There is a new password.
    #[serde(rename = "account.password-changed")]
    PasswordChanged {
        /// As a PHC string.
        password_hash: Personal<String>,
    },
    /// The same password, hashed anew with stronger settings.
    #[serde(rename = "account.password-rehashed")]
    PasswordRehashed {
        /// As a PHC string.
        password_hash: Personal<String>,
    },
    /// A link was sent to show that an address is theirs. An older link no longer works.
    #[serde(rename = "account.email-verification-requested")]
    EmailVerificationRequested {
        /// The address.
        email: Personal<String>,
        /// Keyed hash of the link's token.
        token: Plain<String>,
        /// Until when the link works.
        expires_at: Timestamp,
    },
    /// The address is theirs.
    #[serde(rename = "account.email-verified")]
    EmailVerified {},
    /// They have another address, which is theirs.
    #[serde(rename = "account.email-changed")]
    EmailChanged {
        /// The new one.
        email: Personal<String>,
    },
    /// They may do more.
    #[serde(rename = "account.role-granted")]
    RoleGranted {
        /// What.
        role: Role,
    },
    /// They may do less.
    #[serde(rename = "account.role-revoked")]
    RoleRevoked {
        /// What.
        role: Role,
    },
    /// An administrator keeps them out.
    #[serde(rename = "account.disabled")]
    Disabled {},
    /// And lets them in again.
    #[serde(rename = "account.enabled")]
    Enabled {},
    /// They gave the account up.
    #[serde(rename = "account.deleted")]
    Deleted {},
}

impl Event for AccountEvent {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_in_its_events_is_declared_personal_or_plain() {
        assert_eq!(cqrs_core::undeclared_text::<AccountEvent>(), Vec::<String>::new());
    }
}
