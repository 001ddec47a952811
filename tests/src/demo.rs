//! The demo data: what people say in 28 languages (`server/demo`).

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A language and what is said in it.
#[derive(Debug, Clone, Deserialize)]
pub struct Language {
    /// Its name, in English.
    pub language: String,
    /// Its code (BCP 47).
    pub code: String,
    /// Conversations: what two say in turn.
    pub conversations: Vec<Vec<String>>,
}

/// A line of the corpus and words that must find it.
#[derive(Debug, Clone, Deserialize)]
pub struct Sample {
    /// The language's name.
    pub language: String,
    /// The line as it stands in the corpus.
    pub line: String,
    /// What somebody types to find it.
    pub query: String,
}

#[derive(Deserialize)]
struct Corpus {
    languages: Vec<Language>,
}

/// Everything said in every language.
pub fn languages() -> Vec<Language> {
    load::<Corpus>("corpus.json").languages
}

/// What must be found.
pub fn samples() -> Vec<Sample> {
    load("samples.json")
}

fn load<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/demo").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
