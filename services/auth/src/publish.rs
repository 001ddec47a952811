//! What of auth's private events others get to hear. A new event must be placed here before the crate compiles.

use std::sync::Arc;

use cqrs_core::{Aggregate as _, CodecError, Keys, PublicEvent, Publisher, RecordedEvent, decode};
use parlor_contracts::auth::{AuthEvent, SessionEnd};

use crate::account::{Account, AccountEvent, EndReason};
use crate::service_key::{ServiceKey, ServiceKeyEvent};
use crate::signing_key::{SigningKey, SigningKeyEvent};

/// Makes auth's events public.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuthPublisher;

impl Publisher for AuthPublisher {
    type Public = AuthEvent;

    fn publish(
        &self,
        event: &Arc<RecordedEvent>,
        keys: &Keys,
    ) -> Result<Option<PublicEvent<AuthEvent>>, CodecError> {
        let key = event.stream;
        let public = if event.category == Account::CATEGORY {
            of_account(key, decode(event, keys)?)
        } else if event.category == ServiceKey::CATEGORY {
            Some(of_service_key(key, decode(event, keys)?))
        } else if event.category == SigningKey::CATEGORY {
            Some(of_signing_key(decode(event, keys)?))
        } else {
            // A session's refreshes concern nobody else; its beginning and end stand in the account's stream.
            None
        };
        Ok(public.map(|event| PublicEvent { key, event }))
    }
}

fn of_account(user_id: uuid::Uuid, event: AccountEvent) -> Option<AuthEvent> {
    match event {
        AccountEvent::Registered { email, display_name, .. } => {
            Some(AuthEvent::UserRegistered { user_id, display_name, email })
        }
        AccountEvent::SessionStarted { session, device, new_device, .. } => {
            Some(AuthEvent::UserLoggedIn { user_id, session_id: session, device, new_device })
        }
        AccountEvent::SessionEnded { session, reason } => {
            let reason = match reason {
                EndReason::LoggedOut | EndReason::EndedByOwner | EndReason::EndedByAdmin => {
                    SessionEnd::LoggedOut
                }
                EndReason::PasswordChanged => SessionEnd::PasswordChanged,
                EndReason::TokenReused => SessionEnd::TokenReused,
                EndReason::Expired | EndReason::TooMany => SessionEnd::Expired,
                EndReason::AccountDisabled | EndReason::AccountDeleted => SessionEnd::AccountClosed,
            };
            Some(AuthEvent::UserLoggedOut { user_id, session_id: session, reason })
        }
        AccountEvent::PasswordResetRequested { .. } => Some(AuthEvent::PasswordResetRequested { user_id }),
        AccountEvent::PasswordChanged { .. } => Some(AuthEvent::PasswordChanged { user_id }),
        AccountEvent::EmailChanged { email } => Some(AuthEvent::EmailChanged { user_id, email }),
        // Known to the user service, which decided them.
        AccountEvent::Admitted {}
        | AccountEvent::ProfileMade {}
        | AccountEvent::ProfileRefused { .. }
        | AccountEvent::Renamed { .. }
        | AccountEvent::Disabled {}
        | AccountEvent::Enabled {}
        | AccountEvent::Deleted {}
        // Nobody else's business; roles travel in the access tokens.
        | AccountEvent::PasswordRehashed { .. }
        | AccountEvent::EmailVerificationRequested { .. }
        | AccountEvent::EmailVerified {}
        | AccountEvent::RoleGranted { .. }
        | AccountEvent::RoleRevoked { .. } => None,
    }
}

fn of_service_key(key_id: uuid::Uuid, event: ServiceKeyEvent) -> AuthEvent {
    match event {
        ServiceKeyEvent::Created { name, hash } => AuthEvent::ServiceKeyCreated { key_id, name, hash },
        ServiceKeyEvent::Revoked {} => AuthEvent::ServiceKeyRevoked { key_id },
    }
}

fn of_signing_key(event: SigningKeyEvent) -> AuthEvent {
    match event {
        SigningKeyEvent::Added { kid, x } => AuthEvent::SigningKeyAdded { kid, x },
        SigningKeyEvent::Retired { kid } => AuthEvent::SigningKeyRetired { kid },
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::{Actor, EventSource as _, Position, PublicSource};

    use super::*;
    use crate::logout_user::LogoutUser;
    use crate::request_password_reset::RequestPasswordReset;
    use crate::testing::{PASSWORD, World, json, token_in};

    #[tokio::test]
    async fn others_hear_of_registration_sign_in_and_out_and_reset_and_of_no_secret() {
        let world = World::new();
        world.register("ann@example.org").await;
        let tokens = world.login("ann@example.org", PASSWORD).await.unwrap();
        world.bus.dispatch(&world.signed_in(&tokens), LogoutUser::default()).await.unwrap();
        let ask: RequestPasswordReset = json(serde_json::json!({"email": "ann@example.org"}));
        world.bus.dispatch(&world.cx(Actor::Anonymous), ask).await.unwrap();
        let token = token_in(&world.mails(1).await[0]);

        let keyring = world.auth.executor.keyring().clone();
        let source = PublicSource::new(
            "auth.public",
            world.auth.executor.log().clone(),
            keyring.clone(),
            AuthPublisher,
        );
        let events = source.read(Position(0), 100).await.unwrap().events;
        let names: Vec<_> = events.iter().map(|event| event.name.to_string()).collect();
        let expected =
            ["user-registered.v1", "user-logged-in.v1", "user-logged-out.v1", "password-reset-requested.v1"];
        assert_eq!(names, expected);
        for event in &events {
            assert_eq!(event.stream, tokens.user_id, "in the order of their user");
            let data = String::from_utf8_lossy(&event.data);
            assert!(
                !data.contains("argon2") && !data.contains(&token[4..]) && !data.contains("ann@"),
                "{data}"
            );
        }
        let registered: AuthEvent = keyring.decode(&events[0]).await.unwrap();
        assert!(
            matches!(registered, AuthEvent::UserRegistered { email, .. } if email.text() == "ann@example.org")
        );
    }
}
