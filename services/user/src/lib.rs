//! Parlor's user service: who somebody is to others, whether they are there, and whom they know.

pub mod access;
pub mod add_user_contact;
pub mod change_user_status;
pub mod contact;
pub mod create_user;
pub mod delete_user;
pub mod disable_user;
pub mod enable_user;
pub mod own;
pub mod patch;
pub mod profile;
pub mod publish;
pub mod remove_user_contact;
pub mod status;
pub mod update_user_profile;
pub mod user;
pub mod values;
