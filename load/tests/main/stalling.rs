//! A server that stands still for a moment: whoever wanted something meanwhile waited, and that must show.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use parlor_load::{Kind, Mix, Options, Pace, drive};

const RATE: f64 = 1_000.0;
const REQUESTS: u64 = 1_000;
const CONNECTIONS: usize = 4;
const STALL: Duration = Duration::from_millis(400);
/// What a request that waited for the end of the stall took at least, in microseconds; three quarters of those due meanwhile did.
const SLOW: u64 = 100_000;

/// A server that stands still for [`STALL`] at the 300th request, whoever sent it.
fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (count, stalled) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(())));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (count, stalled) = (count.clone(), stalled.clone());
            std::thread::spawn(move || answer(&mut stream.unwrap(), &count, &stalled));
        }
    });
    address
}

fn answer(stream: &mut TcpStream, count: &AtomicU64, stalled: &Mutex<()>) {
    let mut buffer = [0; 4096];
    // A request of the load comes in one piece.
    while matches!(stream.read(&mut buffer), Ok(bytes) if bytes > 0) {
        let held = stalled.lock().unwrap();
        if count.fetch_add(1, Ordering::SeqCst) == 300 {
            std::thread::sleep(STALL);
        }
        drop(held);
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

#[test]
fn requests_that_were_due_while_the_server_stood_still_count_with_their_waiting() {
    let duration = Duration::from_secs_f64(REQUESTS as f64 / RATE);
    let mut options = Options::closed(start(), "test", Mix::only(Kind::Echo), CONNECTIONS, duration);
    options.pace = Pace::Open { rate: RATE };
    let outcome = drive(None, &options, &|_| {}).unwrap();
    let echo = &outcome.kinds[&Kind::Echo];
    // None was left out for want of a free connection.
    assert_eq!((echo.done, echo.failed()), (REQUESTS, 0));
    assert_eq!(echo.latencies.len(), REQUESTS);
    let slow = |histogram: &hdrhistogram::Histogram<u64>| histogram.count_between(SLOW, u64::MAX);
    // Whoever only looks at what was sent sees one slow request for each connection.
    let (waited, sent) = (slow(&echo.latencies), slow(&echo.service));
    assert!(waited >= 250, "{waited} of the 400 that were due meanwhile waited long");
    assert!(sent * 10 < waited, "{sent} were slow after they were sent, {waited} since they were due");
    let seconds: u64 = outcome.seconds.iter().map(|second| second.done).sum();
    assert_eq!(seconds, REQUESTS);
}

#[test]
fn a_server_that_never_answers_ends_in_errors_and_not_in_waiting() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = Options::closed(
        listener.local_addr().unwrap(),
        "test",
        Mix::only(Kind::Echo),
        2,
        Duration::from_millis(100),
    );
    options.pace = Pace::Open { rate: 100.0 };
    options.grace = Duration::from_millis(100);
    let outcome = drive(None, &options, &|_| {}).unwrap();
    assert_eq!((outcome.done(), outcome.failed()), (0, 10));
    let errors = outcome.errors();
    assert_eq!(
        errors.iter().filter(|(what, _)| what.contains("no answer")).map(|(_, count)| count).sum::<u64>(),
        2
    );
    assert_eq!(errors["never sent: no connection was free"], 8);
}

#[test]
fn a_closed_loop_sends_no_more_than_it_was_allowed() {
    let mut options =
        Options::closed(start(), "test", Mix::only(Kind::Echo), CONNECTIONS, Duration::from_mins(1));
    options.at_most = 50;
    let outcome = drive(None, &options, &|_| {}).unwrap();
    assert_eq!((outcome.done(), outcome.failed()), (50, 0));
}
