//! An instance that moves to another store: nobody notices.

use std::process::Stdio;

use parlor_tests::model::Said;
use parlor_tests::place::Place;
use parlor_tests::{Server, Store, User, eventually};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};

/// What somebody sees, and what they hold from before.
struct Before {
    ann: User,
    bob: User,
    room: String,
    messages: Vec<Said>,
    told: Vec<Value>,
    preferences: Value,
    unread: u64,
    position: String,
    cursor: String,
    feed: String,
    keyed: (String, Vec<u8>),
}

const KEY: &str = "said-before-the-move";

async fn fill(server: &Server) -> Before {
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    let mut feed = bob.feed(None).await;
    let mut last = String::new();
    for n in 0..30 {
        last = ann.say(&room, &format!("number {n}")).await.position();
    }
    feed.until("chat.message-sent").await;
    let keyed = ann.saying(&room, "once").key(KEY).expect(201).await;
    let deleted = ann.say(&room, "never mind").await.text("id");
    let path = format!("/v1/conversations/{room}/messages/{deleted}");
    let position = ann.call(Method::DELETE, &path).expect(204).await.position();
    let path = "/v1/notifications/preferences";
    bob.put(path, &json!({"conversations": {room.clone(): "all"}})).expect(200).await;
    parlor_tests::log::settled(server).await;
    let told = bob.all("/v1/notifications", None).await;
    assert!(told.len() >= 31, "{}", told.len());
    let page = bob.get(&format!("/v1/conversations/{room}/messages?limit=5")).after(&last);
    let cursor = page.expect(200).await.text("nextCursor");
    Before {
        messages: bob.messages(&room, Some(&position)).await.iter().map(Said::shown).collect(),
        unread: bob.unread(&room, &position).await,
        preferences: bob.get(path).expect(200).await.json(),
        feed: feed.cursor().unwrap().to_owned(),
        keyed: (keyed.text("id"), keyed.body.to_vec()),
        ann,
        bob,
        room,
        told,
        position,
        cursor,
    }
}

/// Nothing has changed for who was there before, and things go on.
async fn nobody_notices(server: &Server, before: &mut Before) {
    let Before { ann, bob, room, .. } = before;
    let seen: Vec<_> = bob.messages(room, Some(&before.position)).await.iter().map(Said::shown).collect();
    assert_eq!(seen, before.messages, "with the access token and the position token of before");
    assert_eq!(bob.unread(room, &before.position).await, before.unread);
    let path = "/v1/notifications/preferences";
    assert_eq!(bob.get(path).expect(200).await.json(), before.preferences);
    let rest = bob.get(&format!("/v1/conversations/{room}/messages?limit=5&cursor={}", before.cursor));
    let rest: Vec<_> = rest.expect(200).await.items().iter().map(Said::shown).collect();
    let from = before.messages.iter().position(|said| said.id == rest[0].id).unwrap();
    assert_eq!(rest, before.messages[from..from + 5], "a page's cursor goes on where it was");
    let again = ann.saying(room, "once").key(KEY).expect(201).await;
    assert!(again.replayed() && again.body == before.keyed.1, "{again:?}");
    let body = json!({"email": ann.email, "password": "another one entirely", "displayName": "Not Ann"});
    server.api().post("/v1/auth/register", &body).expect(409).await;
    let refreshed =
        server.api().post("/v1/auth/refresh", &json!({"refreshToken": bob.refresh})).expect(200).await;
    bob.take(&refreshed);

    // What was missed on the feed comes, and only that; then what is new.
    let mut feed = bob.feed(Some(&before.feed)).await;
    let said = ann.say(room, "after the move").await;
    let heard = feed
        .until_one(|event| event.kind == "chat.message-sent" && event.data["id"] == said.text("id"))
        .await;
    let sent: Vec<_> = heard
        .iter()
        .filter(|event| event.kind == "chat.message-sent")
        .map(|event| event.data["id"].clone())
        .collect();
    let unique: std::collections::BTreeSet<_> = sent.iter().map(ToString::to_string).collect();
    assert_eq!(unique.len(), sent.len(), "each once");
    let told = eventually("Bob is told of the message after the move, and of none twice", async || {
        let items = bob.all("/v1/notifications", None).await;
        (items.len() > before.told.len()).then_some(items)
    })
    .await;
    assert_eq!(told.len(), before.told.len() + 1, "{told:?}");
    assert_eq!(told[1..], before.told[..]);

    before.messages.insert(0, Said::shown(&said.json()));
    before.unread += 1;
    before.told = told;
    before.position = said.position();
    feed.cursor().unwrap().clone_into(&mut before.feed);
}

/// The lines of a move's output that say what each store holds.
fn hashes(printed: &str) -> Vec<&str> {
    let lines: Vec<_> =
        printed.lines().filter(|line| line.starts_with("  ") && !line.contains("HASH")).collect();
    assert_eq!(lines.len(), 5, "{printed}");
    lines
}

async fn moved(server: &Server, to: &Place) -> String {
    server.run_ok(&["move", "--from", &server.url(), "--to", &to.url]).await
}

async fn refused(server: &Server, arguments: &[&str]) -> String {
    let output = server.run(arguments).await;
    assert!(!output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_moves_to_postgresql_and_back_and_its_users_dont_notice() {
    let Some(postgres) = Store::postgres() else { return };
    let mut server = Server::start(Store::Sqlite).await;
    let mut before = fill(&server).await;
    let there = server.place(&postgres, "data").await;
    let from = server.url();
    let text = refused(&server, &["move", "--from", &from, "--to", &there.url]).await;
    assert!(text.contains("another Parlor is using the data folder"), "{text}");
    server.stop().await;
    let out = moved(&server, &there).await;
    let on_sqlite = server.go_to(there);

    // Straight back: every store comes out with the hash that it had.
    let copy = server.place(&Store::Sqlite, "copy").await;
    let back = moved(&server, &copy).await;
    assert_eq!(hashes(&out), hashes(&back));

    server.start_again().await;
    nobody_notices(&server, &mut before).await;
    let text = refused(&server, &["move", "--from", &server.url(), "--to", &on_sqlite.url]).await;
    assert!(text.contains("another Parlor is using") || text.contains("is running on"), "{text}");
    server.stop().await;
    let text = refused(&server, &["move", "--from", &server.url(), "--to", &on_sqlite.url]).await;
    assert!(text.contains("is in use") && text.contains("name an empty folder"), "{text}");
    let text = refused(&server, &["move", "--from", &on_sqlite.url, "--to", &server.url()]).await;
    assert!(text.contains("is in use") && text.contains("DROP SCHEMA"), "{text}");

    let home = server.place(&Store::Sqlite, "home").await;
    moved(&server, &home).await;
    server.go_to(home);
    server.start_again().await;
    nobody_notices(&server, &mut before).await;
}

/// Makes a move of it take long enough to be killed in the middle.
const FILLING: u32 = 60_000;

async fn killed_and_gone_on_with(to: Store) {
    let mut server = Server::start(Store::Sqlite).await;
    let ann = User::sign_up(server.api(), "Ann").await;
    server.stop().await;
    let connection = Connection::open(server.data().join("chat/log.db")).unwrap();
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO ledger (key, content, answer, at) SELECT randomblob(32), randomblob(32), randomblob(400), 9e15 FROM n";
    connection.execute(&fill.replace("9e15", "9000000000000"), [FILLING]).unwrap();
    drop(connection);

    // On PostgreSQL the secret stays where it is, in the data folder.
    let folder = if to == Store::Sqlite { "there" } else { "data" };
    let (there, other) = (server.place(&to, folder).await, server.place(&Store::Sqlite, "other").await);
    let arguments = ["move", "--from", &server.url(), "--to", &there.url];
    let mut seen = 0;
    for _ in 0..3 {
        let mut moving =
            server.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let copied = eventually("rows have been copied", async || {
            assert!(moving.try_wait().unwrap().is_none(), "it ended before it could be killed");
            there.rows("chat", "ledger").await.filter(|rows| *rows > seen)
        });
        seen = copied.await;
        moving.kill().unwrap();
        moving.wait().unwrap();
        assert!(seen < u64::from(FILLING), "it was killed in the middle");
    }
    let from = server.url();
    let own = server.go_to(there);
    let text = refused(&server, &["serve"]).await;
    assert!(text.contains("is not complete") && text.contains("run it again"), "{text}");
    let to = server.url();
    let mut stranger = Server::start(Store::Sqlite).await;
    stranger.stop().await;
    let text = refused(&stranger, &["move", "--from", &stranger.url(), "--to", &to]).await;
    assert!(text.contains("holds the beginning of a move from sqlite:"), "{text}");

    let done = server.run_ok(&["move", "--from", &from, "--to", &to]).await;
    let there = server.go_to(own);
    let whole = moved(&server, &other).await;
    assert_eq!(hashes(&done), hashes(&whole), "as if it had never been killed");
    let again = moved(&server, &there).await;
    assert_eq!(hashes(&again), hashes(&whole), "what is done already isn't done again");
    server.go_to(there);
    server.start_again().await;
    ann.get("/v1/auth/me").expect(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_is_killed_goes_on_to_sqlite() {
    killed_and_gone_on_with(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_is_killed_goes_on_to_postgresql() {
    if let Some(store) = Store::postgres() {
        killed_and_gone_on_with(store).await;
    }
}
