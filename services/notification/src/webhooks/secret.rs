//! What webhooks sign with (Standard Webhooks 1.0.0, <https://www.standardwebhooks.com>).

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cqrs_core::InstanceKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// How many random bytes one has; the specification asks for 24 to 64.
pub const BYTES: usize = 32;
/// How long an old secret still signs beside the new one.
pub const OVERLAP: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// A secret in the clear.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; BYTES]>);

impl Secret {
    /// Of 32 random bytes.
    pub fn new(bytes: [u8; BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// As receivers are given it: `whsec_` and base64.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0[..]))
    }

    /// The signature of a message: `v1,` and base64.
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0[..]);
        let mut signed = hmac::Context::with_key(&key);
        signed.update(format!("{id}.{seconds}.").as_bytes());
        signed.update(body);
        format!("v1,{}", STANDARD.encode(signed.sign()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A webhook's secrets as they are stored: sealed with the instance's key, for this webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecrets {
    current: String,
    #[serde(default)]
    previous: Option<(String, Timestamp)>,
}

fn purpose(webhook: Uuid) -> Vec<u8> {
    [&b"the secret of a webhook"[..], webhook.as_bytes()].concat()
}

impl SealedSecrets {
    /// The first secret of `webhook`.
    pub fn new(webhook: Uuid, secret: &Secret, key: &InstanceKey) -> Self {
        Self { current: STANDARD.encode(key.seal(&purpose(webhook), &secret.0[..])), previous: None }
    }

    /// With a new one; the one so far signs beside it until [`OVERLAP`] after `now`, the one before it no more.
    #[must_use]
    pub fn rotated(self, webhook: Uuid, secret: &Secret, key: &InstanceKey, now: Timestamp) -> Self {
        let until = now.checked_add(OVERLAP).unwrap_or(Timestamp::MAX);
        Self { previous: Some((self.current, until)), ..Self::new(webhook, secret, key) }
    }

    /// Those that sign at `now`, the newest first; `None` if they were sealed with another key.
    pub fn open(&self, webhook: Uuid, key: &InstanceKey, now: Timestamp) -> Option<Vec<Secret>> {
        let open = |sealed: &str| {
            let plain = key.open(&purpose(webhook), &STANDARD.decode(sealed).ok()?)?;
            Some(Secret::new(Zeroizing::new(plain).as_slice().try_into().ok()?))
        };
        let previous = self.previous.as_ref().filter(|(_, until)| now < *until);
        std::iter::once(&self.current)
            .chain(previous.map(|(sealed, _)| sealed))
            .map(|sealed| open(sealed))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOOK: Uuid = Uuid::from_u128(1);

    #[test]
    fn a_signature_is_that_of_the_specification() {
        // The example of the specification's libraries, whose key has 24 bytes; HMAC pads keys with zeros, so that ours of 32
        // signs alike.
        let mut bytes = [0; BYTES];
        bytes[..24].copy_from_slice(&STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64"));
        let signature = Secret::new(bytes).sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn an_old_secret_signs_for_a_day_and_a_secret_opens_for_its_webhook_only() {
        let key = InstanceKey::new(&[7; 32]);
        let (one, two) = (Secret::new([1; BYTES]), Secret::new([2; BYTES]));
        let at = Timestamp::UNIX_EPOCH;
        let sealed = SealedSecrets::new(HOOK, &one, &key).rotated(HOOK, &two, &key, at);
        let texts = |now| -> Vec<String> {
            sealed.open(HOOK, &key, now).expect("opens").iter().map(Secret::text).collect()
        };
        assert_eq!(texts(at), [two.text(), one.text()]);
        assert_eq!(texts(at + OVERLAP), [two.text()]);
        assert!(sealed.open(Uuid::from_u128(2), &key, at).is_none());
        let stored = serde_json::to_string(&sealed).expect("stored");
        assert!(!stored.contains(one.text().trim_start_matches(PREFIX)), "{stored}");
    }
}
