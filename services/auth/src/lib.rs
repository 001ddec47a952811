//! Parlor's auth service: who somebody is, how they prove it, and for how long.
//!
//! Commands: [`register_user`], [`login_user`], [`refresh_token`], [`logout_user`], [`end_session`],
//! [`request_password_reset`], [`reset_password`], [`change_password`], [`change_email`], [`verify_email`],
//! [`issue_tokens`]; on the command line [`grant_role`] and [`service_key`]; and [`user_events`], which follows the user
//! service. Queries: [`validate_token`], [`get_user_auth_info`]. Aggregates: [`account`], [`session`], [`service_key`],
//! [`signing_key`]. What others hear: [`publish`]. What lets requests in, in every process: [`admission`].

pub mod access_view;
pub mod account;
pub mod admission;
pub mod authenticator;
pub mod change_email;
pub mod change_password;
pub mod display_name;
pub mod email;
pub mod end_session;
pub mod end_session_of;
pub mod get_account;
pub mod get_signing_keys;
pub mod get_user_auth_info;
pub mod grant_role;
pub mod issue_tokens;
pub mod limits;
pub mod login_user;
pub mod logout_user;
pub mod mail;
pub mod password;
pub mod publish;
pub mod refresh_token;
pub mod register_user;
pub mod request_password_reset;
pub mod reset_password;
pub mod routes;
pub mod service;
pub mod service_key;
pub mod session;
pub mod settings;
pub mod signing_in;
pub mod signing_key;
pub mod tokens;
pub mod user_events;
pub mod validate_token;
pub mod verify_email;

#[cfg(test)]
mod testing;

use std::sync::Arc;

use cqrs_core::{CommandBus, CommandBusBuilder, Projection, QueryBus, QueryBusBuilder};
use cqrs_sql::Views;

pub use admission::{Admission, AdmissionProjection, FollowsAdmission};
pub use publish::AuthPublisher;
pub use routes::routes;
pub use service::{Auth, AuthOptions, StartError};
pub use settings::AuthSettings;
pub use user_events::FollowsUsers;

/// The name of the service's log; its public events are `auth.public`.
pub const NAME: &str = "auth";

/// Every command, with its handler.
pub fn commands(auth: &Auth) -> CommandBusBuilder {
    CommandBus::builder()
        .handle::<register_user::RegisterUser, _>(auth.clone())
        .handle::<login_user::LoginUser, _>(auth.clone())
        .handle::<refresh_token::RefreshToken, _>(auth.clone())
        .handle::<logout_user::LogoutUser, _>(auth.clone())
        .handle::<end_session::EndSession, _>(auth.clone())
        .handle::<end_session_of::EndSessionOf, _>(auth.clone())
        .handle::<request_password_reset::RequestPasswordReset, _>(auth.clone())
        .handle::<reset_password::ResetPassword, _>(auth.clone())
        .handle::<change_password::ChangePassword, _>(auth.clone())
        .handle::<change_email::ChangeEmail, _>(auth.clone())
        .handle::<verify_email::VerifyEmail, _>(auth.clone())
        .handle::<issue_tokens::IssueTokens, _>(auth.clone())
        .handle::<user_events::FollowUser, _>(auth.clone())
}

/// Every query, with its handler.
pub fn queries(auth: &Auth, views: &Views) -> QueryBusBuilder {
    QueryBus::builder()
        .answer::<validate_token::ValidateToken, _>(auth.clone())
        .answer::<get_signing_keys::GetSigningKeys, _>(auth.clone())
        .answer::<get_user_auth_info::GetUserAuthInfo, _>(get_user_auth_info::ReadsAuthInfo::new(views))
        .answer::<get_account::GetAccount, _>(get_user_auth_info::ReadsAuthInfo::new(views))
}

/// Every view.
pub fn projections() -> Vec<Arc<dyn Projection>> {
    vec![Arc::new(access_view::AccessProjection)]
}
