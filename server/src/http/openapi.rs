//! The API's description, generated from the routes.

use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Tag};

use super::health;
use crate::admin::console;
use crate::instance::descriptions;

const DESCRIPTION: &str = "Users, sign-in, conversations, live messages, search and notifications. \
Commands (POST, PUT, PATCH, DELETE) change state and may be repeated safely with an `Idempotency-Key`; queries (GET) change \
nothing. `/docs` explains what all of them share: errors, pages, positions, live delivery.";

/// What each tag is about.
const TAGS: &[(&str, &str)] = &[
    ("auth", "Accounts, sessions and tokens"),
    ("users", "Profiles, status and contacts"),
    ("chat", "Conversations and messages"),
    ("live", "What happens, as it happens"),
    ("notifications", "What somebody is told of, and how"),
    ("admin", "What the instance does, for its administrators"),
    ("webhooks", "Events sent to other applications"),
    ("operations", "Health"),
];

/// The description of every service's routes.
pub fn document() -> OpenApi {
    let license =
        LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build();
    let info =
        InfoBuilder::new().title("Parlor").version("1").description(Some(DESCRIPTION)).license(Some(license));
    let mut api = OpenApiBuilder::new().info(info.build()).build();
    for (_, routes) in descriptions() {
        api.merge(routes.into_openapi());
    }
    cqrs_http::openapi::complete(&mut api);
    // Neither commands nor queries: they change nothing in a log, and what they show is of this moment.
    let mut console = console::routes().into_openapi();
    cqrs_http::openapi::complete_apart(&mut console);
    api.merge(console);
    // These share nothing with them.
    api.merge(health::routes().into_openapi());
    let mut tags = Vec::new();
    for (name, description) in TAGS {
        let mut tag = Tag::new(*name);
        tag.description = Some((*description).to_owned());
        tags.push(tag);
    }
    api.tags = Some(tags);
    api
}

/// The description as it is committed and printed: JSON for people, with a line's end.
pub fn text() -> String {
    let mut text = document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `cargo run -p parlor -- openapi > docs/openapi.json`.
    const COMMITTED: &str = include_str!("../../../docs/openapi.json");

    #[test]
    fn the_committed_description_is_that_of_the_routes() {
        assert!(
            text() == COMMITTED,
            "docs/openapi.json differs: cargo run -p parlor -- openapi > docs/openapi.json, and look at what changed"
        );
    }

    #[test]
    fn every_tag_that_a_route_has_is_described() {
        for item in document().paths.paths.values() {
            for operation in
                [&item.get, &item.post, &item.put, &item.patch, &item.delete].into_iter().flatten()
            {
                for tag in operation.tags.iter().flatten() {
                    assert!(TAGS.iter().any(|(known, _)| known == tag), "{tag}");
                }
            }
        }
    }
}
