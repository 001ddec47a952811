//! Items 17, 19, 29 and 30: live connections.

use std::time::Duration;

use parlor_tests::socket::Came;
use parlor_tests::{Cast, Feed, Options, Server, Socket, Store, User, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::accounts::{mail_to, token_in};

async fn cast() -> (Server, Cast) {
    let server = Server::start(Store::Sqlite).await;
    let cast = Cast::of(&server).await;
    (server, cast)
}

/// How long a connection may outlive its session.
const BOUND: Duration = Duration::from_secs(5);

async fn ticket(user: &User) -> String {
    user.post("/v1/stream/ticket", &json!({})).expect(201).await.text("ticket")
}

/// A socket that came by a ticket and has begun.
async fn by_ticket(user: &User) -> Socket {
    let query = format!("?ticket={}", ticket(user).await);
    let mut socket = Socket::open(&user.api, &query, &[]).await.expect("a ticket opens it");
    socket.say(&json!({"type": "start"})).await;
    socket.until("caught-up").await;
    socket
}

#[tokio::test]
async fn security_17_signing_out_disabling_and_deleting_close_sockets_within_5_s() {
    let (_server, mut cast) = cast().await;
    for ending in ["signing out", "disabling", "deleting"] {
        let (owner, admin) = (&cast.owner, &cast.admin);
        let mut by_header = Socket::of(owner, None).await;
        by_header.until("caught-up").await;
        let mut sockets = [by_header, by_ticket(owner).await];
        let ended = match ending {
            "signing out" => owner.post("/v1/auth/logout", &json!({})),
            "disabling" => admin.call(Method::POST, &format!("/v1/users/{}/disable", owner.id)),
            _ => owner.delete("/v1/users/me"),
        };
        ended.expect(204).await;
        for socket in &mut sockets {
            let closed = timeout(BOUND, socket.closed()).await.expect("it is closed in time");
            assert_eq!(closed, (1008, json!({"type": "closed", "code": "signed-out"})), "{ending}");
        }
        if ending == "disabling" {
            admin.call(Method::POST, &format!("/v1/users/{}/enable", owner.id)).expect(204).await;
        }
        if ending != "deleting" {
            let login = json!({"email": owner.email, "password": parlor_tests::user::PASSWORD});
            eventually("they can sign in again", async || {
                (owner.api.post("/v1/auth/login", &login).send().await.status == 200).then_some(())
            })
            .await;
            cast.owner.sign_in().await;
        }
    }
}

/// A stream and a socket of somebody's, both open.
async fn both(user: &User) -> (Feed, Socket) {
    let mut stream = user.feed(None).await;
    stream.until("caught-up").await;
    let mut socket = Socket::of(user, None).await;
    socket.until("caught-up").await;
    (stream, socket)
}

/// Both are closed within this time, for their token has ended.
async fn closed((mut stream, mut socket): (Feed, Socket), within: Duration) {
    let closing = async {
        assert_eq!(socket.closed().await, (1008, json!({"type": "closed", "code": "signed-out"})));
        let last = stream.until("closed").await.pop().expect("a last word");
        assert_eq!((&last.rest["code"], last.rest.get("retryAfterMs")), (&json!("signed-out"), None));
        assert_eq!(stream.next().await, None);
    };
    timeout(within, closing).await.expect("they are closed in time");
}

#[tokio::test]
async fn security_17_resetting_a_password_closes_streams_and_sockets_within_5_s() {
    let server = Server::start(Store::Sqlite).await;
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let (open, mut others) = (both(&ann).await, both(&bob).await);
    let api = server.api();
    api.post("/v1/auth/password-reset", &json!({"email": ann.email})).expect(202).await;
    let token = token_in(&mail_to(&server, &ann.email, "Choose a new password").await);
    let reset = json!({"token": token, "newPassword": "three wrens sing at noon"});
    api.post("/v1/auth/password-reset/confirm", &reset).expect(204).await;
    closed(open, BOUND).await;
    // Nobody else's.
    let room = bob.group("Solo", &[]).await;
    bob.say(&room, "still there").await;
    others.0.until("chat.message-sent").await;
    others.1.until("chat.message-sent").await;
}

#[tokio::test]
async fn security_17_a_token_that_expires_closes_its_stream_and_its_socket_and_a_fresh_one_keeps_it() {
    const LIVES: u64 = 8;
    let settings = vec![("PARLOR_AUTH_ACCESS_TOKEN_SECONDS", LIVES.to_string())];
    let server = Server::start_with(Store::Sqlite, Options { settings, ..Options::default() }).await;
    let mut ann = User::sign_up(server.api(), "Ann").await;
    let mut renewed = Socket::of(&ann, None).await;
    renewed.until("caught-up").await;
    let ending = closed(both(&ann).await, Duration::from_secs(LIVES) + BOUND);
    tokio::pin!(ending);
    // One client says a fresh one now and again, as clients do.
    let mut again = tokio::time::interval(Duration::from_secs(LIVES / 4));
    loop {
        tokio::select! {
            () = &mut ending => break,
            _ = again.tick() => {
                ann.sign_in().await;
                renewed.say(&json!({"type": "authenticate", "token": ann.token})).await;
            }
        }
    }
    let room = ann.group("Solo", &[]).await;
    ann.say(&room, "still there").await;
    renewed.until("chat.message-sent").await;
}

#[tokio::test]
async fn security_19_no_token_in_an_address_opens_anything_and_a_ticket_one_connection() {
    let (_server, Cast { owner, member, service_key, .. }) = cast().await;
    let api = &owner.api;
    for name in ["access_token", "token", "authorization", "bearer", "ticket"] {
        for value in [&owner.token, &owner.refresh, &service_key] {
            let query = format!("?{name}={value}");
            let stream = api.get(&format!("/v1/stream{query}")).send().await;
            assert_eq!(stream.status, 401, "{name}: {stream:?}");
            assert_eq!(api.get(&format!("/v1/auth/me{query}")).send().await.status, 401, "{name}");
            match Socket::open(api, &query, &[]).await {
                Err(status) => assert!([401, 422].contains(&status), "{name}: {status}"),
                Ok(_) => panic!("{name} opened a socket"),
            }
        }
    }
    let once = ticket(&owner).await;
    let query = format!("?ticket={once}");
    let mut socket = Socket::open(api, &query, &[]).await.expect("a ticket opens it");
    assert_eq!(Socket::open(api, &query, &[]).await.err(), Some(401), "once");
    assert_eq!(api.get(&format!("/v1/stream{query}")).send().await.status, 401, "once, whatever for");
    socket.say(&json!({"type": "start"})).await;
    socket.until("caught-up").await;
    // It is the owner's: what others hear isn't for it.
    let room = owner.group("Duet", &[&member]).await;
    member.say(&room, "for the owner").await;
    assert_eq!(socket.until("chat.message-sent").await.data["content"], "for the owner");
    api.post("/v1/stream/ticket", &json!({})).refused(401, "unauthenticated").await;
    api.post("/v1/stream/ticket", &json!({})).token(&service_key).refused(403, "forbidden").await;
}

#[tokio::test]
async fn security_19_a_first_frame_authenticates_and_nothing_is_said_before() {
    let (_server, Cast { owner, member, .. }) = cast().await;
    let api = &owner.api;
    let mut socket = Socket::open(api, "", &[]).await.expect("a handshake without a token");
    socket.say(&json!({"type": "authenticate", "token": owner.token})).await;
    socket.say(&json!({"type": "start"})).await;
    let Came::Frame(first) = socket.next().await else { panic!("no frame") };
    assert_eq!(first.kind, "caught-up");
    // A fresh token of the same user takes the place of the first; nobody else's does.
    let mut renewed = owner.clone();
    renewed.sign_in().await;
    socket.say(&json!({"type": "authenticate", "token": renewed.token})).await;
    socket.say(&json!({"type": "ping"})).await;
    socket.until("pong").await;
    owner.post("/v1/auth/logout", &json!({})).expect(204).await;
    let room = member.group("Later", &[&renewed]).await;
    member.say(&room, "still there").await;
    assert_eq!(socket.until("chat.message-sent").await.data["content"], "still there");
    socket.say(&json!({"type": "authenticate", "token": member.token})).await;
    assert_eq!(socket.closed().await.0, 1008);

    for wrong in [
        json!({"type": "start"}),
        json!({"type": "resume", "cursor": "AAAA"}),
        json!({"type": "authenticate", "token": "wrong"}),
        json!({"type": "authenticate", "token": "line\nbreak"}),
    ] {
        let mut socket = Socket::open(api, "", &[]).await.expect("a handshake without a token");
        socket.say(&wrong).await;
        assert_eq!(socket.closed().await, (1008, json!({"type": "closed", "code": "signed-out"})), "{wrong}");
    }
}

#[tokio::test]
async fn security_29_browsers_are_let_in_from_known_pages_only_and_cors_is_closed() {
    let options = parlor_tests::Options {
        settings: vec![
            ("PARLOR_PUBLIC_URL", "https://chat.example.org".to_owned()),
            ("PARLOR_LIVE_ALLOWED_ORIGINS", "[\"https://app.example.org\"]".to_owned()),
        ],
        ..parlor_tests::Options::default()
    };
    let server = Server::start_with(Store::Sqlite, options).await;
    let ann = User::sign_up(server.api(), "Ann").await;
    let bearer = format!("Bearer {}", ann.token);
    let open = async |origin: Option<&str>| {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        Socket::open(server.api(), "", &headers).await.err()
    };
    for origin in [None, Some("https://chat.example.org"), Some("https://app.example.org")] {
        assert_eq!(open(origin).await, None, "{origin:?}");
    }
    let host = server.api().base().to_owned();
    for origin in [
        "https://evil.example",
        "http://chat.example.org",
        "https://chat.example.org.evil.example",
        "https://chat.example.org:8443",
        "null",
        "",
        &host,
    ] {
        assert_eq!(open(Some(origin)).await, Some(403), "{origin}");
    }
    // Without a token, too: nobody is told what else would be wrong.
    let stranger = [("origin", "https://evil.example")];
    assert_eq!(Socket::open(server.api(), "", &stranger).await.err(), Some(403));
    for (method, path) in
        [(Method::GET, "/v1/stream"), (Method::OPTIONS, "/v1/conversations"), (Method::GET, "/v1/ws")]
    {
        let call = ann.call(method.clone(), path).header("origin", "https://evil.example");
        let call = call.header("access-control-request-method", "POST");
        let response = call.builder().send().await.expect("an answer");
        let allowed = response.headers().keys().filter(|name| name.as_str().starts_with("access-control-"));
        assert_eq!(allowed.count(), 0, "{method} {path}");
    }
}

#[tokio::test]
async fn security_30_every_frame_is_judged_by_who_sends_it_and_when() {
    let (_server, cast) = cast().await;
    let Cast { owner, member, stranger, former, group, .. } = &cast;
    let typing = json!({"type": "typing", "conversationId": group});
    let mut watching = Socket::of(owner, None).await;
    watching.until("caught-up").await;
    let mut of_member = Socket::of(member, None).await;
    of_member.until("caught-up").await;
    of_member.say(&typing).await;
    let seen = watching.until("typing").await;
    assert_eq!(seen.data, json!({"conversationId": group, "userId": member.id}));
    for other in [stranger, former] {
        let mut socket = Socket::of(other, None).await;
        socket.until("caught-up").await;
        socket.say(&typing).await;
        assert_eq!(code(&mut socket).await, "not-found");
        other.post(&format!("/v1/conversations/{group}/typing"), &json!({})).refused(404, "not-found").await;
        // Nor does what they claim make it theirs.
        socket.say(&json!({"type": "typing", "conversationId": group, "userId": member.id})).await;
        assert_eq!(socket.closed().await, (1008, json!({"type": "closed", "code": "malformed-frame"})));
        // A cursor is its owner's.
        let mut socket = Socket::of(other, watching.cursor()).await;
        assert_eq!(socket.closed().await, (1008, json!({"type": "closed", "code": "invalid-cursor"})));
    }
    // The member's connection stays, and isn't one of a member any more.
    owner.delete(&format!("/v1/conversations/{group}/participants/{}", member.id)).expect(204).await;
    of_member.until("chat.participant-removed").await;
    of_member.say(&typing).await;
    assert_eq!(code(&mut of_member).await, "not-found");
    owner.say(group, "not for the member").await;
    let conversation = owner.direct(member).await;
    owner.say(&conversation, "for the member").await;
    let next = of_member.until("chat.message-sent").await;
    assert_eq!(next.data["content"], "for the member");
    // Nothing of what was refused was told.
    loop {
        let Came::Frame(frame) = watching.next().await else { panic!("the socket ended") };
        assert_ne!(frame.kind, "typing");
        if frame.data["content"] == "for the member" {
            break;
        }
    }
}

/// The code of the next error frame.
async fn code(socket: &mut Socket) -> String {
    loop {
        let Came::Frame(frame) = socket.next().await else { panic!("the socket ended") };
        if frame.kind == "error" {
            let Some(Value::String(code)) = frame.rest.get("code").cloned() else { panic!("{frame:?}") };
            return code;
        }
    }
}
