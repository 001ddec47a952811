//! Every problem code that a client may meet, with what it means: the kernel's and the services'.

use cqrs_http::{PROBLEMS, ProblemKind};

const fn problem(
    status: u16,
    code: &'static str,
    title: &'static str,
    explanation: &'static str,
) -> ProblemKind {
    ProblemKind { code, status, title, explanation }
}

/// The auth service's refusals.
const AUTH: &[ProblemKind] = &[
    problem(
        401,
        "invalid-credentials",
        "Invalid credentials",
        "The e-mail address or the password is wrong.",
    ),
    problem(
        401,
        "invalid-refresh-token",
        "Invalid refresh token",
        "It was used before, has ended with its session, or was never issued. Sign in again.",
    ),
    problem(
        403,
        "email-unverified",
        "E-mail not verified",
        "Follow the link in the mail that came after registration, then sign in.",
    ),
    problem(403, "wrong-password", "Wrong password", "The current password isn't the one given."),
    problem(
        409,
        "email-taken",
        "E-mail taken",
        "Another account has this address. Sign in, or reset the password.",
    ),
    problem(
        422,
        "password-guessable",
        "Password guessable",
        "It is one of the commonest, or one's own name or address. Choose another one.",
    ),
];

/// The process's own.
const PROCESS: &[ProblemKind] = &[problem(
    421,
    "misdirected-request",
    "Misdirected request",
    "The installation's reverse proxy sent this to a process that doesn't answer it. Send it to the installation's own \
     address.",
)];

/// All of them, by status and code.
pub(super) fn all() -> Vec<ProblemKind> {
    let services = [
        AUTH,
        parlor_user::problems::PROBLEMS,
        parlor_chat::problems::PROBLEMS,
        parlor_notification::problems::PROBLEMS,
    ];
    let mut all: Vec<_> = [PROBLEMS, PROCESS].into_iter().chain(services).flatten().copied().collect();
    all.sort_by_key(|kind| (kind.status, kind.code));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_explained_once() {
        let all = all();
        for (i, kind) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other.code != kind.code), "{} is there twice", kind.code);
        }
    }

    /// The API's description names a refusal of a route as `code` at the beginning of a sentence.
    #[test]
    fn every_code_that_the_api_s_description_names_is_explained() {
        let api = serde_json::to_value(crate::http::openapi::document()).unwrap();
        let known: Vec<_> = all().iter().map(|kind| kind.code).collect();
        let mut named = 0;
        for (path, item) in api["paths"].as_object().unwrap() {
            for (status, response) in item
                .as_object()
                .unwrap()
                .values()
                .flat_map(|operation| operation["responses"].as_object().into_iter().flatten())
            {
                if !status.starts_with('4') {
                    continue;
                }
                let description = response["description"].as_str().unwrap_or_default();
                for code in description.split('`').skip(1).step_by(2).filter(|code| code.contains('-')) {
                    let kebab = code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
                    assert!(!kebab || known.contains(&code), "{path} names {code}");
                    named += usize::from(kebab);
                }
            }
        }
        assert!(named > 5, "descriptions name codes");
    }
}
