//! Who doesn't read costs little, is given up soon, and loses nothing.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use parlor_tests::model::Said;
use parlor_tests::socket::Came;
use parlor_tests::{
    Api, Feed, FeedEvent, Heard, Options, Server, Socket, Store, User, eventually, length, within,
};
use socket2::{Domain, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_reads_is_given_up_for_little_memory_and_loses_nothing_on_sqlite() {
    never_read(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_reads_is_given_up_for_little_memory_and_loses_nothing_on_postgresql() {
    if let Some(store) = Store::postgres() {
        never_read(store).await;
    }
}

/// Of both kinds together.
const STALLED: usize = 24;
/// More than lies between a server and who doesn't read: what a connection's queue holds, and the kernel.
const FLOOD: usize = 800;
/// About 4 kB each.
const CHARACTERS: usize = 3_900;
const SENDERS: usize = 8;
/// How much more the server may hold, of however many connections: 50 KiB for each of a thousand.
const GROWTH: u64 = 50 * 1024 * 1024;
/// How long a stalled connection may stay: 20 seconds in which nothing is taken, after what led there.
const GIVEN_UP: Duration = Duration::from_mins(1);
const RESUMING: usize = 8;
/// How long a client listens to a connection that says nothing.
const SILENCE: Duration = Duration::from_secs(10);

enum Stalled {
    Stream(Box<Feed>),
    Socket(Box<Socket>),
}

async fn never_read(store: Store) {
    if store.skips_cluster("the proxy reads for who doesn't") {
        return;
    }
    let settings = vec![("PARLOR_LIVE_CONNECTIONS_PER_USER", "2000".to_owned())];
    let server = Server::start_with(store, Options { settings, ..Options::default() }).await;
    let api = server.api();
    let (ann, bob) = (User::sign_up(api, "Ann").await, User::sign_up(api, "Bob").await);
    let room = ann.direct(&bob).await;
    // What is kept for all that follow is there by then.
    flood(&ann, &room, FLOOD).await;

    let files = server.open_files();
    let mut stalled = Vec::new();
    for number in 0..length("PARLOR_TEST_STALLED", STALLED) {
        let connection = narrow(api).await;
        stalled.push(if number % 2 == 0 {
            let mut feed = Feed::over(&bob, connection).await;
            feed.until("caught-up").await;
            Stalled::Stream(Box::new(feed))
        } else {
            let mut socket = Socket::over(&bob, connection, None).await;
            socket.until("caught-up").await;
            Stalled::Socket(Box::new(socket))
        });
    }
    assert_eq!(connections(&server).await, stalled.len());
    let before = server.resident_bytes();
    let mut most = before;
    let flooding = flood(&ann, &room, FLOOD);
    tokio::pin!(flooding);
    let mut expected = loop {
        tokio::select! {
            said = &mut flooding => break said,
            () = tokio::time::sleep(Duration::from_millis(50)) => most = most.max(server.resident_bytes()),
        }
    };
    expected.sort_by_key(|said| said.position);
    let given_up = within(GIVEN_UP, async || {
        most = most.max(server.resident_bytes());
        // Nor does the process hold on to any connection of theirs; some come and go for other things.
        let left = server.open_files().saturating_sub(files);
        (connections(&server).await == 0 && left < stalled.len() / 2).then_some(())
    });
    given_up.await.expect("who doesn't read is given up");
    println!(
        "resident: {} KiB with {} connections, at most {} KiB once they didn't read",
        before / 1024,
        stalled.len(),
        most / 1024
    );
    assert!(most <= before + GROWTH, "{before} bytes before, {most} at most");

    // Nobody is connected, but everybody has what the kernel held for them, and where to go on.
    let resumed = stream::iter(stalled).map(async |stalled| {
        let (mut heard, cursor) = stalled.rest().await;
        let told = heard.len();
        heard.extend(resume(&bob, cursor).await);
        let messages = heard.iter().filter(|event| event.kind == "chat.message-sent");
        let messages: Vec<_> = messages.map(|event| Said::shown(&event.data)).collect();
        assert!(messages == expected, "{told} before, {} in all, of {}", messages.len(), expected.len());
        told
    });
    let told: Vec<_> = resumed.buffer_unordered(RESUMING).collect().await;
    println!(
        "{} to {} were told before they were given up",
        told.iter().min().unwrap(),
        told.iter().max().unwrap()
    );
    assert!(told.iter().all(|&told| told < FLOOD), "they did read");
}

impl Stalled {
    /// What is there to be read, and where to resume. A word of farewell says when; who was cut off may hear nothing of it, and
    /// gives up after a while, as clients do.
    async fn rest(self) -> (Vec<FeedEvent>, String) {
        let (mut events, cursor) = match self {
            Self::Stream(mut feed) => {
                let mut events = Vec::new();
                while let Heard::Event(event) = feed.next_within(SILENCE).await {
                    events.push(event);
                }
                (events, feed.cursor().map(str::to_owned))
            }
            Self::Socket(mut socket) => {
                let mut events = Vec::new();
                loop {
                    match timeout(SILENCE, socket.next()).await {
                        Ok(Came::Frame(event)) => events.push(event),
                        Ok(Came::Closed(code, reason)) => {
                            assert_eq!((code, &reason["code"]), (1013, &"too-slow".into()));
                            assert!(reason["retryAfterMs"].is_u64(), "{reason}");
                            break;
                        }
                        Ok(Came::End) | Err(_) => break,
                    }
                }
                (events, socket.cursor().map(str::to_owned))
            }
        };
        if let Some(closed) = events.pop_if(|last| last.kind == "closed") {
            assert_eq!(closed.rest["code"], "too-slow");
            assert!(closed.rest["retryAfterMs"].is_u64(), "{closed:?}");
        }
        (events, cursor.expect("a caught-up gives a first cursor"))
    }
}

/// All that was missed, as a client asks for it: again from where it is, when a busy server says so.
async fn resume(user: &User, mut cursor: String) -> Vec<FeedEvent> {
    let mut missed = Vec::new();
    loop {
        let connect = async || Feed::try_open(user, Some(&cursor)).await.ok();
        let mut feed = eventually("the feed opens", connect).await;
        while let Some(event) = feed.next().await {
            match event.kind.as_str() {
                "caught-up" => return missed,
                "closed" => assert!(event.rest["retryAfterMs"].is_u64(), "{event:?}"),
                _ => missed.push(event),
            }
        }
        cursor = feed.cursor().expect("the one that it resumed from").to_owned();
    }
}

/// A connection that takes in little: with the segments and the window of a poor one, so that what isn't read soon fills it.
async fn narrow(api: &Api) -> TcpStream {
    let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_tcp_mss(1_200).unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = api.base().trim_start_matches("http://").parse().unwrap();
    TcpSocket::from_std_stream(socket.into()).connect(address).await.unwrap()
}

/// Says so much.
async fn flood(sender: &User, room: &str, messages: usize) -> Vec<Said> {
    let saying = stream::iter(0..messages).map(async |number| {
        let content = format!("{number}{}", "~".repeat(CHARACTERS));
        Said::shown(&sender.say(room, &content).await.json())
    });
    saying.buffer_unordered(SENDERS).collect().await
}

/// How many live connections the server counts.
async fn connections(server: &Server) -> usize {
    let metrics = Api::new(&format!("http://{}", server.metrics_address()));
    let text = eventually("metrics are told", async || {
        let reply = metrics.get("/metrics").attempt().await.ok()?;
        Some(String::from_utf8_lossy(&reply.body).into_owned())
    })
    .await;
    let line = text.lines().find_map(|line| line.strip_prefix("live_connections "));
    line.expect("the metric").parse().expect("a number")
}
