//! What chat's own problem codes mean, for documentation to list beside the kernel's.

use cqrs_http::ProblemKind;

const fn problem(
    status: u16,
    code: &'static str,
    title: &'static str,
    explanation: &'static str,
) -> ProblemKind {
    ProblemKind { code, status, title, explanation }
}

/// The codes of chat's refusals, by status.
pub const PROBLEMS: &[ProblemKind] = &[
    problem(403, "not-an-admin", "Not an admin", "Only admins of the group may do this."),
    problem(
        403,
        "not-the-author",
        "Not the author",
        "Messages are edited by their authors, and deleted by them or the group's admins.",
    ),
    problem(
        403,
        "origin-not-allowed",
        "Origin not allowed",
        "Pages of this origin may not open a WebSocket here. An operator may add it to live.allowed_origins.",
    ),
    problem(
        409,
        "direct-conversation",
        "Direct conversation",
        "A direct conversation keeps its two participants and has no title. Begin a group instead.",
    ),
    problem(
        409,
        "message-id-taken",
        "Message id taken",
        "The id that the client picked belongs to another message. Leave it out, or pick a new UUID v7.",
    ),
    problem(409, "own-role", "One's own role", "One's own role is changed by another admin."),
    problem(
        422,
        "unknown-message",
        "Unknown message",
        "The message named is not in this conversation, or not to be seen by the caller.",
    ),
    problem(
        422,
        "unknown-participant",
        "Unknown participant",
        "Somebody named is no user of this instance, or not any more.",
    ),
    problem(
        422,
        "unknown-reply-to",
        "Unknown reply-to",
        "The message replied to is not in this conversation.",
    ),
    problem(
        426,
        "upgrade-required",
        "Upgrade required",
        "This address is for WebSockets. GET /v1/stream says the same by server-sent events.",
    ),
    problem(
        429,
        "too-many-connections",
        "Too many connections",
        "One user has as many live connections as they may. Close one, or wait until one that broke off is noticed.",
    ),
];
