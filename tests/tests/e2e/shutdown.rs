//! Stopping, and what stops a start.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parlor_tests::model::Said;
use parlor_tests::server::contents;
use parlor_tests::{Options, Server, Store, User, eventually};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_fails_no_request_on_sqlite() {
    stop_under_load(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_fails_no_request_on_postgresql() {
    if let Some(store) = Store::postgres() {
        stop_under_load(store).await;
    }
}

const SENDERS: usize = 8;
const STOPS: usize = 3;

/// Each sender goes on until it finds nobody there. A client can't tell whether its last request still reached the server,
/// which may have closed the idle connection in the same moment (RFC 9112 §9.5); but whatever was carried out was answered.
async fn stop_under_load(store: Store) {
    if store.skips_cluster("a proxy is always there; see a_rolling_restart_fails_no_command") {
        return;
    }
    let mut server = Server::start(store).await;
    let api = server.api().clone();
    let host = User::sign_up(&api, "Host").await;
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        let sender = User::sign_up(&api, &format!("Sender {number}")).await;
        let room = host.direct(&sender).await;
        senders.push((sender, room));
    }
    let mut acknowledged: Vec<Vec<Said>> = vec![Vec::new(); SENDERS];
    for _ in 0..STOPS {
        let sent = AtomicUsize::new(0);
        let sending = senders.iter().map(async |(sender, room)| {
            let mut mine = Vec::new();
            loop {
                match sender.saying(room, "still here").attempt().await {
                    Ok(reply) => mine.push(Said::shown(&reply.expect(201).json())),
                    Err(error) => {
                        assert!(!error.is_body() && !error.is_decode(), "an answer was cut off: {error:?}");
                        return mine;
                    }
                }
                sent.fetch_add(1, Ordering::SeqCst);
            }
        });
        let stopping = async {
            eventually("they send", async || (sent.load(Ordering::SeqCst) >= 100).then_some(())).await;
            server.ask_to_stop();
            server.ended(PATIENCE).await.expect("it stops")
        };
        let (sent, status) = tokio::join!(futures::future::join_all(sending), stopping);
        assert!(status.success(), "{status}\n{}", server.log());
        for (mine, more) in acknowledged.iter_mut().zip(sent) {
            mine.extend(more);
        }
        server.start_again().await;
    }
    for ((_, room), said) in senders.iter().zip(&acknowledged) {
        let last = host.say(room, "what did I miss?").await;
        let mut page: Vec<_> =
            host.messages(room, Some(&last.position())).await.iter().map(Said::shown).collect();
        page.retain(|shown| shown.sender != host.id);
        page.reverse();
        assert_eq!(page, *said);
    }
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused_and_the_first_goes_on() {
    let server = Server::start(Store::Sqlite).await;
    let ann = User::sign_up(server.api(), "Ann").await;
    let second = tokio::process::Command::from({
        let mut command = server.command(&["serve"]);
        command.env("PARLOR_LISTEN", "127.0.0.1:0");
        command
    });
    let output = refused(second).await;
    assert!(
        output.contains("another") || output.contains("in use") || output.contains("already"),
        "{output}"
    );
    ann.get("/v1/auth/me").expect(200).await;
}

/// Runs a server that must end by itself, without success; gives what it printed.
async fn refused(mut command: tokio::process::Command) -> String {
    let running = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, running).await.expect("it ends by itself").unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(!output.status.success(), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[tokio::test]
async fn a_corrupt_data_folder_stops_the_start_and_is_left_untouched() {
    let mut server = Server::start(Store::Sqlite).await;
    let ann = User::sign_up(server.api(), "Ann").await;
    server.stop().await;
    let log = parlor_tests::log::sqlite_path(&server.data(), "chat");
    let whole = fs::read(&log).unwrap();
    // A header that no SQLite wrote.
    let mut broken = whole.clone();
    broken[..64].fill(0x5a);
    fs::write(&log, &broken).unwrap();
    let before = contents(&server.data());
    let output = refused(server.command(&["serve"]).into()).await;
    assert!(output.contains("chat"), "it says what is broken: {output}");
    let after = contents(&server.data());
    let changed: Vec<_> = before.iter().filter(|file| !after.contains(file)).map(|(path, _)| path).collect();
    assert_eq!(changed, Vec::<&std::path::PathBuf>::new(), "untouched");
    // It was this file alone that stood in the way.
    fs::write(&log, &whole).unwrap();
    server.start_again().await;
    ann.get("/v1/auth/me").expect(200).await;
}

#[tokio::test]
async fn a_newer_data_folder_stops_the_start_and_is_left_untouched() {
    let mut server = Server::start(Store::Sqlite).await;
    server.stop().await;
    fs::write(server.data().join("parlor.format"), "99\n").unwrap();
    let before = contents(&server.data());
    let output = refused(server.command(&["serve"]).into()).await;
    assert!(output.contains("newer") && output.contains("99"), "{output}");
    assert_eq!(contents(&server.data()), before, "untouched");
}

#[tokio::test]
async fn an_unknown_setting_stops_the_start_with_its_name() {
    let options = Options { limits: false, settings: vec![("PARLOR_CHAT_COLOUR", "blue".to_owned())] };
    let server = Server::prepare(Store::Sqlite, options).await;
    let output = refused(server.command(&["serve"]).into()).await;
    assert!(output.to_lowercase().contains("colour"), "{output}");
    assert!(!server.data().join("chat").exists(), "nothing was made");
}
