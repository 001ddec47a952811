//! Ids in paths.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use cqrs_core::Failure;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::problem::Problem;

/// The ids in a route's path: one, or a tuple of them, in the order of the path. What can't be an id names nothing that
/// exists: 404 `not-found`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathId<T = Uuid>(pub T);

impl<S, T> FromRequestParts<S> for PathId<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(ids)) => Ok(Self(ids)),
            // The route has other parameters than the handler thinks.
            Err(rejection) if rejection.status().is_server_error() => {
                Err(Problem::internal(rejection.body_text()))
            }
            Err(_) => Err(Failure::not_found("there is no such thing").into()),
        }
    }
}
