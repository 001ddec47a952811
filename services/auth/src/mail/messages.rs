//! What the mails say: short, plain, no more than needed, and never where a click would end up unseen.

use jiff::Timestamp;

use crate::tokens::one_time::{LIFETIME, OneTimeToken};

/// Where links lead. The host is the operator's to configure, never a request's `Host`, which anybody can choose
/// (OWASP Forgot Password Cheat Sheet).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    base: String,
}

impl Links {
    /// Below the public address of this instance, such as `https://chat.example.org`.
    pub fn new(public_url: &str) -> Self {
        Self { base: public_url.trim_end_matches('/').to_owned() }
    }

    /// In the fragment, which a browser sends to no server and no `Referer` carries.
    fn to(&self, page: &str, token: &OneTimeToken) -> String {
        format!("{}/{page}#token={}", self.base, token.reveal())
    }
}

/// A subject and a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line.
    pub subject: &'static str,
    /// Plain text.
    pub text: String,
}

/// To somebody who registered, or changed their address: show that it is yours.
pub fn verify_email(links: &Links, token: &OneTimeToken) -> Letter {
    let link = links.to("verify-email", token);
    let minutes = LIFETIME.as_mins();
    Letter {
        subject: "Confirm your e-mail address",
        text: format!(
            "Hello,\n\nsomeone, hopefully you, entered this e-mail address at {base}.\nTo confirm that it is yours, open\n\n\
             {link}\n\nThe link works once, within {minutes} minutes. If this wasn't you, there is nothing to do.\n",
            base = links.base
        ),
    }
}

/// To somebody who has an account, when someone registers with their address.
pub fn already_registered(links: &Links) -> Letter {
    Letter {
        subject: "You already have an account",
        text: format!(
            "Hello,\n\nsomeone, perhaps you, tried to register at {base} with this e-mail address, which has an account\n\
             already. Nothing was changed. If it was you, sign in as usual, or ask for a new password there. If it wasn't,\n\
             there is nothing to do.\n",
            base = links.base
        ),
    }
}

/// To somebody who forgot their password.
pub fn password_reset(links: &Links, token: &OneTimeToken) -> Letter {
    let link = links.to("reset-password", token);
    let minutes = LIFETIME.as_mins();
    Letter {
        subject: "Choose a new password",
        text: format!(
            "Hello,\n\nsomeone, hopefully you, asked for a new password at {base}.\nTo choose one, open\n\n{link}\n\n\
             The link works once, within {minutes} minutes. If this wasn't you, there is nothing to do: your password stays\n\
             as it is.\n",
            base = links.base
        ),
    }
}

/// To somebody whose password was changed.
pub fn password_changed(links: &Links, at: Timestamp) -> Letter {
    Letter {
        subject: "Your password was changed",
        text: format!(
            "Hello,\n\nthe password of your account at {base} was changed on {when}.\nIf this wasn't you, ask for a new \
             password there at once, and tell whoever runs it.\n",
            base = links.base,
            when = readable(at)
        ),
    }
}

/// To the address that an account had before.
pub fn email_changed(links: &Links, at: Timestamp) -> Letter {
    Letter {
        subject: "Your e-mail address was changed",
        text: format!(
            "Hello,\n\nyour account at {base} has another e-mail address since {when}; this one is no longer used.\n\
             If this wasn't you, tell whoever runs it.\n",
            base = links.base,
            when = readable(at)
        ),
    }
}

/// To somebody who signed in. `device` is what the client called itself.
pub fn new_sign_in(links: &Links, at: Timestamp, device: Option<&str>) -> Letter {
    let device = device.map(|device| format!(" with “{device}”")).unwrap_or_default();
    Letter {
        subject: "New sign-in to your account",
        text: format!(
            "Hello,\n\nsomeone, hopefully you, signed in to your account at {base}{device} on {when}.\nIf this wasn't you, \
             change your password there, which ends all other sessions.\n",
            base = links.base,
            when = readable(at)
        ),
    }
}

fn readable(at: Timestamp) -> String {
    at.strftime("%-d %B %Y at %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::tokens::InstanceSecret;
    use crate::tokens::one_time::{OneTimeTokens, Purpose};

    fn token(purpose: Purpose) -> OneTimeToken {
        OneTimeTokens::new(&InstanceSecret::new([1; 32])).issue(purpose, Uuid::from_u128(1), [2; 32]).0
    }

    #[test]
    fn security_13_links_lead_to_the_configured_host_with_the_token_in_the_fragment() {
        let links = Links::new("https://chat.example.org/");
        let token = token(Purpose::ResetPassword);
        let letter = password_reset(&links, &token);
        let link = letter.text.lines().find(|line| line.starts_with("https://")).unwrap();
        assert_eq!(link, format!("https://chat.example.org/reset-password#token={}", token.reveal()));
        assert!(letter.text.contains("within 30 minutes"));
    }

    #[test]
    fn only_the_letters_with_a_link_hold_a_token() {
        let links = Links::new("https://chat.example.org");
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        assert!(verify_email(&links, &token(Purpose::VerifyEmail)).text.contains("verify-email#token=pve_"));
        for letter in [
            already_registered(&links),
            password_changed(&links, at),
            email_changed(&links, at),
            new_sign_in(&links, at, Some("laptop")),
        ] {
            assert!(!letter.text.contains("token"), "{}", letter.subject);
        }
    }

    #[test]
    fn a_sign_in_is_told_with_its_time_and_device() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let letter = new_sign_in(&Links::new("https://chat.example.org"), at, Some("Ann's laptop"));
        assert!(
            letter.text.contains("with “Ann's laptop” on 15 January 2027 at 08:00 UTC"),
            "{}",
            letter.text
        );
    }
}
