//! The client, and the bot of its README, against a real server.

use std::path::Path;
use std::process::Stdio;

use futures::{StreamExt as _, TryStreamExt as _};
use parlor_client::{
    Availability, ConversationHistory, Credentials, Event, Feed, FeedState, Frame, NewConversation,
    NewMessage, Parlor, ParticipantRole, Preferences, Presence, ProfileChange, Transport, Uuid,
};
use parlor_tests::{Server, Store, eventually};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const PASSWORD: &str = "what goes out comes back";

/// Somebody signed in, and what registering them wrote.
struct Person {
    parlor: Parlor,
    id: Uuid,
    registered: String,
}

async fn sign_up(server: &Server, name: &str) -> Person {
    // The server is killed in between: it comes back.
    let parlor = Parlor::builder(server.api().base()).retries(20).build().unwrap();
    let email = format!("{}@example.org", name.to_lowercase());
    let registered = parlor.register(&email, PASSWORD, name).answer().await.unwrap();
    let me = parlor.sign_in(Credentials::new(email, PASSWORD).device("test")).await.unwrap();
    assert_eq!(registered.body.map(|registered| registered.user_id), Some(me.user_id));
    Person { parlor, id: me.user_id, registered: registered.position.unwrap() }
}

/// Everything up to the first event that is as wanted.
async fn until(feed: &mut Feed, wanted: impl Fn(&Event) -> bool) -> Vec<Frame> {
    let mut frames = Vec::new();
    loop {
        let next = tokio::time::timeout(parlor_tests::wait::PATIENCE, feed.try_next()).await;
        let frame = next.unwrap_or_else(|_| panic!("not after {frames:?}")).unwrap().expect("feeds go on");
        assert!(!matches!(frame.event, Event::Other { .. }), "not known to the library: {frame:?}");
        let last = wanted(&frame.event);
        frames.push(frame);
        if last {
            return frames;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_do_is_read_at_once_and_comes_live_through_a_restart_of_the_server() {
    let mut server = Server::start(Store::Sqlite).await;
    let (ada, bob, eve) =
        (sign_up(&server, "Ada").await, sign_up(&server, "Bob").await, sign_up(&server, "Eve").await);
    let mut feed = bob.parlor.live(None);
    let begun = until(&mut feed, |event| *event == Event::CaughtUp {}).await.pop().unwrap();

    let group = NewConversation::group([bob.id]).title("Engines").history(ConversationHistory::All);
    let known = [&*ada.registered, &bob.registered, &eve.registered].join(",");
    let room = ada.parlor.create_conversation(&group).after(known).await.unwrap();
    let there = ada.parlor.presence([bob.id, eve.id]).await.unwrap().items;
    let there: Vec<_> = there.iter().map(|presence| (presence.user_id, presence.status)).collect();
    assert_eq!(there, [(bob.id, Availability::Online)], "Eve isn't in a conversation with Ada yet");
    ada.parlor.tell_typing(room.id).await.unwrap();
    let typing = Event::Typing { conversation_id: room.id, user_id: ada.id };
    let begun_since = until(&mut feed, |event| *event == typing).await;
    // Every answer is asked for right after the command that changes it: nobody waits for it but the client.
    let sent = ada.parlor.send(room.id, "What goes out?").await.unwrap();
    let last = ada.parlor.conversation(room.id).await.unwrap().last_message.unwrap();
    assert_eq!((last.id, last.content.as_str()), (sent.id, "What goes out?"));
    let edited = ada.parlor.edit_message(room.id, sent.id, "What comes back?").await.unwrap();
    let reply = ada.parlor.send(room.id, NewMessage::new("An echo.").reply_to(sent.id)).await.unwrap();
    ada.parlor.delete_message(room.id, reply.id).await.unwrap();
    let all: Vec<_> = ada.parlor.messages(room.id).limit(1).all().try_collect().await.unwrap();
    assert_eq!(
        all.iter().map(|item| item.message().map(|message| message.id)).collect::<Vec<_>>(),
        [None, Some(sent.id)]
    );
    let found = ada.parlor.search_messages("comes").conversation(room.id).sender(ada.id).await.unwrap();
    assert_eq!((found.items[0].message.id, found.items[0].highlights.len()), (sent.id, 1));
    ada.parlor.rename_conversation(room.id, Some("Echoes")).await.unwrap();
    ada.parlor.add_participant(room.id, eve.id, None).await.unwrap();
    ada.parlor.add_participant(room.id, eve.id, Some(ParticipantRole::Admin)).await.unwrap();
    assert_eq!(ada.parlor.participants(room.id).limit(1).all().count().await, 3);
    ada.parlor.remove_participant(room.id, eve.id).await.unwrap();
    let change = ProfileChange::new().display_name("Ada L.").bio(Some("Engines"));
    assert_eq!(ada.parlor.update_profile(&change).await.unwrap().bio.as_deref(), Some("Engines"));
    ada.parlor.change_status(Availability::Busy, Some("computing")).await.unwrap();
    bob.parlor.add_contact(ada.id).await.unwrap();
    bob.parlor.remove_contact(ada.id).await.unwrap();
    assert_eq!(bob.parlor.contacts().await.unwrap().items, []);
    bob.parlor.update_notification_preferences(&Preferences::default()).await.unwrap();
    bob.parlor.mark_all_notifications_as_read().await.unwrap();
    bob.parlor.mark_messages_as_read(room.id, sent.id).await.unwrap();
    assert_eq!(bob.parlor.unread_messages_count(room.id).await.unwrap().count, 0);

    let read = |event: &Event| matches!(event, Event::MessagesRead { up_to, .. } if *up_to == sent.id);
    let live: Vec<_> = begun_since.into_iter().chain(until(&mut feed, read).await).collect();
    let messages: Vec<_> = live
        .iter()
        .filter_map(|frame| match &frame.event {
            Event::MessageSent(item) | Event::MessageEdited(item) => item.message(),
            _ => None,
        })
        .collect();
    assert_eq!(messages[..2], [&sent, &edited], "a feed shows what commands answer");

    // The server goes and comes; the feed resumes by itself, and one from the beginning tells the same.
    server.kill().await;
    let mut states = feed.states();
    let waiting = async { states.wait_for(|state| matches!(state, FeedState::Waiting(_))).await.map(drop) };
    let next = tokio::spawn(async move {
        let frames = until(&mut feed, |event| matches!(event, Event::MessageSent(_))).await;
        (feed, frames)
    });
    waiting.await.unwrap();
    server.start_again().await;
    let after = ada.parlor.send(room.id, "Back again").await.unwrap();
    let (_feed, resumed) = next.await.unwrap();
    assert!(
        matches!(&resumed.last().unwrap().event, Event::MessageSent(item) if item.message() == Some(&after))
    );

    let of_chat = |frames: Vec<Frame>| -> Vec<String> {
        let events = frames.iter().map(|frame| serde_json::to_value(&frame.event).unwrap());
        let kinds = events.map(|event| event["type"].as_str().unwrap().to_owned());
        kinds.filter(|kind| kind.starts_with("chat.")).collect()
    };
    let mut again = bob.parlor.live(begun.cursor.as_deref());
    let retold = until(&mut again, |event| *event == Event::CaughtUp {}).await;
    assert_eq!(of_chat(retold), of_chat(live.into_iter().chain(resumed).collect()), "each once, in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_web_socket_a_feed_says_what_it_says_over_server_sent_events_through_a_restart() {
    let mut server = Server::start(Store::Sqlite).await;
    let (ada, bob) = (sign_up(&server, "Ada").await, sign_up(&server, "Bob").await);
    let known = [&*ada.registered, &bob.registered].join(",");
    let room = NewConversation::direct(bob.id);
    let room = ada.parlor.create_conversation(&room).after(known).await.unwrap().id;
    let mut socket = bob.parlor.live_over(Transport::WebSocket, None);
    let mut events = bob.parlor.live(None);
    for feed in [&mut socket, &mut events] {
        until(feed, |event| *event == Event::CaughtUp {}).await;
    }

    let mut adas = ada.parlor.live_over(Transport::WebSocket, None);
    until(&mut adas, |event| *event == Event::CaughtUp {}).await;
    let there = |event: &Event| matches!(event, Event::Presence(Presence { user_id, status: Availability::Online, .. }) if *user_id == ada.id);
    let typing = Event::Typing { conversation_id: room, user_id: ada.id };
    until(&mut socket, there).await;
    until(&mut events, there).await;
    ada.parlor.tell_typing(room).await.unwrap();
    let mut told = [Vec::new(), Vec::new()];
    for (feed, told) in [&mut socket, &mut events].into_iter().zip(&mut told) {
        told.extend(until(feed, |event| *event == typing).await);
    }
    ada.parlor.send(room, "before").await.unwrap();
    drop(adas);
    server.kill().await;
    server.start_again().await;
    let last = ada.parlor.send(room, "after").await.unwrap();
    let is_last = |event: &Event| matches!(event, Event::MessageSent(item) if item.message() == Some(&last));
    for (feed, told) in [&mut socket, &mut events].into_iter().zip(&mut told) {
        told.extend(until(feed, is_last).await);
    }
    let said = told.map(|frames| frames.into_iter().filter(|frame| frame.event != Event::CaughtUp {}));
    let [socket, events] =
        said.map(|frames| frames.filter(|frame| frame.cursor.is_some()).collect::<Vec<_>>());
    assert_eq!(socket, events);
    let messages = socket.iter().filter(|frame| matches!(frame.event, Event::MessageSent(_))).count();
    assert_eq!(messages, 2, "each once: {socket:?}");

    let mut wrong = bob.parlor.live_over(Transport::WebSocket, Some("nonsense"));
    assert_eq!(wrong.try_next().await.unwrap_err().code(), Some("invalid-cursor"));
    let ticket = bob.parlor.issue_ticket().await.unwrap().ticket;
    let by_ticket = server.api().get(&format!("/v1/stream?ticket={ticket}")).builder().send().await.unwrap();
    assert_eq!(by_ticket.status(), 200);
}

/// The bot, as a process of its own.
struct Bot {
    process: Child,
    /// Open as long as it runs: it says that it listens whenever it is connected again.
    _out: Lines<BufReader<ChildStdout>>,
}

impl Bot {
    /// Starts it, and waits until it listens.
    async fn start(server: &Server, state: &Path) -> Self {
        // Cargo builds a package's examples with its tests, beside them.
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.set_file_name("examples");
        let mut process = Command::new(path.join("echo_bot"))
            .env("PARLOR_URL", server.api().base())
            .env("BOT_PASSWORD", PASSWORD)
            .env("BOT_STATE", state)
            .kill_on_drop(true)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(out.next_line().await.unwrap().as_deref(), Some("listening"));
        Self { process, _out: out }
    }

    /// Kills it, which must have run until then.
    async fn kill(mut self) {
        assert_eq!(self.process.try_wait().unwrap(), None, "it ended by itself");
        self.process.kill().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_echo_bot_answers_each_message_exactly_once_through_kills_of_its_own_and_of_the_server() {
    let mut server = Server::start(Store::Sqlite).await;
    let state = server.folder().join("echo-bot.cursor");
    let old = server.folder().join("echo-bot.cursor.old");
    let mut bot = Some(Bot::start(&server, &state).await);
    std::fs::copy(&state, &old).unwrap();
    let ada = sign_up(&server, "Ada").await;
    let echo = eventually("the bot is there", async || {
        ada.parlor.find_users("Echo").await.unwrap().items.pop().map(|user| user.id)
    })
    .await;
    let room = NewConversation::direct(echo);
    let room =
        eventually("both are known", async || ada.parlor.create_conversation(&room).await.ok()).await.id;

    let said: Vec<_> = (0..12).map(|n| format!("message {n}")).collect();
    for (n, text) in said.iter().enumerate() {
        ada.parlor.send(room, text.clone()).await.unwrap();
        match n {
            3 => bot.take().unwrap().kill().await,
            6 => bot = Some(Bot::start(&server, &state).await),
            8 => {
                server.kill().await;
                server.start_again().await;
            }
            _ => {}
        }
    }
    let answers = async || -> Vec<String> {
        let all: Vec<_> = ada.parlor.messages(room).all().try_collect().await.unwrap();
        let all = all.iter().filter_map(|item| item.message());
        all.filter(|message| message.sender_id == echo).map(|message| message.content.clone()).collect()
    };
    eventually("all answers", async || (answers().await.len() >= said.len()).then_some(())).await;

    // Once more from an old place: everything is seen again, and nothing is answered again.
    bot.take().unwrap().kill().await;
    std::fs::copy(&old, &state).unwrap();
    let bot = Bot::start(&server, &state).await;
    ada.parlor.send(room, "the last one").await.unwrap();
    eventually("the last answer", async || (answers().await.first()? == "the last one").then_some(())).await;
    bot.kill().await;
    let mut answers = answers().await;
    answers.sort();
    let mut expected: Vec<_> = said.into_iter().chain(["the last one".to_owned()]).collect();
    expected.sort();
    assert_eq!(answers, expected);
}
