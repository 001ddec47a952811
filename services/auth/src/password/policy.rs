//! Which new passwords are refused because they are guessed first: the commonest ones, and those made of the person's own
//! name or address (OWASP ASVS 5.0, 6.2.4 and 6.2.11).

use std::collections::HashSet;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

use super::{MIN_CHARACTERS, Password};
use crate::email::Email;

/// Where the list comes from is told in `data/README.md`.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("../../data/common-passwords.txt").lines().collect());

/// Shorter names are found in any text; they refuse a password only when they are all of it.
const SHORTEST_NAME: usize = 3;

/// Why a password is too easily guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Guessable {
    /// One of the commonest, in whatever case.
    #[error("this password is one of the commonest, and guessed first")]
    Common,
    /// Little more than the person's name or e-mail address.
    #[error("this password is little more than your own name or e-mail address")]
    OwnName,
}

/// Refuses a password that is among the 10,000 commonest of its length, or in which fewer than 8 characters are left when
/// the person's display name, address, or the address's part before the `@` is taken out. So `ann.smith1987` is refused to
/// Ann Smith, and `ann smith keeps three green parrots` isn't.
pub fn check(password: &Password, display_name: &str, email: &Email) -> Result<(), Guessable> {
    let candidate = comparable(password.as_str());
    if COMMON.contains(candidate.as_str()) {
        return Err(Guessable::Common);
    }
    let names = [comparable(display_name.trim()), comparable(email.as_str()), comparable(email.local_part())];
    if names.iter().any(|name| is_little_more_than(&candidate, name)) {
        return Err(Guessable::OwnName);
    }
    Ok(())
}

fn is_little_more_than(candidate: &str, name: &str) -> bool {
    if candidate == name {
        return true;
    }
    if name.chars().count() < SHORTEST_NAME || !candidate.contains(name) {
        return false;
    }
    candidate.replace(name, "").chars().count() < MIN_CHARACTERS
}

fn comparable(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(password: &str) -> Result<(), Guessable> {
        check(
            &Password::parse(password).unwrap(),
            "Ann Smith",
            &Email::parse("ann.smith@example.org").unwrap(),
        )
    }

    #[test]
    fn security_3_every_one_of_the_3000_commonest_is_refused() {
        let list: Vec<&str> = include_str!("../../data/common-passwords.txt").lines().collect();
        assert!(list.len() >= 3_000);
        for common in &list {
            assert_eq!(verdict(common), Err(Guessable::Common), "{common}");
        }
        assert_eq!(verdict("PassWord"), Err(Guessable::Common));
        assert_eq!(verdict("ｐａｓｓｗｏｒｄ"), Err(Guessable::Common));
    }

    #[test]
    fn security_3_ones_own_name_and_address_are_refused() {
        for own in [
            "Ann Smith",
            "ann.smith@example.org",
            "ann.smith",
            "ann.smith1987",
            "ANN SMITH!!",
            "ann.smithann.smith",
        ] {
            assert_eq!(verdict(own), Err(Guessable::OwnName), "{own}");
        }
    }

    #[test]
    fn a_password_that_only_mentions_a_name_is_taken() {
        assert_eq!(verdict("ann smith keeps three green parrots"), Ok(()));
        assert_eq!(verdict("correct horse battery staple"), Ok(()));
        let short = Email::parse("al@example.org").unwrap();
        assert_eq!(check(&Password::parse("royal oak").unwrap(), "Al", &short), Ok(()));
    }

    #[test]
    fn an_empty_name_refuses_nothing() {
        let email = Email::parse("someone@example.org").unwrap();
        assert_eq!(check(&Password::parse("correct horse").unwrap(), " ", &email), Ok(()));
    }
}
