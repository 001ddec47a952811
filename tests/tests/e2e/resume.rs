//! Somebody whose connections end at any frame, who resumes by a stream now and by a WebSocket then, and is removed and let
//! back in meanwhile, while the server is killed and comes back: all that they receive together is what the log says they may
//! see, each event once and in order.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parlor_tests::socket::Came;
use parlor_tests::{
    Call, Dice, Feed, FeedEvent, Heard, Reply, Server, Socket, Store, User, cycles, eventually, log,
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_connections_do_each_hears_what_they_may_once_and_in_order_on_sqlite() {
    for case in 0..cycles(1) {
        resumes_anyhow(Store::Sqlite, case).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_connections_do_each_hears_what_they_may_once_and_in_order_on_postgresql() {
    let Some(store) = Store::postgres() else { return };
    for case in 0..cycles(1) {
        resumes_anyhow(store.clone(), case).await;
    }
}

/// How often the server is killed in each case.
const KILLS: usize = 4;
/// The least that happens between two kills; twice as much at most.
const STEPS: usize = 30;
/// The last word, which everybody hears.
const END: &str = "the end";

async fn resumes_anyhow(store: Store, case: usize) {
    let mut dice = Dice::new("resume").part(case as u64);
    let mut server = Server::start(store).await;
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let first = begin(&ann).await;
    let bobs = begin(&bob).await;
    let (steps, killed, done) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicBool::new(false));
    let (mut chance, mut fate) = (dice.part(1), dice.part(2));
    let acting = async {
        let room = act(&ann, &bob, &mut dice, &steps, &killed).await;
        done.store(true, Ordering::SeqCst);
        room
    };
    let killing = async {
        let mut more = async || {
            let goal = steps.load(Ordering::SeqCst) + STEPS + fate.below(STEPS);
            eventually("more happens", async || (steps.load(Ordering::SeqCst) >= goal).then_some(())).await;
        };
        for _ in 0..KILLS {
            more().await;
            server.kill().await;
            server.start_again().await;
        }
        more().await;
        killed.store(true, Ordering::SeqCst);
    };
    let listening = listen(&bob, bobs, &mut chance, &done);
    let (room, (), received) = tokio::join!(acting, killing, listening);
    // Ann was there all along, and hears all of it in one go: neither more nor less than what the log has.
    let mut all = ann.feed(Some(&first)).await;
    let all = all.until_one(|event| event.data["content"] == END).await;
    let told: Vec<Logged> = all.iter().filter(|event| is_of(&room, event)).map(told).collect();
    assert_eq!(told, logged(&server).await);
    let expected = seen_by(&bob, &room, &all);
    let heard: Vec<Key> = received.iter().filter(|event| is_of(&room, event)).map(key).collect();
    println!(
        "case {case}: {KILLS} kills, {} of {} events, in {} frames",
        heard.len(),
        all.len(),
        received.len()
    );
    assert_eq!(heard, expected);
    assert!(expected.len() < all.len(), "something was hidden from Bob");
}

/// A first cursor.
async fn begin(user: &User) -> String {
    let mut feed = user.feed(None).await;
    feed.until("caught-up").await;
    feed.cursor().expect("a caught-up gives a cursor").to_owned()
}

/// Asks until there is an answer, whatever happens to the server. With its key, that is the same command each time.
async fn answered(step: usize, expected: &[u16], call: impl Fn() -> Call) -> Reply {
    eventually("a command is answered", async || {
        let reply = call().key(&step.to_string()).attempt().await.ok()?;
        assert!(reply.status == 503 || expected.contains(&reply.status), "{reply:?}");
        (reply.status != 503).then_some(reply)
    })
    .await
}

/// Ann talks, and lets Bob go and come, until the last kill is over; gives the room.
async fn act(ann: &User, bob: &User, dice: &mut Dice, steps: &AtomicUsize, killed: &AtomicBool) -> String {
    let room = ann.group("Anyhow", &[bob]).await;
    let seat = format!("/v1/conversations/{room}/participants/{}", bob.id);
    let (mut said, mut is_in, mut step) = (Vec::new(), true, 0);
    while !killed.load(Ordering::SeqCst) {
        step = steps.fetch_add(1, Ordering::SeqCst);
        let message = |dice: &mut Dice, said: &[String]| {
            format!("/v1/conversations/{room}/messages/{}", dice.pick(said))
        };
        match dice.below(20) {
            0 | 1 if is_in => {
                answered(step, &[204], || ann.delete(&seat)).await;
                is_in = false;
            }
            0..=2 if !is_in => {
                answered(step, &[204], || ann.put(&seat, &json!({}))).await;
                is_in = true;
            }
            3 | 4 if !said.is_empty() => {
                let (message, edit) =
                    (message(dice, &said), json!({"content": format!("{step} in other words")}));
                answered(step, &[200, 404, 409], || ann.patch(&message, &edit)).await;
            }
            5 if said.len() > 5 => {
                let message = message(dice, &said);
                answered(step, &[204], || ann.delete(&message)).await;
            }
            6 => {
                let (path, title) =
                    (format!("/v1/conversations/{room}"), json!({"title": format!("Anyhow {step}")}));
                answered(step, &[200], || ann.patch(&path, &title)).await;
            }
            7 if is_in => {
                answered(step, &[201], || bob.saying(&room, &format!("{step} by Bob"))).await;
            }
            _ => {
                let reply = answered(step, &[201], || ann.saying(&room, &step.to_string())).await;
                said.push(reply.text("id"));
            }
        }
    }
    if !is_in {
        answered(step + 1, &[204], || ann.put(&seat, &json!({}))).await;
    }
    answered(step + 2, &[201], || ann.saying(&room, END)).await;
    room
}

/// All that somebody hears up to the last word, over connections of either kind that end at any frame.
async fn listen(user: &User, mut cursor: String, dice: &mut Dice, done: &AtomicBool) -> Vec<FeedEvent> {
    let mut received = Vec::new();
    loop {
        // Once nothing more happens, the last connection stays.
        let frames = if done.load(Ordering::SeqCst) { usize::MAX } else { dice.below(15) };
        let by_stream = dice.percent(50);
        let mut connection = eventually("there is somebody to connect to", async || {
            if by_stream {
                Feed::try_open(user, Some(&cursor)).await.ok().map(Connection::Stream)
            } else {
                Socket::try_of(user, Some(&cursor)).await.map(Box::new).map(Connection::Socket)
            }
        })
        .await;
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
    event.kind.starts_with("chat.")
        && event.kind != "chat.messages-read"
        && event.data["conversationId"] == room
}

/// What the log says of an event without opening it: its name, and of a message which one.
type Logged = (String, Option<String>);

/// All that the log of chat has, but for read marks.
async fn logged(server: &Server) -> Vec<Logged> {
    let events = log::read(server, "chat").await.into_iter();
    let told =
        events.filter(|event| ["conversation", "membership", "message"].contains(&event.category.as_str()));
    told.map(|event| (event.name, (event.category == "message").then(|| event.stream.to_string()))).collect()
}

/// The same of an event as a feed tells it.
fn told(event: &FeedEvent) -> Logged {
    let name = event.kind.trim_start_matches("chat.").replacen('-', ".", 1);
    let message = name.starts_with("message.").then(|| event.data["id"].as_str().unwrap().to_owned());
    (name, message)
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
