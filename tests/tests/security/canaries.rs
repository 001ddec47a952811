//! Item 35: secrets that were used everywhere are found nowhere.

use std::path::Path;

use parlor_tests::server::contents;
use parlor_tests::{Cast, Options, Server, Store, User, eventually};
use serde_json::json;

/// Words that occur nowhere else.
const OLD_PASSWORD: &str = "canary old password 7f3a";
const NEW_PASSWORD: &str = "canary new password 91bc";
const WRONG_PASSWORD: &str = "canary wrong password 55de";
const CONTENT: &str = "canary content of a message 3e2f";
const EDITED: &str = "canary content that was edited c0de";
const TITLE: &str = "canary title of a group 88aa";
const NAME: &str = "Canary Name 4411";
const BIO: &str = "canary biography 10f5";
const EMAIL: &str = "canary.address.66be@example.org";
const NOTIFIED: &str = "canary notification 2b2b";
const SEARCHED: &str = "canary search words 9d9d";

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn security_35_canary_secrets_are_in_no_log_line_no_store_and_no_metric() {
    let settings = vec![("PARLOR_LOG_LEVEL", "trace".to_owned())];
    let mut server = Server::start_with(Store::Sqlite, Options { limits: false, settings }).await;
    let api = server.api().clone();
    let cast = Cast::of(&server).await;
    let mut secrets: Vec<String> = [OLD_PASSWORD, NEW_PASSWORD, WRONG_PASSWORD].map(str::to_owned).to_vec();
    secrets.push(cast.service_key.clone());

    let body = json!({"email": EMAIL, "password": OLD_PASSWORD, "displayName": NAME});
    let registered = api.post("/v1/auth/register", &body).key("canary-register").expect(201).await;
    api.post("/v1/auth/register", &body).key("canary-register").expect(201).await;
    let login = |password: &str| api.post("/v1/auth/login", &json!({"email": EMAIL, "password": password}));
    login(WRONG_PASSWORD).expect(401).await;
    let tokens = login(OLD_PASSWORD).key("canary-login").expect(200).await;
    let mut user = User { registered: registered.position(), email: EMAIL.to_owned(), ..cast.member.clone() };
    user.id = registered.text("userId");
    user.take(&tokens);
    secrets.extend([user.token.clone(), user.refresh.clone()]);
    let next = api.post("/v1/auth/refresh", &json!({"refreshToken": user.refresh})).expect(200).await;
    user.take(&next);
    secrets.extend([user.token.clone(), user.refresh.clone()]);
    api.post("/v1/auth/introspect", &json!({"token": user.token})).token(&cast.service_key).expect(200).await;
    let change = json!({"currentPassword": OLD_PASSWORD, "newPassword": NEW_PASSWORD});
    user.put("/v1/auth/password", &change).key("canary-password").expect(204).await;
    api.post("/v1/auth/password-reset", &json!({"email": EMAIL})).expect(202).await;
    let mail =
        eventually("the mail", async || server.mails().into_iter().find(|mail| mail.contains("token"))).await;
    let text = mail.replace("=\r\n", "").replace("=3D", "=");
    let token = text.split_once("#token=").expect("a link").1.split_whitespace().next().unwrap().to_owned();
    secrets.push(token.clone());
    let reset = json!({"token": token, "newPassword": OLD_PASSWORD});
    api.post("/v1/auth/password-reset/confirm", &reset).key("canary-reset").expect(204).await;
    let issued =
        api.post("/v1/auth/tokens", &json!({"userId": user.id})).token(&cast.service_key).expect(201).await;
    user.take(&issued);
    secrets.extend([user.token.clone(), user.refresh.clone()]);
    // A secret where none belongs: in a query string, and as a path.
    api.get(&format!("/v1/conversations?access_token={}", user.token)).expect(401).await;
    user.get(&format!("/v1/users?search=x&token={}", user.token)).expect(422).await;
    api.get(&format!("/{}", user.refresh)).expect(404).await;
    say_personal_things(&cast, &user).await;

    let metrics = reqwest::get(format!("http://{}/metrics", server.metrics_address())).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("http_requests_total"), "{metrics}");
    parlor_tests::log::settled(&server).await;
    let running = everything(&server.data());
    server.stop().await;
    let files: Vec<_> = running.into_iter().chain(everything(&server.data())).collect();
    let log = server.log();
    assert!(log.contains("TRACE") && log.contains("/v1/auth/password-reset/confirm"), "traced: {log}");
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "{secret} is in the log");
        assert!(!metrics.contains(secret.as_str()), "{secret} is in the metrics");
        for (path, bytes) in &files {
            assert!(!holds(bytes, secret), "{secret} is in {path}");
        }
    }
    // What is personal: in views, as it must be, and sealed in the logs; never in log lines and metrics.
    for word in [CONTENT, EDITED, TITLE, NAME, BIO, EMAIL, NOTIFIED, SEARCHED] {
        assert!(!log.contains(word), "{word} is in the log");
        assert!(!metrics.contains(word), "{word} is in the metrics");
        for (path, bytes) in files.iter().filter(|(path, _)| !path.contains("views.db")) {
            assert!(!holds(bytes, word), "{word} is in {path}");
        }
    }
    let in_views =
        |word: &str| files.iter().any(|(path, bytes)| path.contains("views.db") && holds(bytes, word));
    assert!(in_views(EDITED) && in_views(NAME) && in_views(EMAIL), "the search finds what is there");
}

async fn say_personal_things(cast: &Cast, user: &User) {
    user.patch("/v1/users/me/profile", &json!({"bio": BIO})).after(&user.registered).expect(200).await;
    let body = json!({"kind": "group", "title": TITLE, "participants": [cast.owner.id]});
    let group = user.post("/v1/conversations", &body).key("canary-group").expect(201).await.text("id");
    let sent = user.saying(&group, CONTENT).key("canary-message").expect(201).await;
    user.saying(&group, CONTENT).key("canary-message").expect(201).await;
    let path = format!("/v1/conversations/{group}/messages/{}", sent.text("id"));
    let edited = user.patch(&path, &json!({"content": EDITED})).key("canary-edit").expect(200).await;
    user.find(SEARCHED, Some(&edited.position())).await;
    assert_eq!(user.find(EDITED, Some(&edited.position())).await.len(), 1);
    user.get(&format!("/v1/users?email={EMAIL}")).expect(200).await;
    let body = json!({"userId": user.id, "kind": "canary", "title": NOTIFIED, "body": NOTIFIED});
    user.api.post("/v1/notifications", &body).token(&cast.service_key).expect(201).await;
    // Refused, with words of theirs in the request.
    user.saying(&group, &format!("{CONTENT}\0")).expect(422).await;
    let wrong = format!("{{\"content\": \"{CONTENT}\", \"{CONTENT}\": 1}}");
    user.call(reqwest::Method::POST, &format!("/v1/conversations/{group}/messages"))
        .raw("application/json", wrong)
        .expect(422)
        .await;
}

/// Every file of the data folder, but the mails, which carry links to their readers.
fn everything(data: &Path) -> Vec<(String, Vec<u8>)> {
    let files = contents(data).into_iter().filter(|(path, _)| !path.starts_with(data.join("mail")));
    files.map(|(path, bytes)| (path.display().to_string(), bytes)).collect()
}
