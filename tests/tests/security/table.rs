//! `docs/security.md`: that it lists every item, and that each test named there exists.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[test]
fn every_item_is_listed_with_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("docs/security.md")).expect("docs/security.md");
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        if let Ok(number) = cells[0].parse::<u32>() {
            assert_eq!(cells.len(), 4, "{line}");
            assert!(rows.insert(number, cells[3].to_owned()).is_none(), "{number} stands twice");
        }
    }
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
    for (number, tests) in rows {
        let named = references(&tests);
        assert!(
            !named.is_empty() || tests.starts_with("later:") || tests.starts_with("check:"),
            "{number} has neither a test nor where it belongs: {tests}"
        );
        for (name, file) in named {
            let path = root.join(&file);
            let source =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{number}: {file}: {error}"));
            // In JavaScript a test's name is a text.
            let (marker, prefix) = if is(&file, "js") {
                (format!("test(\"{name}\""), format!("security {number}: "))
            } else {
                (format!("fn {name}("), format!("security_{number}_"))
            };
            assert!(source.contains(&marker), "{number}: {file} has no {name}");
            assert!(name.starts_with(&prefix), "{number}: {name}");
        }
    }
}

fn is(path: &str, kind: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == kind)
}

/// The pairs of a test's name and its file in a cell: `` `name` (`file`) ``, a file serving all names before it.
fn references(cell: &str) -> Vec<(String, String)> {
    let (mut pairs, mut waiting) = (Vec::new(), Vec::new());
    for (index, code) in cell.split('`').enumerate() {
        match index % 2 {
            1 if code.starts_with("security_") || code.starts_with("security ") => {
                waiting.push(code.to_owned());
            }
            1 if is(code, "rs") || is(code, "js") => {
                pairs.extend(waiting.drain(..).map(|name| (name, code.to_owned())));
            }
            _ => {}
        }
    }
    assert!(waiting.is_empty(), "without a file: {waiting:?}");
    pairs
}
