//! Lists, page by page.

use std::collections::VecDeque;
use std::fmt::Display;
use std::future::IntoFuture;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Call, Result};

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// What to ask for the next page with ([`List::cursor`]); `None` on the last one.
    pub next_cursor: Option<String>,
}

/// A list. Awaited, it gives one page; [`List::all`] gives its items one after the other, page after page.
#[must_use = "it is asked for when it is awaited, or read as a stream"]
#[derive(Debug)]
pub struct List<T> {
    call: Call<Page<T>>,
}

impl<T> List<T> {
    pub(crate) fn new(call: Call<Page<T>>) -> Self {
        Self { call }
    }

    /// How many items a page has at most: 1 to 200; 50 unless said otherwise.
    pub fn limit(self, limit: u8) -> Self {
        self.query("limit", limit)
    }

    /// Begins where an earlier page ended ([`Page::next_cursor`]).
    pub fn cursor(self, cursor: impl Display) -> Self {
        self.query("cursor", cursor)
    }

    /// Read once this is seen; see [`Call::after`].
    pub fn after(self, position: impl Into<String>) -> Self {
        Self { call: self.call.after(position) }
    }

    pub(crate) fn query(self, name: &'static str, value: impl Display) -> Self {
        Self { call: self.call.query(name, value) }
    }
}

impl<T: DeserializeOwned + Send + 'static> List<T> {
    /// All items from there on, one page at a time. It ends after the first error.
    pub fn all(self) -> BoxStream<'static, Result<T>> {
        /// The items of a page that weren't given yet, and what the next page is asked for with.
        type Rest<T> = (VecDeque<T>, Option<Call<Page<T>>>);
        let (first, call) = (self.call.clone(), self.call);
        let begin: Rest<T> = (VecDeque::new(), Some(first));
        stream::try_unfold(begin, move |(mut items, mut next)| {
            let call = call.clone();
            async move {
                loop {
                    if let Some(item) = items.pop_front() {
                        return Ok(Some((item, (items, next))));
                    }
                    let Some(asked) = next else { return Ok(None) };
                    let page = asked.await?;
                    items = page.items.into();
                    next = page.next_cursor.map(|cursor| call.clone().query("cursor", cursor));
                }
            }
        })
        .boxed()
    }
}

impl<T: DeserializeOwned + Send + 'static> IntoFuture for List<T> {
    type Output = Result<Page<T>>;
    type IntoFuture = BoxFuture<'static, Result<Page<T>>>;

    fn into_future(self) -> Self::IntoFuture {
        self.call.into_future()
    }
}
