//! Service keys: how another application proves itself (role `service`), as `Authorization: Bearer psk_…`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
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

/// The keys that are in force, for checking them. Every process keeps one, fed from the log of the auth service.
pub struct ServiceKeys {
    key: [u8; 32],
    known: RwLock<HashMap<Uuid, (ServiceKeyHash, Arc<str>)>>,
}

impl ServiceKeys {
    /// None yet.
    pub fn new(secret: &InstanceSecret) -> Self {
        Self { key: secret.derive("parlor auth service key v1"), known: RwLock::default() }
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

    /// Puts a key in force.
    pub fn admit(&self, id: Uuid, name: &str, hash: ServiceKeyHash) {
        self.known.write().insert(id, (hash, name.into()));
    }

    /// Takes it out of force.
    pub fn revoke(&self, id: Uuid) {
        self.known.write().remove(&id);
    }

    /// Whose key it is, if it is one that is in force.
    pub fn recognise(&self, text: &str) -> Option<ServiceIdentity> {
        let id = self.id_of(text)?;
        let (hash, name) = self.known.read().get(&id).cloned()?;
        self.matches(text, hash).then_some(ServiceIdentity { id, name })
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
        f.debug_struct("ServiceKeys").field("known", &self.known.read().len()).finish_non_exhaustive()
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
    fn a_key_is_its_applications_from_admission_to_revocation() {
        let keys = keys();
        let (text, hash) = keys.issue(ID, [7; 32]);
        assert!(text.starts_with("psk_"));
        assert_eq!(keys.recognise(&text), None);
        keys.admit(ID, "shop", hash);
        assert_eq!(keys.recognise(&text), Some(ServiceIdentity { id: ID, name: "shop".into() }));
        keys.revoke(ID);
        assert_eq!(keys.recognise(&text), None);
    }

    #[test]
    fn security_12_any_other_text_is_refused() {
        let keys = keys();
        let (text, hash) = keys.issue(ID, [7; 32]);
        keys.admit(ID, "shop", hash);
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(keys.recognise(&String::from_utf8(changed).unwrap()), None, "byte {index}");
        }
        for other in ["", "psk_", &text[..text.len() - 1], &format!("{text}="), &format!("{text} ")] {
            assert_eq!(keys.recognise(other), None, "{other}");
        }
        let (same_id, _) = keys.issue(ID, [8; 32]);
        assert_eq!(keys.recognise(&same_id), None);
    }
}
