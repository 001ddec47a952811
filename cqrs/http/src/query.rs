//! Questions on arrival: who asks, and with what parameters.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use cqrs_core::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::edge::Edge;
use crate::headers;
use crate::json::{self, Seen};
use crate::problem::Problem;

/// A signed-in caller's question: its context and the parameters of its query string.
///
/// Unknown parameters are refused where `T` has `deny_unknown_fields`, as it should.
#[derive(Debug, Clone)]
pub struct Asking<T> {
    /// Who asks, and what they want the view to hold.
    pub cx: Context,
    /// What is asked for.
    pub params: T,
}

/// A signed-in caller, whatever they ask for: for routes that are neither command nor query, as a stream is.
#[derive(Debug, Clone)]
pub struct Caller(pub Context);

/// The parameters of whoever asks, signed in or not: for routes that find out by themselves who it is.
#[derive(Debug, Clone)]
pub struct OpenAsking<T>(pub T);

/// The parameters of a question that takes none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

impl<S, T> FromRequestParts<S> for Asking<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
    Edge: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let edge = Edge::from_ref(state);
        let mut cx = edge.signed_in(parts).await?;
        cx.wanted = headers::wanted(&parts.headers, edge.tokens())?;
        Ok(Self { cx, params: parse(parts.uri.query().unwrap_or_default())? })
    }
}

impl<S, T> FromRequestParts<S> for OpenAsking<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Edge: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(Edge::from_ref(state).signed_in(parts).await?))
    }
}

/// Reads a query string; what is wrong is said under the parameter's name.
fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let mut seen = Seen::default();
    for (name, _) in pairs {
        if seen.contains(&name) {
            return Err(json::invalid(name.into_owned(), "is given twice".to_owned()));
        }
        seen.insert(name);
    }
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map_err(|error| {
        let detail = error.inner().to_string();
        let first = error.path().iter().next();
        let parameter = match (json::missing_field(&detail), first) {
            (Some(field), _) => field.to_owned(),
            (None, Some(segment)) => segment.to_string(),
            (None, None) => String::new(),
        };
        json::invalid(parameter, detail)
    })
}
