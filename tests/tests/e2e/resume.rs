//! Somebody whose connections end at any frame, who resumes by a stream now and by a WebSocket then, and is removed and let
//! back in meanwhile: all that they receive together is what the log says they may see, each event once and in order.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use parlor_tests::socket::Came;
use parlor_tests::{Dice, Feed, FeedEvent, Heard, Server, Socket, Store, User};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_connections_do_each_hears_what_they_may_once_and_in_order_on_sqlite() {
    resumes_anyhow(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_connections_do_each_hears_what_they_may_once_and_in_order_on_postgresql() {
    if let Some(store) = Store::postgres() {
        resumes_anyhow(store).await;
    }
}

const STEPS: usize = 250;
/// The last word, which everybody hears.
const END: &str = "the end";

async fn resumes_anyhow(store: Store) {
    let mut dice = Dice::new("resume");
    let server = Server::start(store).await;
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let first = begin(&ann).await;
    let bobs = begin(&bob).await;
    let done = AtomicBool::new(false);
    let mut chance = dice.part(1);
    let acting = async {
        let room = act(&ann, &bob, &mut dice).await;
        done.store(true, Ordering::SeqCst);
        room
    };
    let (room, received) = tokio::join!(acting, listen(&bob, bobs, &mut chance, &done));
    // Ann was there all along, and hears all of it in one go.
    let mut all = ann.feed(Some(&first)).await;
    let all = all.until_one(|event| event.data["content"] == END).await;
    let expected = seen_by(&bob, &room, &all);
    let heard: Vec<Key> = received.iter().filter(|event| is_of(&room, event)).map(key).collect();
    println!("{} of {} events, in {} frames", heard.len(), all.len(), received.len());
    assert_eq!(heard, expected);
    assert!(expected.len() < all.len(), "something was hidden from Bob");
}

/// A first cursor.
async fn begin(user: &User) -> String {
    let mut feed = user.feed(None).await;
    feed.until("caught-up").await;
    feed.cursor().expect("a caught-up gives a cursor").to_owned()
}

/// Ann talks, and lets Bob go and come; gives the room.
async fn act(ann: &User, bob: &User, dice: &mut Dice) -> String {
    let room = ann.group("Anyhow", &[bob]).await;
    let seat = format!("/v1/conversations/{room}/participants/{}", bob.id);
    let (mut said, mut is_in) = (Vec::new(), true);
    for step in 0..STEPS {
        let message = |dice: &mut Dice, said: &[String]| {
            format!("/v1/conversations/{room}/messages/{}", dice.pick(said))
        };
        match dice.below(20) {
            0 | 1 if is_in => {
                ann.delete(&seat).expect(204).await;
                is_in = false;
            }
            0..=2 if !is_in => {
                ann.put(&seat, &json!({})).expect(204).await;
                is_in = true;
            }
            3 | 4 if !said.is_empty() => {
                let edit = json!({"content": format!("{step} in other words")});
                let reply = ann.patch(&message(dice, &said), &edit).send().await;
                assert!([200, 404, 409].contains(&reply.status), "{reply:?}");
            }
            5 if said.len() > 5 => {
                ann.delete(&message(dice, &said)).expect(204).await;
            }
            6 => {
                let title = json!({"title": format!("Anyhow {step}")});
                ann.patch(&format!("/v1/conversations/{room}"), &title).expect(200).await;
            }
            7 if is_in => {
                bob.say(&room, &format!("{step} by Bob")).await;
            }
            _ => said.push(ann.say(&room, &step.to_string()).await.text("id")),
        }
    }
    if !is_in {
        ann.put(&seat, &json!({})).expect(204).await;
    }
    ann.say(&room, END).await;
    room
}

/// All that somebody hears up to the last word, over connections of either kind that end at any frame.
async fn listen(user: &User, mut cursor: String, dice: &mut Dice, done: &AtomicBool) -> Vec<FeedEvent> {
    let mut received = Vec::new();
    loop {
        // Once nothing more happens, the last connection stays.
        let frames = if done.load(Ordering::SeqCst) { usize::MAX } else { dice.below(15) };
        let mut connection = if dice.percent(50) {
            Connection::Stream(user.feed(Some(&cursor)).await)
        } else {
            Connection::Socket(Box::new(Socket::of(user, Some(&cursor)).await))
        };
        for _ in 0..frames {
            let Some(event) = connection.next().await else { break };
            // Only what was taken in counts: the rest comes again.
            if let Some(place) = &event.cursor {
                cursor.clone_from(place);
            }
            let last = event.data["content"] == END;
            received.push(event);
            if last {
                return received;
            }
        }
    }
}

enum Connection {
    Stream(Feed),
    Socket(Box<Socket>),
}

impl Connection {
    /// The next frame; none if a while goes by without one.
    async fn next(&mut self) -> Option<FeedEvent> {
        let soon = std::time::Duration::from_millis(300);
        match self {
            Self::Stream(feed) => match feed.next_within(soon).await {
                Heard::Event(event) => Some(event),
                Heard::End | Heard::Nothing => None,
            },
            Self::Socket(socket) => match tokio::time::timeout(soon, socket.next()).await {
                Ok(Came::Frame(event)) => Some(event),
                Ok(Came::Closed(..) | Came::End) | Err(_) => None,
            },
        }
    }
}

/// What identifies an event: its type, when it happened, and what it is about.
type Key = (String, Value, Value);

fn key(event: &FeedEvent) -> Key {
    let about = ["id", "userId", "title"].into_iter().find_map(|name| event.data.get(name));
    (event.kind.clone(), event.rest["at"].clone(), about.cloned().unwrap_or_default())
}

fn is_of(room: &str, event: &FeedEvent) -> bool {
    event.kind.starts_with("chat.") && event.data["conversationId"] == room
}

/// What Bob may see of what Ann saw: while he was in, and of messages only those said while he was.
fn seen_by(bob: &User, room: &str, all: &[FeedEvent]) -> Vec<Key> {
    let (mut is_in, mut visible, mut seen) = (true, HashSet::new(), Vec::new());
    for event in all.iter().filter(|event| is_of(room, event)) {
        let of_bob = event.data["userId"] == bob.id.as_str();
        let message = event.data["id"].to_string();
        match event.kind.as_str() {
            "chat.participant-added" if of_bob => is_in = true,
            "chat.message-sent" if is_in => {
                visible.insert(message);
            }
            "chat.message-edited" | "chat.message-deleted" if !visible.contains(&message) => continue,
            _ => {}
        }
        if is_in {
            seen.push(key(event));
        }
        if event.kind == "chat.participant-removed" && of_bob {
            is_in = false;
        }
    }
    seen
}
