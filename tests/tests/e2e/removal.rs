//! Nothing sent after a removal reaches the removed one, over any route, while many send and the removed one watches them
//! all. The oracle is an admin's feed: what follows the removal there was sent, or edited, after it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parlor_tests::socket::Came;
use parlor_tests::{Dice, Feed, Heard, Server, Socket, Store, User, eventually, length};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_sent_after_a_removal_reaches_the_removed_one_on_sqlite() {
    for round in 0..ROUNDS {
        removal_race(Store::Sqlite, round).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_sent_after_a_removal_reaches_the_removed_one_on_postgresql() {
    let Some(store) = Store::postgres() else { return };
    for round in 0..ROUNDS {
        removal_race(store.clone(), round).await;
    }
}

const ROUNDS: usize = 3;
const SENDERS: usize = 4;
/// The last message of a race.
const OVER: &str = "the race is over";
/// Of all senders together.
const SENDS: usize = 240;

/// Everything that the one to be removed got to see by one way, as text.
#[derive(Default)]
struct Seen(Mutex<BTreeSet<String>>);

impl Seen {
    fn add(&self, value: &Value) {
        self.0.lock().unwrap().insert(value.to_string());
    }

    fn contains(&self, word: &str) -> bool {
        self.0.lock().unwrap().iter().any(|text| text.contains(word))
    }
}

async fn removal_race(store: Store, round: usize) {
    let mut dice = Dice::new("removal race");
    let server = Server::start(store).await;
    let api = server.api();
    let admin = User::sign_up(api, "Admin").await;
    // Named, so that every message tells of itself by notification, too.
    let bob = User::sign_up(api, "Bob").await;
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        senders.push(User::sign_up(api, &format!("Sender {number}")).await);
    }
    let mut members: Vec<_> = senders.iter().collect();
    members.push(&bob);
    let room = admin.group("Race", &members).await;
    let marker = dice.word();
    let early = senders[0].say(&room, &format!("@Bob {marker} early")).await.text("id");

    let mut oracle = admin.feed(None).await;
    oracle.until("caught-up").await;
    let mut live = bob.feed(None).await;
    live.until("caught-up").await;
    let mut socket = Socket::of(&bob, None).await;
    socket.until("caught-up").await;

    let (seen, sent, done) = (Seen::default(), AtomicUsize::new(0), AtomicBool::new(false));
    let (streamed, by_socket) = (Seen::default(), Seen::default());
    let sends_each = length("PARLOR_TEST_SENDS", SENDS) / SENDERS;
    let remove_at = 20 + dice.below(SENDERS * sends_each - 60);
    let sending = async {
        let each = senders.iter().enumerate().map(async |(number, sender)| {
            for count in 0..sends_each {
                sender.say(&room, &format!("@Bob {marker} w{number}x{count}w")).await;
                sent.fetch_add(1, Ordering::SeqCst);
            }
        });
        futures::future::join_all(each).await;
        // An old message in new words is new, too.
        let path = format!("/v1/conversations/{room}/messages/{early}");
        senders[0].patch(&path, &json!({"content": format!("{marker} wlatew")})).expect(200).await
    };
    let removing = async {
        eventually("enough was sent", async || (sent.load(Ordering::SeqCst) >= remove_at).then_some(()))
            .await;
        let path = format!("/v1/conversations/{room}/participants/{}", bob.id);
        admin.delete(&path).expect(204).await
    };
    let watching = watch(&bob, &room, &marker, &seen, &done);
    let listening = listen(&mut live, &streamed, &done);
    let on_the_socket = listen_by_socket(&mut socket, &by_socket);
    let racing = async {
        let (last, removed) = tokio::join!(sending, removing);
        // Once everything that could reach Bob has been worked on, he looks a last time.
        let settled = format!("{},{}", last.position(), removed.position());
        look(&bob, &room, &marker, &seen, Some(&settled)).await;
        bob.get(&format!("/v1/conversations/{room}/messages"))
            .after(&settled)
            .refused(404, "not-found")
            .await;
        notifications_have_settled(&senders[0], &bob).await;
        look(&bob, &room, &marker, &seen, Some(&settled)).await;
        done.store(true, Ordering::SeqCst);
        last
    };
    let ((), (), (), last) = tokio::join!(watching, listening, on_the_socket, racing);

    let (before, after) = judged(&mut oracle, &bob.id, &last.text("id")).await;
    println!("round {round}: {} before the removal, {} after it", before.len(), after.len());
    assert_eq!(before.len() + after.len(), SENDERS * sends_each + 1, "the oracle saw all");
    assert!(!after.is_empty(), "the removal came in the middle");
    for (way, seen) in [("a query", &seen), ("the stream", &streamed), ("the socket", &by_socket)] {
        let leaked: Vec<_> = after.iter().filter(|word| seen.contains(word)).collect();
        assert_eq!(leaked, Vec::<&String>::new(), "shown by {way} after the removal");
    }
    // The test could have seen a leak: what came before did arrive.
    for (way, seen) in [("the stream", &streamed), ("the socket", &by_socket)] {
        let missing: Vec<_> = before.iter().filter(|word| !seen.contains(word)).collect();
        assert_eq!(missing, Vec::<&String>::new(), "sent before the removal, and not told by {way}");
    }
}

/// The words that tell the messages apart, said before and after the removal.
async fn judged(oracle: &mut Feed, bob: &str, last: &str) -> (Vec<String>, Vec<String>) {
    let (mut before, mut after, mut removed) = (Vec::new(), Vec::new(), false);
    let events =
        oracle.until_one(|event| event.kind == "chat.message-edited" && event.data["id"] == last).await;
    for event in events {
        match event.kind.as_str() {
            "chat.participant-removed" if event.data.to_string().contains(bob) => removed = true,
            "chat.message-sent" | "chat.message-edited" => {
                let content = event.data["content"].as_str().expect("content");
                let word = content.split(' ').next_back().expect("a word").to_owned();
                if removed { after.push(word) } else { before.push(word) }
            }
            _ => {}
        }
    }
    assert!(removed, "the admin's feed tells of the removal");
    (before, after)
}

/// Looks at everything again and again.
async fn watch(bob: &User, room: &str, marker: &str, seen: &Seen, done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        look(bob, room, marker, seen, None).await;
    }
}

/// Every route that shows messages.
async fn look(bob: &User, room: &str, marker: &str, seen: &Seen, after: Option<&str>) {
    let paths = [
        format!("/v1/conversations/{room}/messages?limit=10"),
        format!("/v1/conversations/{room}"),
        "/v1/conversations".to_owned(),
        format!("/v1/messages/search?q={marker}&limit=10"),
        format!("/v1/messages/search?q={marker}&conversationId={room}&limit=10"),
        "/v1/notifications?limit=200".to_owned(),
    ];
    for path in paths {
        let call = bob.get(&path);
        // Positions of chat's log say nothing about the other services' views.
        let call = match after.filter(|_| !path.contains("notifications")) {
            Some(position) => call.after(position),
            None => call,
        };
        let reply = call.send().await;
        assert!([200, 404].contains(&reply.status), "{path}: {reply:?}");
        if reply.status == 200 {
            seen.add(&reply.json());
        }
    }
}

async fn listen(live: &mut Feed, seen: &Seen, done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        match live.next_within(Duration::from_millis(100)).await {
            Heard::Event(event) => seen.add(&event.data),
            Heard::Nothing => {}
            Heard::End => panic!("a removal from one conversation ends no connection"),
        }
    }
}

/// Up to the message that says that all is over: it comes in another conversation, after whatever could come late.
async fn listen_by_socket(socket: &mut Socket, seen: &Seen) {
    loop {
        match socket.next().await {
            Came::Frame(event) if event.data["content"] == OVER => return,
            Came::Frame(event) => seen.add(&event.data),
            other => panic!("a removal from one conversation ends no connection: {other:?}"),
        }
    }
}

/// Notifications follow messages in order: once one that is sent now has arrived, all before it have.
async fn notifications_have_settled(sender: &User, bob: &User) {
    let room = sender.direct(bob).await;
    sender.say(&room, OVER).await;
    eventually("the notifications have settled", async || {
        let items = bob.get("/v1/notifications?limit=200").expect(200).await.items();
        items.iter().any(|item| item.to_string().contains(OVER)).then_some(())
    })
    .await;
}
