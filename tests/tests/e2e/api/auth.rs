//! The auth service's rows.

use parlor_tests::user::PASSWORD;
use parlor_tests::{Api, Options, Server, Store, User, eventually};
use serde_json::{Value, json};

use super::{assert_all_asked, assert_command, assert_query, assert_time, members, service_key};

#[tokio::test]
async fn the_auth_service_keeps_its_contract_on_sqlite() {
    contract(Store::Sqlite).await;
}

#[tokio::test]
async fn the_auth_service_keeps_its_contract_on_postgresql() {
    if let Some(store) = Store::postgres() {
        contract(store).await;
    }
}

const SIGNED_IN: [&str; 6] = ["accessToken", "expiresIn", "refreshToken", "sessionId", "tokenType", "userId"];

async fn contract(store: Store) {
    let server = Server::start(store).await;
    let api = server.api();
    registering(api).await;
    signing_in(api).await;
    refreshing(api).await;
    signing_out(api).await;
    asking(api).await;
    changing_passwords(api).await;
    resetting(&server, api).await;
    changing_addresses(&server, api).await;
    applications(&server, api).await;
    assert_all_asked(api, &["/v1/auth", "/.well-known"]).await;
}

async fn registering(api: &Api) {
    let body = json!({"email": "new@example.org", "password": PASSWORD, "displayName": "New"});
    let reply = api.post("/v1/auth/register", &body).key("register-1").expect(201).await;
    assert_command(&reply);
    assert_eq!(members(&reply.json()), ["userId"]);
    let again = api.post("/v1/auth/register", &body).key("register-1").expect(201).await;
    assert!(again.replayed());
    assert_eq!(again.body, reply.body);
    api.post("/v1/auth/register", &body).refused(409, "email-taken").await;
    let shouted = json!({"email": "NEW@Example.org", "password": PASSWORD, "displayName": "New"});
    api.post("/v1/auth/register", &shouted).refused(409, "email-taken").await;
    for (member, value) in [("email", "no address"), ("password", "short"), ("displayName", "")] {
        let mut body = json!({"email": "other@example.org", "password": PASSWORD, "displayName": "Other"});
        body[member] = value.into();
        let reply = api.post("/v1/auth/register", &body).expect(422).await.json();
        assert_eq!(reply["errors"][0]["pointer"], format!("/{member}"), "{reply}");
        assert!(reply["errors"][0]["detail"].is_string(), "{reply}");
    }
    let body = json!({"email": "other@example.org", "password": "password1", "displayName": "Other"});
    api.post("/v1/auth/register", &body).refused(422, "password-guessable").await;
}

async fn signing_in(api: &Api) {
    let ann = User::sign_up(api, "Ann").await;
    let body = json!({"email": ann.email, "password": PASSWORD, "device": "a phone"});
    let reply = api.post("/v1/auth/login", &body).key("ignored").expect(200).await;
    assert_command(&reply);
    assert_eq!(members(&reply.json()), SIGNED_IN);
    assert_eq!(reply.json()["tokenType"], "Bearer");
    assert_eq!(reply.json()["userId"], ann.id);
    assert!((1..=300).contains(&reply.json()["expiresIn"].as_u64().unwrap()));
    let again = api.post("/v1/auth/login", &body).key("ignored").expect(200).await;
    assert_ne!(again.text("sessionId"), reply.text("sessionId"), "login ignores the key");
    let wrong = json!({"email": ann.email, "password": "a wren sings at night"});
    let unknown = json!({"email": "nobody@example.org", "password": PASSWORD});
    let wrong = api.post("/v1/auth/login", &wrong).refused(401, "invalid-credentials").await;
    let unknown = api.post("/v1/auth/login", &unknown).refused(401, "invalid-credentials").await;
    assert!(wrong.header("www-authenticate").is_some());
    let bare = |reply: &parlor_tests::Reply| {
        let mut problem = reply.json();
        problem.as_object_mut().unwrap().remove("requestId");
        problem
    };
    assert_eq!(bare(&wrong), bare(&unknown), "whether there is an account can't be told");
}

async fn refreshing(api: &Api) {
    let ann = User::sign_up(api, "Refresher").await;
    let body = json!({"refreshToken": ann.refresh});
    let reply = api.post("/v1/auth/refresh", &body).expect(200).await;
    assert_eq!(members(&reply.json()), SIGNED_IN);
    assert_eq!(reply.text("sessionId"), ann.session);
    assert_ne!(reply.text("refreshToken"), ann.refresh);
    api.get("/v1/auth/me").token(&reply.text("accessToken")).expect(200).await;
    let next = json!({"refreshToken": reply.text("refreshToken")});
    api.post("/v1/auth/refresh", &next).expect(200).await;
    // Two generations old: somebody has a copy. That ends the session.
    api.post("/v1/auth/refresh", &body).refused(401, "invalid-refresh-token").await;
    api.post("/v1/auth/refresh", &next).refused(401, "invalid-refresh-token").await;
    api.post("/v1/auth/refresh", &json!({"refreshToken": "nonsense"}))
        .refused(401, "invalid-refresh-token")
        .await;
}

async fn signing_out(api: &Api) {
    let mut ann = User::sign_up(api, "Leaver").await;
    let first = ann.clone();
    ann.sign_in().await;
    let second = ann.clone();
    ann.sign_in().await;
    let out = first.post("/v1/auth/logout", &json!({})).expect(204).await;
    assert_command(&out);
    first.get("/v1/auth/me").expect(401).await;
    let reply = second.get("/v1/auth/me").after(&out.position()).expect(200).await.json();
    assert_eq!(reply["sessions"].as_array().unwrap().len(), 2, "{reply}");
    // One session ends another.
    ann.delete(&format!("/v1/auth/sessions/{}", second.session)).expect(204).await;
    second.get("/v1/auth/me").expect(401).await;
    ann.delete(&format!("/v1/auth/sessions/{}", super::NOBODY)).refused(404, "not-found").await;
    let stranger = User::sign_up(api, "Stranger").await;
    stranger.delete(&format!("/v1/auth/sessions/{}", ann.session)).refused(404, "not-found").await;
    let mut other = ann.clone();
    other.sign_in().await;
    ann.post("/v1/auth/logout", &json!({"everywhere": true})).expect(204).await;
    ann.get("/v1/auth/me").expect(401).await;
    other.get("/v1/auth/me").expect(401).await;
}

async fn asking(api: &Api) {
    let ann = User::sign_up(api, "Asker").await;
    let me = ann.get("/v1/auth/me").after(&ann.registered).expect(200).await;
    assert_query(&me);
    let me = me.json();
    for member in ["createdAt", "email", "passwordChangedAt", "roles", "sessions", "userId"] {
        assert!(me.get(member).is_some(), "{member} is missing: {me}");
    }
    assert_eq!((&me["userId"], &me["email"]), (&json!(ann.id), &json!(ann.email)));
    assert_eq!(me["roles"], json!([]));
    assert_time(&me["createdAt"]);
    assert_time(&me["passwordChangedAt"]);
    let active = ann.post("/v1/auth/introspect", &json!({"token": ann.token})).expect(200).await.json();
    assert_eq!((&active["active"], &active["sub"]), (&json!(true), &json!(ann.id)));
    assert_eq!(active["sessionId"], ann.session);
    assert!(active["exp"].is_number(), "{active}");
    for token in ["nonsense", "a.b.c", ""] {
        let reply = ann.post("/v1/auth/introspect", &json!({"token": token})).expect(200).await.json();
        assert_eq!(reply, json!({"active": false}));
    }
    let keys = api.get("/.well-known/jwks.json").expect(200).await.json();
    let key = &keys["keys"][0];
    assert!(key["kid"].is_string() && key.get("d").is_none(), "public keys only: {keys}");
    for token in ["nonsense", &format!("{}x", ann.token)] {
        let reply = api.get("/v1/auth/me").token(token).expect(401).await;
        assert!(reply.header("www-authenticate").is_some_and(|said| said.starts_with("Bearer")));
    }
    api.get("/v1/auth/me").expect(401).await;
}

async fn changing_passwords(api: &Api) {
    let mut ann = User::sign_up(api, "Changer").await;
    let other = ann.clone();
    ann.sign_in().await;
    let body = |current: &str, new: &str| json!({"currentPassword": current, "newPassword": new});
    let wrong = ann.put("/v1/auth/password", &body("not my password", "a robin sings at dawn"));
    wrong.refused(403, "wrong-password").await;
    let changed = ann.put("/v1/auth/password", &body(PASSWORD, "a robin sings at dawn")).expect(204).await;
    assert_command(&changed);
    ann.get("/v1/auth/me").expect(200).await;
    other.get("/v1/auth/me").expect(401).await;
    let login =
        |password: &str| api.post("/v1/auth/login", &json!({"email": ann.email, "password": password}));
    login(PASSWORD).refused(401, "invalid-credentials").await;
    login("a robin sings at dawn").expect(200).await;
}

async fn resetting(server: &Server, api: &Api) {
    let ann = User::sign_up(api, "Forgetter").await;
    let unknown = json!({"email": "nobody.at.all@example.org"});
    let nothing = api.post("/v1/auth/password-reset", &unknown).expect(202).await;
    let reply = api.post("/v1/auth/password-reset", &json!({"email": ann.email})).expect(202).await;
    assert_eq!(reply.body, nothing.body, "both alike");
    let token = mailed_token(server, &ann.email).await;
    let confirm = "/v1/auth/password-reset/confirm";
    let body = json!({"token": token, "newPassword": "a robin sings at dawn"});
    api.post(confirm, &json!({"token": "nonsense", "newPassword": PASSWORD}))
        .refused(422, "invalid-token")
        .await;
    let reply = api.post(confirm, &body).expect(204).await;
    assert_command(&reply);
    api.post(confirm, &body).refused(422, "invalid-token").await;
    ann.get("/v1/auth/me").expect(401).await;
    let login = json!({"email": ann.email, "password": "a robin sings at dawn"});
    api.post("/v1/auth/login", &login).expect(200).await;
    assert!(!server.log().contains(&token), "no token in the log");
}

/// The token of the newest mail with a link to this address.
async fn mailed_token(server: &Server, to: &str) -> String {
    last_mailed_token(server, to, 1).await
}

/// The token of the newest mail with a link, once there are so many to this address.
async fn last_mailed_token(server: &Server, to: &str, count: usize) -> String {
    eventually("a mail with a link came", async || {
        let mut mails = server.mails();
        mails.retain(|mail| mail.contains(&format!("To: {to}")) && mail.contains("#token="));
        let (_, token) = mails.get(count - 1..)?.last()?.split_once("#token=")?;
        token.split_whitespace().next().map(str::to_owned)
    })
    .await
}

async fn changing_addresses(server: &Server, api: &Api) {
    let ann = User::sign_up(api, "Mover").await;
    let body = json!({"email": "moved@example.org", "currentPassword": PASSWORD});
    let wrong = json!({"email": "moved@example.org", "currentPassword": "not my password"});
    ann.put("/v1/auth/email", &wrong).refused(403, "wrong-password").await;
    ann.put("/v1/auth/email", &body).expect(202).await;
    let token = mailed_token(server, "moved@example.org").await;
    api.post("/v1/auth/verify-email", &json!({"token": "nonsense"})).refused(422, "invalid-token").await;
    let moved = api.post("/v1/auth/verify-email", &json!({"token": token})).expect(204).await;
    let me = ann.get("/v1/auth/me").after(&moved.position()).expect(200).await.json();
    assert_eq!(me["email"], "moved@example.org");
    let login = |email: &str| api.post("/v1/auth/login", &json!({"email": email, "password": PASSWORD}));
    login("moved@example.org").expect(200).await;
    login(&ann.email).refused(401, "invalid-credentials").await;
    let told = server.mails().iter().any(|mail| mail.contains(&format!("To: {}", ann.email)));
    assert!(told, "the old address is told");
}

async fn applications(server: &Server, api: &Api) {
    let key = service_key(server).await;
    let ann = User::sign_up(api, "Employee").await;
    let body = json!({"userId": ann.id});
    let issued = api.post("/v1/auth/tokens", &body).token(&key).expect(201).await;
    assert_eq!(members(&issued.json()), SIGNED_IN);
    assert_eq!(issued.text("userId"), ann.id);
    api.get("/v1/auth/me").token(&issued.text("accessToken")).expect(200).await;
    ann.post("/v1/auth/tokens", &body).expect(403).await;
    api.post("/v1/auth/tokens", &body).expect(401).await;
    api.post("/v1/auth/tokens", &json!({"userId": super::NOBODY})).token(&key).expect(404).await;
}

#[tokio::test]
async fn where_addresses_are_confirmed_registering_tells_nothing_and_the_mail_tells_all() {
    let settings = vec![("PARLOR_AUTH_VERIFY_EMAIL", "true".to_owned())];
    let server = Server::start_with(Store::Sqlite, Options { limits: false, settings }).await;
    let api = server.api();
    let body = json!({"email": "ann@example.org", "password": PASSWORD, "displayName": "Ann"});
    let login = json!({"email": "ann@example.org", "password": PASSWORD});
    let first = api.post("/v1/auth/register", &body).expect(202).await;
    api.post("/v1/auth/login", &login).refused(403, "email-unverified").await;
    // Signing in sent another link, with which the first one died.
    let token = last_mailed_token(&server, "ann@example.org", 2).await;
    api.post("/v1/auth/verify-email", &json!({"token": token})).expect(204).await;
    api.post("/v1/auth/login", &login).expect(200).await;
    let again = api.post("/v1/auth/register", &body).expect(202).await;
    assert_eq!(again.body, first.body);
    let words = "You already have an account";
    eventually("the mail tells", async || {
        server.mails().iter().any(|mail| mail.contains(words)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_tries_too_often_is_told_when_to_come_back() {
    let server = Server::start_with(Store::Sqlite, Options { limits: true, settings: Vec::new() }).await;
    let body = json!({"email": "nobody@example.org", "password": PASSWORD});
    let refused = eventually("too many", async || {
        let reply = server.api().post("/v1/auth/login", &body).send().await;
        assert!([401, 429].contains(&reply.status), "{reply:?}");
        (reply.status == 429).then_some(reply)
    });
    let refused = refused.await;
    let wait: u64 = refused.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!(wait >= 1);
    assert_eq!(refused.json()["status"], Value::from(429));
}
