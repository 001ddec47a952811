//! `POST /v1/auth/refresh`: the next pair of tokens for one that is about to expire.
//! Records `session.refreshed`; an old token ends the session (`account.session-ended`), for somebody has a copy.

use async_trait::async_trait;
use cqrs_core::{
    Command, CommandHandler, Context, Decide, Decision, Failure, Outcome, Reads, Refusal, RefusalKind, Reply,
    State,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::account::{Account, AccountEvent, EndReason};
use crate::limits::Action;
use crate::service::{Auth, origin, unkeyed};
use crate::session::{Session, SessionEvent, TokenState};
use crate::tokens::access::Role;
use crate::tokens::refresh::RefreshClaim;

/// Asks for the next pair of tokens. An idempotency key is ignored: repeating it within ten seconds gives the same
/// refresh token again.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefreshToken {
    /// The refresh token of the pair before.
    #[schema(value_type = String, example = "prt_…")]
    pub refresh_token: Zeroizing<String>,
}

impl Command for RefreshToken {
    const NAME: &'static str = "auth.refresh-token";
}

/// The token isn't worth another: not ours, used before, or its session has ended. Not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this refresh token is no longer good; sign in again")]
pub struct InvalidRefreshToken;

impl Refusal for InvalidRefreshToken {
    fn code(&self) -> &'static str {
        "invalid-refresh-token"
    }
    fn kind(&self) -> RefusalKind {
        RefusalKind::Unauthenticated
    }
}

/// A token that this instance made, and whose it is.
struct Refresh {
    user: Uuid,
    claim: RefreshClaim,
}

/// What comes of it. Reuse is an answer and no refusal, since it has an effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Refreshed {
    Next { generation: u32, roles: Vec<Role> },
    Reused,
}

impl Decide for Refresh {
    type Answer = Refreshed;
    type Refusal = InvalidRefreshToken;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Session>(self.claim.session).and::<Account>(self.user)
    }

    fn decide(&self, cx: &Context, state: &State<'_>) -> Result<Decision<Refreshed>, InvalidRefreshToken> {
        let session: &Session = state.get(self.claim.session);
        let account: &Account = state.get(self.user);
        if session.user != Some(self.user) || !account.has_session(self.claim.session, cx.now) {
            return Err(InvalidRefreshToken);
        }
        let next =
            |generation| Refreshed::Next { generation, roles: account.roles.iter().copied().collect() };
        match session.judge(self.claim.generation, cx.now) {
            TokenState::Current => {
                let generation = session.generation + 1;
                Ok(Decision::already(next(generation)).record::<Session>(
                    self.claim.session,
                    SessionEvent::Refreshed { generation, at: cx.now },
                ))
            }
            TokenState::JustUsed => Ok(Decision::already(next(session.generation))),
            TokenState::Reused => {
                let ended = AccountEvent::SessionEnded {
                    session: self.claim.session,
                    reason: EndReason::TokenReused,
                };
                Ok(Decision::already(Refreshed::Reused).record::<Account>(self.user, ended))
            }
            TokenState::Unknown => Err(InvalidRefreshToken),
        }
    }
}

#[async_trait]
impl CommandHandler<RefreshToken> for Auth {
    async fn handle(&self, cx: &Context, command: RefreshToken) -> Result<Reply, Failure> {
        let cx = &unkeyed(cx);
        self.rates.check(Action::UseToken, origin(cx))?;
        let claim = self.refresh_tokens.recognise(&command.refresh_token).ok_or(InvalidRefreshToken)?;
        let (_, session) = self.executor.state::<Session>(claim.session).await?;
        let user = session.user.ok_or(InvalidRefreshToken)?;
        let reply = self.executor.run(cx, &Refresh { user, claim }).await?;
        match reply.parse()? {
            Refreshed::Next { generation, roles } => {
                let tokens = self.tokens(cx, user, RefreshClaim { generation, ..claim }, roles);
                let body = serde_json::to_vec(&tokens).map_err(Failure::internal)?;
                Ok(Reply { outcome: Outcome::Done, body, version: None, ..reply })
            }
            Refreshed::Reused => {
                self.verifier.ended_sessions().end(claim.session, cx.now, cx.now);
                tracing::warn!(%user, session = %claim.session, "a refresh token was used twice; the session was ended");
                Err(InvalidRefreshToken.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountEvent;
    use crate::testing::{ANN, PASSWORD, World, code};

    #[tokio::test]
    async fn security_15_refresh_tokens_rotate_and_an_old_one_ends_the_session() {
        let world = World::new();
        world.register("ann@example.org").await;
        let first = world.login("ann@example.org", PASSWORD).await.unwrap();
        let second = world.refresh(&first.refresh_token).await.unwrap();
        assert_ne!(first.refresh_token, second.refresh_token);
        assert_eq!(first.session_id, second.session_id);
        world.later(11);
        assert_eq!(code(world.refresh(&first.refresh_token).await), "invalid-refresh-token");
        assert!(!world.holds(&second), "the thief's access token, or the owner's, is refused at once");
        assert_eq!(code(world.refresh(&second.refresh_token).await), "invalid-refresh-token");
    }

    #[tokio::test]
    async fn security_15_parallel_refreshes_of_an_honest_client_get_the_same_token_and_end_nothing() {
        let world = World::new();
        world.register("ann@example.org").await;
        let first = world.login("ann@example.org", PASSWORD).await.unwrap();
        let (a, b, c) = tokio::join!(
            world.refresh(&first.refresh_token),
            world.refresh(&first.refresh_token),
            world.refresh(&first.refresh_token)
        );
        let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
        assert_eq!((&a.refresh_token, &b.refresh_token), (&b.refresh_token, &c.refresh_token));
        world.later(10);
        assert_eq!(world.refresh(&first.refresh_token).await.unwrap().refresh_token, a.refresh_token);
        assert!(world.refresh(&a.refresh_token).await.is_ok());
    }

    #[tokio::test]
    async fn security_16_a_session_ends_however_often_it_was_refreshed() {
        let world = World::new();
        world.register("ann@example.org").await;
        let mut tokens = world.login("ann@example.org", PASSWORD).await.unwrap();
        for _ in 0..29 {
            world.later(24 * 3_600);
            tokens = world.refresh(&tokens.refresh_token).await.unwrap();
        }
        world.later(24 * 3_600);
        assert_eq!(code(world.refresh(&tokens.refresh_token).await), "invalid-refresh-token");
    }

    #[tokio::test]
    async fn security_12_no_other_token_is_taken_for_a_refresh_token() {
        let world = World::new();
        world.register("ann@example.org").await;
        let tokens = world.login("ann@example.org", PASSWORD).await.unwrap();
        let unknown = RefreshClaim { session: Uuid::from_u128(77), generation: 0 };
        let future = RefreshClaim { session: tokens.session_id, generation: 1 };
        for token in [
            tokens.access_token.clone(),
            String::new(),
            format!("{} ", tokens.refresh_token),
            world.auth.refresh_tokens.issue(unknown),
            world.auth.refresh_tokens.issue(future),
        ] {
            assert_eq!(code(world.refresh(&token).await), "invalid-refresh-token");
        }
        assert!(world.refresh(&tokens.refresh_token).await.is_ok());
    }

    #[test]
    fn the_next_generation_is_recorded() {
        use cqrs_core::Actor;
        use cqrs_core::testing::{given, noon};
        let session = Uuid::from_u128(50);
        let live = crate::testing::session_started(session, noon() + jiff::SignedDuration::from_hours(1));
        let refresh = Refresh { user: ANN, claim: RefreshClaim { session, generation: 0 } };
        let then = given::<Account>(ANN, [crate::testing::registered("hash"), live.clone()])
            .and::<Session>(session, [SessionEvent::Started { user: ANN }])
            .when(Actor::Anonymous, &refresh);
        assert_eq!(then.answer(), Refreshed::Next { generation: 1, roles: vec![] });
        then.records::<Session>(session, [SessionEvent::Refreshed { generation: 1, at: noon() }])
            .records_in_all(1);

        let ended = AccountEvent::SessionEnded { session, reason: EndReason::LoggedOut };
        given::<Account>(ANN, [crate::testing::registered("hash"), live, ended])
            .and::<Session>(session, [SessionEvent::Started { user: ANN }])
            .when(Actor::Anonymous, &refresh)
            .refused(InvalidRefreshToken);
    }
}
