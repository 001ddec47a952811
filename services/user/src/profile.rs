//! A profile as it is shown.

use parlor_contracts::user::Availability;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Who somebody is to others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What the application that created them calls them; shown to themselves, administrators and applications only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}
