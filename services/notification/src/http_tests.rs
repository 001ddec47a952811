//! The service as its clients meet it, on both stores.

use parlor_contracts::chat::ChatEvent;
use parlor_contracts::chat::ConversationKind::Group;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::testing::{ANN, BOB, CY, ROOM, World, group, left};

const APPLICATION: &str = "00000000-0000-0000-0000-0000000000fe service";

/// Every route and every statement, once.
async fn every_route_answers(world: World) {
    let world = world.peopled(Group).await;
    let (ann, bob) = (ANN.to_string(), BOB.to_string());
    let order =
        json!({"userId": bob, "kind": "order", "title": "Shipped", "body": "No. 42", "link": "/orders/42"});
    let made = world.call(APPLICATION, "POST /v1/notifications", Some(order.clone()), &[]).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(world.call(&ann, "POST /v1/notifications", Some(order), &[]).await.status, 403);

    let wanted = json!({"conversations": {ROOM.to_string(): "all"},
        "quietHours": {"from": "01:00", "to": "02:00", "timeZone": "Europe/Berlin"}});
    let preferences = "/v1/notifications/preferences";
    let none_yet = world.call(&bob, &format!("GET {preferences}"), None, &[]).await;
    assert_eq!((none_yet.status, none_yet.header("etag")), (200, ""));
    assert_eq!(none_yet.body["kinds"]["group"], "mentions");
    let put = world.call(&bob, &format!("PUT {preferences}"), Some(wanted.clone()), &[]).await;
    assert_eq!((put.status, put.header("etag")), (200, "\"1\""), "{}", put.body);
    let shown = world.call(&bob, &format!("GET {preferences}"), None, &[]).await;
    assert_eq!((shown.header("etag"), &shown.body), ("\"1\"", &put.body));
    assert_eq!(shown.body["quietHours"], wanted["quietHours"]);
    let stale = world.call(&bob, &format!("PUT {preferences}"), Some(json!({})), &["if-match: \"7\""]).await;
    assert_eq!((stale.status, &stale.body["currentVersion"]), (412, &json!(1)));

    world.chat_says(&group(1, ANN, "to all")).await;
    let second =
        world.chat_says(&group(2, ANN, "@bob, @Cy and <@00000000-0000-0000-0000-00000000000c>")).await;
    let list = world.call(&bob, "GET /v1/notifications?unread=true&limit=2", None, &[]).await;
    let kinds = |body: &Value| {
        let items = body["items"].as_array().expect("a page").iter();
        items.map(|told| told["kind"].as_str().expect("a kind").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&list.body), ["mention", "message"]);
    let cursor = list.body["nextCursor"].as_str().expect("there is more");
    let rest =
        world.call(&bob, &format!("GET /v1/notifications?unread=true&cursor={cursor}"), None, &[]).await;
    assert_eq!((kinds(&rest.body), &rest.body["nextCursor"]), (vec!["order".to_owned()], &Value::Null));
    assert_eq!(
        kinds(&world.call(&CY.to_string(), "GET /v1/notifications", None, &[]).await.body),
        ["mention"]
    );

    let count = async |who: &str| {
        world.call(who, "GET /v1/notifications/unread-count", None, &[]).await.body["count"].clone()
    };
    assert_eq!(count(&bob).await, 3);
    let order = made.body["id"].as_str().expect("an id");
    assert_eq!(world.call(&ann, &format!("PUT /v1/notifications/{order}/read"), None, &[]).await.status, 404);
    assert_eq!(world.call(&bob, &format!("PUT /v1/notifications/{order}/read"), None, &[]).await.status, 204);
    assert_eq!(count(&bob).await, 2);
    let read = ChatEvent::MessagesRead {
        conversation_id: ROOM,
        user_id: BOB,
        up_to: Uuid::from_u128(2),
        position: second.position.0,
    };
    world.chat_says(&read).await;
    assert_eq!(count(&bob).await, 0);
    world.chat_says(&group(3, ANN, "again")).await;
    assert_eq!(count(&bob).await, 1);
    assert_eq!(world.call(&bob, "POST /v1/notifications/read-all", None, &[]).await.status, 204);
    assert_eq!(count(&bob).await, 0);
    let deleted = ChatEvent::MessageDeleted {
        conversation_id: ROOM,
        message_id: Uuid::from_u128(2),
        sender_id: ANN,
        position: second.position.0,
        deleted_by: ANN,
    };
    world.chat_says(&deleted).await;
    let all = world.call(&bob, "GET /v1/notifications?unread=false", None, &[]).await;
    assert_eq!(kinds(&all.body), ["message", "message", "order"]);
    world.chat_says(&left(BOB)).await;
    let all = world.call(&bob, "GET /v1/notifications", None, &[]).await;
    assert_eq!(kinds(&all.body), ["order"]);
    assert_eq!(all.body["items"][0]["read"], true);
}

#[tokio::test]
async fn every_route_answers_on_sqlite() {
    every_route_answers(World::new().await).await;
}

#[tokio::test]
async fn every_route_answers_on_postgres() {
    if let Some(world) = World::on_postgres("routes").await {
        every_route_answers(world).await;
    }
}

#[tokio::test]
async fn a_request_that_comes_again_under_its_key_has_one_effect() {
    let world = World::new().await;
    let order = || Some(json!({"userId": BOB, "kind": "order", "title": "Shipped", "body": ""}));
    let first = world.call(APPLICATION, "POST /v1/notifications", order(), &["idempotency-key: k1"]).await;
    let again = world.call(APPLICATION, "POST /v1/notifications", order(), &["idempotency-key: k1"]).await;
    assert_eq!((first.status, again.status, &again.body), (201, 201, &first.body));
    assert_eq!(world.unread(BOB).await, 1);
}

#[tokio::test]
async fn bad_input_is_named_and_stores_nothing() {
    let world = World::new().await;
    let bob = BOB.to_string();
    let order = |field: &str, value: Value| {
        let mut order = json!({"userId": BOB, "kind": "k", "title": "t", "body": "b"});
        order[field] = value;
        order
    };
    let hours =
        |from: &str, zone: &str| json!({"quietHours": {"from": from, "to": "07:00", "timeZone": zone}});
    for (request, body, pointer) in [
        ("POST /v1/notifications", order("kind", json!("two words")), "/kind"),
        ("POST /v1/notifications", order("title", json!("")), "/title"),
        ("POST /v1/notifications", order("body", json!("x".repeat(2_001))), "/body"),
        ("POST /v1/notifications", order("link", json!("//evil.example")), "/link"),
        ("POST /v1/notifications", order("userId", json!("bob")), "/userId"),
        ("POST /v1/notifications", order("id", json!(BOB)), "/id"),
        ("PUT /v1/notifications/preferences", json!({"kinds": {"group": "some"}}), "/kinds/group"),
        ("PUT /v1/notifications/preferences", json!({"conversations": {"x": "all"}}), "/conversations"),
        ("PUT /v1/notifications/preferences", json!({"muteUntil": "soon"}), "/muteUntil"),
        ("PUT /v1/notifications/preferences", hours("25:00", "UTC"), "/quietHours/from"),
        ("PUT /v1/notifications/preferences", hours("22:00", "Mars/Olympus"), "/quietHours/timeZone"),
    ] {
        let who = if request.starts_with("POST") { APPLICATION } else { &bob };
        let answer = world.call(who, request, Some(body.clone()), &[]).await;
        assert_eq!(answer.status, 422, "{request} {body}: {}", answer.body);
        let named = answer.body["errors"][0]["pointer"].as_str().unwrap_or_default();
        assert!(named.starts_with(pointer), "{request} {body}: {}", answer.body);
    }
    for query in ["unread=maybe", "limit=0", "cursor=x", "all=true"] {
        let answer = world.call(&bob, &format!("GET /v1/notifications?{query}"), None, &[]).await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.body);
    }
    assert_eq!(world.store.store.executor.log().head().borrow().0, 0);
}

#[tokio::test]
async fn an_application_has_no_notifications_and_nobody_gets_in_unknown() {
    let world = World::new().await;
    for request in [
        "GET /v1/notifications",
        "GET /v1/notifications/unread-count",
        "GET /v1/notifications/preferences",
        "POST /v1/notifications/read-all",
    ] {
        assert_eq!(world.call(APPLICATION, request, None, &[]).await.status, 403, "{request}");
        assert_eq!(world.call("", request, None, &[]).await.status, 401, "{request}");
    }
}
