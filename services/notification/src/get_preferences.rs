//! `GET /v1/notifications/preferences`: what one wants to be told of; and its view, `preferences`.

use std::ops::Deref;

use async_trait::async_trait;
use axum::extract::State;
use cqrs_core::{
    BaseRepository as _, CodecError, Context, Failure, Incoming, Projection, Query, QueryHandler, Record,
    Row, RowError, RowExt as _, Schema, Value, Writes, params,
};
use cqrs_http::{Answer, Asking, Edge, NoParams};
use cqrs_sql::{SqlReadRepository, Views};
use serde::Serialize;
use uuid::Uuid;

use crate::preferences::{self, Preferences, PreferencesEvent, read_document};

/// Asks what the caller wants to be told of.
#[derive(Debug, Clone, Copy)]
pub struct GetNotificationPreferences;

impl Query for GetNotificationPreferences {
    const NAME: &'static str = "notification.get-notification-preferences";
    const VIEWS: &'static [&'static str] = &["preferences"];
    type Answer = ShownPreferences;
}

/// Preferences with the version that their `ETag` names.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ShownPreferences {
    /// The preferences.
    #[serde(flatten)]
    pub preferences: Preferences,
    /// Their version; 0 while nothing was ever chosen.
    #[serde(skip)]
    pub version: u64,
}

/// A row of the view.
#[derive(Debug, Clone, PartialEq)]
pub struct PreferencesRecord {
    user: Uuid,
    version: u64,
    preferences: Preferences,
}

impl Record for PreferencesRecord {
    const TABLE: &'static str = "{p}preferences";
    const COLUMNS: &'static [&'static str] = &["user_id", "version", "document"];

    fn to_persistence(&self) -> Vec<Value> {
        params![self.user, self.version, serde_json::to_string(&self.preferences).unwrap_or_default()]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self { user: row.get(0)?, version: row.get(1)?, preferences: read_document(row, 2)? })
    }
}

/// The repository of preferences as they are shown.
#[derive(Clone)]
pub struct PreferencesShown(SqlReadRepository<PreferencesRecord>);

impl Deref for PreferencesShown {
    type Target = SqlReadRepository<PreferencesRecord>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl PreferencesShown {
    /// Over the service's views.
    pub fn new(views: &Views) -> Self {
        Self(SqlReadRepository::new(views.clone(), "preferences"))
    }
}

/// The projection of the view `preferences`.
#[derive(Debug, Clone, Copy)]
pub struct PreferencesProjection;

impl Projection for PreferencesProjection {
    fn name(&self) -> &'static str {
        "preferences"
    }

    fn sources(&self) -> &'static [&'static str] {
        &["notification"]
    }

    fn schema(&self) -> Schema {
        Schema {
            version: 1,
            sqlite: include_str!("../migrations/sqlite/preferences.sql"),
            postgres: include_str!("../migrations/postgres/preferences.sql"),
            tables: &["preferences"],
        }
    }

    fn project(&self, event: &Incoming<'_>, out: &mut Writes) -> Result<(), CodecError> {
        if event.category() == preferences::CATEGORY {
            let PreferencesEvent::Updated { preferences } = event.decode()?;
            out.save(&PreferencesRecord {
                user: event.meta.stream,
                version: event.meta.version,
                // Of an erased person nothing is known, as of one who never chose.
                preferences: preferences.into_inner().unwrap_or_default(),
            });
        }
        Ok(())
    }
}

/// Answers [`GetNotificationPreferences`].
pub struct GetNotificationPreferencesHandler(pub PreferencesShown);

#[async_trait]
impl QueryHandler<GetNotificationPreferences> for GetNotificationPreferencesHandler {
    async fn handle(&self, cx: &Context, _: GetNotificationPreferences) -> Result<ShownPreferences, Failure> {
        let me = cx.actor.user().ok_or_else(|| Failure::forbidden("only users have preferences"))?;
        let found = self.0.find_by_id(me).await?;
        Ok(found.map_or_else(ShownPreferences::default, |found| ShownPreferences {
            preferences: found.preferences,
            version: found.version,
        }))
    }
}

/// What one wants to be told of, and when not.
#[utoipa::path(
    get, path = "/v1/notifications/preferences", tag = "notifications",
    responses(
        (status = 200, description = "The preferences.", body = Preferences,
         headers(("ETag" = String, description = "Their version, for `If-Match`; none while nothing was chosen."))),
        (status = 403, description = "The caller is no user."),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn get_notification_preferences(State(edge): State<Edge>, ask: Asking<NoParams>) -> Answer {
    edge.query_versioned(ask.cx, GetNotificationPreferences, |found| Some(found.version)).await
}
