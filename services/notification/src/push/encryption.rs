//! Message encryption for Web Push (RFC 8291), in the content encoding `aes128gcm` (RFC 8188).

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use serde::{Deserialize, Serialize};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The length of a point on P-256 as it is written, uncompressed.
const POINT: usize = 65;
/// The length of a browser's authentication secret.
const AUTH: usize = 16;
/// The record size that is announced; push services take no more (RFC 8030 §7.2), and a message is one record.
const RECORD: u32 = 4096;
/// The longest text that fits: a record less its header, its delimiter and its tag.
pub const MAX_PLAIN: usize = RECORD as usize - (16 + 4 + 1 + POINT) - 1 - 16;

/// What a browser gave for messages to be encrypted with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "KeysText", into = "KeysText")]
pub struct BrowserKeys {
    /// Its public key.
    point: [u8; POINT],
    /// Its authentication secret.
    auth: [u8; AUTH],
}

/// The same as browsers write it: base64url.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysText {
    p256dh: String,
    auth: String,
}

/// Why something can't be encrypted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// `p256dh` isn't a public key.
    #[error("p256dh must be a public key on P-256, uncompressed, in base64url")]
    NotAPoint,
    /// `auth` has another length.
    #[error("auth must be 16 bytes in base64url")]
    NotASecret,
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    // Some browsers pad, some don't.
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?.try_into().ok()
}

impl TryFrom<KeysText> for BrowserKeys {
    type Error = BadKeys;
    fn try_from(text: KeysText) -> Result<Self, BadKeys> {
        Self::parse(&text.p256dh, &text.auth)
    }
}

impl From<BrowserKeys> for KeysText {
    fn from(keys: BrowserKeys) -> Self {
        Self { p256dh: URL_SAFE_NO_PAD.encode(keys.point), auth: URL_SAFE_NO_PAD.encode(keys.auth) }
    }
}

impl fmt::Debug for BrowserKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrowserKeys")
    }
}

impl BrowserKeys {
    /// Takes what a browser gives, in base64url.
    pub fn parse(p256dh: &str, auth: &str) -> Result<Self, BadKeys> {
        let point: [u8; POINT] = decode(p256dh).ok_or(BadKeys::NotAPoint)?;
        // Only an agreement shows whether the point is on the curve.
        let probe = PrivateKey::generate(&ECDH_P256).map_err(|_| BadKeys::NotAPoint)?;
        let other = UnparsedPublicKey::new(&ECDH_P256, point);
        agree(&probe, other, BadKeys::NotAPoint, |_| Ok(()))?;
        Ok(Self { point, auth: decode(auth).ok_or(BadKeys::NotASecret)? })
    }

    /// The body of a message that says `plain`, at most [`MAX_PLAIN`] bytes; `key` and `salt` are fresh for each message.
    pub fn encrypt(&self, plain: &[u8], key: &PrivateKey, salt: [u8; 16]) -> Result<Vec<u8>, Unspecified> {
        let public = key.compute_public_key()?;
        let other = UnparsedPublicKey::new(&ECDH_P256, self.point);
        let secret = agree(key, other, Unspecified, |secret| {
            let info = [&b"WebPush: info\0"[..], &self.point, public.as_ref()];
            let mut secret_for_both = [0; 32];
            Salt::new(HKDF_SHA256, &self.auth)
                .extract(secret)
                .expand(&info, Length(32))?
                .fill(&mut secret_for_both)?;
            Ok(secret_for_both)
        })?;
        let derive = Salt::new(HKDF_SHA256, &salt).extract(&secret);
        let (mut content_key, mut nonce) = ([0; 16], [0; 12]);
        derive.expand(&[b"Content-Encoding: aes128gcm\0"], Length(16))?.fill(&mut content_key)?;
        derive.expand(&[b"Content-Encoding: nonce\0"], Length(12))?.fill(&mut nonce)?;
        // The one record is the last: its delimiter is 2.
        let mut record = [plain, &[2]].concat();
        LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &content_key)?).seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut record,
        )?;
        Ok([&salt[..], &RECORD.to_be_bytes(), &[POINT as u8], public.as_ref(), &record].concat())
    }
}

/// So many bytes from a key derivation.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).expect("base64url")
    }

    /// RFC 8291, appendix A.
    #[test]
    fn the_example_of_the_specification_comes_out() {
        let keys = BrowserKeys::parse(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "BTBZMqHH6r4Tts7J_aSIgg",
        )
        .expect("sound");
        let key =
            PrivateKey::from_private_key(&ECDH_P256, &bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
                .expect("a key");
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().expect("16 bytes");
        let body = keys.encrypt(b"When I grow up, I want to be a watermelon", &key, salt).expect("encrypted");
        assert_eq!(
            URL_SAFE_NO_PAD.encode(body),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBr\
             u3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let auth = "BTBZMqHH6r4Tts7J_aSIgg";
        let off_the_curve = URL_SAFE_NO_PAD.encode([&[4][..], &[1; 64]].concat());
        for bad in ["", "AAAA", off_the_curve.as_str()] {
            assert_eq!(BrowserKeys::parse(bad, auth), Err(BadKeys::NotAPoint), "{bad}");
        }
        let point = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
        assert_eq!(BrowserKeys::parse(point, "AAAA"), Err(BadKeys::NotASecret));
        assert!(BrowserKeys::parse(&format!("{point}="), &format!("{auth}==")).is_ok());
    }
}
