//! What clients say.

use serde::Deserialize;
use uuid::Uuid;

/// A frame of a client's.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(super) enum Said {
    /// Who it is; later, a fresh token of theirs.
    Authenticate { token: String },
    /// Begin now.
    Start {},
    /// Begin after this.
    Resume { cursor: String },
    /// The user is typing.
    Typing { conversation_id: Uuid },
    /// A sign of life is wanted.
    Ping {},
}

impl Said {
    /// Nothing for what isn't one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_understood() {
        let conversation = Uuid::from_u128(7);
        let typing = format!(r#"{{"type":"typing","conversationId":"{conversation}"}}"#);
        assert!(
            matches!(Said::parse(&typing), Some(Said::Typing { conversation_id }) if conversation_id == conversation)
        );
        assert!(matches!(Said::parse(r#"{"type":"start"}"#), Some(Said::Start {})));
        for unknown in [
            "",
            "null",
            "[]",
            "\u{feff}{\"type\":\"start\"}",
            r#"{"type":"sing"}"#,
            r#"{"type":"start","now":true}"#,
            r#"{"type":"start"} {"type":"start"}"#,
            r#"{"type":"resume"}"#,
            r#"{"type":"resume","cursor":7}"#,
            r#"{"type":"typing","conversationId":"x"}"#,
            &format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000)),
        ] {
            assert!(Said::parse(unknown).is_none(), "{unknown}");
        }
    }
}
