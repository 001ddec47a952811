//! What the auth service makes public. Ordering key: the user; for keys, the key.

use cqrs_core::{Event, Personal, Plain};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SessionEnd {
    /// Its owner signed out, or ended it from another session, or an administrator ended it.
    LoggedOut,
    /// Its owner chose a new password.
    PasswordChanged,
    /// An old refresh token was shown: somebody may have had a copy.
    TokenReused,
    /// Its time was over, or there were too many newer ones.
    Expired,
    /// The account was disabled or given up.
    AccountClosed,
}

/// The public events of the auth service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum AuthEvent {
    /// Somebody registered: the user service makes their profile of it.
    #[serde(rename = "user-registered.v1", rename_all = "camelCase")]
    UserRegistered {
        /// Who; the same id in every service.
        user_id: Uuid,
        /// What they call themselves.
        display_name: Personal<String>,
        /// Their address, as they typed it.
        email: Personal<String>,
    },
    /// Somebody signed in.
    #[serde(rename = "user-logged-in.v1", rename_all = "camelCase")]
    UserLoggedIn {
        /// Who.
        user_id: Uuid,
        /// The session that began.
        session_id: Uuid,
        /// What the client calls the device.
        #[serde(default)]
        device: Option<Personal<String>>,
        /// Whether they signed in before, but never with this device.
        new_device: bool,
    },
    /// A session ended: its tokens are refused from now on.
    #[serde(rename = "user-logged-out.v1", rename_all = "camelCase")]
    UserLoggedOut {
        /// Whose.
        user_id: Uuid,
        /// Which.
        session_id: Uuid,
        /// Why.
        reason: SessionEnd,
    },
    /// Somebody asked for a new password. The link's token isn't told to anybody.
    #[serde(rename = "password-reset-requested.v1", rename_all = "camelCase")]
    PasswordResetRequested {
        /// Who.
        user_id: Uuid,
    },
    /// Somebody has a new password.
    #[serde(rename = "password-changed.v1", rename_all = "camelCase")]
    PasswordChanged {
        /// Who.
        user_id: Uuid,
    },
    /// Somebody has another address.
    #[serde(rename = "email-changed.v1", rename_all = "camelCase")]
    EmailChanged {
        /// Who.
        user_id: Uuid,
        /// The new one.
        email: Personal<String>,
    },
    /// An application may act with a new key: what every process needs to recognise it.
    #[serde(rename = "service-key-created.v1", rename_all = "camelCase")]
    ServiceKeyCreated {
        /// The key's id.
        key_id: Uuid,
        /// What the operator calls the application.
        name: Plain<String>,
        /// Keyed hash of the key.
        hash: Plain<String>,
    },
    /// Access tokens may be signed with a new key, now or in a while: its public half, by which every process checks them.
    #[serde(rename = "signing-key-added.v1", rename_all = "camelCase")]
    SigningKeyAdded {
        /// The key's id.
        kid: Plain<String>,
        /// The public half (Ed25519), base64url, as RFC 8037 writes it.
        x: Plain<String>,
    },
    /// The last token signed with a key has expired: it is good for nothing any more.
    #[serde(rename = "signing-key-retired.v1", rename_all = "camelCase")]
    SigningKeyRetired {
        /// The key's id.
        kid: Plain<String>,
    },
    /// A key is no longer good.
    #[serde(rename = "service-key-revoked.v1", rename_all = "camelCase")]
    ServiceKeyRevoked {
        /// The key's id.
        key_id: Uuid,
    },
}

impl Event for AuthEvent {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<AuthEvent>(), Vec::<String>::new());
    }
}
