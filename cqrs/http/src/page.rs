//! Lists in pages.

use std::fmt;

use cqrs_core::{Failure, TokenCodec};
use serde::de::{self, DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// What to ask for the next page with, as `?cursor=`; null on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The first `limit` of `items`, which holds one more if there is a next page: `cursor` makes its cursor from the
    /// last item shown.
    pub fn cut(mut items: Vec<T>, limit: Limit, cursor: impl FnOnce(&T) -> String) -> Self {
        let more = items.len() > limit.get();
        items.truncate(limit.get());
        let next_cursor = if more { items.last().map(cursor) } else { None };
        Self { items, next_cursor }
    }

    /// The same page of something else.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(change).collect(), next_cursor: self.next_cursor }
    }
}

/// How many items a page may have: 1 to 200, 50 unless said otherwise.
///
/// In the parameters of a question: `#[serde(default)] limit: Limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit(u16);

impl Limit {
    /// The largest.
    pub const MAX: Self = Self(200);

    /// A limit, if it is between 1 and 200.
    pub fn new(limit: u64) -> Option<Self> {
        u16::try_from(limit).ok().filter(|limit| (1..=Self::MAX.0).contains(limit)).map(Self)
    }

    /// How many.
    pub fn get(self) -> usize {
        self.0.into()
    }

    /// One more than a page shows: what to read, to know whether there is a next page.
    pub fn and_one(self) -> usize {
        self.get() + 1
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Limit;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 1 to 200")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Limit, E> {
                Limit::new(number)
                    .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Unsigned(number), &self))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Limit, E> {
                Err(de::Error::invalid_value(de::Unexpected::Signed(number), &self))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit, E> {
                let limit = text.parse().ok().and_then(Limit::new);
                limit.ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

impl utoipa::PartialSchema for Limit {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::Integer)
            .minimum(Some(1))
            .maximum(Some(Self::MAX.0))
            .default(Some(Self::default().0.into()))
            .into()
    }
}

impl ToSchema for Limit {}

/// Makes and reads the cursors of one log's views: opaque, authenticated, of one epoch.
#[derive(Clone)]
pub struct Cursors {
    tokens: TokenCodec,
    epoch: Uuid,
}

impl Cursors {
    /// Of a log's present epoch.
    pub fn new(tokens: TokenCodec, epoch: Uuid) -> Self {
        Self { tokens, epoch }
    }

    /// A cursor of `scope`, which names the list: the view, and whatever it is the list of.
    pub fn encode<T: Serialize>(&self, scope: &str, place: &T) -> Result<String, Failure> {
        let mut content = self.epoch.as_bytes().to_vec();
        serde_json::to_writer(&mut content, place).map_err(Failure::internal)?;
        Ok(self.tokens.encode(&purpose(scope), &content))
    }

    /// What a cursor of `scope` says: 422 at `cursor` if it is another list's, cut short or made elsewhere;
    /// [`Failure::EpochChanged`] if the log was restored since.
    pub fn decode<T: DeserializeOwned>(&self, scope: &str, cursor: &str) -> Result<T, Failure> {
        let bad = || Failure::invalid("cursor", "is not a cursor of this list");
        let content = self.tokens.decode(&purpose(scope), cursor).map_err(|_| bad())?;
        let (epoch, place) = content.split_first_chunk::<16>().ok_or_else(bad)?;
        if Uuid::from_bytes(*epoch) != self.epoch {
            return Err(Failure::EpochChanged);
        }
        serde_json::from_slice(place).map_err(|_| bad())
    }
}

fn purpose(scope: &str) -> String {
    format!("cursor:{scope}")
}
