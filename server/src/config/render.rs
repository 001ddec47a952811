//! The configuration as text: the example file, and what is in force.

use std::fmt::Write as _;

use serde_json::Value;

use super::keys::{KEYS, Key};
use super::{Config, Loaded};

/// The text of `parlor.example.toml`: every key with its meaning and its default.
pub fn example() -> String {
    let defaults = tree(&Config::default());
    let mut out = String::from(
        "# What Parlor can be told, with the defaults. Copied to parlor.toml, it is read from the folder that Parlor is started\n\
         # in; or name it: --config FILE, PARLOR_CONFIG=FILE.\n\
         #\n\
         # Each key can also be set by an environment variable, which wins over the file: PARLOR_, section and key, joined by\n\
         # underscores, as PARLOR_LISTEN=0.0.0.0:8080 or PARLOR_AUTH_VERIFY_EMAIL=true; and by a flag, which wins over both:\n\
         # --set auth.verify_email=true. `parlor config show` prints what is in force.\n",
    );
    render(&mut out, |out, key, name| {
        if !out.ends_with("]\n") {
            out.push('\n');
        }
        for line in key.doc.lines() {
            let _ = writeln!(out, "# {line}");
        }
        match (at(&defaults, key.path), key.example) {
            (Value::Null, example) => {
                let _ = writeln!(out, "# {name} = {}", example.unwrap_or("…"));
            }
            (value, _) => {
                let _ = writeln!(out, "{name} = {}", toml(value));
            }
        }
    });
    out
}

/// What is in force, as TOML, each key with where it came from. Passwords are hidden.
pub fn show(loaded: &Loaded) -> String {
    let values = tree(&loaded.config);
    let mut out = String::new();
    render(&mut out, |out, key, name| {
        let value = at(&values, key.path);
        let text = match value {
            Value::Null => return,
            Value::String(text) if key.secret => toml(&Value::String(hide_password(text))),
            value => toml(value),
        };
        let _ = writeln!(out, "{:<56} # {}", format!("{name} = {text}"), loaded.origin(key.path));
    });
    out
}

/// Goes through the keys, with a heading before each section's first.
fn render(out: &mut String, mut line: impl FnMut(&mut String, &Key, &str)) {
    let mut section = "";
    for key in KEYS {
        let (prefix, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if prefix != section {
            section = prefix;
            let _ = writeln!(out, "\n[{section}]");
        }
        line(out, key, name);
    }
}

/// The configuration as a tree in which unset keys are null.
pub(super) fn tree(config: &Config) -> Value {
    serde_json::to_value(config).unwrap_or_default()
}

/// The value at a path.
pub(super) fn at<'a>(tree: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(tree, |tree, name| &tree[name])
}

/// A value as TOML writes it in one line.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            // Backwards, so that a rate reads as `tries` in `seconds`.
            let fields: Vec<_> =
                fields.iter().rev().map(|(name, value)| format!("{name} = {}", toml(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        // JSON's strings, numbers, booleans and arrays of them are TOML's.
        other => other.to_string(),
    }
}

/// What may be shown of a URL: no password, no parameters. What isn't a URL that is known here is hidden whole.
fn hide_password(text: &str) -> String {
    const HIDDEN: &str = "hidden";
    const KNOWN: [&str; 6] = ["sqlite", "postgres", "postgresql", "smtp", "smtps", "smtp+starttls"];
    match url::Url::parse(text) {
        Ok(url) if KNOWN.contains(&url.scheme()) && url.password().is_none() && url.query().is_none() => {
            text.to_owned()
        }
        Ok(mut url) if KNOWN.contains(&url.scheme()) => {
            let without_password = url.password().is_none() || url.set_password(Some(HIDDEN)).is_ok();
            url.set_query(url.query().is_some().then_some(HIDDEN));
            if without_password { url.to_string() } else { HIDDEN.to_owned() }
        }
        _ => HIDDEN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Paths of all leaves; a rate counts as one.
    fn leaves(value: &Value, path: &str, out: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) if !fields.contains_key("tries") => {
                for (name, value) in fields {
                    leaves(
                        value,
                        &if path.is_empty() { name.clone() } else { format!("{path}.{name}") },
                        out,
                    );
                }
            }
            _ => {
                out.insert(path.to_owned());
            }
        }
    }

    #[test]
    fn every_key_is_documented_and_every_documented_key_exists() {
        let mut found = BTreeSet::new();
        leaves(&tree(&Config::default()), "", &mut found);
        let documented: BTreeSet<_> = KEYS.iter().map(|key| key.path.to_owned()).collect();
        assert_eq!(found, documented);
        assert_eq!(documented.len(), KEYS.len(), "each is there once");
    }

    #[test]
    fn a_key_that_is_unset_by_default_has_an_example() {
        let defaults = tree(&Config::default());
        for key in KEYS {
            assert_eq!(at(&defaults, key.path).is_null(), key.example.is_some(), "{}", key.path);
        }
    }

    #[test]
    fn the_committed_example_file_is_what_the_code_says() {
        assert!(
            example() == include_str!("../../../parlor.example.toml"),
            "parlor.example.toml differs: cargo run -p parlor -- config example > parlor.example.toml"
        );
    }

    #[test]
    fn the_example_file_says_the_defaults() {
        let read: Config = toml::from_str(&example()).unwrap();
        assert!(read == Config::default());
    }

    #[test]
    fn security_35_passwords_in_urls_are_hidden() {
        assert_eq!(hide_password("postgres://me:secret@host/db"), "postgres://me:hidden@host/db");
        assert_eq!(hide_password("postgres://me@host/db?password=secret"), "postgres://me@host/db?hidden");
        assert_eq!(hide_password("sqlite:"), "sqlite:");
        assert_eq!(hide_password("me:secret @host"), "hidden");
    }
}
