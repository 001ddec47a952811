//! What `docs/architecture.md` says about where things are is so.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

fn architecture() -> String {
    std::fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md is there")
}

/// The rows of the plan's tables: the term, and the files it is said to be in.
fn rows(text: &str) -> Vec<(String, Vec<String>)> {
    let table = text.split("<!-- plan: begin -->").nth(1).expect("the table begins");
    let table = table.split("<!-- plan: end -->").next().expect("the table ends");
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| the plan"));
    rows.map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let term = cells.next().unwrap_or_default().trim_matches('`').to_owned();
        let files =
            cells.next().unwrap_or_default().split(", ").map(|file| file.trim_matches('`').to_owned());
        (term, files.collect())
    })
    .collect()
}

#[test]
fn every_file_the_table_names_is_there() {
    let missing: Vec<String> = rows(&architecture())
        .into_iter()
        .flat_map(|(_, files)| files)
        .filter(|file| !root().join(file).is_file())
        .collect();
    assert!(missing.is_empty(), "docs/architecture.md names files that aren't there: {missing:?}");
}

#[test]
fn every_command_query_and_event_of_the_plan_is_in_a_file_that_speaks_of_it() {
    let mut counted = 0;
    for (term, files) in rows(&architecture()) {
        let Some(name) = ["Command", "Query", "Event"].iter().find_map(|kind| term.strip_suffix(kind)) else {
            continue;
        };
        if name.is_empty() || name.contains(' ') {
            continue;
        }
        counted += 1;
        // `MarkNotificationAsRead` as a type, or its words in a stable name: mark-notification-as-read.
        let words: String = name
            .char_indices()
            .flat_map(|(i, c)| (i > 0 && c.is_uppercase()).then_some('-').into_iter().chain(c.to_lowercase()))
            .collect();
        let text: String =
            files.iter().map(|file| std::fs::read_to_string(root().join(file)).unwrap_or_default()).collect();
        assert!(
            text.contains(name) || text.contains(&words),
            "{term}: nothing in {files:?} is called {name} or {words}"
        );
    }
    // The plan names 19 commands, 14 queries and 19 events.
    assert_eq!(counted, 52, "the plan's commands, queries and events");
}
