//! Tests of [`super::Verifier`], against every way of getting past it that RFC 8725 and its like know.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::access::{Grant, Role};
use super::super::keys::KeyRing;
use super::*;

const USER: Uuid = Uuid::from_u128(7);
const SESSION: Uuid = Uuid::from_u128(8);

struct Instance {
    ring: KeyRing,
    settings: TokenSettings,
    verifier: Verifier,
    folder: tempfile::TempDir,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn instance() -> Instance {
    let folder = tempfile::tempdir().unwrap();
    let ring = KeyRing::open(folder.path(), at(-1_000)).unwrap();
    let settings = TokenSettings::new("https://chat.example.org", "parlor");
    let verifier = Verifier::new(settings.clone(), &ring.jwks(at(0)), Arc::new(EndedSessions::new()));
    Instance { ring, settings, verifier, folder }
}

fn grant() -> Grant {
    Grant { user: USER, session: SESSION, roles: vec![Role::Admin], token_id: Uuid::from_u128(9) }
}

impl Instance {
    fn token(&self) -> String {
        self.ring.sign(&self.settings, grant(), at(0))
    }

    /// The ring's own private key, as an attacker who can have anything signed would use it.
    fn own_key(&self) -> (String, EncodingKey) {
        let path = std::fs::read_dir(self.folder.path()).unwrap().next().unwrap().unwrap().path();
        let stored: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let pkcs8 =
            base64::engine::general_purpose::STANDARD.decode(stored["pkcs8"].as_str().unwrap()).unwrap();
        (stored["kid"].as_str().unwrap().to_owned(), EncodingKey::from_ed_der(&pkcs8))
    }

    fn forged(&self, header: impl FnOnce(&mut Header), claims: impl FnOnce(&mut Value)) -> String {
        let (kid, key) = self.own_key();
        let mut head = Header::new(Algorithm::EdDSA);
        head.typ = Some(TYPE.to_owned());
        head.kid = Some(kid);
        header(&mut head);
        let mut body = serde_json::to_value(self.settings.claims(grant(), at(0))).unwrap();
        claims(&mut body);
        jsonwebtoken::encode(&head, &body, &key).unwrap()
    }

    fn refusal(&self, token: &str, now: Timestamp) -> TokenRefusal {
        self.verifier.verify(token, now).expect_err("it was taken")
    }
}

#[test]
fn a_token_says_who_and_until_when() {
    let parlor = instance();
    let claims = parlor.verifier.verify(&parlor.token(), at(1)).unwrap();
    assert_eq!((claims.sub, claims.sid, claims.roles.as_slice()), (USER, SESSION, &[Role::Admin][..]));
    assert_eq!(claims.exp - claims.iat, 300);
    let again = parlor.verifier.verify(&parlor.token(), at(2)).unwrap();
    assert!(Arc::ptr_eq(&claims, &again), "the second time it is remembered");
}

#[test]
fn security_18_forging_as_the_instance_itself_would_be_taken_so_the_refusals_below_mean_something() {
    let parlor = instance();
    assert!(parlor.verifier.verify(&parlor.forged(|_| {}, |_| {}), at(0)).is_ok());
}

#[test]
fn security_18_a_token_holds_from_its_start_until_its_expiry_and_not_a_second_longer() {
    let parlor = instance();
    let token = parlor.token();
    assert_eq!(parlor.refusal(&token, at(-6)), TokenRefusal::Expired);
    assert!(parlor.verifier.verify(&token, at(-5)).is_ok());
    assert!(parlor.verifier.verify(&token, at(299)).is_ok());
    assert_eq!(parlor.refusal(&token, at(300)), TokenRefusal::Expired, "though it was remembered");
}

#[test]
fn security_18_no_other_algorithm_is_taken() {
    let parlor = instance();
    let token = parlor.token();
    let [_, body, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let (kid, _) = parlor.own_key();
    for alg in ["none", "None", "HS256", "RS256", "ES256", "ED25519", ""] {
        let head = URL_SAFE_NO_PAD.encode(json!({"typ": TYPE, "alg": alg, "kid": kid}).to_string());
        for signature in ["", signature] {
            assert_eq!(
                parlor.refusal(&format!("{head}.{body}.{signature}"), at(0)),
                TokenRefusal::Malformed,
                "{alg}"
            );
        }
    }
    // The public key as an HMAC secret: the classic confusion.
    let mut head = Header::new(Algorithm::HS256);
    head.typ = Some(TYPE.to_owned());
    head.kid = Some(kid);
    let public = URL_SAFE_NO_PAD.decode(&parlor.ring.jwks(at(0)).keys[0].x).unwrap();
    let claims = parlor.settings.claims(grant(), at(0));
    let token = jsonwebtoken::encode(&head, &claims, &EncodingKey::from_secret(&public)).unwrap();
    assert_eq!(parlor.refusal(&token, at(0)), TokenRefusal::Malformed);
}

#[test]
fn security_18_only_pinned_keys_are_taken() {
    let (parlor, other) = (instance(), instance());
    assert_eq!(parlor.refusal(&other.token(), at(0)), TokenRefusal::UnknownKey);
    let (kid, _) = parlor.own_key();
    let claimed = other.forged(|head| head.kid = Some(kid), |_| {});
    assert_eq!(parlor.refusal(&claimed, at(0)), TokenRefusal::WrongSignature);
    assert_eq!(
        parlor.refusal(&parlor.forged(|head| head.kid = None, |_| {}), at(0)),
        TokenRefusal::UnknownKey
    );
    let brought_along =
        other.forged(|head| head.jku = Some("https://evil.example.org/jwks.json".to_owned()), |_| {});
    assert_eq!(parlor.refusal(&brought_along, at(0)), TokenRefusal::UnknownKey);
}

#[test]
fn security_18_type_and_critical_extensions_are_checked() {
    let parlor = instance();
    for typ in [None, Some("JWT"), Some("AT+JWT"), Some("id+jwt"), Some("")] {
        let token = parlor.forged(|head| head.typ = typ.map(str::to_owned), |_| {});
        assert_eq!(parlor.refusal(&token, at(0)), TokenRefusal::Malformed, "{typ:?}");
    }
    let token = parlor.forged(|head| head.crit = Some(vec!["b64".to_owned()]), |_| {});
    assert_eq!(parlor.refusal(&token, at(0)), TokenRefusal::Malformed);
}

#[test]
fn security_18_every_claim_is_needed_and_checked() {
    let parlor = instance();
    for claim in ["iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti"] {
        let token = parlor.forged(|_| {}, |body| drop(body.as_object_mut().unwrap().remove(claim)));
        assert_eq!(parlor.refusal(&token, at(0)), TokenRefusal::WrongClaims, "without {claim}");
    }
    for (claim, value) in [
        ("iss", json!("https://evil.example.org")),
        ("iss", json!("https://chat.example.org/")),
        ("aud", json!("other")),
        ("aud", json!(["parlor", "other"])),
        ("exp", json!(at(301).as_second())),
        ("exp", json!("2100-01-01")),
        ("exp", json!(i64::MAX)),
        ("iat", json!(i64::MIN)),
        ("sub", json!("root")),
        ("roles", json!(["emperor"])),
    ] {
        let token = parlor.forged(|_| {}, |body| body[claim] = value.clone());
        assert_eq!(parlor.refusal(&token, at(0)), TokenRefusal::WrongClaims, "{claim} = {value}");
    }
}

#[test]
fn security_18_one_changed_byte_anywhere_refuses_it() {
    let parlor = instance();
    let token = parlor.token();
    parlor.verifier.verify(&token, at(0)).unwrap();
    for index in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(parlor.verifier.verify(&changed, at(0)).is_err(), "byte {index}");
    }
}

#[test]
fn what_is_no_token_is_refused_however_it_looks() {
    let parlor = instance();
    let token = parlor.token();
    for text in
        ["", ".", "..", "...", "a.b.c", &token[..token.len() - 1], &format!("{token}="), &format!(" {token}")]
    {
        assert!(parlor.verifier.verify(text, at(0)).is_err(), "{text}");
    }
    assert_eq!(parlor.refusal(&"x".repeat(1 << 20), at(0)), TokenRefusal::Malformed);
}

#[test]
fn security_17_an_ended_session_refuses_its_remembered_tokens_at_once() {
    let parlor = instance();
    let token = parlor.token();
    parlor.verifier.verify(&token, at(0)).unwrap();
    parlor.verifier.ended_sessions().end(SESSION, at(1), at(1));
    assert_eq!(parlor.refusal(&token, at(1)), TokenRefusal::SessionEnded);
}

#[test]
fn security_18_a_key_that_is_taken_away_takes_its_remembered_tokens_along() {
    let parlor = instance();
    let token = parlor.token();
    parlor.verifier.verify(&token, at(0)).unwrap();
    parlor.verifier.replace_keys(&Jwks::default());
    assert_eq!(parlor.refusal(&token, at(0)), TokenRefusal::UnknownKey);
    parlor.verifier.replace_keys(&parlor.ring.jwks(at(0)));
    assert!(parlor.verifier.verify(&token, at(0)).is_ok());
}

#[test]
fn security_18_rotation_signs_nobody_out() {
    let mut parlor = instance();
    let before = parlor.token();
    parlor.ring.rotate(at(0)).unwrap();
    parlor.verifier.replace_keys(&parlor.ring.jwks(at(0)));
    assert!(parlor.verifier.verify(&before, at(299)).is_ok());
    let after = parlor.ring.sign(&parlor.settings, grant(), at(600));
    assert_ne!(
        jsonwebtoken::decode_header(&after).unwrap().kid,
        jsonwebtoken::decode_header(&before).unwrap().kid
    );
    assert!(parlor.verifier.verify(&after, at(600)).is_ok());
}
