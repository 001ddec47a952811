//! Service keys: how another application proves itself (role `service`), as `Authorization: Bearer psk_…`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{InstanceSecret, decode, encode};

/// How a service key begins.
pub const PREFIX: &str = "psk_";

/// A key's keyed hash: what is stored instead of it. Compared in constant time.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ServiceKeyHash(blake3::Hash);

impl From<ServiceKeyHash> for String {
    fn from(hash: ServiceKeyHash) -> Self {
        hash.0.to_hex().to_string()
    }
}

impl From<String> for ServiceKeyHash {
    /// What is no hash becomes one that no key has.
    fn from(hex: String) -> Self {
        Self(blake3::Hash::from_hex(hex).unwrap_or(blake3::Hash::from_bytes([0; 32])))
    }
}

impl fmt::Debug for ServiceKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceKeyHash(…)")
    }
}

/// Which application a key belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceIdentity {
    /// The key's id: the actor of what is done with it.
    pub id: Uuid,
    /// What the operator called it.
    pub name: Arc<str>,
}

/// Makes and recognises service keys. Which are in force stands in the log ([`crate::service_key`]).
pub struct ServiceKeys {
    key: [u8; 32],
}

impl ServiceKeys {
    /// With a key of the instance's own.
    pub fn new(secret: &InstanceSecret) -> Self {
        Self { key: secret.derive("parlor auth service key v1") }
    }

    /// A new key's text, to be shown once, and what to store; of 32 fresh random bytes.
    pub fn issue(&self, id: Uuid, random: [u8; 32]) -> (String, ServiceKeyHash) {
        let mut bytes = [0; 48];
        bytes[..16].copy_from_slice(id.as_bytes());
        bytes[16..].copy_from_slice(&random);
        let text = encode(PREFIX, &bytes);
        let hash = self.hash(&text);
        (text, hash)
    }

    /// Whose key it claims to be.
    pub fn id_of(&self, text: &str) -> Option<Uuid> {
        let bytes: [u8; 48] = decode(PREFIX, text)?;
        Uuid::from_slice(&bytes[..16]).ok()
    }

    /// Whether this is the key with this hash; in constant time.
    pub fn matches(&self, text: &str, hash: ServiceKeyHash) -> bool {
        self.hash(text) == hash
    }

    fn hash(&self, text: &str) -> ServiceKeyHash {
        ServiceKeyHash(blake3::keyed_hash(&self.key, text.as_bytes()))
    }
}

impl fmt::Debug for ServiceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceKeys(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(5);

    fn keys() -> ServiceKeys {
        ServiceKeys::new(&InstanceSecret::new([1; 32]))
    }

    #[test]
    fn a_key_names_itself_and_matches_its_hash() {
        let (text, hash) = keys().issue(ID, [7; 32]);
        assert!(text.starts_with("psk_"));
        assert_eq!(keys().id_of(&text), Some(ID));
        assert!(keys().matches(&text, hash));
        let stored = ServiceKeyHash::from(String::from(hash));
        assert!(keys().matches(&text, stored));
    }

    #[test]
    fn security_12_any_other_text_is_refused() {
        let keys = keys();
        let (text, hash) = keys.issue(ID, [7; 32]);
        let passes = |text: &str| keys.id_of(text) == Some(ID) && keys.matches(text, hash);
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert!(!passes(&String::from_utf8(changed).unwrap()), "byte {index}");
        }
        for other in ["", "psk_", &text[..text.len() - 1], &format!("{text}="), &format!("{text} ")] {
            assert!(!passes(other), "{other}");
        }
        let (same_id, _) = keys.issue(ID, [8; 32]);
        assert!(!passes(&same_id));
        assert!(!keys.matches(&text, ServiceKeyHash::from("not a hash".to_owned())));
    }
}
