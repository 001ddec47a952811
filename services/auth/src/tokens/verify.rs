//! Checks access tokens, with nothing but public keys: what every process that serves requests has.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use parking_lot::RwLock;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Claims, MAX_LIFETIME, TYPE, TokenSettings};
use super::ended::EndedSessions;

/// More bytes than any token that we issue has.
const MAX_TOKEN_BYTES: usize = 4096;
/// How far the clocks of our own processes may be apart, in seconds.
const CLOCK_SKEW: i64 = 5;
/// How many checked tokens are remembered.
const REMEMBERED: usize = 50_000;

/// One public key, as RFC 7517 and RFC 8037 write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jwk {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    pub crv: String,
    /// The key, base64url.
    pub x: String,
    /// Its id.
    pub kid: String,
    /// `EdDSA`.
    pub alg: String,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: String,
}

impl Jwk {
    /// The public half `x` (base64url) of the Ed25519 key called `kid`.
    pub fn ed25519(kid: String, x: String) -> Self {
        let [kty, crv, alg, usage] = ["OKP", "Ed25519", "EdDSA", "sig"].map(str::to_owned);
        Self { kty, crv, x, kid, alg, usage }
    }
}

/// The public keys of an instance: what `/.well-known/jwks.json` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Jwks {
    /// All that tokens may be signed with, the ones to come included.
    pub keys: Vec<Jwk>,
}

/// Why a token isn't taken. The caller learns no more than that it isn't; this is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// No JWT, or not one of ours.
    #[error("not a token of this instance")]
    Malformed,
    /// Signed by a key that isn't known (here, or any more).
    #[error("signed with an unknown key")]
    UnknownKey,
    /// The signature isn't that key's.
    #[error("wrong signature")]
    WrongSignature,
    /// Another issuer's, for another audience, or claims that we never issue.
    #[error("not issued by or for this instance")]
    WrongClaims,
    /// Its time is over, or hasn't come.
    #[error("expired or not yet valid")]
    Expired,
    /// Its session has ended.
    #[error("the session has ended")]
    SessionEnded,
}

/// Checks access tokens: one algorithm (`EdDSA`), keys that are pinned by `kid`, and `typ`, `iss`, `aud`, `nbf` and `exp`
/// (RFC 8725). A signature costs some fifty microseconds to check, so tokens that passed are remembered, by their hash, and
/// only their time and session are looked at again.
pub struct Verifier {
    settings: TokenSettings,
    keys: RwLock<HashMap<String, DecodingKey>>,
    ended: Arc<EndedSessions>,
    remembered: Cache<[u8; 32], Arc<Claims>>,
    validation: Validation,
}

impl Verifier {
    /// A verifier that knows these keys.
    pub fn new(settings: TokenSettings, keys: &Jwks, ended: Arc<EndedSessions>) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub"]);
        // The library would ask the system's clock; time is an argument here, and looked at below.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let verifier =
            Self { settings, keys: RwLock::default(), ended, remembered: Cache::new(REMEMBERED), validation };
        verifier.replace_keys(keys);
        verifier
    }

    /// Takes over a new set of keys; tokens of keys that are no longer in it are refused from now on.
    pub fn replace_keys(&self, keys: &Jwks) {
        let known = keys.keys.iter().filter(|key| is_ours(key));
        let decoding =
            known.filter_map(|key| Some((key.kid.clone(), DecodingKey::from_ed_components(&key.x).ok()?)));
        let decoding = decoding.collect();
        let mut held = self.keys.write();
        *held = decoding;
        self.remembered.clear();
    }

    /// Whether there is any key that a token may have been signed with.
    pub fn knows_keys(&self) -> bool {
        !self.keys.read().is_empty()
    }

    /// The sessions whose tokens it refuses.
    pub fn ended_sessions(&self) -> &Arc<EndedSessions> {
        &self.ended
    }

    /// Checks a token at this time.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>, TokenRefusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenRefusal::Malformed);
        }
        let hash = *blake3::hash(token.as_bytes()).as_bytes();
        let claims = if let Some(claims) = self.remembered.get(&hash) {
            claims
        } else {
            // Held while remembering, so that a key that is taken away meanwhile leaves nothing remembered.
            let keys = self.keys.read();
            let claims = Arc::new(self.check_signature(&keys, token)?);
            check_time(&claims, now)?;
            self.remembered.insert(hash, claims.clone());
            claims
        };
        if let Err(expired) = check_time(&claims, now) {
            self.remembered.remove(&hash);
            return Err(expired);
        }
        if self.ended.contains(claims.sid) {
            return Err(TokenRefusal::SessionEnded);
        }
        Ok(claims)
    }

    fn check_signature(
        &self,
        keys: &HashMap<String, DecodingKey>,
        token: &str,
    ) -> Result<Claims, TokenRefusal> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenRefusal::Malformed)?;
        // `crit` names extensions that we would have to understand (RFC 7515 §4.1.11), and we know none.
        if header.typ.as_deref() != Some(TYPE) || header.alg != Algorithm::EdDSA || header.crit.is_some() {
            return Err(TokenRefusal::Malformed);
        }
        let key = header.kid.and_then(|kid| keys.get(&kid)).ok_or(TokenRefusal::UnknownKey)?;
        let token = jsonwebtoken::decode::<Claims>(token, key, &self.validation).map_err(|error| {
            use jsonwebtoken::errors::ErrorKind;
            match error.kind() {
                ErrorKind::InvalidSignature => TokenRefusal::WrongSignature,
                ErrorKind::InvalidToken | ErrorKind::Base64(_) => TokenRefusal::Malformed,
                _ => TokenRefusal::WrongClaims,
            }
        })?;
        let claims = token.claims;
        // Said again in our own words: a change of the library's defaults must not open a door.
        let lives = claims.exp.saturating_sub(claims.iat);
        if claims.iss != self.settings.issuer
            || claims.aud != self.settings.audience
            || !(1..=MAX_LIFETIME.as_secs()).contains(&lives)
        {
            return Err(TokenRefusal::WrongClaims);
        }
        Ok(claims)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn is_ours(key: &Jwk) -> bool {
    key.kty == "OKP" && key.crv == "Ed25519" && key.alg == "EdDSA" && key.usage == "sig"
}

/// Expiry is exact, so that no token outlives its five minutes; only a start may lie a little ahead.
fn check_time(claims: &Claims, now: Timestamp) -> Result<(), TokenRefusal> {
    let now = now.as_second();
    if now >= claims.exp || now + CLOCK_SKEW < claims.nbf { Err(TokenRefusal::Expired) } else { Ok(()) }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
