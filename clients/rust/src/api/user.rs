//! Profiles, contacts, and who else is there.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{Call, List, Parlor};

/// What a user says of their availability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "the words say it")]
pub enum Availability {
    Online,
    Away,
    Busy,
    Offline,
    /// What this library doesn't know yet.
    #[serde(other)]
    Unknown,
}

/// Whether an account stands, as others are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AccountState {
    /// It does.
    Active,
    /// An administrator shut them out.
    Disabled,
    /// They are gone for good; name and messages stay.
    Deleted,
    /// What this library doesn't know yet.
    #[serde(other)]
    Unknown,
}

/// Somebody, as lists show them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UserCard {
    /// The user.
    pub id: Uuid,
    /// What they are called.
    pub display_name: String,
    /// Where their picture is.
    pub avatar_url: Option<String>,
    /// What they say of their availability.
    pub status: Availability,
    /// In their own words.
    pub status_text: Option<String>,
    /// Whether their account stands.
    pub state: AccountState,
    /// Since when they are there.
    pub created_at: Timestamp,
}

/// Who somebody is to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Profile {
    /// The user.
    pub id: Uuid,
    /// What they are called.
    pub display_name: String,
    /// What they say of themselves.
    pub bio: Option<String>,
    /// Where their picture is.
    pub avatar_url: Option<String>,
    /// What they say of their availability.
    pub status: Availability,
    /// In their own words.
    pub status_text: Option<String>,
    /// Where their mail goes; shown to themselves and administrators only.
    pub email: Option<String>,
    /// What the application that created them calls them; shown to themselves, administrators and applications only.
    pub external_id: Option<String>,
}

/// What is to change of one's profile: what isn't named stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ProfileChange {
    /// By field; null takes away.
    changes: BTreeMap<&'static str, Option<String>>,
}

impl ProfileChange {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// They are called this.
    #[must_use]
    pub fn display_name(self, name: &str) -> Self {
        self.change("displayName", Some(name))
    }

    /// They say this of themselves; `None` takes it away.
    #[must_use]
    pub fn bio(self, bio: Option<&str>) -> Self {
        self.change("bio", bio)
    }

    /// Their picture is here; `None` takes it away.
    #[must_use]
    pub fn avatar_url(self, url: Option<&str>) -> Self {
        self.change("avatarUrl", url)
    }

    fn change(mut self, field: &'static str, value: Option<&str>) -> Self {
        self.changes.insert(field, value.map(str::to_owned));
        self
    }
}

/// A user to be made. The same `external_id` again is the same user: nothing is changed then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewUser {
    display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bio: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
}

impl NewUser {
    /// Of this name.
    pub fn new(display_name: impl Into<String>) -> Self {
        Self {
            display_name: display_name.into(),
            email: None,
            external_id: None,
            bio: None,
            avatar_url: None,
        }
    }

    /// Where their mail goes.
    #[must_use]
    pub fn email(self, email: impl Into<String>) -> Self {
        Self { email: Some(email.into()), ..self }
    }

    /// What the application calls them.
    #[must_use]
    pub fn external_id(self, id: impl Into<String>) -> Self {
        Self { external_id: Some(id.into()), ..self }
    }

    /// What they say of themselves.
    #[must_use]
    pub fn bio(self, bio: impl Into<String>) -> Self {
        Self { bio: Some(bio.into()), ..self }
    }

    /// Where their picture is.
    #[must_use]
    pub fn avatar_url(self, url: impl Into<String>) -> Self {
        Self { avatar_url: Some(url.into()), ..self }
    }
}

/// Names the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UserMade {
    /// Their id.
    pub id: Uuid,
}

impl Parlor {
    /// Somebody, in short.
    pub fn user(&self, user: Uuid) -> Call<UserCard> {
        self.call(Method::GET, format!("/v1/users/{user}"))
    }

    /// Somebody's profile.
    pub fn profile(&self, user: Uuid) -> Call<Profile> {
        self.call(Method::GET, format!("/v1/users/{user}/profile"))
    }

    /// Users whose display name has these words, or parts of words.
    pub fn find_users(&self, search: &str) -> List<UserCard> {
        List::new(self.call(Method::GET, "/v1/users")).query("search", search)
    }

    /// The user with this e-mail address, if one may know: administrators, and oneself.
    pub fn find_user_by_email(&self, email: &str) -> List<UserCard> {
        List::new(self.call(Method::GET, "/v1/users")).query("email", email)
    }

    /// Makes a user, for another application or by hand.
    pub fn create_user(&self, user: &NewUser) -> Call<UserMade> {
        self.call(Method::POST, "/v1/users").body(user)
    }

    /// Shuts somebody out: their sessions end, and they can't sign in.
    pub fn disable_user(&self, user: Uuid) -> Call<()> {
        self.call(Method::POST, format!("/v1/users/{user}/disable"))
    }

    /// Lets somebody in again.
    pub fn enable_user(&self, user: Uuid) -> Call<()> {
        self.call(Method::POST, format!("/v1/users/{user}/enable"))
    }

    /// Ends one's own account for good. Sessions end; name and messages stay.
    pub fn delete_user(&self) -> Call<()> {
        self.call(Method::DELETE, "/v1/users/me")
    }

    /// One's own profile.
    pub fn own_profile(&self) -> Call<Profile> {
        self.call(Method::GET, "/v1/users/me/profile")
    }

    /// Changes one's own profile; gives the whole of it.
    pub fn update_profile(&self, change: &ProfileChange) -> Call<Profile> {
        self.call(Method::PATCH, "/v1/users/me/profile").body(change)
    }

    /// Says whether one is there, and why not. A text that is left out is taken away.
    pub fn change_status(&self, status: Availability, text: Option<&str>) -> Call<()> {
        self.call(Method::PUT, "/v1/users/me/status").body(&json!({"status": status, "text": text}))
    }

    /// One's contacts, by name.
    pub fn contacts(&self) -> List<UserCard> {
        List::new(self.call(Method::GET, "/v1/users/me/contacts"))
    }

    /// Puts somebody on one's list. They may be on it already.
    pub fn add_contact(&self, user: Uuid) -> Call<()> {
        self.call(Method::PUT, format!("/v1/users/me/contacts/{user}"))
    }

    /// Takes somebody off one's list. They needn't be on it.
    pub fn remove_contact(&self, user: Uuid) -> Call<()> {
        self.call(Method::DELETE, format!("/v1/users/me/contacts/{user}"))
    }
}
