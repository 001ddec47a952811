//! Who is named in a message: `@` and a display name, or `<@` and a user's id and `>`.
//!
//! Names have spaces in them, and in many scripts nothing says where a name ends. So a text only says what may be a name
//! (everything after an `@`, folded as for search); which of it is one, whoever knows the members finds out, the longest
//! name first: see [`Naming`].

use parlor_text::fold;
use uuid::Uuid;

/// How many `@` of a message are looked at.
const MOST: usize = 20;
/// How many characters after an `@` may belong to a name: the longest name, and some for what folding drops.
const REACH: usize = 120;

/// The users named by id: `<@0192f0c1-…>`. Each once, in order.
pub fn ids(text: &str) -> Vec<Uuid> {
    let mut found = Vec::new();
    for rest in text.split("<@").skip(1) {
        let id =
            rest.get(..36).filter(|_| rest[36..].starts_with('>')).and_then(|id| Uuid::try_parse(id).ok());
        if let Some(id) = id
            && !found.contains(&id)
        {
            found.push(id);
            if found.len() == MOST {
                break;
            }
        }
    }
    found
}

/// A place where somebody may be named: what follows an `@`.
#[derive(Debug, Clone, PartialEq)]
pub struct Naming {
    /// What each beginning of it folds to, and whether a name may end there.
    beginnings: Vec<(String, bool)>,
}

impl Naming {
    /// All that may be a name, folded: every name that is meant here is a beginning of it.
    pub fn folded(&self) -> &str {
        self.beginnings.last().map_or("", |(folded, _)| folded)
    }

    /// Whether the folded `name` stands here and ends where a name may end: `Ann` stands in `@Ann's`, not in
    /// `@Annabel`.
    pub fn is(&self, name: &str) -> bool {
        !name.is_empty() && self.beginnings.iter().any(|(folded, ends)| *ends && folded == name)
    }

    /// What to look for once it's known that the greatest name not above `bound` is `name`, which isn't meant: the next
    /// bound, shorter; `None` when there is no name left that could be meant. The bounds are beginnings of
    /// [`Naming::folded`], and the greatest name not above such a bound is either a beginning of it, or shows how far
    /// any other can agree with it.
    pub fn next_bound(bound: &str, name: &str) -> Option<String> {
        let mut next = if bound.starts_with(name) {
            let mut shorter = name.to_owned();
            shorter.pop();
            shorter
        } else {
            bound.chars().zip(name.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
        };
        // A name has no space at its end.
        next.truncate(next.trim_end().len());
        (!next.is_empty()).then_some(next)
    }
}

/// The places where somebody may be named. An `@` inside a word (an e-mail address) is none.
pub fn namings(text: &str) -> Vec<Naming> {
    let mut found = Vec::new();
    let mut before = None;
    for (at, c) in text.char_indices() {
        // Japanese and Chinese keyboards type it wide.
        let is_at = matches!(c, '@' | '＠');
        let in_word = before.is_some_and(|before| continues_word(before) && !has_no_spaces(before));
        let rest = &text[at + c.len_utf8()..];
        if is_at && !in_word && rest.chars().next().is_some_and(|next| !next.is_whitespace()) {
            found.push(naming(rest));
            if found.len() == MOST {
                break;
            }
        }
        before = Some(c);
    }
    found.retain(|naming| !naming.folded().is_empty());
    found
}

fn naming(rest: &str) -> Naming {
    let line = rest.lines().next().unwrap_or_default();
    let mut beginnings = Vec::new();
    let mut last = None;
    for (start, c) in line.char_indices().take(REACH) {
        let end = start + c.len_utf8();
        let ends = match (last.replace(c), line[end..].chars().next()) {
            (_, None) => true,
            (_, Some(next)) => !continues_word(next) || has_no_spaces(next) || has_no_spaces(c),
        };
        beginnings.push((fold(&line[..end]), ends));
    }
    Naming { beginnings }
}

fn continues_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Letters of scripts that don't part words by spaces, or append to names without one, as Korean does: a name may end
/// anywhere among them. The blocks are those of the Unicode Standard.
fn has_no_spaces(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}'     // Thai, Lao
        | '\u{1000}'..='\u{109f}'   // Myanmar
        | '\u{1100}'..='\u{11ff}'   // Hangul letters
        | '\u{1780}'..='\u{17ff}'   // Khmer
        | '\u{3040}'..='\u{30ff}'   // Hiragana, Katakana
        | '\u{3400}'..='\u{9fff}'   // Han
        | '\u{ac00}'..='\u{d7ff}'   // Hangul syllables
        | '\u{f900}'..='\u{faff}'   // Han, compatibility
        | '\u{20000}'..='\u{3ffff}' // Han, further
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who of `names` is named in `text`, found as the reactor does: by asking for the greatest name not above a bound.
    fn named<'a>(text: &str, names: &[&'a str]) -> Vec<&'a str> {
        let mut folded: Vec<(String, &str)> = names.iter().map(|name| (fold(name), *name)).collect();
        folded.sort();
        let mut found = Vec::new();
        for naming in namings(text) {
            let mut bound = Some(naming.folded().to_owned());
            while let Some(at_most) = bound {
                let Some((name, original)) = folded.iter().rev().find(|(name, _)| *name <= at_most) else {
                    break;
                };
                if naming.is(name) {
                    found.push(*original);
                    break;
                }
                let next = Naming::next_bound(&at_most, name);
                assert!(
                    next.as_ref().is_none_or(|next| next.len() < at_most.len()),
                    "{next:?} after {at_most}"
                );
                bound = next;
            }
        }
        found
    }

    #[test]
    fn the_longest_name_is_meant_whatever_its_case_and_accents() {
        let names = ["Ann", "Ann Smith", "Anna", "Zoë Strauß", "Bob"];
        assert_eq!(named("hi @ann smith, and @ZOE STRAUSS!", &names), ["Ann Smith", "Zoë Strauß"]);
        assert_eq!(named("hi @Ann Smithers", &names), ["Ann"]);
        assert_eq!(named("@anna @ann @bob's", &names), ["Anna", "Ann", "Bob"]);
        assert_eq!(named("(@Bob) and @Bob: yes", &names), ["Bob", "Bob"]);
    }

    #[test]
    fn a_part_of_a_word_is_no_name() {
        let names = ["Ann", "Bob"];
        for text in ["@Annabel", "mail bob@ann.example", "@ Ann", "@", "Ann", "a@Bob", "@Bo"] {
            assert_eq!(named(text, &names), Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn names_end_where_their_script_lets_them() {
        let names = ["李小龍", "李", "김민수", "สมชาย", "田中", "محمد", "अनीता"];
        assert_eq!(named("你好@李小龍你好", &names), ["李小龍"]);
        assert_eq!(named("＠田中さん、お願いします", &names), ["田中"]);
        assert_eq!(named("@김민수님 안녕하세요", &names), ["김민수"]);
        assert_eq!(named("สวัสดี@สมชายครับ", &names), ["สมชาย"]);
        assert_eq!(named("مرحبا @مُحَمَّد كيف", &names), ["محمد"]);
        assert_eq!(named("@अनीता नमस्ते", &names), ["अनीता"]);
    }

    #[test]
    fn names_with_apostrophes_and_hyphens_are_found_by_what_they_fold_to() {
        let names = ["O'Hara", "Jean-Luc", "O"];
        assert_eq!(
            named("@OHara @jeanluc @o’hara @Jean-Luc.", &names),
            ["O'Hara", "Jean-Luc", "O'Hara", "Jean-Luc"]
        );
    }

    #[test]
    fn a_line_ends_a_name() {
        assert_eq!(named("@Ann\nSmith", &["Ann", "Ann Smith"]), ["Ann"]);
    }

    #[test]
    fn ids_are_read_and_nothing_else() {
        let id = Uuid::from_u128(0x0192_f0c1_0000_7000_8000_0000_0000_0001);
        assert_eq!(ids(&format!("hi <@{id}>, <@{id}> and <@nobody> <@{}", &id.to_string()[..20])), [id]);
        assert_eq!(ids(&format!("<@{id}")), Vec::<Uuid>::new());
        assert_eq!(ids("<@éééééééééééééééééééééééééééééééééééé>"), Vec::<Uuid>::new());
    }

    #[test]
    fn a_message_of_nothing_but_ats_is_looked_at_in_part_only() {
        assert!(namings(&"@a".repeat(10_000)).len() <= MOST);
        assert!(namings(&"@@@@".repeat(1_000)).len() <= MOST);
    }
}
