//! Reading the configuration: defaults, file, environment, flags; later wins.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::providers::Serialized;
use figment::value::{Dict, Map, Tag};
use figment::{Figment, Metadata, Profile, Provider};
use serde_json::Value;

use super::keys::KEYS;
use super::render::{at, tree};
use super::{BadValue, Config};

/// The file that is read if none is named.
const USUAL_FILE: &str = "parlor.toml";
/// What the names of environment variables start with.
const PREFIX: &str = "PARLOR_";
/// Variables that start alike and aren't keys: the file's name, and what tests are given.
const OTHERS: [&str; 2] = ["PARLOR_CONFIG", "PARLOR_TEST_"];

/// Where to read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file that was named; it must be there.
    pub file: Option<PathBuf>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Keys and values given as flags, with the flag as it was written.
    pub flags: Vec<Flag>,
}

/// A key given on the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag, as `--listen`.
    pub flag: String,
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// A configuration, with where each value came from.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    figment: Figment,
}

impl Loaded {
    /// Where the value of a key came from: `default`, a file, a variable, a flag.
    pub fn origin(&self, path: &str) -> String {
        self.figment
            .find_metadata(path)
            .map_or_else(|| "default".to_owned(), |source| source.name.to_string())
    }
}

/// Why a configuration can't be used: where, which key, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, the variable, the flag.
    pub origin: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.origin, self.problem, self.remedy)
    }
}

impl std::error::Error for ConfigError {}

/// Reads the configuration. The first thing that is wrong stops it.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let defaults = tree(&Config::default());
    let mut figment = Figment::new();
    let metadata = Metadata::named("default");
    figment = figment.merge(Named { metadata, values: dict(&defaults) });
    if let Some(path) = file(sources) {
        figment = figment.merge(from_file(&path, &defaults)?);
    }
    for (name, text) in &sources.environment {
        if let Some(key) = key_of_variable(name, &defaults)?
            // An empty variable is how many tools leave one out.
            && !text.is_empty()
        {
            figment = figment.merge(one(name.clone(), &key, text, &defaults));
        }
    }
    for Flag { flag, key, value } in &sources.flags {
        known(key, &defaults).map_err(|remedy| ConfigError {
            origin: flag.clone(),
            problem: format!("there is no key {key}"),
            remedy,
        })?;
        figment = figment.merge(one(flag.clone(), key, value, &defaults));
    }
    let config: Config = figment.extract().map_err(|error| explain(&error))?;
    let loaded = Loaded { config, figment };
    match loaded.config.check() {
        Ok(()) => Ok(loaded),
        Err(BadValue { key, problem }) => Err(ConfigError {
            origin: loaded.origin(key),
            problem: format!("the value of {key} can't be used"),
            remedy: format!("it {problem}"),
        }),
    }
}

/// The file to read: the one that was named, or the usual one if it is there.
fn file(sources: &Sources) -> Option<PathBuf> {
    sources.file.clone().or_else(|| Path::new(USUAL_FILE).exists().then(|| USUAL_FILE.into()))
}

fn from_file(path: &Path, defaults: &Value) -> Result<Named, ConfigError> {
    let origin = path.display().to_string();
    let failed = |problem: String, remedy: &str| ConfigError {
        origin: origin.clone(),
        problem,
        remedy: remedy.to_owned(),
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| failed(format!("can't be read: {error}"), "name another file with --config"))?;
    let table: toml::Table = toml::from_str(&text)
        .map_err(|error| failed(error.to_string().trim().replace('\n', "\n  "), "see parlor.example.toml"))?;
    let value = serde_json::to_value(&table)
        .map_err(|error| failed(error.to_string(), "write times and dates as text"))?;
    check_keys(&value, defaults, "").map_err(|(key, remedy)| ConfigError {
        origin: origin.clone(),
        problem: format!("there is no key {key}"),
        remedy,
    })?;
    Ok(Named { metadata: Metadata::named(origin), values: dict(&value) })
}

/// The first key that doesn't exist, with what to do about it.
fn check_keys(value: &Value, known_keys: &Value, path: &str) -> Result<(), (String, String)> {
    let (Value::Object(given), Value::Object(expected)) = (value, known_keys) else { return Ok(()) };
    for (name, value) in given {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match expected.get(name) {
            Some(expected) => check_keys(value, expected, &path)?,
            None => return Err((path.clone(), suggestion(&path, known_keys, name))),
        }
    }
    Ok(())
}

fn known(path: &str, defaults: &Value) -> Result<(), String> {
    let (mut here, mut walked) = (defaults, String::new());
    for name in path.split('.') {
        walked = if walked.is_empty() { name.to_owned() } else { format!("{walked}.{name}") };
        let Some(next) = here.get(name) else { return Err(suggestion(&walked, here, name)) };
        here = next;
    }
    Ok(())
}

fn suggestion(path: &str, siblings: &Value, name: &str) -> String {
    let section = path.rsplit_once('.').map_or("", |(section, _)| section);
    let names: Vec<&str> =
        siblings.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let close = names.iter().find(|known| {
        let (known, name) = (known.replace('_', ""), name.replace(['_', '-'], "").to_ascii_lowercase());
        known.starts_with(&name) || name.starts_with(&known)
    });
    match (close, section) {
        (Some(close), "") => format!("did you mean {close}?"),
        (Some(close), section) => format!("did you mean {section}.{close}?"),
        (None, "") => format!("the keys are {}", names.join(", ")),
        (None, section) => format!("the keys of {section} are {}", names.join(", ")),
    }
}

/// The key that an environment variable sets; `None` if it is none of ours.
fn key_of_variable(name: &str, defaults: &Value) -> Result<Option<String>, ConfigError> {
    let Some(rest) = name.strip_prefix(PREFIX) else { return Ok(None) };
    if OTHERS.iter().any(|other| name.starts_with(other)) {
        return Ok(None);
    }
    let mut keys = Vec::new();
    leaves(defaults, "", &mut keys);
    let found = keys.into_iter().find(|key| key.replace('.', "_").eq_ignore_ascii_case(rest));
    found.map(Some).ok_or_else(|| ConfigError {
        origin: name.to_owned(),
        problem: "no key is called so".to_owned(),
        remedy: "unset it, or see parlor.example.toml for the keys (section and key joined by an underscore)"
            .to_owned(),
    })
}

fn leaves(value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                leaves(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, out);
            }
        }
        _ => out.push(path.to_owned()),
    }
}

/// One key's value given as text, read as what the key's default is.
fn one(origin: String, key: &str, text: &str, defaults: &Value) -> Named {
    let as_text = || Value::String(text.to_owned());
    let value = match at(defaults, key) {
        Value::Null if is_number(key) => text.parse::<u64>().map_or_else(|_| as_text(), Value::from),
        Value::String(_) | Value::Null => as_text(),
        Value::Array(_) => {
            let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
            let items =
                inner.split(',').map(|item| item.trim().trim_matches('"')).filter(|item| !item.is_empty());
            items.map(|item| Value::String(item.to_owned())).collect()
        }
        _ => serde_json::from_str(text).unwrap_or_else(|_| as_text()),
    };
    let nested = key
        .rsplit('.')
        .fold(value, |value, name| Value::Object([(name.to_owned(), value)].into_iter().collect()));
    Named { metadata: Metadata::named(origin), values: dict(&nested) }
}

/// Whether a key that is unset by default takes a number, by its example.
fn is_number(key: &str) -> bool {
    KEYS.iter()
        .filter(|known| known.path == key)
        .any(|known| known.example.is_some_and(|example| example.parse::<u64>().is_ok()))
}

fn explain(error: &figment::Error) -> ConfigError {
    let origin = error
        .metadata
        .as_ref()
        .map_or_else(|| "the configuration".to_owned(), |source| source.name.to_string());
    ConfigError {
        origin,
        problem: format!("the value of {} can't be used: {}", error.path.join("."), error.kind),
        remedy: "see parlor.example.toml for what it means".to_owned(),
    }
}

/// Values under a source's name.
struct Named {
    metadata: Metadata,
    values: Dict,
}

fn dict(value: &Value) -> Dict {
    // Unset keys are left out, so that a later source's are the only ones.
    fn pruned(value: &Value) -> Value {
        match value {
            Value::Object(fields) => fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), pruned(value)))
                .collect(),
            other => other.clone(),
        }
    }
    Serialized::defaults(pruned(value))
        .data()
        .ok()
        .and_then(|mut data| data.remove(&Profile::Default))
        .unwrap_or_default()
}

impl Provider for Named {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }
    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let untagged = self.values.clone().into_iter().map(|(name, value)| (name, untag(value))).collect();
        Ok(Map::from([(Profile::Default, untagged)]))
    }
}

/// Values come tagged by the provider that made them; the name of this one is to be found instead.
fn untag(value: figment::value::Value) -> figment::value::Value {
    use figment::value::Value as V;
    let tag = Tag::Default;
    match value {
        V::String(_, value) => V::String(tag, value),
        V::Char(_, value) => V::Char(tag, value),
        V::Bool(_, value) => V::Bool(tag, value),
        V::Num(_, value) => V::Num(tag, value),
        V::Empty(_, value) => V::Empty(tag, value),
        V::Dict(_, fields) => {
            V::Dict(tag, fields.into_iter().map(|(name, value)| (name, untag(value))).collect())
        }
        V::Array(_, items) => V::Array(tag, items.into_iter().map(untag).collect()),
    }
}
