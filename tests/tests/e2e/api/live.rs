//! Live delivery's contract.

use std::time::Duration;

use parlor_tests::model::Said;
use parlor_tests::{Server, Store, User};
use serde_json::json;

use super::no_body;

#[tokio::test]
async fn a_feed_shows_what_pages_show_on_sqlite() {
    contract(Store::Sqlite).await;
}

#[tokio::test]
async fn a_feed_shows_what_pages_show_on_postgresql() {
    if let Some(store) = Store::postgres() {
        contract(store).await;
    }
}

async fn contract(store: Store) {
    let server = Server::start(store).await;
    let api = server.api();
    let (ann, bob, eve) =
        (User::sign_up(api, "Ann").await, User::sign_up(api, "Bob").await, User::sign_up(api, "Eve").await);
    let (room, other) = (ann.group("Live", &[&bob]).await, ann.group("Not Bob's", &[&eve]).await);
    let mut feed = bob.feed(None).await;
    let start = feed.until("caught-up").await;
    let start = start.last().and_then(|event| event.cursor.clone()).expect("it gives the first cursor");

    ann.say(&other, "Bob isn't here").await;
    let sent = ann.say(&room, "live").await.json();
    let mut live = feed.until("chat.message-sent").await;
    assert_eq!(live.last().unwrap().data, sent, "data of a message is what its page shows");
    let path = format!("/v1/conversations/{room}/messages/{}", sent["id"].as_str().unwrap());
    let edited = ann.patch(&path, &json!({"content": "in other words"})).expect(200).await.json();
    live.extend(feed.until("chat.message-edited").await);
    assert_eq!(live.last().unwrap().data, edited);
    ann.delete(&path).expect(204).await;
    live.extend(feed.until("chat.message-deleted").await);
    let gone = &live.last().unwrap().data;
    assert_eq!(gone["id"], sent["id"]);
    assert!(gone["deletedAt"].is_string() && gone.get("content").is_none(), "{gone}");
    ann.patch(&format!("/v1/conversations/{room}"), &json!({"title": "Alive"})).expect(200).await;
    ann.put(&format!("/v1/conversations/{room}/participants/{}", eve.id), &no_body()).expect(204).await;
    live.extend(feed.until("chat.participant-added").await);
    let last = eve.say(&room, "last").await.json();
    live.extend(feed.until("chat.message-sent").await);
    let chat: Vec<_> = live.iter().filter(|event| event.kind.starts_with("chat.")).collect();
    let messages: Vec<_> =
        chat.iter().map(|event| event.kind.as_str()).filter(|kind| kind.contains("message-")).collect();
    let expected = ["chat.message-sent", "chat.message-edited", "chat.message-deleted", "chat.message-sent"];
    assert_eq!(messages, expected, "in order, and nothing of another's room");
    assert!(!live.iter().any(|event| event.to_text().contains("Bob isn't here")));

    // Resumed, it tells the same again.
    let mut again = bob.feed(Some(&start)).await;
    let resumed = again.until("caught-up").await;
    let resumed: Vec<_> = resumed.iter().filter(|event| event.kind.starts_with("chat.")).collect();
    assert_eq!(resumed.len(), chat.len());
    assert_eq!(Said::shown(&resumed.last().unwrap().data), Said::shown(&last));
    let by_query = bob.get(&format!("/v1/stream?cursor={start}")).builder().send().await.unwrap();
    assert_eq!(by_query.status(), 200);
    bob.get("/v1/stream").header("last-event-id", "nonsense").expect(422).await;
    api.get("/v1/stream").expect(401).await;

    // A token that ends closes the connection.
    let mut ending = eve.feed(None).await;
    ending.until("caught-up").await;
    eve.post("/v1/auth/logout", &json!({})).expect(204).await;
    let ended = async { while ending.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the feed ends with the session");
}
