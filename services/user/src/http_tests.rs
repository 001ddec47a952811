//! The service as its clients meet it, on both stores.

use serde_json::{Value, json};

use crate::testing::{Answer, World};

const OPERATOR: &str = "00000000-0000-0000-0000-0000000000ff admin";
const APPLICATION: &str = "00000000-0000-0000-0000-0000000000fe service";

async fn make(world: &World, body: Value) -> String {
    let made = world.call(APPLICATION, "POST /v1/users", Some(body), &[]).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.body["id"].as_str().expect("an id").to_owned()
}

fn names(answer: &Answer) -> Vec<&str> {
    let items = answer.body["items"].as_array().expect("a page");
    items.iter().map(|user| user["displayName"].as_str().expect("a name")).collect()
}

/// Every route and every statement, once.
async fn every_route_answers(world: World) {
    let ann =
        make(&world, json!({"displayName": " Ann ", "email": "ann@example.org", "externalId": "crm-1"}))
            .await;
    let bob = make(&world, json!({"displayName": "李小龍"})).await;
    let again = world
        .call(APPLICATION, "POST /v1/users", Some(json!({"displayName": "X", "externalId": "crm-1"})), &[])
        .await;
    assert_eq!((again.status, again.body["id"].as_str()), (200, Some(ann.as_str())));
    assert_eq!(world.call(&ann, "POST /v1/users", Some(json!({"displayName": "X"})), &[]).await.status, 403);

    let card = world.call(&bob, &format!("GET /v1/users/{ann}"), None, &[]).await;
    assert_eq!(
        (card.status, &card.body["displayName"], &card.body["state"]),
        (200, &json!("Ann"), &json!("active"))
    );
    assert_eq!(world.call(&bob, "GET /v1/users/nobody", None, &[]).await.status, 404);

    let own = world.call(&ann, "GET /v1/users/me/profile", None, &[]).await;
    assert_eq!(
        (own.status, own.header("etag"), &own.body["email"]),
        (200, "\"1\"", &json!("ann@example.org"))
    );
    let patch = json!({"bio": "I sail.", "avatarUrl": "https://example.org/a.png"});
    let patched =
        world.call(&ann, "PATCH /v1/users/me/profile", Some(patch.clone()), &["if-match: \"1\""]).await;
    assert_eq!((patched.status, patched.header("etag")), (200, "\"2\""));
    assert_eq!((&patched.body["bio"], &patched.body["displayName"]), (&json!("I sail."), &json!("Ann")));
    let stale = world
        .call(&ann, "PATCH /v1/users/me/profile", Some(json!({"bio": null})), &["if-match: \"1\""])
        .await;
    assert_eq!((stale.status, &stale.body["code"]), (412, &json!("version-mismatch")));

    let status = world
        .call(&ann, "PUT /v1/users/me/status", Some(json!({"status": "away", "text": "tea"})), &[])
        .await;
    assert_eq!((status.status, status.body), (204, Value::Null));
    let seen = world.call(&bob, &format!("GET /v1/users/{ann}/profile"), None, &[]).await;
    assert_eq!(
        (&seen.body["status"], &seen.body["statusText"], seen.header("etag")),
        (&json!("away"), &json!("tea"), "\"2\"")
    );
    assert_eq!(seen.body.get("email"), None);

    let found = world.call(&ann, "GET /v1/users?search=%E5%B0%8F", None, &[]).await;
    assert_eq!((found.status, names(&found)), (200, vec!["李小龍"]));
    let found = world.call(&bob, "GET /v1/users?email=ANN@example.org", None, &[]).await;
    assert!(names(&found).is_empty());
    let found = world.call(OPERATOR, "GET /v1/users?email=ANN@example.org", None, &[]).await;
    assert_eq!(names(&found), ["Ann"]);

    let contact = format!("/v1/users/me/contacts/{bob}");
    assert_eq!(world.call(&ann, &format!("PUT {contact}"), None, &[]).await.status, 204);
    assert_eq!(names(&world.call(&ann, "GET /v1/users/me/contacts?limit=1", None, &[]).await), ["李小龍"]);
    assert_eq!(world.call(&ann, &format!("DELETE {contact}"), None, &[]).await.status, 204);
    assert!(names(&world.call(&ann, "GET /v1/users/me/contacts", None, &[]).await).is_empty());
    assert_eq!(world.call(&ann, &format!("PUT /v1/users/me/contacts/{ann}"), None, &[]).await.status, 422);
    let nobody = "PUT /v1/users/me/contacts/00000000-0000-0000-0000-000000000404";
    assert_eq!(world.call(&ann, nobody, None, &[]).await.status, 404);

    assert_eq!(world.call(&ann, &format!("POST /v1/users/{bob}/disable"), None, &[]).await.status, 403);
    assert_eq!(world.call(OPERATOR, &format!("POST /v1/users/{bob}/disable"), None, &[]).await.status, 204);
    let refused = world.call(&bob, "PUT /v1/users/me/status", Some(json!({"status": "busy"})), &[]).await;
    assert_eq!((refused.status, &refused.body["code"]), (403, &json!("account-disabled")));
    let card = world.call(&ann, &format!("GET /v1/users/{bob}"), None, &[]).await;
    assert_eq!(card.body["state"], "disabled");
    let everybody = "GET /v1/admin/user/users";
    assert_eq!(world.call(&ann, everybody, None, &[]).await.status, 403);
    let page = world.call(OPERATOR, &format!("{everybody}?limit=1"), None, &[]).await;
    assert_eq!((names(&page), &page.body["items"][0]["state"]), (vec!["李小龍"], &json!("disabled")));
    let cursor = page.body["nextCursor"].as_str().expect("there is another page");
    let rest = world.call(OPERATOR, &format!("{everybody}?limit=1&cursor={cursor}"), None, &[]).await;
    assert_eq!((names(&rest), &rest.body["nextCursor"]), (vec!["Ann"], &Value::Null));
    assert_eq!(
        names(&world.call(OPERATOR, &format!("{everybody}?search=%E5%B0%8F"), None, &[]).await),
        ["李小龍"]
    );
    let by_address = world.call(OPERATOR, &format!("{everybody}?search=ANN@example.org"), None, &[]).await;
    assert_eq!(names(&by_address), ["Ann"]);
    assert_eq!(world.call(OPERATOR, &format!("POST /v1/users/{bob}/enable"), None, &[]).await.status, 204);
    assert_eq!(world.call(&bob, "DELETE /v1/users/me", None, &[]).await.status, 204);
    let card = world.call(&ann, &format!("GET /v1/users/{bob}"), None, &[]).await;
    assert_eq!((&card.body["state"], &card.body["displayName"]), (&json!("deleted"), &json!("李小龍")));
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
async fn a_request_that_comes_again_under_its_key_gets_the_first_answer() {
    let world = World::new().await;
    let body = || Some(json!({"displayName": "Ann"}));
    let first = world.call(APPLICATION, "POST /v1/users", body(), &["idempotency-key: k1"]).await;
    let again = world.call(APPLICATION, "POST /v1/users", body(), &["idempotency-key: k1"]).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    let other = world.call(
        APPLICATION,
        "POST /v1/users",
        Some(json!({"displayName": "Eve"})),
        &["idempotency-key: k1"],
    );
    assert_eq!(other.await.body["code"], "idempotency-key-reused");
}

#[tokio::test]
async fn bad_input_is_named_and_stores_nothing() {
    let world = World::new().await;
    let ann = make(&world, json!({"displayName": "Ann"})).await;
    let long = "x".repeat(501);
    for (request, body, pointer) in [
        ("POST /v1/users", json!({"displayName": ""}), "/displayName"),
        ("POST /v1/users", json!({"displayName": "A", "email": "a b@c"}), "/email"),
        ("POST /v1/users", json!({"displayName": "A", "isAdmin": true}), "/isAdmin"),
        ("POST /v1/users", json!({}), "/displayName"),
        ("PATCH /v1/users/me/profile", json!({"displayName": null}), "/displayName"),
        ("PATCH /v1/users/me/profile", json!({"bio": long}), "/bio"),
        ("PATCH /v1/users/me/profile", json!({"avatarUrl": "javascript:alert(1)"}), "/avatarUrl"),
        ("PATCH /v1/users/me/profile", json!({"email": "a@b"}), "/email"),
        ("PUT /v1/users/me/status", json!({"status": "asleep"}), "/status"),
        ("PUT /v1/users/me/status", json!({"status": "busy", "text": "a\u{0}b"}), "/text"),
    ] {
        let who = if request.starts_with("POST") { APPLICATION } else { &ann };
        let answer = world.call(who, request, Some(body.clone()), &[]).await;
        assert_eq!(answer.status, 422, "{request} {body}: {}", answer.body);
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{request} {body}: {}", answer.body);
    }
    for query in [
        "",
        "search=",
        "search=...",
        "search=a&email=b",
        "search=a&limit=0",
        "search=a&limit=201",
        "search=a&cursor=x",
        "q=a",
    ] {
        let answer = world.call(&ann, &format!("GET /v1/users?{query}"), None, &[]).await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.body);
    }
    assert_eq!(world.store.store.executor.log().head().borrow().0, 1);
}

#[tokio::test]
async fn nobody_gets_in_without_saying_who_they_are() {
    let world = World::new().await;
    for request in
        ["GET /v1/users?search=a", "GET /v1/users/me/profile", "DELETE /v1/users/me", "POST /v1/users"]
    {
        let answer = world.call("", request, None, &[]).await;
        assert_eq!((answer.status, answer.header("www-authenticate").is_empty()), (401, false), "{request}");
    }
}
