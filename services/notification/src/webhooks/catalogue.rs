//! What can be sent: every public event, read off the contracts themselves.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use parlor_contracts::auth::AuthEvent;
use parlor_contracts::chat::ChatEvent;
use parlor_contracts::notification::NotificationEvent;
use parlor_contracts::user::UserEvent;
use schemars::{JsonSchema, schema_for};
use serde_json::Value;

/// The sources of public events, with their services' names, which are their logs'.
pub const SOURCES: [(&str, &str); 4] = [
    ("auth.public", "auth"),
    ("user.public", "user"),
    ("chat.public", "chat"),
    ("notification.public", "notification"),
];

/// Every event, as `chat.message-sent`: the service, and the event's name without its version.
pub static EVENTS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut all = BTreeSet::new();
    collect::<AuthEvent>("auth", &mut all);
    collect::<UserEvent>("user", &mut all);
    collect::<ChatEvent>("chat", &mut all);
    collect::<NotificationEvent>("notification", &mut all);
    all
});

/// The name of an event without its version: `message-sent` of `message-sent.v1`.
pub fn unversioned(name: &str) -> &str {
    name.rsplit_once(".v").map_or(name, |(name, _)| name)
}

fn collect<E: JsonSchema>(service: &str, all: &mut BTreeSet<String>) {
    let schema = schema_for!(E);
    let kinds = schema.as_value().pointer("/oneOf").and_then(Value::as_array).into_iter().flatten();
    let names = kinds.filter_map(|kind| kind.pointer("/properties/type/const").and_then(Value::as_str));
    all.extend(names.map(|name| format!("{service}.{}", unversioned(name))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_has_its_events_in_the_catalogue() {
        for known in [
            "auth.user-registered",
            "user.user-contact-added",
            "chat.message-sent",
            "notification.notification-created",
        ] {
            assert!(EVENTS.contains(known), "{known}: {:?}", *EVENTS);
        }
        let page = include_str!("../../../../docs/webhooks.md");
        for event in &*EVENTS {
            let (service, name) = event.split_once('.').expect("a service and a name");
            assert!(
                page.contains(&format!("`{service}.`")) && page.contains(&format!("`{name}`")),
                "{event}"
            );
        }
        // 10, 9, 9 and 4 as of now; less would mean that a contract isn't read any more.
        assert!(EVENTS.len() >= 32, "{:?}", *EVENTS);
    }
}
