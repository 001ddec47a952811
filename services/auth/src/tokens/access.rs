//! What an access token says.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The type in a token's header (RFC 9068 §2.1), so that no other kind of JWT is taken for an access token.
pub const TYPE: &str = "at+jwt";

/// The longest an access token may live. A session that ended elsewhere is refused after this at the latest, even by a
/// process that couldn't be told.
pub const MAX_LIFETIME: SignedDuration = SignedDuration::from_secs(300);

/// What somebody may do beyond what everyone may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the instance: sees e-mails, disables accounts.
    Admin,
    /// Another application: creates users and signs them in.
    Service,
}

impl Role {
    /// As it is written in tokens and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The claims of an access token (RFC 7519 §4.1, RFC 9068 §2.2). Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// For whom.
    pub aud: String,
    /// The user.
    pub sub: Uuid,
    /// The session; ending it ends the token.
    pub sid: Uuid,
    /// The user's roles when it was issued.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// When it was issued.
    pub iat: i64,
    /// From when it holds.
    pub nbf: i64,
    /// Until when it holds, exclusive.
    pub exp: i64,
    /// Its own id.
    pub jti: Uuid,
}

/// For whom a token is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The user.
    pub user: Uuid,
    /// The session.
    pub session: Uuid,
    /// The user's roles.
    pub roles: Vec<Role>,
    /// An id for the token.
    pub token_id: Uuid,
}

/// Who issues and who takes tokens, and for how long they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// `iss`: this instance.
    pub issuer: String,
    /// `aud`: this instance's API.
    pub audience: String,
    /// At most [`MAX_LIFETIME`]; longer is cut to it.
    pub lifetime: SignedDuration,
}

impl TokenSettings {
    /// Issuer and audience of one instance, with the longest lifetime.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), audience: audience.into(), lifetime: MAX_LIFETIME }
    }

    /// Of the instance that people reach at this address, in every process alike.
    pub fn of_instance(public_url: &str) -> Self {
        Self::new(public_url, "parlor")
    }

    pub(crate) fn claims(&self, grant: Grant, now: Timestamp) -> Claims {
        let iat = now.as_second();
        Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: grant.user,
            sid: grant.session,
            roles: grant.roles,
            iat,
            nbf: iat,
            exp: iat + self.lifetime.min(MAX_LIFETIME).as_secs(),
            jti: grant.token_id,
        }
    }
}
