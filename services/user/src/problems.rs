//! What the user service's own problem codes mean, for documentation to list beside the kernel's.

use cqrs_http::ProblemKind;

const fn problem(
    status: u16,
    code: &'static str,
    title: &'static str,
    explanation: &'static str,
) -> ProblemKind {
    ProblemKind { code, status, title, explanation }
}

/// The codes of the service's refusals, by status.
pub const PROBLEMS: &[ProblemKind] = &[
    problem(
        403,
        "account-deleted",
        "Account deleted",
        "The caller has ended this account; it can change nothing.",
    ),
    problem(403, "account-disabled", "Account disabled", "An administrator has shut the caller out."),
    problem(
        403,
        "profile-refused",
        "Profile refused",
        "No profile could be made for this account: `GET /v1/auth/me` says why. The account can only be deleted, which frees \
         its address.",
    ),
    problem(404, "unknown-user", "Unknown user", "There is no such user, or not any more."),
    problem(
        409,
        "external-id-taken",
        "External id taken",
        "Several requests gave this external id to users at the same time. Repeat the request to learn whose it is.",
    ),
    problem(
        409,
        "user-deleted",
        "User deleted",
        "They ended their account themselves: it can't be disabled or enabled.",
    ),
    problem(422, "contact-is-oneself", "Oneself", "Nobody is their own contact."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_core::{Refusal, RefusalKind};

    use crate::add_user_contact::AddContactRefusal;
    use crate::create_user::CreateUserRefusal;
    use crate::disable_user::StandingRefusal;
    use crate::user::NoStanding;

    #[test]
    fn every_refusal_is_listed_with_its_status() {
        let refusals: [&dyn Refusal; 11] = [
            &NoStanding::NotAUser,
            &NoStanding::ProfileRefused,
            &NoStanding::Disabled,
            &NoStanding::Deleted,
            &AddContactRefusal::UnknownUser,
            &AddContactRefusal::Oneself,
            &CreateUserRefusal::NotAllowed,
            &CreateUserRefusal::ExternalIdTaken,
            &StandingRefusal::NotAllowed,
            &StandingRefusal::UnknownUser,
            &StandingRefusal::AlreadyDeleted,
        ];
        for refusal in refusals {
            let status = match refusal.kind() {
                RefusalKind::Invalid => 422,
                RefusalKind::Forbidden => 403,
                RefusalKind::NotFound => 404,
                RefusalKind::Conflict => 409,
                other => panic!("{other:?}"),
            };
            let listed = PROBLEMS.iter().chain(cqrs_http::PROBLEMS).find(|kind| kind.code == refusal.code());
            assert_eq!(listed.map(|kind| kind.status), Some(status), "{}", refusal.code());
        }
    }
}
