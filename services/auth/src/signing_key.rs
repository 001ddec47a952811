//! The public halves of the keys that sign access tokens, recorded so that every process hears of them.
//! Records `signing-key.added` and `signing-key.retired`; public as `signing-key-added.v1` and `-retired.v1`.
//!
//! The private halves never leave the folder of the process that signs with them ([`keys`](crate::tokens::keys)).

use std::convert::Infallible;

use cqrs_core::{
    Actor, Aggregate, Context, Decide, Decision, Event, Failure, Plain, Reads, State, derived_id,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::service::Auth;
use crate::tokens::verify::Jwk;

/// What happens to a signing key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all_fields = "camelCase")]
pub enum SigningKeyEvent {
    /// Tokens may be signed with it, now or in a while.
    #[serde(rename = "signing-key.added")]
    Added {
        /// Its id.
        kid: Plain<String>,
        /// Its public half (Ed25519), base64url.
        x: Plain<String>,
    },
    /// The last token signed with it has expired.
    #[serde(rename = "signing-key.retired")]
    Retired {
        /// Its id.
        kid: Plain<String>,
    },
}

impl Event for SigningKeyEvent {}

/// The present state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SigningKey {
    retired: bool,
}

impl SigningKey {
    /// The stream of the key with this id.
    pub fn id(kid: &str) -> Uuid {
        derived_id("parlor auth signing key v1", &[kid.as_bytes()])
    }
}

impl Aggregate for SigningKey {
    const CATEGORY: &'static str = "signing-key";
    type Event = SigningKeyEvent;

    fn apply(&mut self, event: &SigningKeyEvent) {
        match event {
            SigningKeyEvent::Added { .. } => {}
            SigningKeyEvent::Retired { .. } => self.retired = true,
        }
    }
}

/// Tells of a key. Once or several times is the same.
struct Tell {
    kid: String,
    /// The public half of a key that is good; none for one that isn't any more.
    x: Option<String>,
}

impl Decide for Tell {
    type Answer = ();
    type Refusal = Infallible;

    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<SigningKey>(SigningKey::id(&self.kid))
    }

    fn decide(&self, _: &Context, state: &State<'_>) -> Result<Decision<()>, Infallible> {
        let (id, kid) = (SigningKey::id(&self.kid), Plain(self.kid.clone()));
        let event = match (state.find_existing::<SigningKey>(id), &self.x) {
            (None, Some(x)) => SigningKeyEvent::Added { kid, x: Plain(x.clone()) },
            (Some(key), None) if !key.retired => SigningKeyEvent::Retired { kid },
            _ => return Ok(Decision::already(())),
        };
        Ok(Decision::done().record::<SigningKey>(id, event))
    }
}

impl Auth {
    /// Records which of this process's keys are good, and which are not any more.
    pub(crate) async fn tell_of_keys(&self, good: &[Jwk], expired: Vec<String>) -> Result<(), Failure> {
        let good = good.iter().map(|key| Tell { kid: key.kid.clone(), x: Some(key.x.clone()) });
        let expired = expired.into_iter().map(|kid| Tell { kid, x: None });
        for tell in good.chain(expired) {
            self.executor.run(&self.executor.clock().context(Actor::System), &tell).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cqrs_core::testing::{given, given_nothing};

    use super::*;

    fn added() -> SigningKeyEvent {
        SigningKeyEvent::Added { kid: Plain("k".to_owned()), x: Plain("x".to_owned()) }
    }

    fn tell(x: Option<&str>) -> Tell {
        Tell { kid: "k".to_owned(), x: x.map(str::to_owned) }
    }

    #[test]
    fn a_key_is_added_once_and_retired_once_and_stays_so() {
        let id = SigningKey::id("k");
        let retired = || SigningKeyEvent::Retired { kid: Plain("k".to_owned()) };
        given_nothing().when(Actor::System, &tell(Some("x"))).records::<SigningKey>(id, [added()]);
        given::<SigningKey>(id, [added()]).when(Actor::System, &tell(Some("x"))).is_already();
        given::<SigningKey>(id, [added()])
            .when(Actor::System, &tell(None))
            .records::<SigningKey>(id, [retired()]);
        given::<SigningKey>(id, [added(), retired()]).when(Actor::System, &tell(None)).is_already();
        given::<SigningKey>(id, [added(), retired()]).when(Actor::System, &tell(Some("x"))).is_already();
    }

    #[test]
    fn a_key_that_was_never_told_of_is_not_retired() {
        given_nothing().when(Actor::System, &tell(None)).is_already();
    }

    #[test]
    fn every_text_in_its_events_is_declared_personal_or_plain() {
        assert_eq!(cqrs_core::undeclared_text::<SigningKeyEvent>(), Vec::<String>::new());
    }
}
