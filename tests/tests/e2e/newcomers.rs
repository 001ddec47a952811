//! Registration makes a profile by events alone, and yet nobody ever meets a user who isn't there yet.

use futures::StreamExt as _;
use parlor_tests::{Server, Store, User};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_just_registered_can_be_talked_to_at_once_on_sqlite() {
    talked_to_at_once(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_just_registered_can_be_talked_to_at_once_on_postgresql() {
    if let Some(store) = Store::postgres() {
        talked_to_at_once(store).await;
    }
}

async fn talked_to_at_once(store: Store) {
    const NEWCOMERS: usize = 200;
    let server = Server::start(store).await;
    let api = server.api();
    let host = &User::sign_up(api, "The Host").await;
    let rooms = futures::stream::iter(0..NEWCOMERS).map(async |number| {
        let body = json!({
            "email": format!("guest{number}@example.org"),
            "password": "a wren sings at noon",
            "displayName": format!("Guest {number}"),
        });
        let registered = api.post("/v1/auth/register", &body).expect(201).await;
        let (guest, token) = (registered.text("userId"), registered.position());
        let body = json!({"kind": "direct", "participants": [guest]});
        let begun = host.post("/v1/conversations", &body).after(&token).expect(201).await;
        let found = host.get(&format!("/v1/users/{guest}/profile")).after(&token).expect(200).await;
        assert_eq!(found.json()["displayName"], format!("Guest {number}"));
        begun.text("id")
    });
    let rooms: std::collections::BTreeSet<_> = rooms.buffer_unordered(8).collect().await;
    assert_eq!(rooms.len(), NEWCOMERS);
}
