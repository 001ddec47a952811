//! The service's routes: from HTTP to its commands and queries, and what the API's description says of them.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::response::IntoResponse as _;
use axum::{Json, middleware};
use cqrs_core::Actor;
use cqrs_http::{Answer, Asking, Edge, Input, NoBody, NoParams, OpenInput, PathId, RequestInfo, Routes};
use utoipa_axum::routes;
use uuid::Uuid;

use crate::change_email::ChangeEmail;
use crate::change_password::ChangePassword;
use crate::end_session::EndSession;
use crate::end_session_of::EndSessionOf;
use crate::get_account::GetAccount;
use crate::get_signing_keys::GetSigningKeys;
use crate::get_user_auth_info::{GetUserAuthInfo, UserAuthInfo};
use crate::issue_tokens::IssueTokens;
use crate::limits::telling;
use crate::login_user::LoginUser;
use crate::logout_user::LogoutUser;
use crate::refresh_token::RefreshToken;
use crate::register_user::{RegisterUser, UserRegistered};
use crate::request_password_reset::RequestPasswordReset;
use crate::reset_password::ResetPassword;
use crate::signing_in::SignedIn;
use crate::tokens::verify::Jwks;
use crate::validate_token::{Introspection, ValidateToken};
use crate::verify_email::VerifyEmail;

/// How long clients may keep the public keys, in seconds: less than a new one is announced before it signs.
const KEYS_FRESH_FOR: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// All of them.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(request_password_reset))
        .routes(routes!(confirm_password_reset))
        .routes(routes!(change_password))
        .routes(routes!(introspect))
        .routes(routes!(me))
        .routes(routes!(end_session))
        .routes(routes!(account))
        .routes(routes!(end_session_of))
        .routes(routes!(verify_email))
        .routes(routes!(change_email))
        .routes(routes!(issue_tokens))
        .routes(routes!(jwks))
        .layer(middleware::from_fn(telling::tell))
}

/// Make an account.
///
/// Where this instance confirms addresses, the answer is always 202, and the mail tells whether the account is new.
#[utoipa::path(post, path = "/v1/auth/register", tag = "auth", request_body = RegisterUser, responses(
    (status = 201, description = "The account is there.", body = UserRegistered),
    (status = 202, description = "A mail is on its way (where addresses are confirmed)."),
    (status = 409, description = "`email-taken`: somebody has this address."),
    (status = 422, description = "`password-guessable`: one of the commonest, or one's own name."),
))]
async fn register(State(edge): State<Edge>, input: OpenInput<RegisterUser>) -> Answer {
    edge.command(input.cx, input.body).await
}

/// Sign in with a password.
#[utoipa::path(post, path = "/v1/auth/login", tag = "auth", request_body = LoginUser, responses(
    (status = 200, description = "The session's tokens.", body = SignedIn),
    (status = 401, description = "`invalid-credentials`: the address or the password is wrong."),
    (status = 403, description = "`account-disabled`, or `email-unverified` where addresses are confirmed."),
))]
async fn login(State(edge): State<Edge>, input: OpenInput<LoginUser>) -> Answer {
    let input = input.ignoring_key();
    edge.command(input.cx, input.body).await
}

/// Get the next pair of tokens.
///
/// The refresh token is good once. For ten seconds it is answered again with the same next one; shown later, it ends the
/// session, for somebody may have a copy.
#[utoipa::path(post, path = "/v1/auth/refresh", tag = "auth", request_body = RefreshToken, responses(
    (status = 200, description = "The next tokens.", body = SignedIn),
    (status = 401, description = "`invalid-refresh-token`: sign in again."),
))]
async fn refresh(State(edge): State<Edge>, input: OpenInput<RefreshToken>) -> Answer {
    let input = input.ignoring_key();
    edge.command(input.cx, input.body).await
}

/// Sign out.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "auth", request_body = LogoutUser, responses(
    (status = 204, description = "The session has ended, or all of them."),
), security(("bearer" = [])))]
async fn logout(State(edge): State<Edge>, input: Input<LogoutUser>) -> Answer {
    edge.command(input.cx, input.body).await
}

/// Ask for a link to choose a new password.
#[utoipa::path(post, path = "/v1/auth/password-reset", tag = "auth", request_body = RequestPasswordReset, responses(
    (status = 202, description = "If there is such an account, a mail is on its way."),
))]
async fn request_password_reset(State(edge): State<Edge>, input: OpenInput<RequestPasswordReset>) -> Answer {
    edge.command(input.cx, input.body).await
}

/// Choose a new password with the link from the mail.
#[utoipa::path(post, path = "/v1/auth/password-reset/confirm", tag = "auth", request_body = ResetPassword, responses(
    (status = 204, description = "The password is changed, and all sessions have ended."),
    (status = 422, description = "`invalid-token`: ask for another link. `password-guessable`."),
))]
async fn confirm_password_reset(State(edge): State<Edge>, input: OpenInput<ResetPassword>) -> Answer {
    edge.command(input.cx, input.body).await
}

/// Choose a new password while signed in.
#[utoipa::path(put, path = "/v1/auth/password", tag = "auth", request_body = ChangePassword, responses(
    (status = 204, description = "The password is changed, and the other sessions have ended."),
    (status = 403, description = "`wrong-password`: this is not the current one."),
    (status = 422, description = "`password-guessable`: one of the commonest, or one's own name."),
), security(("bearer" = [])))]
async fn change_password(State(edge): State<Edge>, input: Input<ChangePassword>) -> Answer {
    edge.command(input.cx, input.body).await
}

/// Ask whether an access token holds, and whose it is (RFC 7662).
#[utoipa::path(post, path = "/v1/auth/introspect", tag = "auth", request_body = ValidateToken, responses(
    (status = 200, description = "What it says, or only `{\"active\": false}`.", body = Introspection),
), security(("bearer" = [])))]
async fn introspect(State(edge): State<Edge>, input: Input<ValidateToken>) -> Answer {
    edge.query(input.cx, input.body).await
}

/// One's own account, with its sessions.
#[utoipa::path(get, path = "/v1/auth/me", tag = "auth", responses(
    (status = 200, description = "The account.", body = UserAuthInfo),
), security(("bearer" = [])))]
async fn me(State(edge): State<Edge>, ask: Asking<NoParams>) -> Answer {
    edge.query(ask.cx, GetUserAuthInfo).await
}

/// End one of one's own sessions.
#[utoipa::path(delete, path = "/v1/auth/sessions/{id}", tag = "auth",
    params(("id" = Uuid, Path, description = "The session.")), responses(
    (status = 204, description = "The session has ended."),
), security(("bearer" = [])))]
async fn end_session(State(edge): State<Edge>, PathId(session): PathId, input: Input<NoBody>) -> Answer {
    edge.command(input.cx, EndSession { session }).await
}

/// Somebody's account, with its sessions, for administrators.
#[utoipa::path(get, path = "/v1/admin/auth/accounts/{id}", operation_id = "admin_account", tag = "admin",
    params(("id" = Uuid, Path, description = "Whose.")), responses(
    (status = 200, description = "The account.", body = UserAuthInfo),
    (status = 403, description = "The caller is no administrator."),
    (status = 404, description = "There is no such account."),
), security(("bearer" = [])))]
async fn account(State(edge): State<Edge>, PathId(user): PathId, ask: Asking<NoParams>) -> Answer {
    edge.query(ask.cx, GetAccount { user }).await
}

/// End one of somebody's sessions, as an administrator.
#[utoipa::path(delete, path = "/v1/admin/auth/accounts/{id}/sessions/{session}", operation_id = "admin_end_session", tag = "admin",
    params(
        ("id" = Uuid, Path, description = "Whose."),
        ("session" = Uuid, Path, description = "Which."),
    ), responses(
    (status = 204, description = "The session has ended."),
    (status = 403, description = "The caller is no administrator."),
    (status = 404, description = "There is no such session, or not any more."),
), security(("bearer" = [])))]
async fn end_session_of(
    State(edge): State<Edge>,
    PathId((user, session)): PathId<(Uuid, Uuid)>,
    input: Input<NoBody>,
) -> Answer {
    edge.command(input.cx, EndSessionOf { user, session }).await
}

/// Show an address to be one's own, with the link from the mail.
#[utoipa::path(post, path = "/v1/auth/verify-email", tag = "auth", request_body = VerifyEmail, responses(
    (status = 204, description = "The address is confirmed."),
    (status = 409, description = "`email-taken`: somebody else took it meanwhile."),
    (status = 422, description = "`invalid-token`: ask for another link."),
))]
async fn verify_email(State(edge): State<Edge>, input: OpenInput<VerifyEmail>) -> Answer {
    edge.command(input.cx, input.body).await
}

/// Change one's address.
///
/// It takes effect when the link sent there is opened. Whether somebody has the address already is told only there.
#[utoipa::path(put, path = "/v1/auth/email", tag = "auth", request_body = ChangeEmail, responses(
    (status = 202, description = "A mail is on its way to the new address."),
    (status = 403, description = "`wrong-password`: this is not the current one."),
), security(("bearer" = [])))]
async fn change_email(State(edge): State<Edge>, input: Input<ChangeEmail>) -> Answer {
    edge.command(input.cx, input.body).await
}

/// Sign in a user of an application that has its own accounts (role `service`).
#[utoipa::path(post, path = "/v1/auth/tokens", tag = "auth", request_body = IssueTokens, responses(
    (status = 201, description = "The session's tokens.", body = SignedIn),
    (status = 403, description = "Not an application with a service key, or `account-disabled`."),
    (status = 404, description = "There is no such user."),
), security(("bearer" = [])))]
async fn issue_tokens(State(edge): State<Edge>, input: Input<IssueTokens>) -> Answer {
    let input = input.ignoring_key();
    edge.command(input.cx, input.body).await
}

/// The public keys with which access tokens can be checked (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "auth", responses(
    (status = 200, description = "The keys, one that is to sign soon included.", body = Jwks),
))]
async fn jwks(State(edge): State<Edge>, parts: Parts) -> Answer {
    let options = edge.options();
    let cx = RequestInfo::of(&parts, options).context(Actor::Anonymous, options);
    let (keys, _) = edge.ask(&cx, GetSigningKeys).await?;
    Ok(([(CACHE_CONTROL, KEYS_FRESH_FOR)], Json(keys)).into_response())
}
