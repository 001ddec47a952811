//! One key, one effect, one answer, however many ask at once.

use futures::future::join_all;
use parlor_tests::model::Said;
use parlor_tests::{Dice, Server, Store, User};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_repeats_at_once_have_one_effect_and_one_answer_on_sqlite() {
    one_effect(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_repeats_at_once_have_one_effect_and_one_answer_on_postgresql() {
    if let Some(store) = Store::postgres() {
        one_effect(store).await;
    }
}

async fn one_effect(store: Store) {
    const KEYS: usize = 50;
    const AT_ONCE: usize = 200;
    let mut dice = Dice::new("one effect");
    let server = Server::start(store).await;
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    let mut acknowledged = Vec::new();
    let mut last = String::new();
    for _ in 0..KEYS {
        let (key, content) = (dice.word(), dice.word());
        // Somebody else's command under the same key is another command, in the same moment.
        let theirs = bob.saying(&room, &content).key(&key).send();
        let mine = (0..AT_ONCE).map(|_| ann.saying(&room, &content).key(&key).send());
        let (mine, theirs) = tokio::join!(join_all(mine), theirs);
        let theirs = theirs.expect(201);
        assert!(!theirs.replayed(), "keys belong to their actor");
        let first = &mine[0];
        for reply in &mine {
            assert_eq!(reply.status, 201, "{reply:?}");
            assert_eq!(reply.body, first.body, "an answer differs");
            assert_eq!(reply.header("content-type"), Some("application/json"));
            assert_eq!(reply.position(), first.position());
        }
        assert_eq!(mine.iter().filter(|reply| !reply.replayed()).count(), 1, "one had the effect");
        let other = ann.saying(&room, "something else").key(&key);
        other.refused(422, "idempotency-key-reused").await;
        // The key is bound to its route, too: elsewhere it is another one.
        let elsewhere = ann.call(Method::PUT, &format!("/v1/conversations/{room}/read")).key(&key);
        elsewhere.json(&json!({"upTo": first.text("id")})).expect(204).await;
        acknowledged.extend([Said::shown(&first.json()), Said::shown(&theirs.json())]);
        last = mine
            .into_iter()
            .map(|reply| reply.position())
            .chain([theirs.position()])
            .collect::<Vec<_>>()
            .join(",");
    }
    acknowledged.sort_by_key(|said| std::cmp::Reverse(said.position));
    let page: Vec<_> = bob.messages(&room, Some(&last)).await.iter().map(Said::shown).collect();
    assert_eq!(page, acknowledged, "exactly what was acknowledged, each once");
    let recorded = parlor_tests::log::read(&server, "chat").await;
    let sent = recorded.iter().filter(|event| event.name == "message.sent").count();
    assert_eq!(sent, 2 * KEYS);
}

#[tokio::test]
async fn who_lost_access_gets_no_replay_on_sqlite() {
    no_replay(Store::Sqlite).await;
}

#[tokio::test]
async fn who_lost_access_gets_no_replay_on_postgresql() {
    if let Some(store) = Store::postgres() {
        no_replay(store).await;
    }
}

async fn no_replay(store: Store) {
    let server = Server::start(store).await;
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let room = ann.group("Choir", &[&bob]).await;
    let first = bob.saying(&room, "hello").key("hello-1").expect(201).await;
    let again = bob.saying(&room, "hello").key("hello-1").expect(201).await;
    assert!(again.replayed());
    assert_eq!(again.body, first.body);
    ann.delete(&format!("/v1/conversations/{room}/participants/{}", bob.id)).expect(204).await;
    bob.saying(&room, "hello").key("hello-1").refused(404, "not-found").await;
    // A refusal isn't recorded: back in the group, Bob's key says what it said, and what was refused can be sent.
    bob.saying(&room, "refused").key("hello-2").refused(404, "not-found").await;
    ann.put(&format!("/v1/conversations/{room}/participants/{}", bob.id), &json!({})).expect(204).await;
    let again = bob.saying(&room, "hello").key("hello-1").expect(201).await;
    assert_eq!(again.body, first.body);
    let second = bob.saying(&room, "refused").key("hello-2").expect(201).await;
    assert!(!second.replayed());
    let messages = ann.messages(&room, Some(&second.position())).await;
    assert_eq!(messages.len(), 2, "{messages:?}");
}
