//! A live feed loses nothing and repeats nothing, whatever happens to the server.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parlor_tests::model::Said;
use parlor_tests::{Dice, Feed, FeedEvent, Heard, Server, Store, User, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_resumes_across_kills_with_each_message_once_and_in_order_on_sqlite() {
    resumes_across_kills(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_resumes_across_kills_with_each_message_once_and_in_order_on_postgresql() {
    if let Some(store) = Store::postgres() {
        resumes_across_kills(store).await;
    }
}

const KILLS: usize = 5;
const SENDERS: usize = 3;

async fn resumes_across_kills(store: Store) {
    let mut dice = Dice::new("feed");
    let mut server = Server::start(store).await;
    let api = server.api().clone();
    let listener = User::sign_up(&api, "Listener").await;
    let mut senders = Vec::new();
    let mut rooms = Vec::new();
    for number in 0..SENDERS {
        let sender = User::sign_up(&api, &format!("Sender {number}")).await;
        rooms.push(listener.direct(&sender).await);
        senders.push(sender);
    }
    let mut start = listener.feed(None).await;
    start.until("caught-up").await;
    let start = start.cursor().expect("a caught-up gives a first cursor").to_owned();

    let (sent, stop, all_sent) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicBool::new(false));
    let sending = async {
        let each = senders.iter().zip(&rooms).enumerate().map(async |(number, (sender, room))| {
            let mut answers = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let content = format!("{number}/{}", answers.len());
                answers.push(send_until_acknowledged(sender, room, &content).await);
                sent.fetch_add(1, Ordering::SeqCst);
            }
            answers
        });
        let answers = futures::future::join_all(each).await;
        all_sent.store(true, Ordering::SeqCst);
        answers
    };
    let killing = async {
        for _ in 0..KILLS {
            let goal = sent.load(Ordering::SeqCst) + 20 + dice.below(60);
            eventually("more is sent", async || (sent.load(Ordering::SeqCst) >= goal).then_some(())).await;
            server.kill().await;
            server.start_again().await;
        }
        stop.store(true, Ordering::SeqCst);
    };
    let everything =
        async |messages| all_sent.load(Ordering::SeqCst) && messages >= sent.load(Ordering::SeqCst);
    let listening = listen(&listener, &start, everything);
    let (answers, (), received) = tokio::join!(sending, killing, listening);

    let mut expected: Vec<Said> = answers.concat();
    expected.sort_by_key(|said| said.position);
    println!("{} messages, {} events, {KILLS} kills", expected.len(), received.len());
    assert_eq!(of_messages(&received), expected);

    // Everything once more from the first cursor, in one go, is the same.
    let mut again = listener.feed(Some(&start)).await;
    let resumed = again.until("caught-up").await;
    assert_eq!(of_messages(&resumed), expected);
    let cursor = again.cursor().expect("a cursor").to_owned();
    drop(again);

    // And from the last one there is nothing but what is new.
    let fresh = senders[0].say(&rooms[0], "fresh").await;
    let mut rest = listener.feed(Some(&cursor)).await;
    let rest = rest.until("caught-up").await;
    assert_eq!(of_messages(&rest), [Said::shown(&fresh.json())]);
}

fn of_messages(events: &[FeedEvent]) -> Vec<Said> {
    events
        .iter()
        .filter(|event| event.kind == "chat.message-sent")
        .map(|event| Said::shown(&event.data))
        .collect()
}

/// Sends under one key until there is an answer.
async fn send_until_acknowledged(sender: &User, room: &str, content: &str) -> Said {
    let reply = eventually("a send is acknowledged", async || {
        let reply = sender.saying(room, content).key(content).attempt().await.ok()?;
        assert!([201, 503].contains(&reply.status), "{reply:?}");
        (reply.status == 201).then_some(reply)
    });
    Said::shown(&reply.await.json())
}

/// All that the feed tells, resumed wherever it breaks, until `everything` has come and nothing follows.
async fn listen(listener: &User, start: &str, everything: impl AsyncFn(usize) -> bool) -> Vec<FeedEvent> {
    let (mut events, mut cursor, mut messages) = (Vec::new(), start.to_owned(), 0);
    loop {
        let connect = async || Feed::try_open(listener, Some(&cursor)).await.ok();
        let mut feed = eventually("the feed opens", connect).await;
        loop {
            match feed.next_within(Duration::from_millis(200)).await {
                Heard::Event(event) => {
                    messages += usize::from(event.kind == "chat.message-sent");
                    cursor = feed.cursor().unwrap_or(&cursor).to_owned();
                    events.push(event);
                }
                Heard::Nothing if everything(messages).await => return events,
                Heard::Nothing => {}
                Heard::End => break,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_a_page_and_the_feed_that_it_was_read_beside_nothing_is_missing_on_sqlite() {
    nothing_between(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_a_page_and_the_feed_that_it_was_read_beside_nothing_is_missing_on_postgresql() {
    if let Some(store) = Store::postgres() {
        nothing_between(store).await;
    }
}

/// As a client begins: it opens a feed that begins now, and reads what there was. Meanwhile others go on.
async fn nothing_between(store: Store) {
    const BEGINNINGS: usize = 20;
    let server = Server::start(store).await;
    let api = server.api();
    let (ann, bob) = (User::sign_up(api, "Ann").await, User::sign_up(api, "Bob").await);
    let room = ann.direct(&bob).await;
    let stop = AtomicBool::new(false);
    let talking = async {
        for number in 0_usize.. {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            bob.say(&room, &number.to_string()).await;
        }
    };
    let number = |message: &serde_json::Value| message["content"].as_str().unwrap().parse::<usize>().unwrap();
    let beginning = async {
        for _ in 0..BEGINNINGS {
            let mut feed = ann.feed(None).await;
            let caught_up = feed.until("caught-up").await.pop().unwrap();
            let page = ann.get(&format!("/v1/conversations/{room}/messages?limit=1"));
            let page = page.after(caught_up.rest["position"].as_str().unwrap()).expect(200).await.items();
            let told = feed.until("chat.message-sent").await.pop().unwrap();
            let next = page.first().map_or(0, |newest| number(newest) + 1);
            assert!(number(&told.data) <= next, "the page ends before {next}, the feed begins with {told:?}");
        }
        stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(talking, beginning);
}
