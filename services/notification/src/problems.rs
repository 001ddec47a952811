//! What the service's refusals mean and what to do about them, for `/docs`.

use cqrs_http::ProblemKind;

/// Every refusal of this service's own.
pub const PROBLEMS: &[ProblemKind] = &[ProblemKind {
    code: "too-many-webhooks",
    status: 409,
    title: "Too many webhooks",
    explanation: "There may be 100. Delete one that isn't needed.",
}];
