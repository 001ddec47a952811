//! The kernel over HTTP: from a request to a command or query, and from its answer or failure to a response.
//!
//! A service's routes are ordinary axum handlers with [`Edge`] as their state. An extractor turns the request into a
//! [`Context`](cqrs_core::Context) and a typed body or question; the edge carries it out:
//!
//! ```
//! # use cqrs_core::{Command, Query};
//! use axum::extract::State;
//! use cqrs_http::{Answer, Asking, Edge, Input, NoParams, PathId, Routes};
//! use utoipa_axum::routes;
//! # struct Deposit { account: uuid::Uuid, cents: u32 }
//! # impl Command for Deposit { const NAME: &'static str = "bank.deposit"; }
//! # struct GetBalance { account: uuid::Uuid }
//! # impl Query for GetBalance {
//! #     const NAME: &'static str = "bank.get-balance";
//! #     const VIEWS: &'static [&'static str] = &["balances"];
//! #     type Answer = u64;
//! # }
//!
//! #[derive(serde::Deserialize, utoipa::ToSchema)]
//! #[serde(deny_unknown_fields)]
//! struct DepositBody {
//!     cents: u32,
//! }
//!
//! /// Puts money into an account.
//! #[utoipa::path(post, path = "/v1/accounts/{id}/deposits", params(("id" = uuid::Uuid, Path,)),
//!     request_body = DepositBody, responses((status = 204)), security(("bearer" = [])))]
//! async fn deposit(State(edge): State<Edge>, PathId(account): PathId, input: Input<DepositBody>) -> Answer {
//!     edge.command(input.cx, Deposit { account, cents: input.body.cents }).await
//! }
//!
//! /// What an account holds.
//! #[utoipa::path(get, path = "/v1/accounts/{id}", params(("id" = uuid::Uuid, Path,)),
//!     responses((status = 200)), security(("bearer" = [])))]
//! async fn balance(State(edge): State<Edge>, PathId(account): PathId, ask: Asking<NoParams>) -> Answer {
//!     edge.query(ask.cx, GetBalance { account }).await
//! }
//!
//! fn routes() -> Routes {
//!     Routes::new().routes(routes!(deposit)).routes(routes!(balance))
//! }
//! ```
//!
//! [`layer`] goes around all routes once: request ids, problem documents for every failure, metrics.
//! [`openapi::complete`] adds to the description what all routes share.
//!
//! - [`problem`]: failures as RFC 9457 problem documents, and the catalogue of their codes.
//! - [`Input`], [`OpenInput`], [`Asking`], [`OpenAsking`], [`Caller`], [`PathId`]: what a request says, checked.
//! - [`Page`], [`Limit`], [`Cursors`]: lists in pages. [`Rendered`]: answers that are JSON already.
//! - [`time`]: times as RFC 3339 with milliseconds.

mod answer;
mod auth;
mod catalogue;
mod edge;
mod headers;
mod input;
mod json;
mod layer;
pub mod openapi;
mod options;
mod page;
mod path;
pub mod problem;
mod query;
mod rendered;
mod request;
pub mod time;

pub use auth::{Authenticator, Identity, requires_any_role, requires_role, unauthenticated};
pub use catalogue::{PROBLEMS, ProblemKind};
pub use edge::{Edge, EdgeParts, NothingToWaitFor, Waiter};
pub use input::{Input, NoBody, OpenInput};
pub use layer::layer;
pub use options::HttpOptions;
pub use page::{Cursors, Limit, Page};
pub use path::PathId;
pub use problem::Problem;
pub use query::{Asking, Caller, NoParams, OpenAsking};
pub use rendered::Rendered;
pub use request::RequestInfo;

/// What a handler gives back.
pub type Answer = Result<axum::response::Response, Problem>;

/// A service's routes with their description.
pub type Routes = utoipa_axum::router::OpenApiRouter<Edge>;
