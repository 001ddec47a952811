//! Who sends, shown to push services: Voluntary Application Server Identification (RFC 8292).

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use zeroize::Zeroizing;

/// How long what is shown is good for; the specification allows 24 hours.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(12);

/// The key that browsers bind their subscriptions to, and whom push services may write to.
pub struct Vapid {
    key: EcdsaKeyPair,
    public: String,
    contact: String,
}

/// There is no key. A defect, or a machine that can't do its sums.
#[derive(Debug, thiserror::Error)]
#[error("there is no key for Web Push")]
pub struct NoKey;

impl From<Unspecified> for NoKey {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

impl From<KeyRejected> for NoKey {
    fn from(_: KeyRejected) -> Self {
        Self
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: i64,
    sub: &'a str,
}

impl Vapid {
    /// The key that belongs to the instance's secret: the same in each of its processes, and kept where the secret is.
    /// `contact` is a `mailto:` or `https:` address of whoever runs the instance.
    pub fn of_instance(secret: &[u8; 32], contact: String) -> Result<Self, NoKey> {
        // All but one in 2³² of these numbers are keys.
        for number in 0..=u8::MAX {
            let material = Zeroizing::new([&secret[..], &[number]].concat());
            let scalar = Zeroizing::new(blake3::derive_key("parlor web push vapid key v1", &material));
            let Ok(key) = PrivateKey::from_private_key(&ECDH_P256, &scalar[..]) else { continue };
            let point = key.compute_public_key()?;
            let key = EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &scalar[..],
                point.as_ref(),
            )?;
            return Ok(Self { key, public: URL_SAFE_NO_PAD.encode(point), contact });
        }
        Err(NoKey)
    }

    /// The public key, as browsers take it for `applicationServerKey`: uncompressed, in base64url.
    pub fn public_key(&self) -> &str {
        &self.public
    }

    /// The `Authorization` of a request to the push service at `origin`.
    pub fn authorization(&self, origin: &str, now: Timestamp) -> Result<String, NoKey> {
        let exp = now.checked_add(GOOD_FOR).unwrap_or(Timestamp::MAX).as_second();
        let claims = Claims { aud: origin, exp, sub: &self.contact };
        let claims = serde_json::to_vec(&claims).map_err(|_| NoKey)?;
        let header = URL_SAFE_NO_PAD.encode(br#"{"typ":"JWT","alg":"ES256"}"#);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("vapid t={signed}.{}, k={}", URL_SAFE_NO_PAD.encode(signature), self.public))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_its_instance() {
        let key =
            |secret| Vapid::of_instance(&[secret; 32], String::new()).expect("a key").public_key().to_owned();
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
        assert_eq!(URL_SAFE_NO_PAD.decode(key(1)).expect("base64url")[0], 4, "an uncompressed point");
    }
}
