//! Strict JSON: what isn't a JSON document is told apart from what is one and isn't acceptable.

mod strict;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::{self, Write as _};

use axum::http::StatusCode;
use cqrs_core::FieldError;
use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment, Track};

use crate::problem::Problem;
use strict::Strict;

/// The longest detail given back; serde quotes what it read, which may be as long as the body.
const LONGEST_DETAIL: usize = 300;

/// Reads a body. An empty one reads as `{}`, if that is acceptable.
///
/// The document is looked through twice: first as JSON alone, for what serde's types would pass over (keys given twice
/// in a map, what is wrong behind the first wrong type), then as a `T`. The first pass allocates nothing for small
/// documents without escapes.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.is_empty() {
        return serde_json::from_slice(b"{}").map_err(|_| malformed("the body is empty"));
    }
    check(bytes)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    // The document is sound, whatever is wrong now. (For a number where an enum is wanted serde_json speaks of syntax.)
    T::deserialize(Strict(&mut deserializer)).map_err(|error| unacceptable::<T>(bytes, &error))
}

/// What is wrong, and where: read once more, remembering the way, which costs an allocation per key.
fn unacceptable<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> Problem {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let mut track = Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    // It fails as it did before.
    drop(T::deserialize(Strict(tracked)));
    let detail = match error.classify() {
        Category::Data => without_place(error),
        Category::Syntax | Category::Eof | Category::Io => {
            "is of another type than is wanted here".to_owned()
        }
    };
    invalid(with_missing_field(json_pointer(&track.path()), &detail), detail)
}

/// 400: not a JSON document.
pub(crate) fn malformed(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed-json", shortened(detail.to_owned()))
}

/// 422: the value at `pointer` isn't acceptable.
pub(crate) fn invalid(pointer: String, detail: String) -> Problem {
    let detail = shortened(detail);
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-value", detail.clone())
        .with_error(FieldError { pointer, detail })
}

fn shortened(mut detail: String) -> String {
    if detail.len() > LONGEST_DETAIL {
        detail.truncate(detail.floor_char_boundary(LONGEST_DETAIL));
        detail.push('…');
    }
    detail
}

/// An error's words without the line and column, which say less than the pointer does.
fn without_place(error: &serde_json::Error) -> String {
    let mut detail = error.to_string();
    if error.line() > 0
        && let Some(at) = detail.rfind(" at line ")
    {
        detail.truncate(at);
    }
    detail
}

/// The name of the field that is missing, from the words in which serde says so (`de::Error::missing_field`, which
/// gives it no other way): it belongs into the pointer.
pub(crate) fn missing_field(detail: &str) -> Option<&str> {
    detail.strip_prefix("missing field `")?.strip_suffix('`')
}

fn with_missing_field(mut pointer: String, detail: &str) -> String {
    if let Some(field) = missing_field(detail) {
        push_token(&mut pointer, field);
    }
    pointer
}

fn json_pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push_index(&mut pointer, *index),
            Segment::Map { key } => push_token(&mut pointer, key),
            Segment::Enum { variant } => push_token(&mut pointer, variant),
            Segment::Unknown => {}
        }
    }
    pointer
}

/// RFC 6901 §3: `~` and `/` are escaped.
fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    for char in token.chars() {
        match char {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            char => pointer.push(char),
        }
    }
}

fn push_index(pointer: &mut String, index: usize) {
    // Writing to a string can't fail.
    let _ = write!(pointer, "/{index}");
}

/// Looks through the whole document: it must be one JSON object, in which no key stands twice.
fn check(bytes: &[u8]) -> Result<(), Problem> {
    let mut twice = None;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let whole = Check { at: &Place::Root, twice: &mut twice }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    if let Err(error) = whole {
        return Err(match twice {
            Some(pointer) => invalid(pointer, "this key stands here twice".to_owned()),
            None => malformed(&error.to_string()),
        });
    }
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(invalid(String::new(), "must be a JSON object".to_owned()));
    }
    Ok(())
}

/// Where in the document, as a list on the stack; `serde_json` bounds its depth at 128.
enum Place<'a> {
    Root,
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl Place<'_> {
    fn write(&self, pointer: &mut String) {
        match self {
            Self::Root => {}
            Self::Key(parent, key) => {
                parent.write(pointer);
                push_token(pointer, key);
            }
            Self::Index(parent, index) => {
                parent.write(pointer);
                push_index(pointer, *index);
            }
        }
    }
}

struct Check<'a> {
    at: &'a Place<'a>,
    twice: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for index in 0.. {
            let at = Place::Index(self.at, index);
            if seq.next_element_seed(Check { at: &at, twice: self.twice })?.is_none() {
                break;
            }
        }
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = Seen::default();
        while let Some(key) = map.next_key_seed(Key)? {
            let at = Place::Key(self.at, &key);
            if seen.contains(&key) {
                let mut pointer = String::new();
                at.write(&mut pointer);
                *self.twice = Some(pointer);
                return Err(de::Error::custom("a key stands twice"));
            }
            map.next_value_seed(Check { at: &at, twice: self.twice })?;
            seen.insert(key);
        }
        Ok(())
    }
}

/// The keys of one object, or the names of parameters: a few in place, more in a set, so that a large object takes no quadratic time.
#[derive(Default)]
pub(crate) struct Seen<'de> {
    few: [Cow<'de, str>; 8],
    used: usize,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Seen<'de> {
    pub(crate) fn contains(&self, key: &str) -> bool {
        self.few[..self.used].iter().any(|seen| seen == key) || self.many.contains(key)
    }

    pub(crate) fn insert(&mut self, key: Cow<'de, str>) {
        if let Some(slot) = self.few.get_mut(self.used) {
            *slot = key;
            self.used += 1;
        } else {
            self.many.insert(key);
        }
    }
}

/// A key, borrowed from the document where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;
    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }
    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
