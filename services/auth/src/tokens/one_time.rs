//! The tokens in mailed links: 256 random bits, good once and for one purpose, for at most half an hour.
//!
//! What is kept is a keyed hash; whoever reads the log or a backup can't make a link of it.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{InstanceSecret, decode, encode};

/// How long a link holds (the OWASP Forgot Password Cheat Sheet asks for a short time).
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(30);

/// Until when a link sent now holds.
pub fn expiry(now: Timestamp) -> Timestamp {
    now.saturating_add(LIFETIME).unwrap_or(Timestamp::MAX)
}

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To choose a new password.
    ResetPassword,
    /// To show that an e-mail address is one's own.
    VerifyEmail,
}

impl Purpose {
    fn prefix(self) -> &'static str {
        match self {
            Self::ResetPassword => "prp_",
            Self::VerifyEmail => "pve_",
        }
    }
}

/// A token's keyed hash: what is stored instead of it. Compared in constant time.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct TokenHash(blake3::Hash);

impl From<TokenHash> for String {
    fn from(hash: TokenHash) -> Self {
        hash.0.to_hex().to_string()
    }
}

impl From<String> for TokenHash {
    /// What is no hash becomes one that no token has.
    fn from(hex: String) -> Self {
        Self(blake3::Hash::from_hex(hex).unwrap_or(blake3::Hash::from_bytes([0; 32])))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// A token, to be written into a mail and nowhere else.
#[derive(Clone)]
pub struct OneTimeToken(zeroize::Zeroizing<String>);

impl OneTimeToken {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OneTimeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeToken(…)")
    }
}

/// Makes and recognises them.
pub struct OneTimeTokens {
    key: [u8; 32],
}

impl OneTimeTokens {
    /// With a key of the instance's own.
    pub fn new(secret: &InstanceSecret) -> Self {
        Self { key: secret.derive("parlor auth one-time token v1") }
    }

    /// A token for an account, of 32 fresh random bytes, and what to store.
    pub fn issue(&self, purpose: Purpose, account: Uuid, random: [u8; 32]) -> (OneTimeToken, TokenHash) {
        let mut bytes = [0; 48];
        bytes[..16].copy_from_slice(account.as_bytes());
        bytes[16..].copy_from_slice(&random);
        let token = encode(purpose.prefix(), &bytes);
        let hash = self.hash(&token);
        (OneTimeToken(token.into()), hash)
    }

    /// Whose token it claims to be, and its hash, which must be the stored one. `None` for a token of another kind.
    pub fn read(&self, purpose: Purpose, token: &str) -> Option<(Uuid, TokenHash)> {
        let bytes: [u8; 48] = decode(purpose.prefix(), token)?;
        Some((Uuid::from_slice(&bytes[..16]).ok()?, self.hash(token)))
    }

    /// Over the whole text, its prefix included, so that a hash fits one purpose only.
    fn hash(&self, token: &str) -> TokenHash {
        TokenHash(blake3::keyed_hash(&self.key, token.as_bytes()))
    }
}

impl fmt::Debug for OneTimeTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeTokens(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::random_bytes;
    use super::*;

    const ACCOUNT: Uuid = Uuid::from_u128(5);

    fn tokens() -> OneTimeTokens {
        OneTimeTokens::new(&InstanceSecret::new([1; 32]))
    }

    #[test]
    fn security_11_a_token_is_read_back_as_its_account_and_the_stored_hash() {
        let (token, hash) = tokens().issue(Purpose::ResetPassword, ACCOUNT, random_bytes());
        assert_eq!(tokens().read(Purpose::ResetPassword, token.reveal()), Some((ACCOUNT, hash)));
        assert!(LIFETIME <= SignedDuration::from_mins(30));
    }

    #[test]
    fn security_11_two_tokens_of_an_account_differ() {
        let (one, a) = tokens().issue(Purpose::ResetPassword, ACCOUNT, random_bytes());
        let (other, b) = tokens().issue(Purpose::ResetPassword, ACCOUNT, random_bytes());
        assert_ne!(one.reveal(), other.reveal());
        assert_ne!(a, b);
    }

    #[test]
    fn security_12_a_token_serves_its_own_purpose_only() {
        let (token, hash) = tokens().issue(Purpose::VerifyEmail, ACCOUNT, [9; 32]);
        assert_eq!(tokens().read(Purpose::ResetPassword, token.reveal()), None);
        let disguised = token.reveal().replace("pve_", "prp_");
        let (_, other) = tokens().read(Purpose::ResetPassword, &disguised).unwrap();
        assert_ne!(other, hash);
    }

    #[test]
    fn security_12_a_changed_token_has_another_hash_or_none() {
        let (token, hash) = tokens().issue(Purpose::ResetPassword, ACCOUNT, [9; 32]);
        for index in 0..token.reveal().len() {
            let mut changed = token.reveal().to_owned().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let read = tokens().read(Purpose::ResetPassword, &String::from_utf8(changed).unwrap());
            assert!(read.is_none_or(|(_, other)| other != hash), "byte {index}");
        }
        assert_eq!(tokens().read(Purpose::ResetPassword, &format!("{} ", token.reveal())), None);
    }

    #[test]
    fn security_11_what_is_stored_does_not_contain_the_token() {
        let (token, hash) = tokens().issue(Purpose::ResetPassword, ACCOUNT, random_bytes());
        let stored = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<TokenHash>(&stored).unwrap(), hash);
        assert!(!stored.contains(&token.reveal()[4..12]));
        assert_eq!(format!("{token:?} {hash:?}"), "OneTimeToken(…) TokenHash(…)");
    }

    #[test]
    fn a_broken_stored_hash_matches_nothing() {
        let broken = TokenHash::from("zz".to_owned());
        let (_, hash) = tokens().issue(Purpose::ResetPassword, ACCOUNT, [9; 32]);
        assert_ne!(broken, hash);
    }
}
