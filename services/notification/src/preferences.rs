//! What somebody wants to be told of, and when not.

use std::collections::BTreeMap;

use cqrs_core::{Event, Personal, Record, Row, RowError, RowExt as _, Value, params};
use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The category of the events that tell of preferences; the stream's id is the user's.
pub const CATEGORY: &str = "notification-preferences";

/// How much of something somebody wants to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Everything.
    All,
    /// What names them.
    Mentions,
    /// Nothing.
    None,
}

/// The levels for each kind of thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KindLevels {
    /// Messages in direct conversations.
    pub direct: Level,
    /// Messages in groups.
    pub group: Level,
    /// Being added to a group; it names them, so `mentions` is as good as `all`.
    pub added_to_group: Level,
    /// Signing in with a new device; `mentions` is as good as `all`.
    pub new_sign_in: Level,
}

impl Default for KindLevels {
    fn default() -> Self {
        Self {
            direct: Level::All,
            group: Level::Mentions,
            added_to_group: Level::All,
            new_sign_in: Level::All,
        }
    }
}

/// A time of every day during which somebody isn't told of messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuietHours {
    /// When it begins, by the clock of `time_zone`: `22:00`.
    #[serde(with = "clock")]
    #[schemars(with = "String", extend("format" = "time"))]
    #[schema(value_type = String, example = "22:00")]
    pub from: Time,
    /// When it ends; earlier than `from` if midnight lies between.
    #[serde(with = "clock")]
    #[schemars(with = "String", extend("format" = "time"))]
    #[schema(value_type = String, example = "07:00")]
    pub to: Time,
    /// The name of a zone in the IANA time zone database: `Europe/Berlin`.
    pub time_zone: String,
}

/// `HH:MM`, on a clock of 24 hours.
mod clock {
    use jiff::civil::Time;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
    pub(super) fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:02}:{:02}", time.hour(), time.minute()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        let two = |part: &str| {
            let is_two_digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            is_two_digits.then(|| part.parse::<i8>().ok()).flatten()
        };
        let time =
            text.split_once(':').and_then(|(hour, minute)| Time::new(two(hour)?, two(minute)?, 0, 0).ok());
        time.ok_or_else(|| D::Error::custom("must be a time of day as HH:MM"))
    }
}

impl QuietHours {
    /// The zone, if there is one of this name.
    pub fn zone(&self) -> Option<TimeZone> {
        TimeZone::get(&self.time_zone).ok()
    }

    /// Whether `at` lies in them. A zone that is no longer known is quiet at no time.
    pub fn cover(&self, at: Timestamp) -> bool {
        let Some(zone) = self.zone() else { return false };
        let time = at.to_zoned(zone).time();
        if self.from <= self.to {
            self.from <= time && time < self.to
        } else {
            time >= self.from || time < self.to
        }
    }
}

/// What somebody wants to be told of, and when not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Preferences {
    /// The levels for each kind of thing.
    pub kinds: KindLevels,
    /// Levels of single conversations, by their ids, where they differ.
    #[schema(value_type = std::collections::HashMap<String, Level>)]
    pub conversations: BTreeMap<Uuid, Level>,
    /// Until when they aren't told of anything in conversations.
    #[serde(with = "cqrs_http::time::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub mute_until: Option<Timestamp>,
    /// The time of every day during which they aren't.
    pub quiet_hours: Option<QuietHours>,
}

/// Something that somebody may want to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A message in a direct conversation.
    DirectMessage {
        /// Which conversation.
        conversation: Uuid,
        /// Whether it names them.
        mentioned: bool,
    },
    /// A message in a group.
    GroupMessage {
        /// Which group.
        conversation: Uuid,
        /// Whether it names them.
        mentioned: bool,
    },
    /// Being added to a group.
    AddedToGroup {
        /// Which group.
        conversation: Uuid,
    },
    /// Signing in with a new device. Security knows no quiet hours.
    NewSignIn,
}

impl Preferences {
    /// Whether they don't want to be disturbed at `at`: muted, or in quiet hours.
    pub fn is_quiet(&self, at: Timestamp) -> bool {
        self.mute_until.is_some_and(|until| at < until)
            || self.quiet_hours.as_ref().is_some_and(|hours| hours.cover(at))
    }

    /// Whether they want to be told of this, which happened at `at`.
    pub fn want(&self, occasion: Occasion, at: Timestamp) -> bool {
        let muted = self.is_quiet(at);
        let conversation =
            |id: Uuid, otherwise: Level| self.conversations.get(&id).copied().unwrap_or(otherwise);
        let (level, mentioned) = match occasion {
            Occasion::NewSignIn => return self.kinds.new_sign_in != Level::None,
            Occasion::AddedToGroup { conversation: id } => {
                // A level chosen for the conversation before (it was left since, say) says how much of it is wanted.
                let level = conversation(id, self.kinds.added_to_group);
                (if self.kinds.added_to_group == Level::None { Level::None } else { level }, true)
            }
            Occasion::DirectMessage { conversation: id, mentioned } => {
                (conversation(id, self.kinds.direct), mentioned)
            }
            Occasion::GroupMessage { conversation: id, mentioned } => {
                (conversation(id, self.kinds.group), mentioned)
            }
        };
        let wanted = match level {
            Level::All => true,
            Level::Mentions => mentioned,
            Level::None => false,
        };
        wanted && !muted
    }
}

/// What happens to preferences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum PreferencesEvent {
    /// They are others; all of them, as they are now.
    #[serde(rename = "notification-preferences.updated")]
    Updated {
        /// Where somebody lives and when they sleep is theirs.
        preferences: Personal<Preferences>,
    },
}

impl Event for PreferencesEvent {}

/// Somebody's preferences as they are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPreferences {
    /// Whose.
    pub user: Uuid,
    /// What they are.
    pub preferences: Preferences,
}

impl Record for StoredPreferences {
    const TABLE: &'static str = "preferences";
    const COLUMNS: &'static [&'static str] = &["user_id", "document"];

    fn to_persistence(&self) -> Vec<Value> {
        params![self.user, serde_json::to_string(&self.preferences).unwrap_or_default()]
    }

    fn to_domain(row: &dyn Row) -> Result<Self, RowError> {
        Ok(Self { user: row.get(0)?, preferences: read_document(row, 1)? })
    }
}

/// Preferences from a column that holds them as JSON.
pub(crate) fn read_document(row: &dyn Row, column: usize) -> Result<Preferences, RowError> {
    serde_json::from_str(&row.get::<String>(column)?)
        .map_err(|error| RowError { column, detail: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Uuid = Uuid::from_u128(1);

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn read(json: &str) -> Preferences {
        serde_json::from_str(json).expect("sound preferences")
    }

    fn group(mentioned: bool) -> Occasion {
        Occasion::GroupMessage { conversation: ROOM, mentioned }
    }

    fn direct(mentioned: bool) -> Occasion {
        Occasion::DirectMessage { conversation: ROOM, mentioned }
    }

    #[test]
    fn every_text_says_whether_it_is_about_a_person() {
        assert_eq!(cqrs_core::undeclared_text::<PreferencesEvent>(), Vec::<String>::new());
    }

    #[test]
    fn groups_start_at_mentions_and_direct_conversations_at_all() {
        let (now, start) = (at("2026-01-01T12:00:00Z"), Preferences::default());
        assert!(!start.want(group(false), now));
        assert!(start.want(group(true), now));
        assert!(start.want(direct(false), now));
        assert!(start.want(Occasion::AddedToGroup { conversation: ROOM }, now));
        assert!(start.want(Occasion::NewSignIn, now));
    }

    #[test]
    fn a_conversations_level_counts_more_than_its_kinds() {
        let now = at("2026-01-01T12:00:00Z");
        let all = read(&format!(r#"{{"conversations":{{"{ROOM}":"all"}}}}"#));
        assert!(all.want(group(false), now));
        let none = read(&format!(r#"{{"kinds":{{"group":"all"}},"conversations":{{"{ROOM}":"none"}}}}"#));
        assert!(!none.want(group(true), now));
        assert!(!none.want(direct(true), now));
        let mentions = read(r#"{"kinds":{"direct":"mentions"}}"#);
        assert!(!mentions.want(direct(false), now));
        assert!(mentions.want(direct(true), now));
    }

    #[test]
    fn a_mute_ends_and_does_not_hide_a_new_sign_in() {
        let muted = read(r#"{"muteUntil":"2026-01-01T12:00:00Z"}"#);
        assert!(!muted.want(direct(true), at("2026-01-01T11:59:59.999Z")));
        assert!(muted.want(direct(true), at("2026-01-01T12:00:00Z")));
        assert!(muted.want(Occasion::NewSignIn, at("2026-01-01T11:00:00Z")));
    }

    #[test]
    fn quiet_hours_are_those_of_the_clock_on_the_wall_through_midnight_and_summer() {
        let quiet = read(r#"{"quietHours":{"from":"22:00","to":"07:00","timeZone":"Europe/Berlin"}}"#);
        // In winter Berlin is one hour ahead of UTC, in summer two.
        assert!(quiet.want(direct(false), at("2026-01-10T20:59:59Z")));
        assert!(!quiet.want(direct(false), at("2026-01-10T21:00:00Z")));
        assert!(!quiet.want(direct(false), at("2026-01-11T05:59:59Z")));
        assert!(quiet.want(direct(false), at("2026-01-11T06:00:00Z")));
        assert!(!quiet.want(direct(false), at("2026-07-10T20:00:00Z")));
        assert!(quiet.want(direct(false), at("2026-07-11T05:00:00Z")));
        let noon = read(r#"{"quietHours":{"from":"12:00","to":"13:30","timeZone":"Asia/Kolkata"}}"#);
        assert!(!noon.want(direct(false), at("2026-01-10T07:59:59Z")));
        assert!(noon.want(direct(false), at("2026-01-10T08:00:00Z")));
    }

    #[test]
    fn what_is_no_time_of_day_is_refused() {
        for bad in ["24:00", "7:00", "07:60", "0700", "07:00:00", "", "aa:bb", "+1:00"] {
            let json = format!(r#"{{"from":"{bad}","to":"07:00","timeZone":"UTC"}}"#);
            assert!(serde_json::from_str::<QuietHours>(&json).is_err(), "{bad}");
        }
    }

    #[test]
    fn preferences_read_back_as_they_were_written() {
        let json = format!(
            r#"{{"conversations":{{"{ROOM}":"none"}},"muteUntil":"2026-01-01T12:00:00.000Z",
                "quietHours":{{"from":"22:00","to":"07:05","timeZone":"Asia/Tokyo"}}}}"#
        );
        let preferences = read(&json);
        let again = serde_json::to_string(&preferences).expect("they can be written");
        assert_eq!(read(&again), preferences);
        assert!(again.contains(r#""to":"07:05""#), "{again}");
    }
}
