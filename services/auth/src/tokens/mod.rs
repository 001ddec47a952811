//! Everything that is shown instead of a password: access tokens ([`access`], [`keys`], [`verify`]), refresh tokens
//! ([`refresh`]), links in mails ([`one_time`]) and the keys of other applications ([`service_key`]).
//!
//! Opaque tokens start with a prefix that tells their kind, so that one kind is never taken for another, and so that
//! secret scanners can find a leaked one. They are compared in constant time and exactly: no trimming, no other case.

pub mod access;
pub mod ended;
pub mod keys;
pub mod one_time;
pub mod refresh;
pub mod service_key;
pub mod verify;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The instance's secret, from which every keyed hash of this service derives its own key.
///
/// Whoever has it can forge refresh tokens and test guesses of stored hashes, but can't sign access tokens. It is made at
/// first start and never leaves the data folder.
pub struct InstanceSecret(zeroize::Zeroizing<[u8; 32]>);

impl InstanceSecret {
    /// Takes 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(zeroize::Zeroizing::new(bytes))
    }

    /// A key for one purpose; `context` is a constant that names it (BLAKE3 key derivation).
    pub(crate) fn derive(&self, context: &'static str) -> [u8; 32] {
        blake3::derive_key(context, &self.0[..])
    }
}

impl std::fmt::Debug for InstanceSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InstanceSecret(…)")
    }
}

/// Random bytes from the operating system's generator, for secrets. Ids come from the request's context instead.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

fn encode(prefix: &str, bytes: &[u8]) -> String {
    let mut token = String::with_capacity(prefix.len() + bytes.len().div_ceil(3) * 4);
    token.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(bytes, &mut token);
    token
}

/// The bytes after the prefix, if the token has that prefix, exactly that length, and the one canonical encoding.
fn decode<const N: usize>(prefix: &str, token: &str) -> Option<[u8; N]> {
    let text = token.strip_prefix(prefix)?;
    if text.len() != (N * 4).div_ceil(3) {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}
