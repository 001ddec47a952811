//! The view `users`: everybody, as others see them.

pub mod get_user_by_email;
pub mod get_user_by_id;
pub mod get_user_profile;
pub mod list_users;
mod projection;
mod repository;
pub mod search_users;

pub use get_user_by_email::{GetUserByEmail, GetUserByEmailHandler};
pub use get_user_by_id::{AccountState, GetUserById, GetUserByIdHandler, UserCard};
pub use get_user_profile::{GetUserProfile, GetUserProfileHandler, VersionedProfile};
pub use list_users::{ListUsers, ListUsersHandler};
pub use projection::UsersProjection;
pub use repository::{Place, UserRecord, Users};
pub use search_users::{SearchUsers, SearchUsersHandler};
