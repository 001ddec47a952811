//! Parlor's user service: who somebody is to others, whether they are there, and whom they know.
//!
//! What it handles is listed here, a line each; every use case is a file with its route, its decision and its tests.

pub mod access;
pub mod add_user_contact;
pub mod change_email;
pub mod change_user_status;
pub mod contact;
pub mod contacts;
pub mod create_user;
pub mod delete_user;
pub mod disable_user;
pub mod enable_user;
#[cfg(test)]
mod http_tests;
pub mod own;
pub mod patch;
pub mod problems;
pub mod profile;
pub mod profile_of_account;
pub mod publish;
pub mod refuse_profile;
pub mod remove_user_contact;
pub mod status;
#[cfg(test)]
mod testing;
pub mod update_user_profile;
pub mod user;
pub mod users;
pub mod values;

use std::sync::Arc;

use cqrs_core::{
    CommandBus, CommandBusBuilder, Projection, Publisher, QueryBus, QueryBusBuilder, TokenCodec,
};
use cqrs_http::{Cursors, Routes};
use cqrs_sql::ServiceStore;
use parlor_contracts::user::UserEvent;
use utoipa_axum::routes;

use own::OnceThereIsAProfile;
use profile_of_account::ProfileOfAccount;
use users::Users;

/// The name of the service's log; its public events are `user.public`.
pub const NAME: &str = "user";

/// Tables of state-stored aggregates: none, everything here is folded from events.
pub const WRITE_SCHEMA: Option<(&str, &str)> = None;

/// What the service is built on.
#[derive(Clone)]
pub struct Deps {
    /// Its log, views and executor.
    pub store: ServiceStore,
    /// Makes and reads cursors.
    pub tokens: TokenCodec,
}

impl Deps {
    fn cursors(&self) -> Cursors {
        Cursors::new(self.tokens.clone(), self.store.executor.log().epoch())
    }
}

/// Every command with its handler.
pub fn commands(deps: &Deps) -> CommandBusBuilder {
    let executor = &deps.store.executor;
    CommandBus::builder()
        .handle::<create_user::CreateUser, _>(create_user::CreateUserHandler::new(executor))
        .handle::<update_user_profile::UpdateUserProfile, _>(OnceThereIsAProfile::new(executor))
        .handle::<change_user_status::ChangeUserStatus, _>(OnceThereIsAProfile::new(executor))
        .handle::<add_user_contact::AddUserContact, _>(OnceThereIsAProfile::new(executor))
        .handle::<remove_user_contact::RemoveUserContact, _>(OnceThereIsAProfile::new(executor))
        .handle::<delete_user::DeleteUser, _>(OnceThereIsAProfile::new(executor))
        .decide::<disable_user::DisableUser>(executor)
        .decide::<enable_user::EnableUser>(executor)
        .decide::<change_email::ChangeEmail>(executor)
        .decide::<refuse_profile::RefuseProfile>(executor)
}

/// Every query with its handler.
pub fn queries(deps: &Deps) -> QueryBusBuilder {
    let users = || Users::new(&deps.store.views);
    QueryBus::builder()
        .answer::<users::GetUserById, _>(users::GetUserByIdHandler(users()))
        .answer::<users::GetUserProfile, _>(users::GetUserProfileHandler(users()))
        .answer::<users::GetUserByEmail, _>(users::GetUserByEmailHandler(users()))
        .answer::<users::SearchUsers, _>(users::SearchUsersHandler {
            users: users(),
            cursors: deps.cursors(),
        })
        .answer::<users::ListUsers, _>(users::ListUsersHandler { users: users(), cursors: deps.cursors() })
        .answer::<contacts::GetUserContacts, _>(contacts::GetUserContactsHandler {
            users: users(),
            cursors: deps.cursors(),
        })
}

/// Every view.
pub fn projections() -> Vec<Arc<dyn Projection>> {
    vec![Arc::new(users::UsersProjection), Arc::new(contacts::ContactsProjection)]
}

/// The reactor that makes a profile of an account.
pub fn profile_of_account(deps: &Deps, commands: &CommandBus) -> ProfileOfAccount {
    ProfileOfAccount::new(commands.clone(), deps.store.executor.clock().clone())
}

/// What becomes public.
pub fn publisher() -> impl Publisher<Public = UserEvent> {
    publish::UserPublisher
}

/// Every route.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(create_user::create_user, users::search_users::find_users))
        .routes(routes!(users::get_user_by_id::get_user_by_id))
        .routes(routes!(users::get_user_profile::get_user_profile))
        .routes(routes!(users::get_user_profile::get_own_profile, update_user_profile::update_user_profile))
        .routes(routes!(change_user_status::change_user_status))
        .routes(routes!(contacts::get_user_contacts::get_user_contacts))
        .routes(routes!(add_user_contact::add_user_contact, remove_user_contact::remove_user_contact))
        .routes(routes!(users::list_users::list_users))
        .routes(routes!(disable_user::disable_user))
        .routes(routes!(enable_user::enable_user))
        .routes(routes!(delete_user::delete_user))
}
