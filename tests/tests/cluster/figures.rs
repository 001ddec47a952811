//! The figures of docs/scaling.md, measured on a cluster. Run by name, with an optimised binary:
//!
//! ```text
//! PARLOR_TEST_TARGET=cluster cargo test --release -p parlor-tests --test cluster -- --ignored --nocapture figures
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use parlor_tests::{Api, Cluster, Reply, User, within};

use crate::stage::whole_cluster;

const PAIRS: usize = 32;
/// How long each measurement lasts.
const LASTS: Duration = Duration::from_secs(10);
/// How long notifications may take to catch up with that.
const DRAINED: Duration = Duration::from_mins(5);
/// Messages a second, at which delays are measured.
const RATE: u32 = 200;
/// From the acknowledgement of a message to its notification being queryable, p99.
const TOLD_WITHIN: Duration = Duration::from_millis(250);
/// A command's p99 with Kafka stopped, in that with it running.
const KAFKA_FREE: f64 = 1.2;

struct Pair {
    sender: User,
    reader: User,
    room: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures times: run by name, on a machine that does nothing else"]
async fn figures_of_a_cluster() {
    let Some(cluster) = whole_cluster().await else { return };
    let pairs = pairs(&cluster.api()).await;
    for (name, apis) in [
        ("one chat process", vec![cluster.api_of("chat-1")]),
        ("two chat processes", vec![cluster.api_of("chat-1"), cluster.api_of("chat-2")]),
        ("two behind the proxy", vec![cluster.api()]),
    ] {
        let mut times = flat_out(&pairs, &apis).await;
        let many = times.len() as f64 / LASTS.as_secs_f64();
        println!("SendMessage, {PAIRS} clients, {name}: {many:.0}/s, {}", told(&mut times));
    }
    // What was sent flat out is told of first; a queue of it is no delay of what comes afterwards.
    let began = Instant::now();
    for pair in &pairs {
        let last = pair.sender.say(&pair.room, "the last of them").await;
        let told = async || {
            let asked = pair.reader.get("/v1/notifications?limit=1").after(&last.position()).attempt().await;
            asked.ok().filter(|reply| reply.status == 200)
        };
        within(DRAINED, told).await.expect("notifications catch up");
    }
    println!("notifications had caught up {:.1?} later", began.elapsed());
    let (mut commands, mut delays) = steady(&cluster, &pairs, Asked::Notifications).await;
    println!("SendMessage at {RATE}/s: {}", told(&mut commands));
    println!("until its notification is queryable: {}", told(&mut delays));
    cluster.kill("kafka").await;
    let (mut without, _) = steady(&cluster, &pairs, Asked::Messages).await;
    println!("SendMessage at {RATE}/s, Kafka stopped: {}", told(&mut without));
    let ratio = quantile(&mut without, 0.99).as_secs_f64() / quantile(&mut commands, 0.99).as_secs_f64();
    println!("p99 with Kafka stopped in that with it running: {ratio:.2}");
    assert!(quantile(&mut delays, 0.99) <= TOLD_WITHIN, "notifications are late");
    assert!(ratio <= KAFKA_FREE, "Kafka's absence is felt");
}

async fn pairs(api: &Api) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for number in 0..PAIRS {
        let sender = User::sign_up(api, &format!("Sender {number}")).await;
        let reader = User::sign_up(api, &format!("Reader {number}")).await;
        let room = sender.direct(&reader).await;
        pairs.push(Pair { sender, reader, room });
    }
    pairs
}

/// Everybody sends one message after the other.
async fn flat_out(pairs: &[Pair], apis: &[Api]) -> Vec<Duration> {
    let stop = AtomicBool::new(false);
    let sending = join_all(pairs.iter().enumerate().map(async |(number, pair)| {
        let sender = User { api: apis[number % apis.len()].clone(), ..pair.sender.clone() };
        let mut times = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            let began = Instant::now();
            sender.say(&pair.room, "as fast as it goes").await;
            times.push(began.elapsed());
        }
        times
    }));
    let ending = async {
        tokio::time::sleep(LASTS).await;
        stop.store(true, Ordering::SeqCst);
    };
    let (times, ()) = tokio::join!(sending, ending);
    times.concat()
}

/// Where a message is looked for once it was acknowledged, so that a run with Kafka and one without do as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Among the notifications of whoever is to read it.
    Notifications,
    /// In the conversation: what is left of the queries while no notification comes.
    Messages,
}

impl Asked {
    /// Waits until `reader` finds the message.
    async fn until_found(self, reader: &User, room: &str, message: &Reply) {
        let path = match self {
            Self::Notifications => "/v1/notifications?limit=20".to_owned(),
            Self::Messages => format!("/v1/conversations/{room}/messages?limit=20"),
        };
        let page = reader.get(&path).after(&message.position()).expect(200).await;
        let id = message.text("id");
        // The position covers the notification, so that it is there at once or something is wrong.
        assert!(
            page.items().iter().any(|item| item.to_string().contains(&id)),
            "{id} is missing in {page:?}"
        );
    }
}

/// Messages at a steady rate, through the proxy; how long each took, and, for some, how long until it was found.
async fn steady(cluster: &Cluster, pairs: &[Pair], looked_for: Asked) -> (Vec<Duration>, Vec<Duration>) {
    let mut beat = tokio::time::interval(Duration::from_secs(1) / RATE);
    let api = cluster.api();
    let began = Instant::now();
    let mut under_way = Vec::new();
    let mut number = 0;
    while began.elapsed() < LASTS {
        beat.tick().await;
        let pair = &pairs[number % pairs.len()];
        let sender = User { api: api.clone(), ..pair.sender.clone() };
        let reader = User { api: api.clone(), ..pair.reader.clone() };
        let (room, asked) = (pair.room.clone(), number.is_multiple_of(10));
        number += 1;
        under_way.push(tokio::spawn(async move {
            let began = Instant::now();
            let reply = sender.say(&room, "steadily").await;
            let (took, said) = (began.elapsed(), Instant::now());
            if !asked {
                return (took, None);
            }
            looked_for.until_found(&reader, &room, &reply).await;
            (took, Some(said.elapsed()))
        }));
    }
    let (mut commands, mut delays) = (Vec::new(), Vec::new());
    for task in under_way {
        let (took, delay) = task.await.unwrap();
        commands.push(took);
        delays.extend(delay);
    }
    (commands, delays)
}

fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let at = (times.len() as f64 * share).ceil() as usize;
    times[at.clamp(1, times.len()) - 1]
}

fn told(times: &mut [Duration]) -> String {
    let [p50, p99] = [0.5, 0.99].map(|share| quantile(times, share));
    format!("p50 {p50:.1?}, p99 {p99:.1?}, {} of them", times.len())
}
