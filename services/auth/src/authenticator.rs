//! Who a request comes from, by its `Authorization` header: a user's access token or an application's service key.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use cqrs_core::{Actor, Failure};
use cqrs_http::{Authenticator, Identity, unauthenticated};
use jiff::Timestamp;

use crate::service::Auth;
use crate::tokens::access::{Claims, Role};
use crate::tokens::service_key::{self, ServiceIdentity};
use crate::tokens::verify::TokenRefusal;

#[async_trait]
impl Authenticator for Auth {
    async fn authenticate(&self, headers: &HeaderMap, now: Timestamp) -> Result<Identity, Failure> {
        let token = bearer(headers)?;
        if token.starts_with(service_key::PREFIX) {
            return application(self.recognise_service_key(token).await?);
        }
        somebody(self.verifier.verify(token, now))
    }
}

/// The application that a service key belongs to.
pub(crate) fn application(service: Option<ServiceIdentity>) -> Result<Identity, Failure> {
    let service = service.ok_or_else(|| unauthenticated("this service key is not, or no longer, good"))?;
    Ok(Identity { actor: Actor::Service(service.id), roles: vec![Role::Service.to_string()], session: None })
}

/// The user whom an access token says.
pub(crate) fn somebody(verified: Result<Arc<Claims>, TokenRefusal>) -> Result<Identity, Failure> {
    let claims = verified.map_err(|refusal| {
        tracing::debug!(%refusal, "an access token was refused");
        unauthenticated("this access token is not, or no longer, good; refresh it or sign in")
    })?;
    Ok(Identity {
        actor: Actor::User(claims.sub),
        roles: claims.roles.iter().map(Role::to_string).collect(),
        session: Some(claims.sid),
    })
}

/// The token of the one `Authorization: Bearer` header (RFC 6750 §2.1; the scheme in any case, RFC 9110 §11.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Failure> {
    let token = || {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    };
    token().ok_or_else(|| unauthenticated("sign in first"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::display_name::DisplayName;
    use crate::testing::{PASSWORD, World};

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[tokio::test]
    async fn an_access_token_is_its_user_and_a_service_key_its_application() {
        let world = World::new();
        world.register("ann@example.org").await;
        let tokens = world.login("ann@example.org", PASSWORD).await.unwrap();
        let shown = headers(&[&format!("bearer {}", tokens.access_token)]);
        let ann = world.auth.authenticate(&shown, world.now()).await.unwrap();
        assert_eq!((ann.actor, ann.session), (Actor::User(tokens.user_id), Some(tokens.session_id)));

        let cx = world.cx(Actor::System);
        let (id, key) =
            world.auth.create_service_key(&cx, DisplayName::parse("shop").unwrap()).await.unwrap();
        let shop = world.auth.authenticate(&headers(&[&format!("Bearer {key}")]), world.now()).await.unwrap();
        assert_eq!((shop.actor, shop.roles), (Actor::Service(id), vec!["service".to_owned()]));
    }

    #[tokio::test]
    async fn security_18_anything_else_is_nobody() {
        let world = World::new();
        world.register("ann@example.org").await;
        let tokens = world.login("ann@example.org", PASSWORD).await.unwrap();
        let good = format!("Bearer {}", tokens.access_token);
        for values in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &[&tokens.access_token],
            &[&format!("Basic {}", tokens.access_token)],
            &[&format!("Bearer  {}", tokens.access_token)],
            &[&format!("Bearer {}", tokens.refresh_token)],
            &[&good, &good],
            &["Bearer psk_AAAA"],
        ] {
            assert!(world.auth.authenticate(&headers(values), world.now()).await.is_err(), "{values:?}");
        }
        assert!(world.auth.authenticate(&headers(&[&good]), world.now()).await.is_ok());
    }
}
