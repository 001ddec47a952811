//! What repositories share exists once: a concrete one adds domain methods and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

/// Every concrete repository: its type, and the file it is in.
const REPOSITORIES: [(&str, &str); 15] = [
    ("Users", "services/user/src/users/repository.rs"),
    ("Sessions", "services/auth/src/access_view/repositories.rs"),
    ("Accounts", "services/auth/src/access_view/repositories.rs"),
    ("Notifications", "services/notification/src/notification.rs"),
    ("PushSubscriptions", "services/notification/src/push/subscription.rs"),
    ("Standings", "services/notification/src/webhooks/webhook.rs"),
    ("Webhooks", "services/notification/src/webhooks/webhook.rs"),
    ("Rooms", "services/notification/src/rooms/repository.rs"),
    ("PreferencesShown", "services/notification/src/get_preferences.rs"),
    ("Inboxes", "services/notification/src/inbox/repository.rs"),
    ("Conversations", "services/chat/src/conversations/mod.rs"),
    ("Search", "services/chat/src/search/mod.rs"),
    ("Timeline", "services/chat/src/timeline/mod.rs"),
    ("Feed", "services/chat/src/live/feed.rs"),
    ("People", "services/chat/src/people/mod.rs"),
];

/// What only the shared base may be called, and the SQL that would do its work again.
const SHARED_METHODS: [&str; 6] = ["find_by_id", "find_all", "exists", "count", "save", "delete"];
const SHARED_SQL: [&str; 4] = ["INSERT INTO", "UPDATE {", "DELETE FROM", "SELECT count("];

/// A count that the base can't give, with the reason.
const DOMAIN_COUNTS: [(&str, &str); 1] = [(
    "Inboxes",
    "what somebody hasn't read depends on what they may still see: a join, not a filter of columns",
)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

/// The bodies of all `impl NAME { … }` in a source text.
fn impls<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let head = format!("\nimpl {name} {{");
    text.match_indices(&head)
        .map(|(at, _)| {
            let rest = &text[at + head.len()..];
            // rustfmt puts the closing brace of an item at the beginning of a line.
            &rest[..rest.find("\n}").expect("the block ends")]
        })
        .collect()
}

#[test]
fn a_concrete_repository_has_no_find_save_exists_or_count_of_its_own() {
    for (name, file) in REPOSITORIES {
        let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let named = text.contains(&format!("struct {name}(")) || text.contains(&format!("type {name} ="));
        assert!(named, "{file} has no repository {name}");
        for body in impls(&text, name) {
            for method in SHARED_METHODS {
                assert!(
                    !body.contains(&format!("fn {method}(")),
                    "{name} in {file} has a {method} of its own"
                );
            }
            let counts = DOMAIN_COUNTS.iter().any(|(of, _)| *of == name);
            for sql in SHARED_SQL.into_iter().filter(|sql| !(counts && *sql == "SELECT count(")) {
                assert!(!body.contains(sql), "{name} in {file} has {sql} of its own");
            }
        }
    }
}

#[test]
fn the_table_names_every_concrete_repository() {
    let mut found = Vec::new();
    let mut folders = vec![root().join("services")];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).expect("the folder is there").map(|entry| entry.expect("readable").path())
        {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(&entry).expect("a source file is text");
                found.extend(text.lines().filter_map(|line| {
                    let (name, of) =
                        line.trim_start_matches("pub ").strip_prefix("struct ")?.split_once('(')?;
                    of.trim_start_matches("pub ").starts_with("Sql").then(|| name.to_owned())
                }));
            }
        }
    }
    let unknown: Vec<_> =
        found.iter().filter(|name| !REPOSITORIES.iter().any(|(known, _)| known == name)).collect();
    assert!(unknown.is_empty(), "not in the table: {unknown:?}");
    assert!(found.len() >= 11, "only {found:?} were found: has the way they are written changed?");
}
