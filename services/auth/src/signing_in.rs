//! How a session begins, whatever the proof: used by [`login_user`](crate::login_user) and
//! [`issue_tokens`](crate::issue_tokens).
//!
//! Records `account.session-started` and `session.started`; public as `auth.user-logged-in.v1`.

use std::net::IpAddr;

use cqrs_core::{
    Aggregate as _, Context, Decide, Decision, Failure, Outcome, Personal, Reads, Refusal, RefusalKind,
    Reply, State,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access_view::ProfileState;
use crate::account::{Account, AccountEvent, Profile, SignInMethod};
use crate::password::PasswordHash;
use crate::service::Auth;
use crate::session::{Session, SessionEvent};
use crate::tokens::access::{Grant, Role};
use crate::tokens::refresh::RefreshClaim;

/// Why nobody is signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignInRefusal {
    /// No such account, or not its password: not told apart.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// The password is right, and an administrator disabled the account.
    #[error("this account was disabled; ask whoever runs this instance")]
    AccountDisabled,
    /// The password is right, and the address was never confirmed.
    #[error("confirm your e-mail address first; a new link is on its way")]
    EmailUnverified,
    /// No such user (told to another application only).
    #[error("there is no such user")]
    UnknownUser,
}

impl Refusal for SignInRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidCredentials => "invalid-credentials",
            Self::AccountDisabled => "account-disabled",
            Self::EmailUnverified => "email-unverified",
            Self::UnknownUser => "not-found",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::InvalidCredentials => RefusalKind::Unauthenticated,
            Self::AccountDisabled | Self::EmailUnverified => RefusalKind::Forbidden,
            Self::UnknownUser => RefusalKind::NotFound,
        }
    }
}

/// What was shown.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// A password, which matched this hash.
    Password {
        matched: PasswordHash,
        /// The same, hashed with the settings in force, where those of `matched` are weaker.
        rehashed: Option<PasswordHash>,
        /// Whether the address must have been confirmed.
        verified_only: bool,
    },
    /// Another application's word.
    Service,
}

/// Begins a session.
#[derive(Debug, Clone)]
pub(crate) struct StartSession {
    pub(crate) user: Uuid,
    pub(crate) session: Uuid,
    pub(crate) device: Option<String>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) proof: Proof,
    pub(crate) lifetime: SignedDuration,
}

/// What is known once it began. Holds no secret: tokens are made of it afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) roles: Vec<Role>,
    pub(crate) new_device: bool,
    /// Whether no profile can be made of the account.
    #[serde(default)]
    pub(crate) refused: bool,
}

impl Decide for StartSession {
    type Answer = Started;
    type Refusal = SignInRefusal;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Account>(self.user).and::<Session>(self.session)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<Started>, SignInRefusal> {
        let account = state.find_existing::<Account>(self.user).ok_or(SignInRefusal::UnknownUser)?;
        if let Proof::Password { matched, verified_only, .. } = &self.proof {
            // Changed since it was compared: what was shown is a password no longer.
            if account.password.as_ref() != Some(matched) {
                return Err(SignInRefusal::InvalidCredentials);
            }
            if *verified_only && !account.email_verified {
                return Err(SignInRefusal::EmailUnverified);
            }
        }
        if account.deleted {
            return Err(SignInRefusal::UnknownUser);
        }
        if account.disabled {
            return Err(SignInRefusal::AccountDisabled);
        }
        let personal = |text: String| Personal::new(self.user, text);
        let new_device = account.is_new_device(self.device.as_deref());
        let started = AccountEvent::SessionStarted {
            session: self.session,
            device: self.device.clone().map(personal),
            address: self.address.map(|address| personal(address.to_string())),
            method: match self.proof {
                Proof::Password { .. } => SignInMethod::Password,
                Proof::Service => SignInMethod::Service,
            },
            new_device,
            expires_at: expiry(cx.now, self.lifetime),
        };
        let refused = matches!(account.profile, Profile::Refused(_));
        let answer = Started { roles: account.roles.iter().copied().collect(), new_device, refused };
        let mut decision = Decision::already(answer);
        if let Proof::Password { rehashed: Some(hash), .. } = &self.proof {
            let password_hash = personal(hash.as_str().to_owned());
            decision =
                decision.record::<Account>(self.user, AccountEvent::PasswordRehashed { password_hash });
        }
        for ended in account.make_room(cx.now) {
            decision = decision.record::<Account>(self.user, ended);
        }
        Ok(decision
            .record::<Account>(self.user, started)
            .record::<Session>(self.session, SessionEvent::Started { user: self.user }))
    }
}

fn expiry(now: Timestamp, lifetime: SignedDuration) -> Timestamp {
    now.saturating_add(lifetime).unwrap_or(Timestamp::MAX)
}

/// A pair of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
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
    /// `refused` at a sign-in to an account of which no profile can be made, for good: `GET /v1/auth/me` says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileState>,
}

impl Auth {
    /// The tokens of a session's generation.
    pub(crate) fn tokens(&self, cx: &Context, user: Uuid, claim: RefreshClaim, roles: Vec<Role>) -> SignedIn {
        let token_id = self.executor.clock().fresh_id();
        SignedIn {
            access_token: self.sign(Grant { user, session: claim.session, roles, token_id }, cx.now),
            refresh_token: self.refresh_tokens.issue(claim),
            token_type: "Bearer".to_owned(),
            expires_in: self.access_token_seconds(),
            user_id: user,
            session_id: claim.session,
            profile: None,
        }
    }

    /// Begins the session and answers with its first tokens.
    pub(crate) async fn start_session(
        &self,
        cx: &Context,
        start: StartSession,
    ) -> Result<(Reply, Started), Failure> {
        let reply = self.executor.run(cx, &start).await?;
        let started: Started = reply.parse()?;
        let claim = RefreshClaim { session: start.session, generation: 0 };
        let mut tokens = self.tokens(cx, start.user, claim, started.roles.clone());
        tokens.profile = started.refused.then_some(ProfileState::Refused);
        let body = serde_json::to_vec(&tokens).map_err(Failure::internal)?;
        tracing::info!(user = %start.user, session = %Session::stream(start.session).id, "session started");
        Ok((Reply { outcome: Outcome::Done, body, version: None, ..reply }, started))
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::Actor;
    use cqrs_core::testing::{given, given_nothing, noon};

    use super::*;
    use crate::account::EndReason;
    use crate::testing::{ANN, registered, session_started};

    const SESSION: Uuid = Uuid::from_u128(50);

    fn start(proof: Proof) -> StartSession {
        StartSession {
            user: ANN,
            session: SESSION,
            device: Some("laptop".to_owned()),
            address: None,
            proof,
            lifetime: SignedDuration::from_hours(24),
        }
    }

    fn password(hash: &str) -> Proof {
        Proof::Password { matched: PasswordHash::from(hash.to_owned()), rehashed: None, verified_only: false }
    }

    fn began(method: SignInMethod) -> AccountEvent {
        AccountEvent::SessionStarted {
            session: SESSION,
            device: Some(Personal::new(ANN, "laptop".to_owned())),
            address: None,
            method,
            new_device: false,
            expires_at: noon() + SignedDuration::from_hours(24),
        }
    }

    #[test]
    fn the_right_password_begins_a_session() {
        let then =
            given::<Account>(ANN, [registered("hash")]).when(Actor::Anonymous, &start(password("hash")));
        assert_eq!(then.answer(), Started { roles: vec![], new_device: false, refused: false });
        then.records::<Account>(ANN, [began(SignInMethod::Password)])
            .records::<Session>(SESSION, [SessionEvent::Started { user: ANN }]);
    }

    #[test]
    fn a_password_that_was_changed_meanwhile_is_wrong() {
        given::<Account>(ANN, [registered("new hash")])
            .when(Actor::Anonymous, &start(password("hash")))
            .refused(SignInRefusal::InvalidCredentials);
    }

    #[test]
    fn security_17_a_disabled_or_deleted_account_begins_none() {
        for (closed, refusal) in [
            (AccountEvent::Disabled {}, SignInRefusal::AccountDisabled),
            (AccountEvent::Deleted {}, SignInRefusal::UnknownUser),
        ] {
            given::<Account>(ANN, [registered("hash"), closed])
                .when(Actor::System, &start(Proof::Service))
                .refused(refusal);
        }
        given::<Account>(ANN, [registered("hash"), AccountEvent::Disabled {}])
            .when(Actor::Anonymous, &start(password("wrong")))
            .refused(SignInRefusal::InvalidCredentials);
    }

    #[test]
    fn where_addresses_are_confirmed_an_unconfirmed_one_begins_none() {
        let proof = Proof::Password {
            matched: PasswordHash::from("hash".to_owned()),
            rehashed: None,
            verified_only: true,
        };
        given::<Account>(ANN, [registered("hash")])
            .when(Actor::Anonymous, &start(proof.clone()))
            .refused(SignInRefusal::EmailUnverified);
        given::<Account>(ANN, [registered("hash"), AccountEvent::EmailVerified {}])
            .when(Actor::Anonymous, &start(proof))
            .records::<Account>(ANN, [began(SignInMethod::Password)]);
    }

    #[test]
    fn security_1_a_stronger_hash_is_kept_along() {
        let proof = Proof::Password {
            matched: PasswordHash::from("hash".to_owned()),
            rehashed: Some(PasswordHash::from("stronger".to_owned())),
            verified_only: false,
        };
        let rehashed =
            AccountEvent::PasswordRehashed { password_hash: Personal::new(ANN, "stronger".to_owned()) };
        given::<Account>(ANN, [registered("hash")])
            .when(Actor::Anonymous, &start(proof))
            .records::<Account>(ANN, [rehashed, began(SignInMethod::Password)]);
    }

    #[test]
    fn an_application_signs_in_a_user_that_it_made() {
        given::<Account>(ANN, [AccountEvent::Admitted {}])
            .when(Actor::Service(Uuid::from_u128(9)), &start(Proof::Service))
            .records::<Account>(ANN, [began(SignInMethod::Service)]);
        given_nothing()
            .when(Actor::Service(Uuid::from_u128(9)), &start(Proof::Service))
            .refused(SignInRefusal::UnknownUser);
    }

    #[test]
    fn expired_sessions_are_ended_on_the_way() {
        let old = Uuid::from_u128(40);
        let AccountEvent::SessionStarted { session, device, address, method, expires_at, .. } =
            began(SignInMethod::Password)
        else {
            unreachable!()
        };
        let began =
            AccountEvent::SessionStarted { session, device, address, method, new_device: true, expires_at };
        given::<Account>(ANN, [registered("hash"), session_started(old, noon())])
            .when(Actor::Anonymous, &start(password("hash")))
            .records::<Account>(
                ANN,
                [AccountEvent::SessionEnded { session: old, reason: EndReason::Expired }, began],
            );
    }
}
