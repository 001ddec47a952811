//! The codes of the problems that the kernel itself answers with. A service's refusals have codes of their own.

use std::borrow::Cow;

/// One kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct ProblemKind {
    /// Stable kebab-case code for clients to act on.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Short and the same for each occurrence (RFC 9457 §3.1.3).
    pub title: &'static str,
    /// What it means and what to do about it.
    pub explanation: &'static str,
}

macro_rules! problems {
    ($($status:literal $code:literal $title:literal $explanation:literal;)*) => {
        /// Every problem that can come from the kernel, by status, for documentation to list.
        pub const PROBLEMS: &[ProblemKind] = &[
            $(ProblemKind { code: $code, status: $status, title: $title, explanation: $explanation },)*
        ];
    };
}

problems! {
    400 "bad-request" "Bad request"
        "The request can't be understood as HTTP asks for it.";
    400 "malformed-json" "Malformed JSON"
        "The body is not a JSON document (RFC 8259): the detail says where reading stopped.";
    401 "unauthenticated" "Not signed in"
        "The request needs `Authorization: Bearer` with a valid access token. Sign in, or refresh the token.";
    403 "forbidden" "Forbidden"
        "The caller is known and may not do this.";
    404 "not-found" "Not found"
        "There is no such thing, or the caller may not know that there is.";
    405 "method-not-allowed" "Method not allowed"
        "The resource exists and doesn't know this method; `Allow` names those that it does.";
    408 "request-timeout" "Request timeout"
        "The request's body didn't arrive in time.";
    409 "command-in-flight" "Still running"
        "The first command with this idempotency key hasn't ended yet. Repeat it after `Retry-After`.";
    409 "concurrent-update" "Changed by others at the same time"
        "Others changed the same thing again and again while this was tried. Nothing was done; try again.";
    410 "epoch-changed" "Log restored since"
        "The token or cursor is of a time before the log was restored from a backup. Forget it and read anew.";
    410 "gone" "Gone"
        "It was here and is gone for good.";
    412 "version-mismatch" "Version mismatch"
        "`If-Match` names another version than the current one, which `currentVersion` gives. Read it, then decide again.";
    413 "payload-too-large" "Payload too large"
        "The body is larger than this instance takes.";
    415 "unsupported-media-type" "Unsupported media type"
        "Bodies are `application/json`, without a content encoding.";
    422 "idempotency-key-reused" "Idempotency key reused"
        "This `Idempotency-Key` came before with another content. Take a new key for a new command.";
    422 "invalid-token" "Invalid token or cursor"
        "The position token is malformed, cut short or of another instance.";
    422 "invalid-value" "Invalid value"
        "The request is well-formed, and something in it isn't acceptable: `errors` names each field.";
    429 "too-many-requests" "Too many requests"
        "Wait as long as `Retry-After` says.";
    500 "internal-error" "Internal error"
        "Something went wrong here. The log has the details under the request's id.";
    503 "deadline-exceeded" "Not answered in time"
        "Whether a command took effect is settled by repeating it with its idempotency key.";
    503 "unavailable" "Unavailable"
        "A store can't be reached or has too much to do. Repeat after `Retry-After`.";
    503 "view-behind" "View behind"
        "The view hasn't come to the position asked for by `Parlor-Min-Position` in time. Repeat after `Retry-After`.";
    507 "storage-full" "Storage full"
        "The disk is full; nothing was written. Reading goes on.";
}

/// The title of a code: from the catalogue, or the code itself in words.
pub(crate) fn title_of(code: &'static str) -> Cow<'static, str> {
    if let Some(kind) = PROBLEMS.iter().find(|kind| kind.code == code) {
        return Cow::Borrowed(kind.title);
    }
    let mut words = code.replace('-', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Cow::Owned(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_kebab_case_and_sorted_by_status() {
        for pair in PROBLEMS.windows(2) {
            assert!((pair[0].status, pair[0].code) < (pair[1].status, pair[1].code), "{}", pair[1].code);
        }
        let kebab = |code: &str| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        assert!(PROBLEMS.iter().all(|kind| kebab(kind.code)));
    }

    #[test]
    fn a_service_s_own_code_gets_its_words_as_title() {
        assert_eq!(title_of("email-taken"), "Email taken");
        assert_eq!(title_of("not-found"), "Not found");
    }
}
