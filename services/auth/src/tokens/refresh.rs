//! Refresh tokens: opaque, one generation after the other.
//!
//! A token names its session and generation, and carries a keyed hash over both. So nothing of it is stored but a number in
//! the session, and an honest client that refreshes twice at once gets the very same next token both times (RFC 9700
//! §4.14.2 asks for rotation, and that reuse be noticed). Whether a generation is the current one, the one before within its
//! grace, or reused, is the session's to decide.

use uuid::Uuid;

use super::{InstanceSecret, decode, encode};

const PREFIX: &str = "prt_";

/// Makes and recognises refresh tokens.
pub struct RefreshTokens {
    key: [u8; 32],
}

/// What a refresh token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshClaim {
    /// The session.
    pub session: Uuid,
    /// How often the session had been refreshed when it was made.
    pub generation: u32,
}

impl RefreshTokens {
    /// With a key of the instance's own.
    pub fn new(secret: &InstanceSecret) -> Self {
        Self { key: secret.derive("parlor auth refresh token v1") }
    }

    /// The token of a session's generation: always the same.
    pub fn issue(&self, claim: RefreshClaim) -> String {
        let mut bytes = [0; 52];
        bytes[..16].copy_from_slice(claim.session.as_bytes());
        bytes[16..20].copy_from_slice(&claim.generation.to_be_bytes());
        let mac = blake3::keyed_hash(&self.key, &bytes[..20]);
        bytes[20..].copy_from_slice(mac.as_bytes());
        encode(PREFIX, &bytes)
    }

    /// What the token stands for, if this instance made it. Compared in constant time.
    pub fn recognise(&self, token: &str) -> Option<RefreshClaim> {
        let bytes: [u8; 52] = decode(PREFIX, token)?;
        let (head, mac) = bytes.split_at(20);
        // `blake3::Hash` compares in constant time.
        if blake3::keyed_hash(&self.key, head) != blake3::Hash::from_bytes(mac.try_into().ok()?) {
            return None;
        }
        let session = Uuid::from_slice(&head[..16]).ok()?;
        Some(RefreshClaim { session, generation: u32::from_be_bytes(head[16..].try_into().ok()?) })
    }
}

impl std::fmt::Debug for RefreshTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshTokens(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(seed: u8) -> RefreshTokens {
        RefreshTokens::new(&InstanceSecret::new([seed; 32]))
    }

    fn claim(session: u128, generation: u32) -> RefreshClaim {
        RefreshClaim { session: Uuid::from_u128(session), generation }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn a_token_stands_for_its_session_and_generation(session: u128, generation: u32) {
            let claim = claim(session, generation);
            prop_assert_eq!(tokens(1).recognise(&tokens(1).issue(claim)), Some(claim));
        }

        #[test]
        fn no_text_is_taken_for_a_token(text in "(prt_)?[A-Za-z0-9_-]{0,80}") {
            prop_assert_eq!(tokens(1).recognise(&text), None);
        }
    }

    #[test]
    fn security_15_parallel_refreshes_get_the_same_next_token_and_each_generation_another() {
        assert_eq!(tokens(1).issue(claim(5, 2)), tokens(1).issue(claim(5, 2)));
        assert_ne!(tokens(1).issue(claim(5, 2)), tokens(1).issue(claim(5, 3)));
        assert_ne!(tokens(1).issue(claim(5, 2)), tokens(1).issue(claim(6, 2)));
    }

    #[test]
    fn security_12_any_other_token_is_refused_exactly() {
        let token = tokens(1).issue(claim(5, 2));
        assert!(tokens(1).recognise(&token).is_some());
        assert_eq!(tokens(2).recognise(&token), None, "another instance's");
        for index in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(tokens(1).recognise(&String::from_utf8(changed).unwrap()), None, "byte {index}");
        }
        for other in [
            String::new(),
            "prt_".to_owned(),
            token.replace("prt_", "prp_"),
            token.to_uppercase(),
            format!("{token} "),
            format!(" {token}"),
            format!("{token}="),
            format!("{token}A"),
            token[..token.len() - 1].to_owned(),
        ] {
            assert_eq!(tokens(1).recognise(&other), None, "{other}");
        }
    }
}
