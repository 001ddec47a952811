//! Accounts and sessions.

use std::fmt;

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{Call, Error, Parlor, Result, Tokens};

/// With what somebody signs in.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    email: String,
    password: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

impl Credentials {
    /// An account's address, and its password.
    pub fn new(email: impl Into<String>, password: impl Into<String>) -> Self {
        Self { email: email.into(), password: password.into(), device: None }
    }

    /// What to call the device in the list of sessions.
    #[must_use]
    pub fn device(self, device: impl Into<String>) -> Self {
        Self { device: Some(device.into()), ..self }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("email", &self.email).finish_non_exhaustive()
    }
}

/// The new account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UserRegistered {
    /// The user's id, in every service.
    pub user_id: Uuid,
}

/// A pair of tokens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SignedIn {
    /// Goes into the `Authorization` header of every request.
    pub access_token: String,
    /// Gets the next pair; each is good once.
    pub refresh_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// Seconds that the access token lives.
    pub expires_in: u64,
    /// The user.
    pub user_id: Uuid,
    /// The session.
    pub session_id: Uuid,
    /// [`ProfileState::Refused`] if no profile can be made of the account, for good: [`Parlor::me`] says why.
    pub profile: Option<ProfileState>,
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user_id, session_id, .. } = self;
        f.debug_struct("SignedIn")
            .field("user_id", user_id)
            .field("session_id", session_id)
            .finish_non_exhaustive()
    }
}

/// Whether there is a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProfileState {
    /// Not yet: so it is for moments after the registration, or while the user service is down.
    Pending,
    /// There is.
    Ready,
    /// There can be none, for good.
    Refused,
    /// What this library doesn't know yet.
    #[serde(other)]
    Unknown,
}

/// One's own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UserAuthInfo {
    /// The user's id.
    pub user_id: Uuid,
    /// Their address; `None` for users that an application signs in.
    pub email: Option<String>,
    /// Whether the address was shown to be theirs.
    pub email_verified: bool,
    /// What they may do beyond what everyone may.
    pub roles: Vec<String>,
    /// Live sessions, newest first.
    pub sessions: Vec<SessionInfo>,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the password was chosen; `None` where there is none.
    pub password_changed_at: Option<Timestamp>,
    /// Whether there is a profile.
    pub profile: ProfileState,
    /// Why it was refused: the code of the refusal.
    pub profile_refusal: Option<String>,
}

/// A live session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its id.
    pub id: Uuid,
    /// What the client called the device.
    pub device: Option<String>,
    /// The address from which it began.
    pub address: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was last refreshed.
    pub last_used_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// What a token says, if it holds; of any other, nothing but that it doesn't (RFC 7662 §2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Introspection {
    /// Whether it holds.
    pub active: bool,
    /// The user.
    pub sub: Option<Uuid>,
    /// The session.
    pub session_id: Option<Uuid>,
    /// The user's roles.
    pub roles: Option<Vec<String>>,
    /// Until when, in seconds since 1970.
    pub exp: Option<i64>,
    /// Since when, in seconds since 1970.
    pub iat: Option<i64>,
    /// From when on, in seconds since 1970.
    pub nbf: Option<i64>,
    /// Who issued it.
    pub iss: Option<String>,
    /// For whom.
    pub aud: Option<String>,
    /// Its own id.
    pub jti: Option<String>,
    /// `Bearer`.
    pub token_type: Option<String>,
}

impl Parlor {
    /// Makes an account. Gives nothing where the server first sends a mail to the address: the mail tells the rest.
    ///
    /// A password has 8 to 128 characters, and is none of the commonest nor one's own name or address.
    pub fn register(&self, email: &str, password: &str, display_name: &str) -> Call<Option<UserRegistered>> {
        let body = json!({"email": email, "password": password, "displayName": display_name});
        self.call(Method::POST, "/v1/auth/register").body(&body).open()
    }

    /// Signs in, and keeps the session.
    pub async fn sign_in(&self, credentials: Credentials) -> Result<Tokens> {
        let Some(session) = self.session() else {
            return Err(Error::Invalid(
                "a client with a service key signs nobody in: make one without".to_owned(),
            ));
        };
        let signed_in: SignedIn = self.call(Method::POST, "/v1/auth/login").body(&credentials).open().await?;
        let tokens = Tokens::from(signed_in);
        session.keep(Some(tokens.clone())).await?;
        self.forget_written();
        Ok(tokens)
    }

    /// Ends the session, here and on the server; `everywhere` all of the user's.
    pub async fn sign_out(&self, everywhere: bool) -> Result<()> {
        let body = json!({"everywhere": everywhere});
        let ended: Result<()> = self.call(Method::POST, "/v1/auth/logout").body(&body).await;
        if let Some(session) = self.session() {
            session.keep(None).await?;
        }
        self.forget_written();
        match ended {
            Err(Error::SignedOut) => Ok(()),
            ended => ended,
        }
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<SignedIn> {
        let body = json!({"refreshToken": refresh_token});
        self.call(Method::POST, "/v1/auth/refresh").body(&body).open().await
    }

    /// One's own account, with its sessions.
    pub fn me(&self) -> Call<UserAuthInfo> {
        self.call(Method::GET, "/v1/auth/me")
    }

    /// Ends one of one's own sessions.
    pub fn end_session(&self, session: Uuid) -> Call<()> {
        self.call(Method::DELETE, format!("/v1/auth/sessions/{session}"))
    }

    /// Chooses a new password. The other sessions end.
    pub fn change_password(&self, current: &str, new: &str) -> Call<()> {
        let body = json!({"currentPassword": current, "newPassword": new});
        self.call(Method::PUT, "/v1/auth/password").body(&body)
    }

    /// Asks for a link to choose a new password. The answer is the same whether or not there is such an account; the mail tells.
    pub fn request_password_reset(&self, email: &str) -> Call<()> {
        self.call(Method::POST, "/v1/auth/password-reset").body(&json!({"email": email})).open()
    }

    /// Chooses a new password with what follows `#token=` in that link. All sessions end.
    pub fn confirm_password_reset(&self, token: &str, new_password: &str) -> Call<()> {
        let body = json!({"token": token, "newPassword": new_password});
        self.call(Method::POST, "/v1/auth/password-reset/confirm").body(&body).open()
    }

    /// Asks for another address. The answer is the same whether or not somebody has it already; the mail there tells.
    pub fn change_email(&self, email: &str, current_password: &str) -> Call<()> {
        let body = json!({"email": email, "currentPassword": current_password});
        self.call(Method::PUT, "/v1/auth/email").body(&body)
    }

    /// Shows an address to be one's own, with what follows `#token=` in the mail's link.
    pub fn verify_email(&self, token: &str) -> Call<()> {
        self.call(Method::POST, "/v1/auth/verify-email").body(&json!({"token": token})).open()
    }

    /// Asks whether an access token holds, and whose it is.
    pub fn introspect(&self, token: &str) -> Call<Introspection> {
        self.call(Method::POST, "/v1/auth/introspect").body(&json!({"token": token}))
    }

    /// Signs in a user of an application that has its own accounts ([`Builder::service_key`](crate::Builder::service_key));
    /// [`Parlor::as_signed_in`] makes a client of it.
    pub fn issue_tokens(&self, user: Uuid, device: Option<&str>) -> Call<SignedIn> {
        let body = json!({"userId": user, "device": device});
        self.call(Method::POST, "/v1/auth/tokens").body(&body)
    }
}
