//! The keys of applications (role `service`), made and revoked by the operator on the command line.
//! Records `service-key.created` and `service-key.revoked`; public as `service-key-created.v1` and `-revoked.v1`.

use std::convert::Infallible;

use cqrs_core::{
    Aggregate, Context, Decide, Decision, Event, Failure, Plain, Reads, Refusal, RefusalKind, State,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::display_name::DisplayName;
use crate::service::Auth;
use crate::tokens::random_bytes;
use crate::tokens::service_key::ServiceIdentity;

/// What happens to a service key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all_fields = "camelCase")]
pub enum ServiceKeyEvent {
    /// The operator made it.
    #[serde(rename = "service-key.created")]
    Created {
        /// What they call the application.
        name: Plain<String>,
        /// Keyed hash of the key.
        hash: Plain<String>,
    },
    /// The operator took it out of force.
    #[serde(rename = "service-key.revoked")]
    Revoked {},
}

impl Event for ServiceKeyEvent {}

/// The present state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceKey {
    name: String,
    hash: String,
    revoked: bool,
}

impl Aggregate for ServiceKey {
    const CATEGORY: &'static str = "service-key";
    type Event = ServiceKeyEvent;

    fn apply(&mut self, event: &ServiceKeyEvent) {
        match event {
            ServiceKeyEvent::Created { name, hash } => {
                self.name.clone_from(&name.0);
                self.hash.clone_from(&hash.0);
            }
            ServiceKeyEvent::Revoked {} => self.revoked = true,
        }
    }
}

struct Create {
    id: Uuid,
    name: String,
    hash: String,
}

impl Decide for Create {
    type Answer = ();
    type Refusal = Infallible;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<ServiceKey>(self.id)
    }

    fn decide(&self, _: &Context, _: &State<'_>) -> Result<Decision<()>, Infallible> {
        let (name, hash) = (Plain(self.name.clone()), Plain(self.hash.clone()));
        Ok(Decision::done().record::<ServiceKey>(self.id, ServiceKeyEvent::Created { name, hash }))
    }
}

/// There is no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such service key")]
pub struct UnknownServiceKey;

impl Refusal for UnknownServiceKey {
    fn code(&self) -> &'static str {
        "not-found"
    }
    fn kind(&self) -> RefusalKind {
        RefusalKind::NotFound
    }
}

struct Revoke {
    id: Uuid,
}

impl Decide for Revoke {
    type Answer = ();
    type Refusal = UnknownServiceKey;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<ServiceKey>(self.id)
    }

    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<()>, UnknownServiceKey> {
        let key = state.find_existing::<ServiceKey>(self.id).ok_or(UnknownServiceKey)?;
        if key.revoked {
            return Ok(Decision::done());
        }
        Ok(Decision::done().record::<ServiceKey>(self.id, ServiceKeyEvent::Revoked {}))
    }
}

impl Auth {
    /// `parlor service-key create NAME`: makes a key, and gives its id and its text, which is shown once and kept nowhere.
    pub async fn create_service_key(
        &self,
        cx: &Context,
        name: DisplayName,
    ) -> Result<(Uuid, String), Failure> {
        let id = cx.fresh_id(0);
        let (text, hash) = self.admission.service_keys().issue(id, random_bytes());
        let name = String::from(name);
        self.executor.run(cx, &Create { id, name, hash: hash.into() }).await?;
        Ok((id, text))
    }

    /// `parlor service-key revoke ID`: takes a key out of force, at once.
    pub async fn revoke_service_key(&self, cx: &Context, id: Uuid) -> Result<(), Failure> {
        self.executor.run(cx, &Revoke { id }).await.map(drop)
    }

    /// Whose key this is, if it is one that is in force: asks the log, so that a revoked key ends at once.
    pub async fn recognise_service_key(&self, text: &str) -> Result<Option<ServiceIdentity>, Failure> {
        let Some(id) = self.admission.service_keys().id_of(text) else { return Ok(None) };
        let (version, key) = self.executor.state::<ServiceKey>(id).await?;
        let in_force =
            version > 0 && !key.revoked && self.admission.service_keys().matches(text, key.hash.into());
        Ok(in_force.then(|| ServiceIdentity { id, name: key.name.into() }))
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::Actor;

    use super::*;
    use crate::testing::{World, code};

    #[test]
    fn every_text_in_its_events_is_declared_personal_or_plain() {
        assert_eq!(cqrs_core::undeclared_text::<ServiceKeyEvent>(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_key_is_good_from_creation_to_revocation() {
        let world = World::new();
        let cx = world.cx(Actor::System);
        let (id, text) =
            world.auth.create_service_key(&cx, DisplayName::parse("shop").unwrap()).await.unwrap();
        let known = world.auth.recognise_service_key(&text).await.unwrap();
        assert_eq!(known, Some(ServiceIdentity { id, name: "shop".into() }));
        for other in [&text[..text.len() - 1], &text.to_lowercase(), "psk_", ""] {
            assert_eq!(world.auth.recognise_service_key(other).await.unwrap(), None, "{other}");
        }
        world.auth.revoke_service_key(&world.cx(Actor::System), id).await.unwrap();
        assert_eq!(world.auth.recognise_service_key(&text).await.unwrap(), None);
        let unknown = world.auth.revoke_service_key(&world.cx(Actor::System), Uuid::from_u128(1)).await;
        assert_eq!(code(unknown), "not-found");
    }

    #[tokio::test]
    async fn security_35_the_log_holds_no_key() {
        let world = World::new();
        let cx = world.cx(Actor::System);
        let (_, text) =
            world.auth.create_service_key(&cx, DisplayName::parse("shop").unwrap()).await.unwrap();
        let events = world.auth.executor.log().read(cqrs_core::Position(0), 10).await.unwrap();
        assert!(!String::from_utf8_lossy(&events[0].data).contains(&text[30..]));
    }
}
