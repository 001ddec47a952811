//! The service as its clients see it: routes, codes, headers and shapes.

use crate::support::{PASSWORD, Parlor, token_in};
use axum::http::StatusCode;
use cqrs_core::{Actor, Clock as _, SystemClock};
use parlor_auth::AuthSettings;
use parlor_auth::limits::{Rate, RateSettings};
use parlor_auth::user_events::{FollowUser, UserChange};
use serde_json::json;

#[tokio::test]
async fn somebody_registers_signs_in_looks_at_their_account_and_signs_out() {
    from_registration_to_sign_out(Parlor::start(AuthSettings::default()).await).await;
}

#[tokio::test]
async fn on_postgresql_too() {
    match Parlor::start_on_postgres(AuthSettings::default()).await {
        Some(parlor) => from_registration_to_sign_out(parlor).await,
        None => eprintln!("skipped: PARLOR_TEST_POSTGRES_URL names no server (cargo xtask test starts one)"),
    }
}

async fn from_registration_to_sign_out(parlor: Parlor) {
    let user = parlor.register("ann@example.org").await;
    let tokens = parlor.login("Ann@example.org", PASSWORD).await;
    assert_eq!(tokens.status, StatusCode::OK);
    assert_eq!(tokens.header("cache-control"), "no-store");
    assert_eq!((tokens.text("userId"), tokens.text("tokenType")), (user.clone(), "Bearer".to_owned()));
    assert_eq!(tokens.body["expiresIn"], 300);
    let access = tokens.text("accessToken");

    parlor.store.project(&[]).await.unwrap();
    let me = parlor.call("GET", "/v1/auth/me", Some(&access), None).await;
    assert_eq!(me.status, StatusCode::OK, "{}", me.body);
    assert_eq!((&me.body["email"], &me.body["roles"]), (&json!("ann@example.org"), &json!([])));
    let session = &me.body["sessions"][0];
    assert_eq!((&session["current"], &session["device"]), (&json!(true), &json!("laptop")));
    assert_eq!((&session["id"], &session["address"]), (&tokens.body["sessionId"], &json!("192.0.2.1")));
    assert_eq!(me.text("createdAt").len(), "2026-01-01T12:00:00.000Z".len());

    let next = parlor.post("/v1/auth/refresh", json!({"refreshToken": tokens.text("refreshToken")})).await;
    assert_eq!(next.status, StatusCode::OK);
    let told =
        parlor.call("POST", "/v1/auth/introspect", Some(&access), Some(json!({"token": access}))).await;
    assert_eq!((&told.body["active"], &told.body["sub"]), (&json!(true), &json!(user)));

    let out = parlor.call("POST", "/v1/auth/logout", Some(&access), None).await;
    assert_eq!((out.status, out.body), (StatusCode::NO_CONTENT, json!(null)));
    let after = parlor.call("GET", "/v1/auth/me", Some(&access), None).await;
    assert_eq!((after.status, after.text("code")), (StatusCode::UNAUTHORIZED, "unauthenticated".to_owned()));
    assert_eq!(after.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    let again = parlor.post("/v1/auth/refresh", json!({"refreshToken": next.text("refreshToken")})).await;
    assert_eq!(
        (again.status, again.text("code")),
        (StatusCode::UNAUTHORIZED, "invalid-refresh-token".to_owned())
    );
}

#[tokio::test]
async fn an_account_for_which_no_profile_can_be_made_says_so_and_why() {
    let parlor = Parlor::start(AuthSettings::default()).await;
    let user = parlor.register("ann@example.org").await;
    let access = parlor.login("ann@example.org", PASSWORD).await.text("accessToken");
    let profile = async || {
        parlor.store.project(&[]).await.unwrap();
        let me = parlor.call("GET", "/v1/auth/me", Some(&access), None).await;
        assert_eq!(me.status, StatusCode::OK, "{}", me.body);
        (me.body["profile"].clone(), me.body["profileRefusal"].clone())
    };
    assert_eq!(profile().await, (json!("pending"), json!(null)));

    let change = UserChange::Refused("not-this-one".to_owned());
    let refused = FollowUser { user: user.parse().unwrap(), change };
    let commands = parlor_auth::commands(&parlor.auth).build().unwrap();
    commands.dispatch(&SystemClock.context(Actor::System), refused).await.unwrap();
    assert_eq!(profile().await, (json!("refused"), json!("not-this-one")));
}

#[tokio::test]
async fn a_session_is_ended_from_another_and_a_strangers_is_not_found() {
    let parlor = Parlor::start(AuthSettings::default()).await;
    parlor.register("ann@example.org").await;
    parlor.register("bob@example.org").await;
    let here = parlor.login("ann@example.org", PASSWORD).await.text("accessToken");
    let there = parlor.login("ann@example.org", PASSWORD).await;
    let bob = parlor.login("bob@example.org", PASSWORD).await.text("sessionId");
    let end =
        async |id: &str| parlor.call("DELETE", &format!("/v1/auth/sessions/{id}"), Some(&here), None).await;
    assert_eq!(end(&bob).await.status, StatusCode::NOT_FOUND);
    assert_eq!(end("nonsense").await.status, StatusCode::NOT_FOUND);
    assert_eq!(end(&there.text("sessionId")).await.status, StatusCode::NO_CONTENT);
    parlor.store.project(&[]).await.unwrap();
    let me = parlor.call("GET", "/v1/auth/me", Some(&here), None).await;
    assert_eq!(me.body["sessions"].as_array().unwrap().len(), 1);
    let gone = parlor.call("GET", "/v1/auth/me", Some(&there.text("accessToken")), None).await;
    assert_eq!(gone.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_forgotten_password_is_reset_by_mail() {
    let parlor = Parlor::start(AuthSettings::default()).await;
    parlor.register("ann@example.org").await;
    for email in ["ann@example.org", "nobody@example.org"] {
        let asked = parlor.post("/v1/auth/password-reset", json!({"email": email})).await;
        assert_eq!((asked.status, asked.body), (StatusCode::ACCEPTED, json!(null)), "security 6");
    }
    let token = token_in(&parlor.mails(1).await[0]);
    let reset = json!({"token": token, "newPassword": "four green parrots"});
    let done = parlor.post("/v1/auth/password-reset/confirm", reset.clone()).await;
    assert_eq!((done.status, done.body), (StatusCode::NO_CONTENT, json!(null)));
    let again = parlor.post("/v1/auth/password-reset/confirm", reset).await;
    assert_eq!(
        (again.status, again.text("code")),
        (StatusCode::UNPROCESSABLE_ENTITY, "invalid-token".to_owned())
    );
    assert_eq!(parlor.login("ann@example.org", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(parlor.login("ann@example.org", "four green parrots").await.status, StatusCode::OK);
}

#[tokio::test]
async fn password_and_address_are_changed_while_signed_in() {
    let parlor = Parlor::start(AuthSettings::default()).await;
    parlor.register("ann@example.org").await;
    let access = parlor.login("ann@example.org", PASSWORD).await.text("accessToken");
    let wrong = json!({"currentPassword": "wrong wrong", "newPassword": "four green parrots"});
    let refused = parlor.call("PUT", "/v1/auth/password", Some(&access), Some(wrong)).await;
    assert_eq!((refused.status, refused.text("code")), (StatusCode::FORBIDDEN, "wrong-password".to_owned()));
    let right = json!({"currentPassword": PASSWORD, "newPassword": "four green parrots"});
    let done = parlor.call("PUT", "/v1/auth/password", Some(&access), Some(right)).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);

    let email = json!({"email": "ann@example.com", "currentPassword": "four green parrots"});
    let asked = parlor.call("PUT", "/v1/auth/email", Some(&access), Some(email)).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED);
    let mails = parlor.mails(2).await;
    let link = mails.iter().find(|mail| mail.contains("verify-email#token=")).unwrap();
    let verified = parlor.post("/v1/auth/verify-email", json!({"token": token_in(link)})).await;
    assert_eq!(verified.status, StatusCode::NO_CONTENT);
    parlor.store.project(&[]).await.unwrap();
    let me = parlor.call("GET", "/v1/auth/me", Some(&access), None).await;
    assert_eq!((&me.body["email"], &me.body["emailVerified"]), (&json!("ann@example.com"), &json!(true)));
}

#[tokio::test]
async fn an_application_signs_in_users_of_its_own() {
    let parlor = Parlor::start(AuthSettings::default()).await;
    let cx = parlor.auth.executor.clock().context(cqrs_core::Actor::System);
    let name = parlor_auth::display_name::DisplayName::parse("shop").unwrap();
    let (_, key) = parlor.auth.create_service_key(&cx, name).await.unwrap();
    let user = uuid::Uuid::from_u128(7);
    let bus = parlor_auth::commands(&parlor.auth).build().unwrap();
    bus.dispatch(&cx, FollowUser { user, change: UserChange::Created }).await.unwrap();
    let issue = Some(json!({"userId": user}));
    let tokens = parlor.call("POST", "/v1/auth/tokens", Some(&key), issue.clone()).await;
    assert_eq!((tokens.status, tokens.text("userId")), (StatusCode::CREATED, user.to_string()));
    parlor.store.project(&[]).await.unwrap();
    let access = tokens.text("accessToken");
    let me = parlor.call("GET", "/v1/auth/me", Some(&access), None).await;
    assert_eq!((&me.body["email"], &me.body["passwordChangedAt"]), (&json!(null), &json!(null)));
    let refused = parlor.call("POST", "/v1/auth/tokens", Some(&access), issue).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_public_keys_are_for_everybody_to_keep_a_while() {
    let parlor = Parlor::start(AuthSettings::default()).await;
    let keys = parlor.call("GET", "/.well-known/jwks.json", None, None).await;
    assert_eq!(keys.status, StatusCode::OK);
    assert_eq!(keys.header("cache-control"), "public, max-age=300");
    assert_eq!(
        (&keys.body["keys"][0]["crv"], &keys.body["keys"][0]["alg"]),
        (&json!("Ed25519"), &json!("EdDSA"))
    );
}

#[tokio::test]
async fn security_32_too_many_tries_are_told_when_to_come_back() {
    let limits = RateSettings { sign_in_per_account: Rate::new(2, 60), ..RateSettings::default() };
    let parlor = Parlor::start(AuthSettings { limits, ..AuthSettings::default() }).await;
    let first = parlor.login("ann@example.org", "wrong wrong").await;
    assert_eq!(
        (first.status, first.header("ratelimit")),
        (StatusCode::UNAUTHORIZED, "\"sign-in-per-account\";r=1;t=30")
    );
    parlor.login("ann@example.org", "wrong wrong").await;
    let third = parlor.login("ann@example.org", "wrong wrong").await;
    assert_eq!(
        (third.status, third.text("code")),
        (StatusCode::TOO_MANY_REQUESTS, "too-many-requests".to_owned())
    );
    let wait: u64 = third.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert!(third.header("ratelimit").starts_with("\"sign-in-per-account\";r=0;t="));
    assert_eq!(third.header("ratelimit-policy"), "\"sign-in-per-account\";q=2;w=60");
}

#[tokio::test]
async fn bad_input_is_named_and_stores_nothing() {
    let parlor = Parlor::start(AuthSettings::default()).await;
    let good = || json!({"email": "ann@example.org", "password": PASSWORD, "displayName": "Ann"});
    let with = |field: &str, value: serde_json::Value| {
        let mut body = good();
        body[field] = value;
        body
    };
    for (body, pointer) in [
        (with("email", json!("ann@example.org\r\nBcc: all@example.org")), "/email"),
        (with("email", json!("ann")), "/email"),
        (with("email", json!(7)), "/email"),
        (with("password", json!("short")), "/password"),
        (with("password", json!("x".repeat(129))), "/password"),
        (with("password", json!("password1")), "/password"),
        (with("displayName", json!("")), "/displayName"),
        (with("displayName", json!("x".repeat(101))), "/displayName"),
        (with("admin", json!(true)), "/admin"),
        (json!({"email": "ann@example.org", "password": PASSWORD}), "/displayName"),
    ] {
        let answer = parlor.post("/v1/auth/register", body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}: {}", answer.body);
        assert!(!answer.body.to_string().contains(PASSWORD), "security 35");
    }
    assert_eq!(parlor.auth.executor.log().head().borrow().0, 0);
}

#[tokio::test]
async fn every_route_but_the_open_ones_needs_somebody_signed_in() {
    let parlor = Parlor::start(AuthSettings::default()).await;
    for (method, path) in [
        ("POST", "/v1/auth/logout"),
        ("PUT", "/v1/auth/password"),
        ("POST", "/v1/auth/introspect"),
        ("GET", "/v1/auth/me"),
        ("DELETE", "/v1/auth/sessions/00000000-0000-0000-0000-000000000001"),
        ("PUT", "/v1/auth/email"),
        ("POST", "/v1/auth/tokens"),
    ] {
        let answer = parlor.call(method, path, None, Some(json!({}))).await;
        assert_eq!(
            (answer.status, answer.header("www-authenticate")),
            (StatusCode::UNAUTHORIZED, "Bearer"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_repeated_registration_is_answered_byte_for_byte_and_a_repeated_sign_in_is_another_session() {
    let parlor = Parlor::start(AuthSettings::default()).await;
    let keyed = async |path: &str, body: serde_json::Value| {
        let request = axum::http::Request::post(path)
            .header("content-type", "application/json")
            .header("idempotency-key", "k-1")
            .body(body.to_string().into())
            .unwrap();
        parlor.send(request).await
    };
    let body = json!({"email": "ann@example.org", "password": PASSWORD, "displayName": "Ann"});
    let first = keyed("/v1/auth/register", body.clone()).await;
    let again = keyed("/v1/auth/register", body).await;
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    let login = json!({"email": "ann@example.org", "password": PASSWORD});
    let (one, other) = (keyed("/v1/auth/login", login.clone()).await, keyed("/v1/auth/login", login).await);
    assert_ne!(one.text("sessionId"), other.text("sessionId"));
}
