//! Live delivery: how long a message takes to the sockets of those who hear it, what an open socket costs, and what resuming costs
//! in a log that has grown meanwhile.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::{SinkExt as _, StreamExt as _};
use hdrhistogram::Histogram;
use hyper::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, http::HeaderValue};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::Live;
use crate::client::Client;
use crate::report::{Report, header};
use crate::scenario::{Work, World, load};
use crate::server::Server;

/// Connections that send.
const SENDERS: usize = 32;
/// How many sockets are opened at the same time.
const OPENING: usize = 64;
/// What was missed by who resumes, and how often they do.
const MISSED: usize = 50;
const RESUMES: usize = 50;
/// How long one round of filling the log lasts; then everybody signs in anew.
const ROUND: Duration = Duration::from_mins(1);

type Socket = WebSocketStream<TcpStream>;

/// Measures and prints.
pub(crate) async fn run(options: Live) -> anyhow::Result<()> {
    let server = Server::parlor(&options.parlor, None).await?;
    let mut world = World::make(&server.address, options.users, options.users).await?;
    let mut text = header();
    world.sign_in().await?;
    let (latencies, late) = deliver(&server.address, &world, &options).await?;
    let quantile = |q: f64| latencies.value_at_quantile(q) as f64 / 1000.0;
    let _ = writeln!(
        text,
        "From sending to the sockets of the 9 others, {} messages a second for {} s: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms; \
         {} deliveries, {late} messages sent late.\n",
        options.rate,
        options.seconds,
        quantile(0.5),
        quantile(0.99),
        latencies.max() as f64 / 1000.0,
        latencies.len(),
    );
    world.sign_in().await?;
    let (each, before) = idle(&server, &world, options.sockets).await?;
    let _ = writeln!(
        text,
        "{} idle sockets: {each:.1} KiB resident each, beside {} MiB before.\n",
        options.sockets,
        before / 1024
    );
    let (logged, resumes) = resume(&server.address, world, options.messages).await?;
    let _ = writeln!(
        text,
        "Resuming after {logged} messages of others and {MISSED} of one's own: p50 {:.1} ms, longest {:.1} ms, to caught-up.",
        resumes.value_at_quantile(0.5) as f64 / 1000.0,
        resumes.max() as f64 / 1000.0,
    );
    println!("{text}");
    if let Some(path) = &options.write {
        Report::write(path, "live", &text)?;
    }
    Ok(())
}

/// Opens a socket and has it begin, with buffers as small as the server's: the client's memory is the machine's, too.
async fn open(address: &str, token: &str, begin: &Value) -> anyhow::Result<Socket> {
    let mut request = format!("ws://{address}/v1/ws").into_client_request()?;
    request.headers_mut().insert("authorization", HeaderValue::try_from(format!("Bearer {token}"))?);
    let stream = TcpStream::connect(address).await.context("no socket; raise the limit of open files")?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
    let (mut socket, _) = client_async_with_config(request, stream, Some(config)).await?;
    socket.send(Message::text(begin.to_string())).await?;
    Ok(socket)
}

/// The next frame.
async fn next(socket: &mut Socket) -> anyhow::Result<Value> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text)?),
            Some(Ok(Message::Close(close))) => bail!("the server closed: {close:?}"),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => bail!("the socket ended"),
        }
    }
}

/// Waits for `caught-up`; gives its cursor.
async fn catch_up(socket: &mut Socket) -> anyhow::Result<String> {
    loop {
        let frame = next(socket).await?;
        if frame["type"] == "caught-up" {
            return Ok(frame["cursor"].as_str().unwrap_or_default().to_owned());
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are sound")
}

/// Sends at a rate; gives the microseconds from when each was due to when each other's socket had it, and how many were sent
/// more than a millisecond after they were due.
async fn deliver(address: &str, world: &World, options: &Live) -> anyhow::Result<(Histogram<u64>, u64)> {
    let start = Instant::now();
    let latencies = Arc::new(Mutex::new(histogram()));
    let late = Arc::new(AtomicU64::new(0));
    let mut listening = JoinSet::new();
    for (own, user) in world.users.iter().enumerate() {
        let mut socket = open(address, &user.token, &json!({"type": "start"})).await?;
        catch_up(&mut socket).await?;
        let (own, latencies) = (own.to_string(), latencies.clone());
        listening.spawn(async move {
            while let Ok(frame) = next(&mut socket).await {
                let now = start.elapsed().as_micros() as u64;
                let due = frame["data"]["content"].as_str().and_then(|content| content.split_once(' '));
                if let Some((sender, due)) = due
                    && frame["type"] == "chat.message-sent"
                    // A sender hears of it as well, and isn't one of the others.
                    && sender != own
                    && let Ok(due) = due.parse::<u64>()
                {
                    latencies.lock().saturating_record(now.saturating_sub(due).max(1));
                }
            }
        });
    }
    let total = options.rate * options.seconds;
    let (tick, ticks) = ticking(start, options.rate, total);
    let mut sending = JoinSet::new();
    for n in 0..SENDERS {
        let sender = n % world.users.len();
        let user = &world.users[sender];
        let room = *user.conversations.first().context("everybody is in a conversation")?;
        let mut client = Client::connect(address, Some(user.token.clone())).await?;
        let (ticks, late) = (ticks.clone(), late.clone());
        sending.spawn(async move {
            loop {
                let Some(due) = ticks.lock().await.recv().await else { return anyhow::Ok(()) };
                if start.elapsed().as_micros() as u64 > due + 1_000 {
                    late.fetch_add(1, Ordering::Relaxed);
                }
                let body = json!({"content": format!("{sender} {due}")}).to_string();
                let path = format!("/v1/conversations/{room}/messages");
                let (status, _) = client.call(Method::POST, &path, &[], body).await?;
                if !status.is_success() {
                    bail!("a message was answered {status}");
                }
            }
        });
    }
    tick.await?;
    while let Some(sent) = sending.join_next().await {
        sent??;
    }
    // What is on its way arrives.
    let until = Instant::now() + Duration::from_secs(10);
    while latencies.lock().len() < total * 9 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    listening.shutdown().await;
    let latencies = latencies.lock().clone();
    Ok((latencies, late.load(Ordering::Relaxed)))
}

type Ticks = Arc<tokio::sync::Mutex<tokio::sync::mpsc::Receiver<u64>>>;

/// When each message is due, in microseconds since `start`, given out as it comes to be.
fn ticking(start: Instant, rate: u64, total: u64) -> (tokio::task::JoinHandle<()>, Ticks) {
    let (give, take) = tokio::sync::mpsc::channel(1024);
    let begin = start.elapsed().as_micros() as u64;
    let clock = tokio::spawn(async move {
        for n in 0..total {
            let due = begin + n * 1_000_000 / rate.max(1);
            tokio::time::sleep_until((start + Duration::from_micros(due)).into()).await;
            if give.send(due).await.is_err() {
                return;
            }
        }
    });
    (clock, Arc::new(tokio::sync::Mutex::new(take)))
}

/// Opens so many sockets; gives the KiB that the server holds for each, and those that it held before.
async fn idle(server: &Server, world: &World, sockets: usize) -> anyhow::Result<(f64, u64)> {
    // What the load before left behind is given back.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = server.resident_kib().context("the server's memory can't be seen")?;
    let opening = futures::stream::iter(0..sockets).map(async |n| {
        let user = &world.users[n % world.users.len()];
        let mut socket = open(&server.address, &user.token, &json!({"type": "start"})).await?;
        catch_up(&mut socket).await?;
        anyhow::Ok(socket)
    });
    let open: Vec<_> = opening.buffer_unordered(OPENING).collect().await;
    let open = open.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = server.resident_kib().context("the server's memory can't be seen")?;
    let each = after.saturating_sub(before) as f64 / open.len().max(1) as f64;
    Ok((each, before))
}

/// Lets others talk while somebody is away; gives how much they said, and the microseconds of each resuming.
async fn resume(address: &str, mut world: World, messages: u64) -> anyhow::Result<(u64, Histogram<u64>)> {
    // Their conversations are their own: in what is said meanwhile, they are in none.
    let away = world.users.swap_remove(0);
    let room = *away.conversations.first().context("everybody is in a conversation")?;
    for user in &mut world.users {
        user.conversations.retain(|conversation| !away.conversations.contains(conversation));
    }
    world.users.retain(|user| !user.conversations.is_empty());
    let mut socket = open(address, &away.token, &json!({"type": "start"})).await?;
    let cursor = catch_up(&mut socket).await?;
    drop(socket);
    let mut logged = 0;
    while logged < messages {
        world.sign_in().await?;
        let round = Arc::new(world);
        let left = Duration::from_millis((messages - logged).clamp(500, 60_000));
        logged += load(address, Some(&round), Work::SendWords, SENDERS, ROUND.min(left)).await?.done;
        world = Arc::into_inner(round).context("a client still runs")?;
    }
    for n in 0..MISSED {
        away.parlor.send(room, format!("missed {n}").as_str()).await?;
    }
    let token = away.parlor.tokens().await?.context("somebody is signed in")?.access_token;
    let begin = json!({"type": "resume", "cursor": cursor});
    let mut resumes = histogram();
    for n in 0..=RESUMES {
        let started = Instant::now();
        let mut socket = open(address, &token, &begin).await?;
        catch_up(&mut socket).await?;
        // The first waits until the views have come so far.
        if n > 0 {
            resumes.saturating_record(started.elapsed().as_micros() as u64);
        }
    }
    Ok((logged, resumes))
}
