//! Search over real lines: the demo's conversations in 28 languages.

use parlor_text::{contains_all, find, fold, index_tokens, query_tokens, terms};
use serde::Deserialize;

#[derive(Deserialize)]
struct Corpus {
    languages: Vec<Language>,
}

#[derive(Deserialize)]
struct Language {
    language: String,
    conversations: Vec<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Sample {
    language: String,
    line: String,
    query: String,
}

fn languages() -> Vec<Language> {
    let corpus: Corpus =
        serde_json::from_str(include_str!("../../server/demo/corpus.json")).expect("a corpus");
    corpus.languages
}

fn samples() -> Vec<Sample> {
    serde_json::from_str(include_str!("../../server/demo/samples.json")).expect("a list of samples")
}

#[test]
fn every_line_is_found_by_its_words_and_by_their_parts() {
    let languages = languages();
    assert_eq!(languages.len(), 28);
    for Language { language, conversations } in &languages {
        for line in conversations.iter().flatten() {
            let folded = fold(line);
            let indexed = index_tokens(&folded);
            for word in folded.split(' ').filter(|word| !word.is_empty()) {
                let letters: Vec<char> = word.chars().collect();
                for part in [&letters[..], &letters[letters.len() / 2..], &letters[..1]] {
                    let part = [part.iter().collect::<String>()];
                    assert!(query_tokens(&part).is_subset(&indexed), "{language}: {part:?} in {line:?}");
                    assert!(contains_all(&folded, &part), "{language}: {part:?} in {line:?}");
                }
            }
            assert_eq!(find(line, line).is_empty(), folded.is_empty(), "{language}: {line:?}");
        }
    }
}

#[test]
fn each_sample_is_found_among_few_lines() {
    let languages = languages();
    let lines = || languages.iter().flat_map(|l| l.conversations.iter().flatten().map(move |line| (l, line)));
    for sample in samples() {
        let terms = terms(&sample.query);
        let found: Vec<_> = lines().filter(|(_, line)| contains_all(&fold(line), &terms)).collect();
        assert!(
            found.iter().any(|(l, line)| l.language == sample.language && **line == sample.line),
            "{sample:?}"
        );
        assert!(found.len() < 40, "{sample:?} finds {} lines", found.len());
    }
}
