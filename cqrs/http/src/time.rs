//! Times as RFC 3339 in UTC with exactly three fractional digits: `2026-01-01T12:00:00.000Z`.
//!
//! ```
//! #[derive(serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
//! struct Seen {
//!     #[serde(with = "cqrs_http::time")]
//!     #[schema(value_type = String, format = DateTime)]
//!     at: jiff::Timestamp,
//!     #[serde(default, with = "cqrs_http::time::option")]
//!     #[schema(value_type = Option<String>, format = DateTime)]
//!     until: Option<jiff::Timestamp>,
//! }
//! let seen: Seen = serde_json::from_str(r#"{"at":"2026-01-01T13:00:00.1239+01:00"}"#).unwrap();
//! assert_eq!(serde_json::to_string(&seen).unwrap(), r#"{"at":"2026-01-01T12:00:00.123Z","until":null}"#);
//! ```

use jiff::Timestamp;
use serde::{Deserialize as _, Deserializer, Serializer};

/// Writes a time.
pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

/// Reads a time, of any offset and precision.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    Timestamp::deserialize(deserializer)
}

/// The same for times that may be absent.
pub mod option {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    /// Writes a time, or null.
    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a time, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Option::<Timestamp>::deserialize(deserializer)
    }
}
