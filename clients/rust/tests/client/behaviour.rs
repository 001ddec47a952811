//! The client against a server that misbehaves as told.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use parlor_client::{
    Availability, Credentials, Error, Event, FeedState, FileStore, Parlor, TokenStore as _, Uuid, derived_id,
    new_id,
};
use serde_json::{Value, json};

use crate::fake::{Fake, Reply, Seen, answer, empty_page, pair, problem, raw, with};

const ROOM: Uuid = Uuid::from_u128(0x0189_0000_0000_7000_8000_0000_0000_0001);

/// A client of a fake server, signed in with tokens that end after this many seconds.
async fn signed_in(
    expires_in: u64,
    answers: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
) -> (Parlor, Fake) {
    let fake = Fake::start(move |seen, nth| match seen.path.as_str() {
        "/v1/auth/login" => answer(200, &pair(1, expires_in)),
        _ => answers(seen, nth - 1),
    })
    .await;
    let parlor = fake.client().build().unwrap();
    parlor.sign_in(Credentials::new("ada@example.org", "analytical engines")).await.unwrap();
    (parlor, fake)
}

fn message(id: Uuid) -> Value {
    json!({"id": id, "conversationId": ROOM, "senderId": ROOM, "type": "text", "content": "hello", "position": "7",
        "createdAt": "2026-01-02T03:04:05.678Z"})
}

fn values(seen: &[Seen], header: &str) -> BTreeSet<Option<String>> {
    seen.iter().map(|seen| seen.header(header).map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_command_that_got_no_answer_is_sent_again_with_the_same_key_and_the_same_message() {
    let (parlor, fake) = signed_in(300, |seen, nth| match nth {
        1 => None,
        2 => problem(503, "unavailable", &[]),
        _ => answer(201, &message(seen.body["id"].as_str().unwrap().parse().unwrap())),
    })
    .await;
    let sent = parlor.send(ROOM, "hello").await.unwrap();
    let seen = &fake.seen()[1..];
    assert_eq!(seen.len(), 3);
    assert_eq!(values(seen, "idempotency-key"), BTreeSet::from([Some(sent.id.to_string())]));
    assert!(seen.iter().all(|seen| seen.body == json!({"id": sent.id, "type": "text", "content": "hello"})));
}

#[tokio::test]
async fn what_was_refused_is_not_sent_again() {
    let (parlor, fake) = signed_in(300, |_, _| problem(422, "invalid-value", &[])).await;
    let error = parlor.send(ROOM, "").await.unwrap_err();
    assert_eq!((error.status(), error.code(), error.is_passing()), (Some(422), Some("invalid-value"), false));
    assert_eq!(error.problem().unwrap().request_id, "r-1");
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn a_proxy_s_page_is_a_refusal_with_its_status() {
    let (parlor, fake) = signed_in(300, |_, _| with(502, &[], &json!("<html>"))).await;
    let error = parlor.me().retries(1).await.unwrap_err();
    assert_eq!((error.status(), error.code(), error.is_passing()), (Some(502), Some("http-502"), true));
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn an_answer_that_asks_to_wait_is_waited_for_but_not_for_an_hour() {
    let (parlor, fake) = signed_in(300, |seen, nth| match (seen.path.as_str(), nth) {
        ("/v1/auth/me", _) => problem(429, "too-many-requests", &[("retry-after", "3600")]),
        (_, 1) => problem(429, "too-many-requests", &[("retry-after", "1")]),
        _ => answer(200, &empty_page()),
    })
    .await;
    let began = Instant::now();
    assert_eq!(parlor.conversations().await.unwrap().items, []);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(fake.seen().len(), 3);
    assert_eq!(parlor.me().await.unwrap_err().retry_after(), Some(Duration::from_hours(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_calls_renew_an_ended_token_once() {
    let (parlor, fake) = signed_in(0, |seen, _| match seen.path.as_str() {
        "/v1/auth/refresh" => answer(200, &pair(2, 300)),
        _ => answer(200, &empty_page()),
    })
    .await;
    let calls = (0..8).map(|_| async { parlor.conversations().await.map(drop) });
    futures::future::try_join_all(calls).await.unwrap();
    let (renewals, others): (Vec<_>, Vec<_>) =
        fake.seen().into_iter().skip(1).partition(|seen| seen.path == "/v1/auth/refresh");
    assert_eq!((renewals.len(), others.len()), (1, 8));
    assert_eq!(renewals[0].body, json!({"refreshToken": "refresh-1"}));
    assert_eq!(values(&others, "authorization"), BTreeSet::from([Some("Bearer access-2".to_owned())]));
}

#[tokio::test]
async fn a_token_that_the_server_refuses_is_renewed_once_for_all_who_were_refused() {
    let (parlor, fake) = signed_in(300, |seen, _| match seen.path.as_str() {
        "/v1/auth/refresh" => answer(200, &pair(2, 300)),
        _ if seen.header("authorization") == Some("Bearer access-2") => answer(200, &json!({"count": 3})),
        _ => problem(401, "unauthorized", &[]),
    })
    .await;
    let calls =
        (0..4).map(|_| async { parlor.unread_notifications_count().await.map(|unread| unread.count) });
    assert_eq!(futures::future::try_join_all(calls).await.unwrap(), [3; 4]);
    assert_eq!(fake.paths().iter().filter(|path| *path == "/v1/auth/refresh").count(), 1);
}

#[tokio::test]
async fn a_session_that_has_ended_is_forgotten_and_said_to_be() {
    let (parlor, _) = signed_in(0, |_, _| problem(401, "invalid-refresh-token", &[])).await;
    assert!(matches!(parlor.conversations().await, Err(Error::SignedOut)));
    assert_eq!(parlor.tokens().await.unwrap(), None);
    assert!(matches!(parlor.live(None).try_next().await, Err(Error::SignedOut)));
}

#[tokio::test]
async fn a_renewal_that_gets_no_answer_loses_no_session() {
    let (parlor, _) = signed_in(0, |seen, nth| match (seen.path.as_str(), nth) {
        ("/v1/auth/refresh", 1) => None,
        ("/v1/auth/refresh", _) => answer(200, &pair(2, 300)),
        _ => answer(200, &empty_page()),
    })
    .await;
    parlor.conversations().await.unwrap();
    assert_eq!(parlor.tokens().await.unwrap().unwrap().refresh_token, "refresh-2");
}

#[tokio::test]
async fn queries_wait_for_what_was_written_a_later_position_standing_for_an_earlier_one_of_the_same_service()
{
    let (parlor, fake) = signed_in(300, |seen, nth| match seen.method.as_str() {
        "GET" => answer(200, &empty_page()),
        _ => with(204, &[("parlor-position", &format!("p{nth}"))], &Value::Null),
    })
    .await;
    parlor.mark_messages_as_read(ROOM, ROOM).await.unwrap();
    let second = parlor.mark_messages_as_read(ROOM, ROOM).answer().await.unwrap();
    assert_eq!(second.position.as_deref(), Some("p2"));
    parlor.change_status(Availability::Busy, None).await.unwrap();
    parlor.conversations().after("another's").await.unwrap();
    parlor.remove_contact(ROOM).after("p9").await.unwrap();
    let waits: Vec<_> =
        fake.seen().iter().map(|seen| seen.header("parlor-min-position").map(str::to_owned)).collect();
    let expected = [None, None, None, None, Some("another's,p2,p3"), Some("p9")];
    assert_eq!(waits, expected.map(|wait| wait.map(str::to_owned)));

    let hasty = fake.client().reads_own_writes(false).build().unwrap();
    hasty.sign_in(Credentials::new("ada@example.org", "analytical engines")).await.unwrap();
    hasty.mark_messages_as_read(ROOM, ROOM).await.unwrap();
    hasty.conversations().await.unwrap();
    assert_eq!(fake.seen().last().unwrap().header("parlor-min-position"), None);
}

#[tokio::test]
async fn a_list_is_read_to_its_end_and_a_page_is_asked_for_when_it_is_needed() {
    let (parlor, fake) = signed_in(300, |seen, _| {
        let second = seen.query.iter().any(|(name, value)| name == "cursor" && value == "a+b=");
        let ids: &[u128] = if second { &[3] } else { &[1, 2] };
        let items: Vec<_> = ids.iter().map(|id| message(Uuid::from_u128(*id))).collect();
        answer(200, &json!({"items": items, "nextCursor": if second { Value::Null } else { "a+b=".into() }}))
    })
    .await;
    let mut all = parlor.messages(ROOM).limit(2).all();
    for _ in 0..2 {
        all.try_next().await.unwrap();
    }
    assert_eq!(fake.seen().len(), 2);
    let rest: Vec<_> = all.try_collect().await.unwrap();
    assert_eq!(rest.iter().map(|item| item.message().unwrap().id).collect::<Vec<_>>(), [Uuid::from_u128(3)]);
    let queries: Vec<_> = fake.seen().into_iter().skip(1).map(|seen| seen.query).collect();
    let limit = ("limit".to_owned(), "2".to_owned());
    assert_eq!(queries, [vec![limit.clone()], vec![limit, ("cursor".to_owned(), "a+b=".to_owned())]]);
}

/// An answer of a feed: these frames, then the end of the connection.
fn frames(frames: &[Value]) -> Reply {
    let mut text = String::new();
    for frame in frames {
        write!(
            text,
            "id: x
data: {frame}

:

"
        )
        .unwrap();
    }
    raw(200, &[], text)
}

#[tokio::test]
async fn a_feed_resumes_after_the_last_frame_that_was_given_and_closes_the_gap() {
    let typing = json!({"type": "typing", "data": {"userId": ROOM, "conversationId": ROOM}});
    let (parlor, fake) = signed_in(300, move |_, nth| match nth {
        1 => frames(&[
            json!({"type": "caught-up", "cursor": "c1"}),
            json!({"type": "chat.message-sent", "cursor": "c2", "data": message(ROOM)}),
            typing.clone(),
            json!({"type": "closed", "code": "too-slow", "retryAfterMs": 1}),
        ]),
        2 => None,
        3 => frames(&[
            json!({"type": "chat.invented-since", "cursor": "c3", "data": {"n": 1}}),
            json!({"type": "caught-up", "cursor": "c3", "position": "p3"}),
        ]),
        _ => answer(200, &empty_page()),
    })
    .await;
    let mut feed = parlor.live(None);
    let mut states = feed.states();
    let got: Vec<_> = feed.by_ref().take(5).try_collect().await.unwrap();
    assert!(matches!(&got[1].event, Event::MessageSent(sent) if sent.message().unwrap().content == "hello"));
    let other = |kind: &str, data| Event::Other { kind: kind.to_owned(), data };
    assert_eq!(got[2].event, Event::Typing { conversation_id: ROOM, user_id: ROOM });
    assert_eq!(got[3].event, other("chat.invented-since", json!({"n": 1})));
    assert_eq!(got[4].event, Event::CaughtUp {});
    let cursors: Vec<_> = got.iter().map(|frame| frame.cursor.as_deref()).collect();
    assert_eq!(cursors, [Some("c1"), Some("c2"), None, Some("c3"), Some("c3")]);
    let resumed: Vec<_> =
        fake.seen().iter().skip(1).map(|seen| seen.header("last-event-id").map(str::to_owned)).collect();
    assert_eq!(resumed, [None, Some("c2".to_owned()), Some("c2".to_owned())]);
    assert_eq!(*states.borrow_and_update(), FeedState::Live);
    // What is read from now on lacks nothing that came before.
    parlor.conversations().await.unwrap();
    assert_eq!(fake.seen().last().unwrap().header("parlor-min-position"), Some("p3"));
    drop(feed);
    assert_eq!(*states.borrow_and_update(), FeedState::Ended);
}

#[tokio::test]
async fn a_feed_that_gives_no_sign_of_life_is_given_up_and_goes_on_where_it_was() {
    let fake = Fake::start(|_, nth| match nth {
        1 => {
            let first = json!({"type": "caught-up", "cursor": "c1"});
            let first = futures::stream::iter([Ok::<_, std::io::Error>(format!("data: {first}\n\n"))]);
            // Nothing comes any more, and nobody says that it is over.
            Some(axum::http::Response::new(axum::body::Body::from_stream(
                first.chain(futures::stream::pending()),
            )))
        }
        _ => frames(&[json!({"type": "caught-up", "cursor": "c2"})]),
    })
    .await;
    let parlor = fake.client().service_key("key").silence(Duration::from_millis(50)).build().unwrap();
    let heard: Vec<_> = parlor.live(None).take(2).try_collect().await.unwrap();
    assert_eq!(
        heard.iter().map(|frame| frame.cursor.as_deref()).collect::<Vec<_>>(),
        [Some("c1"), Some("c2")]
    );
    assert_eq!(fake.seen()[1].header("last-event-id"), Some("c1"));
}

#[tokio::test]
async fn a_feed_whose_token_ended_goes_on_with_another_one() {
    let (parlor, fake) = signed_in(300, |seen, _| match seen.header("authorization") {
        _ if seen.path == "/v1/auth/refresh" => answer(200, &pair(2, 300)),
        Some("Bearer access-1") => frames(&[json!({"type": "closed", "code": "signed-out"})]),
        _ => frames(&[json!({"type": "caught-up", "cursor": "c"})]),
    })
    .await;
    let frame = parlor.live(None).try_next().await.unwrap().unwrap();
    assert_eq!(frame.event, Event::CaughtUp {});
    assert_eq!(fake.paths()[1..], ["/v1/stream", "/v1/auth/refresh", "/v1/stream"]);
}

#[tokio::test]
async fn a_feed_whose_cursor_is_of_an_earlier_epoch_says_so_and_ends() {
    let (parlor, _) = signed_in(300, |_, _| problem(410, "epoch-changed", &[])).await;
    let mut feed = parlor.live(Some("old"));
    assert_eq!(feed.next().await.unwrap().unwrap_err().code(), Some("epoch-changed"));
    assert!(feed.next().await.is_none());
}

#[tokio::test]
async fn an_application_signs_its_users_in_with_its_key() {
    let fake = Fake::start(|seen, _| match (seen.path.as_str(), seen.header("authorization")) {
        ("/v1/auth/tokens", Some("Bearer key")) => answer(201, &pair(1, 300)),
        ("/v1/conversations", Some("Bearer access-1")) => answer(200, &empty_page()),
        _ => problem(401, "unauthorized", &[]),
    })
    .await;
    let application = fake.client().service_key("key").build().unwrap();
    let user = application.as_signed_in(application.issue_tokens(ROOM, None).await.unwrap()).await.unwrap();
    user.conversations().await.unwrap();
    // A key isn't renewed: nobody asks for that.
    assert_eq!(application.conversations().await.unwrap_err().status(), Some(401));
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn a_session_in_a_file_outlives_the_client_is_its_owner_s_alone_and_is_renewed_by_one_of_those_who_share_it()
 {
    let fake = Fake::start(|seen, _| match seen.path.as_str() {
        "/v1/auth/login" => answer(200, &pair(1, 0)),
        "/v1/auth/refresh" => answer(200, &pair(2, 300)),
        _ => answer(200, &empty_page()),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.json");
    let client = || fake.client().store(FileStore::new(&path)).build().unwrap();
    client().sign_in(Credentials::new("ada@example.org", "analytical engines")).await.unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let (one, other) = (client(), client());
    tokio::try_join!(async { one.conversations().await }, async { other.conversations().await }).unwrap();
    assert_eq!(fake.paths().iter().filter(|path| *path == "/v1/auth/refresh").count(), 1);
    assert_eq!(client().tokens().await.unwrap().unwrap().refresh_token, "refresh-2");

    one.sign_out(false).await.unwrap();
    assert_eq!(FileStore::new(&path).load().await.unwrap(), None);
    assert!(matches!(client().me().await, Err(Error::SignedOut)));
}

#[tokio::test]
async fn secrets_are_not_shown_and_what_cannot_be_sent_is_refused_before() {
    let (parlor, fake) = signed_in(300, |_, _| answer(200, &empty_page())).await;
    let shown = format!(
        "{parlor:?} {:?} {:?} {:?}",
        parlor.me(),
        parlor.tokens().await.unwrap(),
        Credentials::new("ada@example.org", "analytical engines")
    );
    assert!(
        !shown.contains("access-1") && !shown.contains("refresh-1") && !shown.contains("engines"),
        "{shown}"
    );
    assert!(matches!(parlor.me().idempotency_key("a\nb").await, Err(Error::Invalid(_))));
    assert!(matches!(Parlor::new("chat.example.org"), Err(Error::Invalid(_))));
    assert_eq!(fake.seen().len(), 1);
}

#[test]
fn ids_are_ordered_by_time_and_derived_ones_always_the_same_in_every_language() {
    let (early, late) = (new_id(), new_id());
    assert!(early < late && early.get_version_num() == 7);
    // As `derivedId` of the TypeScript client has it.
    assert_eq!(derived_id(ROOM, "echo").to_string(), "01890000-0000-75b3-9225-002bec0a1c25");
    assert_ne!(derived_id(early, "echo"), derived_id(early, "other"));
    assert_eq!(derived_id(early, "echo").as_bytes()[..6], early.as_bytes()[..6]);
}
