//! The user service's rows.

use parlor_tests::user::PASSWORD;
use parlor_tests::{Api, Server, Store, User, eventually};
use serde_json::json;

use super::{
    NOBODY, administrator, assert_all_asked, assert_command, assert_query, members, no_body, service_key,
};

#[tokio::test]
async fn the_user_service_keeps_its_contract_on_sqlite() {
    contract(Store::Sqlite).await;
}

#[tokio::test]
async fn the_user_service_keeps_its_contract_on_postgresql() {
    if let Some(store) = Store::postgres() {
        contract(store).await;
    }
}

async fn contract(store: Store) {
    let server = Server::start(store).await;
    let api = server.api();
    let admin = administrator(&server).await;
    let key = service_key(&server).await;
    creating(api, &admin, &key).await;
    profiles(api, &admin).await;
    searching(api).await;
    statuses(api).await;
    contacts(api).await;
    ending(api, &admin).await;
    assert_all_asked(api, &["/v1/users"]).await;
}

async fn creating(api: &Api, admin: &User, key: &str) {
    let body = json!({"displayName": "Imported", "email": "imported@example.org", "externalId": "hr-17"});
    let made = api.post("/v1/users", &body).token(key).key("hr-17").expect(201).await;
    assert_command(&made);
    assert_eq!(members(&made.json()), ["id"]);
    let again = api.post("/v1/users", &body).token(key).key("hr-17").expect(201).await;
    assert!(again.replayed());
    let same = api.post("/v1/users", &body).token(key).expect(200).await;
    assert_eq!(same.json(), made.json(), "the same externalId again is the same user");
    admin.post("/v1/users", &json!({"displayName": "By an admin"})).expect(201).await;
    let ann = User::sign_up(api, "Ann").await;
    ann.post("/v1/users", &json!({"displayName": "By nobody"})).expect(403).await;
    api.post("/v1/users", &body).expect(401).await;
    admin.post("/v1/users", &json!({"displayName": ""})).expect(422).await;
    let found =
        admin.get("/v1/users?email=imported@example.org").after(&made.position()).expect(200).await.items();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["id"], made.json()["id"]);
}

async fn profiles(api: &Api, admin: &User) {
    let (ann, bob) = (User::sign_up(api, "Ann Profile").await, User::sign_up(api, "Bob Profile").await);
    let own = ann.get("/v1/users/me/profile").after(&ann.registered).expect(200).await;
    assert_query(&own);
    let shown = own.json();
    assert_eq!(shown["id"], ann.id);
    assert_eq!(shown["displayName"], "Ann Profile");
    assert_eq!(shown["email"], ann.email);
    for member in ["bio", "avatarUrl", "status"] {
        assert!(shown.get(member).is_some(), "{member} is missing: {shown}");
    }
    let path = format!("/v1/users/{}/profile", ann.id);
    let theirs = bob.get(&path).after(&bob.registered).expect(200).await.json();
    assert!(theirs.get("email").is_none(), "only for oneself and admins: {theirs}");
    assert_eq!(admin.get(&path).expect(200).await.json()["email"], ann.email);
    let card = bob.get(&format!("/v1/users/{}", ann.id)).expect(200).await.json();
    assert_eq!((&card["id"], &card["displayName"]), (&json!(ann.id), &json!("Ann Profile")));
    assert!(card.get("email").is_none());
    for path in ["", "/profile"] {
        bob.get(&format!("/v1/users/{NOBODY}{path}")).refused(404, "not-found").await;
    }
    let by_email = format!("/v1/users?email={}", ann.email);
    assert_eq!(ann.get(&by_email).expect(200).await.items().len(), 1);
    let others = bob.get(&by_email).send().await;
    assert!(others.status == 403 || (others.status == 200 && others.items().is_empty()), "{others:?}");

    // Versions.
    let change = json!({"displayName": "Ann Changed", "bio": "I sing."});
    let changed = ann.patch("/v1/users/me/profile", &change).if_match(&own.etag()).expect(200).await;
    assert_command(&changed);
    assert_eq!(changed.json()["displayName"], "Ann Changed");
    assert_ne!(changed.etag(), own.etag());
    let stale = ann.patch("/v1/users/me/profile", &change).if_match(&own.etag());
    let stale = stale.refused(412, "version-mismatch").await.json();
    assert_eq!(format!("\"{}\"", stale["currentVersion"]), changed.etag());
    let now = ann.get("/v1/users/me/profile").after(&changed.position()).expect(200).await;
    assert_eq!((now.json(), now.etag()), (changed.json(), changed.etag()));
    let only = ann.patch("/v1/users/me/profile", &json!({"bio": null})).expect(200).await.json();
    assert_eq!((&only["displayName"], &only["bio"]), (&json!("Ann Changed"), &json!(null)));
    let bad = json!({"avatarUrl": "javascript:alert(1)"});
    let bad = ann.patch("/v1/users/me/profile", &bad).expect(422).await.json();
    assert_eq!(bad["errors"][0]["pointer"], "/avatarUrl");
}

async fn searching(api: &Api) {
    let mut last = String::new();
    let names = ["Søren Åberg", "李小龙", "Ελένη", "Soren Berg"];
    for (number, name) in names.iter().enumerate() {
        let email = format!("searched{number}@example.org");
        last = User::sign_up_as(api, name, &email).await.registered;
    }
    let ann = User::sign_up(api, "Searcher").await;
    for (query, expected) in [
        ("小龙", vec!["李小龙"]),
        ("ελενη", vec!["Ελένη"]),
        ("åberg", vec!["Søren Åberg"]),
        ("nobody-here", vec![]),
    ] {
        let path = format!("/v1/users?search={}", parlor_tests::user::escape(query));
        let found = ann.get(&path).after(&last).expect(200).await;
        assert_query(&found);
        let names: Vec<_> =
            found.items().iter().map(|item| item["displayName"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names, expected, "{query}");
    }
    let first = ann.get("/v1/users?search=e&limit=1").expect(200).await;
    assert_eq!(first.items().len(), 1);
    let cursor = first.text("nextCursor");
    let second = ann.get(&format!("/v1/users?search=e&limit=1&cursor={cursor}")).expect(200).await;
    assert_ne!(second.items()[0]["id"], first.items()[0]["id"]);
}

async fn statuses(api: &Api) {
    let ann = User::sign_up(api, "Ann Status").await;
    for status in ["online", "away", "busy", "offline"] {
        let body = json!({"status": status, "text": "at lunch"});
        let call = ann.put("/v1/users/me/status", &body).after(&ann.registered);
        let set = call.expect(204).await;
        assert_command(&set);
        let shown = ann.get("/v1/users/me/profile").after(&set.position()).expect(200).await.json();
        assert_eq!((&shown["status"], &shown["statusText"]), (&json!(status), &json!("at lunch")));
    }
    ann.put("/v1/users/me/status", &json!({"status": "asleep"})).expect(422).await;
}

async fn contacts(api: &Api) {
    let (ann, bob) = (User::sign_up(api, "Ann Contact").await, User::sign_up(api, "Bob Contact").await);
    let path = format!("/v1/users/me/contacts/{}", bob.id);
    let add = || ann.put(&path, &no_body()).after(&ann.registered).after(&bob.registered);
    let added = add().expect(204).await;
    assert_command(&added);
    add().expect(204).await;
    let listed = ann.get("/v1/users/me/contacts").after(&added.position()).expect(200).await;
    assert_query(&listed);
    let ids: Vec<_> = listed.items().iter().map(|item| item["id"].clone()).collect();
    assert_eq!(ids, [json!(bob.id)]);
    ann.put(&format!("/v1/users/me/contacts/{NOBODY}"), &no_body()).refused(404, "unknown-user").await;
    let removed = ann.delete(&path).expect(204).await;
    assert_eq!(
        ann.get("/v1/users/me/contacts").after(&removed.position()).expect(200).await.items().len(),
        0
    );
    ann.delete(&path).expect(204).await;
}

async fn ending(api: &Api, admin: &User) {
    let (ann, bob) = (User::sign_up(api, "Ann Ending").await, User::sign_up(api, "Bob Ending").await);
    let room = ann.direct(&bob).await;
    let said = ann.say(&room, "still here afterwards").await;
    let path = format!("/v1/users/{}", ann.id);
    bob.call(reqwest::Method::POST, &format!("{path}/disable")).expect(403).await;
    admin.call(reqwest::Method::POST, &format!("{path}/disable")).expect(204).await;
    eventually("the session has ended", async || {
        (ann.get("/v1/auth/me").send().await.status == 401).then_some(())
    })
    .await;
    let login = json!({"email": ann.email, "password": PASSWORD});
    api.post("/v1/auth/login", &login).refused(403, "account-disabled").await;
    let seen = bob.messages(&room, Some(&said.position())).await;
    assert_eq!(seen[0]["content"], "still here afterwards", "messages stay");
    admin.call(reqwest::Method::POST, &format!("{path}/enable")).expect(204).await;
    let mut ann = ann;
    eventually("enabled, one can sign in", async || {
        let reply = api.post("/v1/auth/login", &login).send().await;
        (reply.status == 200).then(|| ann.take(&reply))
    })
    .await;
    let ended = ann.delete("/v1/users/me").expect(204).await;
    assert_command(&ended);
    eventually("the account has ended", async || {
        (api.post("/v1/auth/login", &login).send().await.status != 200).then_some(())
    })
    .await;
    let card = bob.get(&path).after(&ended.position()).expect(200).await.json();
    assert_eq!(card["displayName"], "Ann Ending", "the name stays");
    admin.call(reqwest::Method::POST, &format!("/v1/users/{NOBODY}/disable")).expect(404).await;
}
