//! Items 9, 10, 13 and 17: accounts, their credentials, their sessions.

use std::os::unix::fs::PermissionsExt as _;

use parlor_tests::user::PASSWORD;
use parlor_tests::{Api, Cast, Options, Server, Store, User, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn security_9_a_fresh_instance_has_no_accounts_and_secrets_of_its_own() {
    let (one, other) = tokio::join!(Server::start(Store::Sqlite), Server::start(Store::Sqlite));
    for service in ["auth", "user"] {
        let mut events = parlor_tests::log::read(&one, service).await;
        // The public halves of the keys that this instance made for itself.
        events.retain(|event| event.category != "signing-key");
        assert_eq!(events, [], "{service} has nobody");
    }
    for email in ["admin@localhost", "admin@example.org", "root@localhost", "parlor@localhost"] {
        for password in ["admin", "parlor", "password", "changeme", ""] {
            let body = json!({"email": email, "password": password});
            let reply = one.api().post("/v1/auth/login", &body).send().await;
            assert_eq!(reply.status, 401, "{email} {password}: {reply:?}");
        }
    }
    let secrets = |server: &Server| -> Vec<(String, Vec<u8>)> {
        let keys = server.data().join("keys");
        assert_eq!(keys.metadata().unwrap().permissions().mode() & 0o777, 0o700, "the keys' folder");
        let files = parlor_tests::server::contents(&keys);
        for (path, _) in &files {
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
        files.into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)).collect()
    };
    let (mine, theirs) = (secrets(&one), secrets(&other));
    assert!(mine.len() >= 2, "the instance's secret and a signing key: {mine:?}");
    for (path, bytes) in &mine {
        assert!(bytes.len() >= 32, "{path}");
        assert!(!theirs.iter().any(|(_, other)| other == bytes), "{path} is another instance's, too");
    }
    // Folders and stores are nobody else's either.
    let data = one.data();
    assert_eq!(data.metadata().unwrap().permissions().mode() & 0o077, 0, "the data folder");
}

/// The mails to this address whose subject has this word.
fn mails_to(server: &Server, address: &str, subject: &str) -> Vec<String> {
    let to_them = |mail: &String| {
        let (headers, _) =
            mail.replace("\r\n", "\n").split_once("\n\n").map(own).expect("headers and a text");
        headers.lines().any(|line| line.starts_with("To:") && line.contains(address))
            && headers.lines().any(|line| line.starts_with("Subject:") && line.contains(subject))
    };
    server.mails().into_iter().filter(to_them).collect()
}

fn own((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

pub async fn mail_to(server: &Server, address: &str, subject: &str) -> String {
    let what = format!("a mail to {address} about {subject}");
    eventually(&what, async || mails_to(server, address, subject).pop()).await
}

/// The token of the link in a mail, whose lines may be cut by quoted-printable.
pub fn token_in(mail: &str) -> String {
    let text = mail.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    let (_, after) = text.split_once("#token=").unwrap_or_else(|| panic!("no link in {mail}"));
    after.split_whitespace().next().expect("a token").to_owned()
}

#[tokio::test]
async fn security_10_whoever_s_password_or_address_changes_is_told_at_the_address_they_had() {
    let server = Server::start(Store::Sqlite).await;
    let mut ann = User::sign_up(server.api(), "Ann").await;
    let next = "three wrens sing at noon";
    let change = json!({"currentPassword": PASSWORD, "newPassword": next});
    ann.put("/v1/auth/password", &change).expect(204).await;
    mail_to(&server, &ann.email, "password was changed").await;

    server.api().post("/v1/auth/password-reset", &json!({"email": ann.email})).expect(202).await;
    let token = token_in(&mail_to(&server, &ann.email, "Choose a new password").await);
    let reset = json!({"token": token, "newPassword": PASSWORD});
    server.api().post("/v1/auth/password-reset/confirm", &reset).expect(204).await;
    eventually("a second mail about the password", async || {
        (mails_to(&server, &ann.email, "password was changed").len() == 2).then_some(())
    })
    .await;

    ann.sign_in().await;
    let new = "ann.new@example.org";
    ann.put("/v1/auth/email", &json!({"email": new, "currentPassword": PASSWORD})).expect(202).await;
    let token = token_in(&mail_to(&server, new, "Confirm").await);
    assert!(mails_to(&server, &ann.email, "address was changed").is_empty(), "nothing has changed yet");
    server.api().post("/v1/auth/verify-email", &json!({"token": token})).expect(204).await;
    mail_to(&server, &ann.email, "address was changed").await;
    assert!(mails_to(&server, new, "address was changed").is_empty(), "the old one is told");
    // A wrong password changes nothing and tells nobody.
    let before = server.mails().len();
    let wrong = json!({"currentPassword": "a wren sings at night", "newPassword": next});
    ann.put("/v1/auth/password", &wrong).refused(403, "wrong-password").await;
    assert_eq!(server.mails().len(), before);
}

#[tokio::test]
async fn security_13_links_in_mails_lead_to_the_configured_host_whatever_the_request_says() {
    let settings = vec![("PARLOR_PUBLIC_URL", "https://chat.example.org".to_owned())];
    let server = Server::start_with(Store::Sqlite, Options { settings, ..Options::default() }).await;
    let ann = User::sign_up(server.api(), "Ann").await;
    for (name, value) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example;proto=http"),
        ("x-forwarded-proto", "gopher"),
        ("x-original-host", "evil.example"),
        ("origin", "https://evil.example"),
        ("referer", "https://evil.example/"),
    ] {
        let count = mails_to(&server, &ann.email, "Choose a new password").len();
        let reset = server.api().post("/v1/auth/password-reset", &json!({"email": ann.email}));
        reset.header(name, value).expect(202).await;
        let mails = eventually("the mail", async || {
            let mails = mails_to(&server, &ann.email, "Choose a new password");
            (mails.len() > count).then_some(mails)
        })
        .await;
        for mail in mails {
            let text = mail.replace("=\r\n", "").replace("=3D", "=");
            assert!(text.contains("https://chat.example.org/reset-password#token="), "{name}: {text}");
            assert!(!text.contains("evil.example") && !text.contains("gopher"), "{name}: {text}");
        }
    }
}

/// Whether a token and the refresh token beside it have died.
async fn assert_out(api: &Api, user: &User) {
    for path in ["/v1/auth/me", "/v1/users/me/profile", "/v1/conversations", "/v1/notifications"] {
        api.get(path).token(&user.token).refused(401, "unauthenticated").await;
    }
    let send = json!({"kind": "group", "title": "Out", "participants": []});
    api.post("/v1/conversations", &send).token(&user.token).refused(401, "unauthenticated").await;
    let refresh = json!({"refreshToken": user.refresh});
    api.post("/v1/auth/refresh", &refresh).refused(401, "invalid-refresh-token").await;
    let asked = api.post("/v1/auth/introspect", &json!({"token": user.token}));
    let witness = User::sign_up_as(api, "Witness", &format!("{}@example.org", user.session)).await;
    assert_eq!(asked.token(&witness.token).expect(200).await.json(), json!({"active": false}));
}

#[tokio::test]
async fn security_17_signing_out_disabling_and_deleting_end_sessions_on_every_service_and_for_good() {
    let mut server = Server::start(Store::Sqlite).await;
    let Cast { admin, stranger: out, member: disabled, former: deleted, .. } = Cast::of(&server).await;
    let api = server.api().clone();

    out.post("/v1/auth/logout", &json!({})).expect(204).await;
    assert_out(&api, &out).await;

    let path = format!("/v1/users/{}", disabled.id);
    admin.post(&format!("{path}/disable"), &json!({})).expect(204).await;
    ended(&disabled).await;
    assert_out(&api, &disabled).await;
    let login = |user: &User| api.post("/v1/auth/login", &json!({"email": user.email, "password": PASSWORD}));
    let refused = login(&disabled).send().await;
    assert!([401, 403].contains(&refused.status), "{refused:?}");

    deleted.delete("/v1/users/me").expect(204).await;
    ended(&deleted).await;
    assert_out(&api, &deleted).await;
    let refused = login(&deleted).send().await;
    assert!([401, 403].contains(&refused.status), "{refused:?}");

    // Whoever was out when the process ended is out when the next one answers its first request.
    server.kill().await;
    server.start_again().await;
    for user in [&out, &disabled, &deleted] {
        api.get("/v1/auth/me").token(&user.token).refused(401, "unauthenticated").await;
    }
    admin.get("/v1/auth/me").expect(200).await;
}

/// The user service tells auth by an event: at most 5 s.
async fn ended(user: &User) {
    let ended = parlor_tests::wait::within(std::time::Duration::from_secs(5), async || {
        (user.get("/v1/auth/me").send().await.status == 401).then_some(())
    });
    ended.await.expect("the session ends within 5 s");
}

#[tokio::test]
async fn security_17_an_open_stream_ends_with_its_session() {
    let server = Server::start(Store::Sqlite).await;
    let mut ann = User::sign_up(server.api(), "Ann").await;
    let here = ann.clone();
    ann.sign_in().await;
    let (mut mine, mut other) = (here.feed(None).await, ann.feed(None).await);
    for feed in [&mut mine, &mut other] {
        feed.until("caught-up").await;
    }
    here.post("/v1/auth/logout", &json!({})).expect(204).await;
    let left = tokio::time::timeout(std::time::Duration::from_secs(5), async {
        while mine.next().await.is_some() {}
    });
    left.await.expect("the stream ends within 5 s");
    let bob = User::sign_up(server.api(), "Bob").await;
    let room = bob.direct(&ann).await;
    bob.say(&room, "still there?").await;
    let heard = other.until("chat.message-sent").await;
    assert!(
        heard.last().is_some_and(|event| matches!(&event.data["content"], Value::String(_))),
        "{heard:?}"
    );
}
