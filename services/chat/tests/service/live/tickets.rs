//! Tickets: once, soon, at any process, and no secret in the store.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cqrs_core::{Failure, RowExt as _, params};
use http_body_util::BodyExt as _;
use parlor_chat::live::Live;
use serde_json::Value;
use tower::ServiceExt as _;
use uuid::Uuid;

use super::{Always, World, options};
use crate::postgres::SKIPPED;
use crate::support::Chat;

async fn call(world: &World, live: &Live, method: &str, uri: &str, who: Option<Uuid>) -> (u16, Value) {
    let (router, _) = parlor_chat::live::routes(live.clone()).split_for_parts();
    let router = cqrs_http::layer(router.with_state(world.chat.edge.clone()), world.chat.edge.options());
    let mut request = axum::http::Request::builder().method(method).uri(uri);
    if let Some(who) = who {
        request = request.header("authorization", format!("Bearer {who}"));
    }
    let response = router.oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    if status == 200 {
        // A stream has no end.
        return (status, Value::Null);
    }
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

async fn ticket(world: &World, who: Uuid) -> String {
    let (status, answer) = call(world, &world.live, "POST", "/v1/stream/ticket", Some(who)).await;
    assert_eq!((status, &answer["expiresIn"]), (201, &Value::from(30)));
    answer["ticket"].as_str().unwrap().to_owned()
}

async fn a_ticket_opens_one_connection(world: &World) {
    let second = world.another(options());
    let bob = world.user("Bob").await;
    let stream = async |live: &Live, ticket: &str| {
        call(world, live, "GET", &format!("/v1/stream?ticket={ticket}"), None).await.0
    };
    let first = ticket(world, bob).await;
    assert_eq!(URL_SAFE_NO_PAD.decode(&first).unwrap().len(), 32);
    assert_eq!(stream(&second.live, &first).await, 200, "at another process");
    for live in [&second.live, &world.live] {
        assert_eq!(stream(live, &first).await, 401, "once");
    }
    let raced = ticket(world, bob).await;
    let tries = futures::future::join_all((0..20).map(|_| stream(&world.live, &raced))).await;
    assert_eq!(tries.iter().filter(|status| **status == 200).count(), 1, "{tries:?}");
    let late = ticket(world, bob).await;
    let log = &world.chat.store.store.log;
    let map = |row: &dyn cqrs_core::Row| Ok((row.get::<Vec<u8>>(0)?, row.get::<Vec<u8>>(1)?));
    let stored = log.rows_beside("SELECT hash, token FROM {s}tickets", params![], map).await.unwrap();
    let secrets = [URL_SAFE_NO_PAD.decode(&late).unwrap(), bob.to_string().into_bytes()];
    assert!(!stored.is_empty());
    for (hash, token) in &stored {
        for (column, secret) in
            [hash, token].into_iter().zip(&secrets).chain([token, hash].into_iter().zip(&secrets))
        {
            assert!(!column.windows(secret.len()).any(|window| window == secret.as_slice()));
        }
    }
    log.change_beside("UPDATE {s}tickets SET expires = expires - 31000", params![]).await.unwrap();
    assert_eq!(stream(&world.live, &late).await, 401, "within 30 seconds");
    ticket(world, bob).await;
    let left = log.rows_beside("SELECT hash, token FROM {s}tickets", params![], map).await.unwrap();
    assert_eq!(left.len(), 1, "what has expired goes");
    for bad in ["", "AAAA", &first[1..], "%00", &"A".repeat(10_000)] {
        assert_eq!(stream(&world.live, bad).await, 401, "{bad}");
    }
}

#[tokio::test]
async fn security_19_a_ticket_opens_one_connection_at_any_process_and_soon() {
    a_ticket_opens_one_connection(&World::start().await).await;
}

#[tokio::test]
async fn the_same_on_postgres() {
    let Some(chat) = Chat::start_on_postgres("tickets").await else { return eprintln!("{SKIPPED}") };
    a_ticket_opens_one_connection(&World::on(chat, options())).await;
}

#[tokio::test]
async fn nobody_has_more_connections_than_they_may() {
    let world = World::on(
        Chat::start().await,
        parlor_chat::live::LiveOptions { connections_per_user: 2, ..options() },
    );
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let mut readers = [ann, ann, bob].map(|who| world.reader(who));
    for reader in &mut readers {
        reader.catch_up().await;
    }
    let (status, problem) = call(&world, &world.live, "GET", "/v1/stream", Some(ann)).await;
    assert_eq!((status, &problem["code"]), (429, &Value::from("too-many-connections")));
    readers[0].frames = None;
    let (status, _) = call(&world, &world.live, "GET", "/v1/stream", Some(ann)).await;
    assert_eq!(status, 200, "a connection that was closed doesn't count");
}

#[tokio::test]
async fn who_does_not_read_keeps_their_seat_until_the_transport_gives_them_up() {
    let world = World::on(
        Chat::start().await,
        parlor_chat::live::LiveOptions { connections_per_user: 1, ..options() },
    );
    let ann = world.user("Ann").await;
    let mut reader = world.reader(ann);
    reader.catch_up().await;
    world.live.stop();
    let mut frames = reader.frames.take().unwrap();
    while frames.recv().await.is_some() {}
    // All has been said, but not yet been taken away.
    let again = || world.live.connect(ann, None, Always).err();
    assert!(matches!(again(), Some(Failure::Refused(refused)) if refused.code == "too-many-connections"));
    drop(frames);
    assert!(again().is_none());
}
