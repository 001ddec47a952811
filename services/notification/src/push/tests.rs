//! Web Push as browsers, push services and people meet it.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use parlor_contracts::auth::{AuthEvent, SessionEnd};
use serde_json::{Value, json};

use crate::receiver::{Receiver, Taken};
use crate::testing::{ANN, BOB, SESSION, World};

const APPLICATION: &str = "00000000-0000-0000-0000-0000000000fe service";
const SUBSCRIPTIONS: &str = "/v1/notifications/push/subscriptions";

/// A browser with its keys.
struct Browser {
    key: PrivateKey,
    auth: [u8; 16],
}

/// HKDF's both steps (RFC 5869) for one block, apart from the library that encrypts.
fn hkdf(salt: &[u8], secret: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    let extracted = sign(&Key::new(HMAC_SHA256, salt), secret);
    let expanded = sign(&Key::new(HMAC_SHA256, extracted.as_ref()), &[info, &[1]].concat());
    expanded.as_ref()[..length].to_vec()
}

impl Browser {
    fn new() -> Self {
        Self { key: PrivateKey::generate(&ECDH_P256).expect("a key"), auth: [5; 16] }
    }

    fn point(&self) -> Vec<u8> {
        self.key.compute_public_key().expect("a key").as_ref().to_vec()
    }

    /// What its `PushSubscription.toJSON()` gives.
    fn subscription(&self, endpoint: &str) -> Value {
        let keys = json!({
            "p256dh": URL_SAFE_NO_PAD.encode(self.point()),
            "auth": URL_SAFE_NO_PAD.encode(self.auth),
        });
        json!({"endpoint": endpoint, "expirationTime": null, "keys": keys})
    }

    /// Opens a message as RFC 8291 tells a browser to.
    fn open(&self, body: &[u8]) -> Value {
        let (salt, rest) = body.split_at(16);
        let (record, rest) = rest.split_at(4);
        assert!(body.len() <= u32::from_be_bytes(record.try_into().expect("4 bytes")) as usize);
        assert_eq!(rest[0], 65);
        let (point, sealed) = rest[1..].split_at(65);
        let other = UnparsedPublicKey::new(&ECDH_P256, point);
        let secret = agree(&self.key, other, "no point", |secret| Ok(secret.to_vec())).expect("they agree");
        let info = [&b"WebPush: info\0"[..], &self.point(), point].concat();
        let secret = hkdf(&self.auth, &secret, &info, 32);
        let content_key = hkdf(salt, &secret, b"Content-Encoding: aes128gcm\0", 16);
        let nonce = hkdf(salt, &secret, b"Content-Encoding: nonce\0", 12);
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &content_key).expect("a key"));
        let nonce = Nonce::try_assume_unique_for_key(&nonce).expect("a nonce");
        let mut sealed = sealed.to_vec();
        let plain = key.open_in_place(nonce, Aad::empty(), &mut sealed).expect("it is for this browser");
        let (delimiter, json) = plain.split_last().expect("a delimiter");
        assert_eq!(*delimiter, 2, "the last record");
        serde_json::from_slice(json).expect("JSON")
    }
}

/// Checks what a push service checks (RFC 8292).
fn check_sender(taken: &Taken, origin: &str, public: &str) {
    let shown = taken.header("authorization").strip_prefix("vapid t=").expect("VAPID");
    let (shown, key) = shown.split_once(", k=").expect("a key");
    assert_eq!(key, public);
    let point = URL_SAFE_NO_PAD.decode(key).expect("base64url");
    let [x, y] = [&point[1..33], &point[33..65]].map(|half| URL_SAFE_NO_PAD.encode(half));
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_audience(&[origin]);
    let key = DecodingKey::from_ec_components(&x, &y).expect("a key");
    let claims = jsonwebtoken::decode::<Value>(shown, &key, &rules).expect("a token by this key").claims;
    assert_eq!(claims["sub"], "mailto:admin@example.org");
}

impl World {
    /// An application tells Ann something.
    async fn tell_ann(&self, title: &str) {
        let body =
            json!({"userId": ANN, "kind": "order", "title": title, "body": "No. 42", "link": "/orders/42"});
        assert_eq!(self.call(APPLICATION, "POST /v1/notifications", Some(body), &[]).await.status, 201);
    }

    async fn browsers(&self) -> Vec<Value> {
        let list = self.call(&ANN.to_string(), &format!("GET {SUBSCRIPTIONS}"), None, &[]).await;
        list.body["items"].as_array().expect("a page").clone()
    }
}

fn titles(browser: &Browser, taken: &[Taken]) -> Vec<String> {
    let ok = taken.iter().filter(|taken| taken.status == 201);
    ok.map(|taken| browser.open(&taken.body)["title"].as_str().expect("a title").to_owned()).collect()
}

async fn a_notification_is_pushed(world: World) {
    let (receiver, browser, ann) = (Receiver::start().await, Browser::new(), ANN.to_string());
    let delivering = world.deliver();
    world.tell_ann("before").await;
    let key = world.call(&ann, "GET /v1/notifications/push/key", None, &[]).await;
    let key = key.body["publicKey"].as_str().expect("a key").to_owned();
    let subscription = browser.subscription(&receiver.url("/push/ann"));
    let subscribe = format!("POST {SUBSCRIPTIONS}");
    let made = world.call(&ann, &subscribe, Some(subscription.clone()), &[]).await;
    let again = world.call(&ann, &subscribe, Some(subscription), &[]).await;
    assert_eq!((made.status, &made.body), (201, &again.body), "the same browser is the same subscription");
    assert_eq!(world.browsers().await.len(), 1);
    assert_eq!(world.browsers().await[0]["current"], true);

    receiver.statuses([503, 201]);
    world.tell_ann("shipped").await;
    let taken = receiver.until("pushed", |taken| taken.iter().any(|taken| taken.status == 201)).await;
    let pushed = taken.last().expect("one");
    assert_eq!(pushed.path, "/push/ann");
    check_sender(pushed, &receiver.url(""), &key);
    assert_eq!((pushed.header("ttl"), pushed.header("urgency")), ("86400", "normal"));
    assert_eq!(pushed.header("content-encoding"), "aes128gcm");
    let shown = browser.open(&pushed.body);
    assert_eq!(
        (&shown["title"], &shown["body"], &shown["link"]),
        (&json!("shipped"), &json!("No. 42"), &json!("/orders/42"))
    );

    // Muted, she is told in the inbox only.
    world.prefer(ANN, r#"{"muteUntil":"2999-01-01T00:00:00Z"}"#).await;
    world.tell_ann("quiet").await;
    // Pushed in order: what comes after shows that what came before wasn't.
    world
        .auth_says(&AuthEvent::UserLoggedIn {
            user_id: ANN,
            session_id: SESSION,
            device: None,
            new_device: true,
        })
        .await;
    receiver.statuses([201]);
    let taken = receiver.until("the sign-in", |taken| titles(&browser, taken).len() == 2).await;
    assert_eq!(titles(&browser, &taken), ["shipped", "New sign-in"]);
    assert_eq!(taken.last().expect("one").header("urgency"), "high");

    // What its push service doesn't know any more is forgotten.
    world.prefer(ANN, "{}").await;
    receiver.statuses([410]);
    world.tell_ann("gone").await;
    receiver.until("gone", |taken| taken.last().is_some_and(|taken| taken.status == 410)).await;
    let mut tries = 0;
    while !world.browsers().await.is_empty() {
        tries += 1;
        assert!(tries < 1_000, "it is still there");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    delivering.stop().await;
}

#[tokio::test]
async fn a_notification_is_pushed_on_sqlite() {
    a_notification_is_pushed(World::new().await).await;
}

#[tokio::test]
async fn a_notification_is_pushed_on_postgres() {
    if let Some(world) = World::on_postgres("push").await {
        a_notification_is_pushed(world).await;
    }
}

#[tokio::test]
async fn a_browser_ends_with_its_session_and_is_one_person_s() {
    let world = World::new().await;
    let browser = Browser::new().subscription("https://push.example.org/x");
    let (ann, bob) = (ANN.to_string(), BOB.to_string());
    let subscribe = format!("POST {SUBSCRIPTIONS}");
    let made = world.call(&bob, &subscribe, Some(browser.clone()), &[]).await;
    let one = format!("DELETE {SUBSCRIPTIONS}/{}", made.body["id"].as_str().expect("an id"));
    assert_eq!(world.call(&ann, &one, None, &[]).await.status, 404);
    // Ann signs in where Bob was: he isn't shown there any more.
    assert_eq!(world.call(&ann, &subscribe, Some(browser.clone()), &[]).await.status, 201);
    assert_eq!(world.call(&bob, &one, None, &[]).await.status, 404);
    assert_eq!(world.browsers().await.len(), 1);

    let ended = AuthEvent::UserLoggedOut { user_id: ANN, session_id: SESSION, reason: SessionEnd::LoggedOut };
    let told = world.auth.tell(&ended).await.expect("told");
    world.react(&world.forget_push(), "auth.public", &told).await.expect("forgotten");
    assert!(world.browsers().await.is_empty());

    assert_eq!(world.call(&ann, &subscribe, Some(browser), &[]).await.status, 201);
    assert_eq!(world.call(&ann, &one, None, &[]).await.status, 204);
    assert!(world.browsers().await.is_empty());
    for n in 0..25 {
        let browser = Browser::new().subscription(&format!("https://push.example.org/{n}"));
        assert_eq!(world.call(&ann, &subscribe, Some(browser), &[]).await.status, 201);
    }
    assert_eq!(world.browsers().await.len(), super::subscription::MAX_SUBSCRIPTIONS);
}

#[tokio::test]
async fn what_is_no_browser_is_named() {
    let world = World::new().await;
    let good = Browser::new().subscription("https://push.example.org/x");
    let with = |pointer: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).expect("a field") = value;
        bad
    };
    for (body, pointer) in [
        (with("/endpoint", json!("https://10.0.0.1/x")), "/endpoint"),
        (with("/endpoint", json!("http://push.example.org.example/x")), ""),
        (with("/endpoint", json!("javascript:alert(1)")), "/endpoint"),
        (with("/keys/p256dh", json!("AAAA")), "/keys"),
        (with("/keys/auth", json!("AAAA")), "/keys"),
        (with("/keys", json!({})), "/keys"),
        (json!({}), "/endpoint"),
    ] {
        let answer =
            world.call(&ANN.to_string(), &format!("POST {SUBSCRIPTIONS}"), Some(body.clone()), &[]).await;
        // Where plain http may lead anywhere at all, a name is looked at when it is connected to.
        let expected = if pointer.is_empty() { 201 } else { 422 };
        assert_eq!(answer.status, expected, "{body}: {}", answer.body);
        let named = answer.body["errors"][0]["pointer"].as_str().unwrap_or_default();
        assert!(named.starts_with(pointer), "{body}: {}", answer.body);
    }
    assert_eq!(world.call(APPLICATION, "GET /v1/notifications/push/key", None, &[]).await.status, 403);
}
