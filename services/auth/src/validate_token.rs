//! `POST /v1/auth/introspect`: whether an access token holds, and whose it is (RFC 7662).

use async_trait::async_trait;
use cqrs_core::{Context, Failure, Query, QueryHandler};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::account::Account;
use crate::service::Auth;
use crate::tokens::access::Role;

/// Asks about a token.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidateToken {
    /// An access token.
    #[schema(value_type = String)]
    pub token: Zeroizing<String>,
}

impl Query for ValidateToken {
    const NAME: &'static str = "auth.validate-token";
    const VIEWS: &'static [&'static str] = &[];
    type Answer = Introspection;
}

/// What a token says, if it holds; of any other, nothing but that it doesn't (RFC 7662 §2.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Introspection {
    /// Whether it holds.
    pub active: bool,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<Uuid>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Uuid>,
    /// The user's roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub roles: Option<Vec<Role>>,
    /// `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// For whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// Its own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<Uuid>,
    /// Since when, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// From when on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
}

#[async_trait]
impl QueryHandler<ValidateToken> for Auth {
    /// Asks the account itself, so that a session that ended an instant ago in another process is known to have.
    async fn handle(&self, cx: &Context, query: ValidateToken) -> Result<Introspection, Failure> {
        let Ok(claims) = self.verifier.verify(&query.token, cx.now) else {
            return Ok(Introspection::default());
        };
        let (_, account) = self.executor.state::<Account>(claims.sub).await?;
        if !account.has_session(claims.sid, cx.now) {
            return Ok(Introspection::default());
        }
        Ok(Introspection {
            active: true,
            sub: Some(claims.sub),
            session_id: Some(claims.sid),
            roles: Some(claims.roles.clone()),
            token_type: Some("Bearer"),
            iss: Some(claims.iss.clone()),
            aud: Some(claims.aud.clone()),
            jti: Some(claims.jti),
            iat: Some(claims.iat),
            nbf: Some(claims.nbf),
            exp: Some(claims.exp),
        })
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::{Actor, QueryBus};

    use super::*;
    use crate::logout_user::LogoutUser;
    use crate::testing::{PASSWORD, World, json};

    async fn asked(world: &World, token: &str) -> serde_json::Value {
        let bus = QueryBus::builder().answer::<ValidateToken, _>(world.auth.clone()).build().unwrap();
        let query: ValidateToken = json(serde_json::json!({"token": token}));
        serde_json::to_value(bus.ask(&world.cx(Actor::System), query).await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_token_that_holds_is_described() {
        let world = World::new();
        let user = world.register("ann@example.org").await;
        let tokens = world.login("ann@example.org", PASSWORD).await.unwrap();
        let told = asked(&world, &tokens.access_token).await;
        assert_eq!(told["active"], true);
        assert_eq!(told["sub"], user.to_string());
        assert_eq!(told["sessionId"], tokens.session_id.to_string());
        assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 300);
    }

    #[tokio::test]
    async fn of_any_other_nothing_is_told() {
        let world = World::new();
        world.register("ann@example.org").await;
        let tokens = world.login("ann@example.org", PASSWORD).await.unwrap();
        let inactive = serde_json::json!({"active": false});
        for token in ["", "x", &tokens.refresh_token, &format!("{}x", tokens.access_token)] {
            assert_eq!(asked(&world, token).await, inactive, "{token}");
        }
        world.bus.dispatch(&world.signed_in(&tokens), LogoutUser::default()).await.unwrap();
        assert_eq!(asked(&world, &tokens.access_token).await, inactive);
        let again = world.login("ann@example.org", PASSWORD).await.unwrap();
        world.later(300);
        assert_eq!(asked(&world, &again.access_token).await, inactive);
    }
}
