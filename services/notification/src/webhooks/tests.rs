//! Webhooks as administrators and receivers meet them.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cqrs_core::{EventSource as _, PlaceStore as _};
use serde_json::{Value, json};

use crate::receiver::{Receiver, Taken};
use crate::testing::{ANN, BOB, World, group};

const ADMIN: &str = "00000000-0000-0000-0000-0000000000ad admin";

/// HMAC as RFC 2104 writes it down, apart from the library that signs.
fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = digest(&SHA256, &[&padded(0x36)[..], text].concat());
    digest(&SHA256, &[&padded(0x5c)[..], inner.as_ref()].concat()).as_ref().to_vec()
}

/// Whether one of a message's signatures is by `secret`.
fn is_signed(taken: &Taken, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret")).expect("base64");
    let mut signed =
        format!("{}.{}.", taken.header("webhook-id"), taken.header("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(&taken.body);
    let expected = format!("v1,{}", STANDARD.encode(hmac_sha256(&key, &signed)));
    taken.header("webhook-signature").split(' ').any(|signature| signature == expected)
}

/// What each message that was taken said, in order.
fn contents(taken: &[Taken]) -> Vec<String> {
    let ok = taken.iter().filter(|taken| taken.status == 200);
    ok.map(|taken| taken.json()["data"]["content"].as_str().unwrap_or_default().to_owned()).collect()
}

fn ids(taken: &[Taken]) -> Vec<&str> {
    taken.iter().map(|taken| taken.header("webhook-id")).collect()
}

struct Hook {
    path: String,
    secret: String,
}

impl World {
    /// A webhook for `events`, made over HTTP.
    async fn hook(&self, url: &str, events: &[&str]) -> Hook {
        let body = json!({"url": url, "events": events, "description": "For the archive"});
        let made = self.call(ADMIN, "POST /v1/webhooks", Some(body), &[]).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let text = |name: &str| made.body[name].as_str().expect(name).to_owned();
        Hook { path: format!("/v1/webhooks/{}", text("id")), secret: text("secret") }
    }

    async fn say(&self, words: &[&str]) {
        for (n, word) in words.iter().enumerate() {
            self.chat.tell(&group(1_000 + n as u128, ANN, word)).await.expect("told");
        }
    }

    async fn shown(&self, hook: &Hook) -> Value {
        let shown = self.call(ADMIN, &format!("GET {}", hook.path), None, &[]).await;
        assert_eq!(shown.status, 200, "{}", shown.body);
        shown.body
    }

    /// The webhook, once it is as `wanted`.
    async fn shown_when(&self, hook: &Hook, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..1_000 {
            last = self.shown(hook).await;
            if wanted(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{last:#}");
    }

    async fn post(&self, hook: &Hook, action: &str, body: Option<Value>) -> (u16, Value) {
        let answer = self.call(ADMIN, &format!("POST {}/{action}", hook.path), body, &[]).await;
        (answer.status, answer.body)
    }
}

/// The way of a webhook from its beginning to its end.
async fn a_webhook_lives(world: World) {
    world.say(&["before"]).await;
    let receiver = Receiver::start().await;
    let hook = world.hook(&receiver.url("/hook"), &["chat.message-sent"]).await;
    let delivering = world.deliver();

    // In order, through failures, signed; and only what is wanted.
    receiver.answer([
        (200, vec![]),
        (500, vec![]),
        (503, vec![("retry-after", "0".to_owned())]),
        (429, vec![]),
    ]);
    world.call_them(ANN, "Ann").await;
    world.say(&["one", "two", "three"]).await;
    let taken = receiver.until("three", |taken| contents(taken).len() == 3).await;
    assert_eq!(contents(&taken), ["one", "two", "three"]);
    assert_eq!(taken.iter().map(|taken| taken.status).collect::<Vec<_>>(), [200, 500, 503, 429, 200, 200]);
    assert_eq!(ids(&taken[1..5]).into_iter().collect::<BTreeSet<_>>().len(), 1, "a repeat has its id");
    assert_eq!(ids(&taken).into_iter().collect::<BTreeSet<_>>().len(), 3);
    assert!(taken.iter().all(|taken| is_signed(taken, &hook.secret) && taken.path == "/hook"));
    assert!(!is_signed(&taken[0], "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    let shown = world.shown_when(&hook, |shown| shown["lag"] == 0).await;
    assert_eq!(
        (&shown["state"], &shown["tries"], &shown["problem"]),
        (&json!("active"), &json!(0), &Value::Null)
    );

    // Every source has its place, for a backup to hold.
    let consumer = format!("webhook/{}/0", hook.path.rsplit('/').next().expect("an id"));
    for (source, epoch) in [("auth.public", world.auth.epoch()), ("user.public", world.users.epoch())] {
        let place = world.store.store.log.load(&consumer, source).await.expect("loaded");
        assert_eq!(place.map(|place| place.epoch), Some(epoch), "{source}");
    }

    // Again from where a delivery says it is, and from the beginning.
    let behind_one = taken[0].header("parlor-position");
    assert_eq!(world.post(&hook, "replay", Some(json!({"from": behind_one}))).await.0, 204);
    let again = receiver.until("again", |taken| contents(taken).len() == 5).await;
    assert_eq!(contents(&again)[3..], ["two", "three"]);
    assert_eq!(ids(&again[6..]), [ids(&taken)[4], ids(&taken)[5]], "messages keep their ids");
    assert_eq!(world.post(&hook, "replay", Some(json!({"from": "earliest"}))).await.0, 204);
    let all = receiver.until("all", |taken| contents(taken).len() == 9).await;
    assert_eq!(contents(&all)[5..], ["before", "one", "two", "three"]);

    // A new secret signs beside the old one.
    world.shown_when(&hook, |shown| shown["lag"] == 0).await;
    delivering.stop().await;
    let (status, rotated) = world.post(&hook, "secret", None).await;
    assert_eq!(status, 200);
    let delivering = world.deliver();
    world.say(&["four"]).await;
    let taken = receiver.until("four", |taken| contents(taken).len() == 10).await;
    let last = taken.last().expect("one");
    assert!(is_signed(last, &hook.secret) && is_signed(last, rotated["secret"].as_str().expect("a secret")));
    assert_ne!(rotated["secret"], hook.secret);

    // Parked after the limit; what follows waits, and nothing is left out.
    receiver.statuses([500, 302, 400, 500]);
    world.say(&["five", "six"]).await;
    let parked = world.shown_when(&hook, |shown| shown["state"] == "parked").await;
    assert!(parked["problem"].as_str().expect("a problem").contains("tried 4 times"), "{parked}");
    assert_eq!((&parked["tries"], &parked["lag"]), (&json!(4), &json!(2)), "{parked}");
    assert_eq!(world.post(&hook, "retry", None).await.0, 204);
    let taken = receiver.until("six", |taken| contents(taken).len() == 12).await;
    assert_eq!(contents(&taken)[10..], ["five", "six"]);
    assert_eq!(world.shown_when(&hook, |shown| shown["state"] == "active").await["problem"], Value::Null);

    // Switched off and on; what happened meanwhile comes then.
    let switch = async |enabled: bool| {
        let body = Some(json!({"enabled": enabled}));
        let answer = world.call(ADMIN, &format!("PATCH {}", hook.path), body, &[]).await;
        (answer.status, answer.body["state"].clone())
    };
    assert_eq!(switch(false).await, (200, json!("disabled")));
    world.say(&["seven"]).await;
    assert_eq!(switch(true).await, (200, json!("active")));
    let taken = receiver.until("seven", |taken| contents(taken).len() == 13).await;
    assert_eq!(contents(&taken)[12..], ["seven"]);

    // A receiver that is gone for good isn't tried again.
    receiver.statuses([410]);
    world.say(&["eight"]).await;
    world.shown_when(&hook, |shown| shown["state"] == "gone").await;
    let moved = json!({"url": receiver.url("/new")});
    assert_eq!(world.call(ADMIN, &format!("PATCH {}", hook.path), Some(moved), &[]).await.status, 200);
    let taken = receiver.until("eight", |taken| contents(taken).len() == 14).await;
    assert_eq!(taken.last().expect("one").path, "/new");

    // Neither list nor log nor rows tell the secret.
    let page = world.call(ADMIN, "GET /v1/webhooks?limit=1", None, &[]).await;
    assert_eq!(
        (page.body["items"].as_array().expect("a page").len(), &page.body["nextCursor"]),
        (1, &Value::Null)
    );
    assert!(!page.body.to_string().contains("whsec_"), "{}", page.body);
    let deleted = world.call(ADMIN, &format!("DELETE {}", hook.path), None, &[]).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(world.call(ADMIN, &format!("GET {}", hook.path), None, &[]).await.status, 404);
    let sent = receiver.so_far().len();
    world.say(&["nine"]).await;
    delivering.stop().await;
    assert_eq!(receiver.so_far().len(), sent);
}

#[tokio::test]
async fn a_webhook_lives_on_sqlite() {
    a_webhook_lives(World::new().await).await;
}

#[tokio::test]
async fn a_webhook_lives_on_postgres() {
    if let Some(world) = World::on_postgres("webhooks").await {
        a_webhook_lives(world).await;
    }
}

#[tokio::test]
async fn who_dies_between_a_delivery_and_writing_it_down_sends_it_again_and_leaves_nothing_out() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    let hook = world.hook(&receiver.url("/"), &["chat.message-sent"]).await;
    let mut words = Vec::new();
    for round in 0..5 {
        let said = format!("word {round}");
        receiver.hold();
        let before = receiver.so_far().len();
        let delivering = world.deliver();
        world.say(&[&said]).await;
        receiver.until("it is there, and not answered yet", |taken| taken.len() > before).await;
        // Killed: its connections go with it.
        drop(delivering);
        receiver.release();
        words.push(said);
    }
    let delivering = world.deliver();
    world.say(&["last"]).await;
    words.push("last".to_owned());
    let taken =
        receiver.until("the last", |taken| contents(taken).last().is_some_and(|it| it == "last")).await;
    world.shown_when(&hook, |shown| shown["lag"] == 0).await;
    delivering.stop().await;
    let mut seen = BTreeSet::new();
    let first: Vec<String> = taken
        .iter()
        .filter(|taken| seen.insert(taken.header("webhook-id").to_owned()))
        .map(|taken| taken.json()["data"]["content"].as_str().expect("content").to_owned())
        .collect();
    assert_eq!(first, words);
    assert!(taken.len() > words.len(), "some were sent again");
}

#[tokio::test]
async fn of_several_processes_one_delivers_and_another_takes_over_when_it_dies() {
    let Some(world) = World::on_postgres("deliveries").await else { return };
    let receiver = Receiver::start().await;
    let hook = world.hook(&receiver.url("/"), &["chat.message-sent"]).await;
    let first = world.deliver();
    world.say(&["one"]).await;
    receiver.until("one", |taken| contents(taken).len() == 1).await;
    world.shown_when(&hook, |shown| shown["lag"] == 0).await;
    let second = world.deliver();
    world.say(&["two", "three"]).await;
    receiver.until("three", |taken| contents(taken).len() == 3).await;
    world.shown_when(&hook, |shown| shown["lag"] == 0).await;
    // It dies without giving its lease back.
    drop(first);
    world.say(&["four"]).await;
    let taken = receiver.until("four", |taken| contents(taken).len() == 4).await;
    assert_eq!(contents(&taken), ["one", "two", "three", "four"], "each once");
    second.stop().await;
}

#[tokio::test]
async fn security_35_a_webhook_s_secret_is_nowhere_in_the_clear() {
    let world = World::new().await;
    let hook = world.hook("https://hooks.example.org/", &[]).await;
    let bytes = STANDARD.decode(hook.secret.trim_start_matches("whsec_")).expect("base64");
    for file in ["log.db", "log.db-wal"] {
        let stored = std::fs::read(world.store.dir().expect("on SQLite").join(file)).unwrap_or_default();
        let holds = |what: &[u8]| stored.windows(what.len()).any(|window| window == what);
        assert!(!holds(&bytes) && !holds(&hook.secret.as_bytes()[6..]), "{file}");
    }
}

#[tokio::test]
async fn what_is_no_webhook_is_named_and_nobody_but_administrators_gets_near() {
    let world = World::new().await;
    let long = format!("https://hooks.example.org/{}", "x".repeat(2_048));
    for (body, pointer) in [
        (json!({"url": long}), "/url"),
        (json!({"url": "hooks.example.org"}), "/url"),
        (json!({"url": "ftp://hooks.example.org/"}), "/url"),
        (json!({"url": "https://user:secret@hooks.example.org/"}), "/url"),
        (json!({"url": "http://1.1.1.1/"}), "/url"),
        (json!({"url": "https://10.0.0.1/"}), "/url"),
        (json!({"url": "https://[::ffff:10.0.0.1]/"}), "/url"),
        (json!({"url": "https://167772161/"}), "/url"),
        (json!({"url": "https://hooks.example.org/", "events": ["chat.message-whispered"]}), "/events"),
        (json!({"url": "https://hooks.example.org/", "description": "x".repeat(501)}), "/description"),
        (json!({"url": "https://hooks.example.org/", "secret": "mine"}), "/secret"),
        (json!({}), "/url"),
    ] {
        let answer = world.call(ADMIN, "POST /v1/webhooks", Some(body.clone()), &[]).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.body);
        let named = answer.body["errors"][0]["pointer"].as_str().unwrap_or_default();
        assert!(named.starts_with(pointer), "{body}: {}", answer.body);
    }
    let hook = world.hook("https://hooks.example.org/", &[]).await;
    for from in ["", "latest", "AAAA"] {
        assert_eq!(world.post(&hook, "replay", Some(json!({"from": from}))).await.0, 422, "{from:?}");
    }
    let stale = world.call(ADMIN, &format!("DELETE {}", hook.path), None, &["if-match: \"9\""]).await;
    assert_eq!((stale.status, &stale.body["currentVersion"]), (412, &json!(1)));
    let body = Some(json!({"url": "https://hooks.example.org/"}));
    let first = world.call(ADMIN, "POST /v1/webhooks", body.clone(), &["idempotency-key: k"]).await;
    let again = world.call(ADMIN, "POST /v1/webhooks", body.clone(), &["idempotency-key: k"]).await;
    assert_eq!((first.status, again.status, &first.body), (201, 201, &again.body));
    let who = BOB.to_string();
    for request in
        ["GET /v1/webhooks".to_owned(), "POST /v1/webhooks".to_owned(), format!("GET {}", hook.path)]
    {
        let body = request.starts_with("POST").then(|| body.clone()).flatten();
        assert_eq!(world.call(&who, &request, body.clone(), &[]).await.status, 403, "{request}");
        assert_eq!(world.call("", &request, body, &[]).await.status, 401, "{request}");
    }
}
