//! Views are functions of the log: rebuilt beside the live one, under load, they are what they were.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use parlor_tests::damage::forget_newest_message;
use parlor_tests::model::{Room, Said};
use parlor_tests::{Server, Store, User, eventually};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_rebuilt_under_load_is_what_it_was_on_sqlite() {
    rebuilt_under_load(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_rebuilt_under_load_is_what_it_was_on_postgresql() {
    if let Some(store) = Store::postgres() {
        rebuilt_under_load(store).await;
    }
}

const MESSAGES: usize = 300;

async fn rebuilt_under_load(store: Store) {
    let server = Server::start(store).await;
    let api = server.api();
    let (ann, bob) = (User::sign_up(api, "Ann").await, User::sign_up(api, "Bob").await);
    let room = ann.direct(&bob).await;
    let mut model = Room::default();
    for number in 0..MESSAGES {
        let reply = ann.say(&room, &format!("number {number}")).await;
        let said = Said::shown(&reply.json());
        let path = format!("/v1/conversations/{room}/messages/{}", said.id);
        model.say(said.clone());
        if number % 7 == 0 {
            ann.patch(&path, &json!({"content": "edited"})).expect(200).await;
            model.edit(&said.id, "edited");
        }
        if number % 11 == 0 {
            ann.delete(&path).expect(204).await;
            model.delete(&said.id);
        }
        if number == MESSAGES / 2 {
            bob.put(&format!("/v1/conversations/{room}/read"), &json!({"upTo": said.id})).expect(204).await;
            model.read(&bob.id, &said.id);
        }
    }
    let views = views(&server).await;
    assert!(views.len() >= 5, "{views:?}");
    // What is looked at names no position that it has to hold.
    parlor_tests::log::settled(&server).await;
    let before = quiet(&ann, &bob, &room).await;

    let stop = AtomicBool::new(false);
    let loading = async {
        let mut sent = Vec::new();
        let elsewhere = ann.group("Elsewhere", &[&bob]).await;
        while !stop.load(Ordering::SeqCst) {
            let reply = ann.say(&elsewhere, "in the meantime").await;
            // Queries go on, and read what was written.
            let page = bob.get(&format!("/v1/conversations/{elsewhere}/messages?limit=1"));
            let page = page.after(&reply.position()).expect(200).await.items();
            assert_eq!(page, [reply.json()]);
            sent.push(Said::shown(&reply.json()));
        }
        (elsewhere, sent)
    };
    let rebuilding = async {
        for view in &views {
            server.run_ok(&["views", "rebuild", view]).await;
        }
        stop.store(true, Ordering::SeqCst);
    };
    let ((elsewhere, mut sent), ()) = tokio::join!(loading, rebuilding);
    assert!(!sent.is_empty());

    parlor_tests::log::settled(&server).await;
    assert_eq!(quiet(&ann, &bob, &room).await, before, "as before");
    let page: Vec<_> = bob.messages(&room, None).await.iter().map(Said::shown).collect();
    assert_eq!(page, model.page());
    let unread = format!("/v1/conversations/{room}/unread-count");
    assert_eq!(bob.get(&unread).expect(200).await.json()["count"], model.unread(&bob.id));
    sent.reverse();
    let page: Vec<_> = bob.messages(&elsewhere, None).await.iter().map(Said::shown).collect();
    assert_eq!(page, sent, "what was sent meanwhile is there, each once");
    assert_eq!(self::views(&server).await, views, "the same views as before");
    let unknown = server.run(&["views", "rebuild", "nonsense"]).await;
    assert!(!unknown.status.success());
}

#[tokio::test]
async fn a_damaged_view_is_told_from_the_model_and_healed_by_a_rebuild_on_sqlite() {
    damaged_and_healed(Store::Sqlite).await;
}

#[tokio::test]
async fn a_damaged_view_is_told_from_the_model_and_healed_by_a_rebuild_on_postgresql() {
    if let Some(store) = Store::postgres() {
        damaged_and_healed(store).await;
    }
}

async fn damaged_and_healed(store: Store) {
    let mut server = Server::start(store).await;
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    let mut model = Room::default();
    let mut last = String::new();
    for number in 0..50 {
        let reply = ann.say(&room, &format!("number {number}")).await;
        model.say(Said::shown(&reply.json()));
        last = reply.position();
    }
    let page = async || bob.messages(&room, Some(&last)).await.iter().map(Said::shown).collect::<Vec<_>>();
    assert_eq!(page().await, model.page());
    forget_newest_message(&server).await;
    // What a process remembers of a page that it has just shown isn't the view: started anew, it reads that.
    server.stop().await;
    server.start_again().await;
    assert_eq!(page().await, model.page()[1..], "the test can tell");
    let views = views(&server).await;
    assert!(views.contains(&"timeline".to_owned()), "{views:?}");
    server.run_ok(&["views", "rebuild", "timeline"]).await;
    assert_eq!(page().await, model.page());

    // The server dies in the middle of a rebuild, or just before or after it: the view stands, and can be rebuilt again.
    forget_newest_message(&server).await;
    let mut rebuild = server.command(&["views", "rebuild", "timeline"]).spawn().unwrap();
    let begun = async || (server.log().matches("rebuilding a view").count() == 2).then_some(());
    eventually("the rebuild has begun", begun).await;
    server.kill().await;
    rebuild.wait().unwrap();
    server.start_again().await;
    let seen = page().await;
    assert!([&model.page()[..], &model.page()[1..]].contains(&&seen[..]), "as before or as after: {seen:?}");
    server.run_ok(&["views", "rebuild", "timeline"]).await;
    assert_eq!(page().await, model.page());

    // Without a server, on the data themselves.
    forget_newest_message(&server).await;
    server.stop().await;
    server.run_ok(&["views", "rebuild", "timeline"]).await;
    server.start_again().await;
    assert_eq!(page().await, model.page());
    assert_eq!(bob.unread(&room, &last).await, model.unread(&bob.id));
}

/// The names of all views, from `parlor views status`.
async fn views(server: &Server) -> Vec<String> {
    let status = server.run_ok(&["views", "status"]).await;
    let rows = status.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    // A view has a row for each log that it follows.
    let names: BTreeSet<_> =
        rows.filter(|row| row.get(1) == Some(&"view")).map(|row| row[0].to_owned()).collect();
    names.into_iter().collect()
}

/// Everything the two see that the load doesn't touch.
async fn quiet(ann: &User, bob: &User, room: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for user in [ann, bob] {
        for path in [
            format!("/v1/conversations/{room}"),
            format!("/v1/conversations/{room}/participants"),
            format!("/v1/conversations/{room}/messages?limit=200"),
            format!("/v1/conversations/{room}/unread-count"),
            format!("/v1/messages/search?q=number&conversationId={room}&limit=200"),
            "/v1/users/me/profile".to_owned(),
            "/v1/users?search=a".to_owned(),
            "/v1/users/me/contacts".to_owned(),
            "/v1/auth/me".to_owned(),
            "/v1/notifications/preferences".to_owned(),
        ] {
            let mut shown = user.get(&path).expect(200).await.json();
            // Cursors are sealed anew each time.
            if let Some(page) = shown.as_object_mut() {
                page.remove("nextCursor");
            }
            all.push(shown);
        }
    }
    all
}
