//! A user: who somebody is to others, and whether their account stands.
//!
//! The stream's id is the user's, the same as their account's in auth and their memberships' in chat.

use cqrs_core::{Aggregate, Context, Event, Personal, Plain, Refusal, RefusalKind, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What happens to a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all_fields = "camelCase")]
pub enum UserEvent {
    /// They are there: registered, or created by an administrator or another application.
    #[serde(rename = "user.created")]
    Created {
        /// What they are called.
        display_name: Personal<String>,
        /// Where their mail goes; not proven to be theirs by being here.
        email: Option<Personal<String>>,
        /// What the application that created them calls them.
        external_id: Option<Personal<String>>,
        /// What they say of themselves.
        bio: Option<Personal<String>>,
        /// Where their picture is.
        avatar_url: Option<Personal<String>>,
    },
    /// They registered, and can't be a user, for good.
    #[serde(rename = "user.profile-refused")]
    ProfileRefused {
        /// The code of the refusal.
        reason: Plain<String>,
    },
    /// Their profile is another; all of it, as it is now.
    #[serde(rename = "user.profile-updated")]
    ProfileUpdated {
        /// What they are called.
        display_name: Personal<String>,
        /// What they say of themselves.
        bio: Option<Personal<String>>,
        /// Where their picture is.
        avatar_url: Option<Personal<String>>,
    },
    /// Their account has another address.
    #[serde(rename = "user.email-changed")]
    EmailChanged {
        /// The new one.
        email: Personal<String>,
    },
    /// An administrator shut them out.
    #[serde(rename = "user.disabled")]
    Disabled {},
    /// And let them in again.
    #[serde(rename = "user.enabled")]
    Enabled {},
    /// They ended their account for good. Their name and messages stay.
    #[serde(rename = "user.deleted")]
    Deleted {},
}

impl Event for UserEvent {}

/// Whether an account stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was heard of such a user yet.
    #[default]
    Unknown,
    /// They registered, and no profile could be made of it.
    Refused,
    /// It stands.
    Active,
    /// An administrator shut them out.
    Disabled,
    /// They ended it.
    Deleted,
}

/// A user as decisions see them.
#[derive(Debug, Clone, Default)]
pub struct User {
    /// Whether their account stands.
    pub standing: Standing,
    /// What they are called.
    pub display_name: String,
    /// What they say of themselves.
    pub bio: Option<String>,
    /// Where their picture is.
    pub avatar_url: Option<String>,
    /// Where their mail goes.
    pub email: Option<String>,
    /// What the application that created them calls them.
    pub external_id: Option<String>,
}

fn text(personal: &Personal<String>) -> String {
    personal.text().to_owned()
}

fn optional(personal: Option<&Personal<String>>) -> Option<String> {
    personal.and_then(Personal::get).cloned()
}

impl Aggregate for User {
    const CATEGORY: &'static str = "user";
    type Event = UserEvent;

    fn apply(&mut self, event: &UserEvent) {
        match event {
            UserEvent::Created { display_name, email, external_id, bio, avatar_url } => {
                *self = Self {
                    standing: Standing::Active,
                    display_name: text(display_name),
                    bio: optional(bio.as_ref()),
                    avatar_url: optional(avatar_url.as_ref()),
                    email: optional(email.as_ref()),
                    external_id: optional(external_id.as_ref()),
                };
            }
            UserEvent::ProfileRefused { .. } => self.standing = Standing::Refused,
            UserEvent::ProfileUpdated { display_name, bio, avatar_url } => {
                self.display_name = text(display_name);
                self.bio = optional(bio.as_ref());
                self.avatar_url = optional(avatar_url.as_ref());
            }
            UserEvent::EmailChanged { email } => self.email = optional(Some(email)),
            UserEvent::Disabled {} => self.standing = Standing::Disabled,
            UserEvent::Enabled {} => self.standing = Standing::Active,
            UserEvent::Deleted {} => self.standing = Standing::Deleted,
        }
    }

    fn weight(&self) -> usize {
        let texts = [&self.bio, &self.avatar_url, &self.email, &self.external_id];
        size_of::<Self>()
            + self.display_name.len()
            + texts.iter().filter_map(|text| text.as_ref()).map(String::len).sum::<usize>()
    }
}

/// Why somebody can't act as a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoStanding {
    /// The caller isn't a person: a service's key, or nobody.
    #[error("only a signed-in user has a profile, a status and contacts")]
    NotAUser,
    /// The account is there and its profile isn't yet: it follows registration within moments.
    #[error("the profile of this account is not there yet; try again in a moment")]
    NoProfileYet,
    /// The account is there, and no profile could be made for it.
    #[error("no profile could be made for this account; GET /v1/auth/me says why. It can only be deleted")]
    ProfileRefused,
    /// An administrator shut them out.
    #[error("this account is disabled")]
    Disabled,
    /// They ended their account.
    #[error("this account was deleted")]
    Deleted,
}

/// The code of [`NoStanding::NoProfileYet`], which is waited out before it's said; see [`crate::own`].
pub(crate) const NO_PROFILE_YET: &str = "no-profile-yet";

impl Refusal for NoStanding {
    fn code(&self) -> &'static str {
        match self {
            Self::NotAUser => "forbidden",
            Self::NoProfileYet => NO_PROFILE_YET,
            Self::ProfileRefused => "profile-refused",
            Self::Disabled => "account-disabled",
            Self::Deleted => "account-deleted",
        }
    }
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NoProfileYet => RefusalKind::NotFound,
            Self::NotAUser | Self::ProfileRefused | Self::Disabled | Self::Deleted => RefusalKind::Forbidden,
        }
    }
}

/// The caller's own stream; nil, which is nobody's, for callers that are no users and will be refused.
pub(crate) fn own_id(cx: &Context) -> Uuid {
    cx.actor.user().unwrap_or_default()
}

/// The caller as an active user, with their id. Their stream must be among the decision's reads.
pub(crate) fn acting<'a>(cx: &Context, state: &'a State<'_>) -> Result<(Uuid, &'a User), NoStanding> {
    let id = cx.actor.user().ok_or(NoStanding::NotAUser)?;
    let user = state.get::<User>(id);
    match user.standing {
        Standing::Active => Ok((id, user)),
        Standing::Unknown => Err(NoStanding::NoProfileYet),
        Standing::Refused => Err(NoStanding::ProfileRefused),
        Standing::Disabled => Err(NoStanding::Disabled),
        Standing::Deleted => Err(NoStanding::Deleted),
    }
}

/// `Some` text about `person`, declared so.
pub(crate) fn about(person: Uuid, text: Option<impl Into<String>>) -> Option<Personal<String>> {
    text.map(|text| Personal::new(person, text.into()))
}

#[cfg(test)]
pub(crate) mod examples {
    //! Users for the tests of other files.
    use super::*;

    /// Ann's id.
    pub(crate) const ANN: Uuid = Uuid::from_u128(0xa);
    /// Bob's id.
    pub(crate) const BOB: Uuid = Uuid::from_u128(0xb);

    /// Somebody of this name is there.
    pub(crate) fn created(id: Uuid, name: &str) -> UserEvent {
        UserEvent::Created {
            display_name: Personal::new(id, name.to_owned()),
            email: None,
            external_id: None,
            bio: None,
            avatar_url: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<UserEvent>(), Vec::<String>::new());
    }
}
