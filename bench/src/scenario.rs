//! Who there is, and what they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use hdrhistogram::Histogram;
use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::Client;

/// A signed-in user with the conversations they are in.
pub(crate) struct User {
    pub(crate) token: String,
    login: Value,
    pub(crate) conversations: Vec<String>,
}

/// The people of a run.
pub(crate) struct World {
    pub(crate) users: Vec<User>,
}

/// Members of a conversation.
const MEMBERS: usize = 10;

impl World {
    /// Registers users, signs them in, and puts them into conversations of ten.
    pub(crate) async fn make(address: &str, users: usize, conversations: usize) -> anyhow::Result<Self> {
        let mut nobody = Client::connect(address, None).await?;
        let mut people = Vec::with_capacity(users);
        for n in 0..users {
            let email = format!("user{n}@example.org");
            let password = format!("a long enough phrase {n}");
            let body = json!({"email": email, "password": password, "displayName": format!("User {n}")});
            nobody.json(Method::POST, "/v1/auth/register", Some(body)).await?;
            let login = json!({"email": email, "password": password});
            let answer = nobody.json(Method::POST, "/v1/auth/login", Some(login.clone())).await?;
            let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
            let user = User { token: text("accessToken"), login, conversations: Vec::new() };
            people.push((text("userId"), user));
        }
        for n in 0..conversations {
            let members: Vec<usize> = (0..MEMBERS.min(users)).map(|m| (n * 7 + m * 11) % users).collect();
            let creator = members[0];
            let others: Vec<&str> = members[1..].iter().map(|&m| people[m].0.as_str()).collect();
            let body = json!({"kind": "group", "title": format!("Room {n}"), "participants": others});
            let mut client = Client::connect(address, Some(people[creator].1.token.clone())).await?;
            let created = create(&mut client, &body).await?;
            for member in members {
                people[member].1.conversations.push(created.clone());
            }
        }
        let users = people.into_iter().map(|(_, user)| user).collect();
        Ok(Self { users })
    }

    /// Signs everybody in anew: access tokens last five minutes.
    pub(crate) async fn sign_in(&mut self, address: &str) -> anyhow::Result<()> {
        let mut nobody = Client::connect(address, None).await?;
        for user in &mut self.users {
            let answer = nobody.json(Method::POST, "/v1/auth/login", Some(user.login.clone())).await?;
            answer["accessToken"].as_str().unwrap_or_default().clone_into(&mut user.token);
        }
        Ok(())
    }
}

/// Creates a conversation; a user made a moment ago may not be known to chat yet.
async fn create(client: &mut Client, body: &Value) -> anyhow::Result<String> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match client.json(Method::POST, "/v1/conversations", Some(body.clone())).await {
            Ok(answer) => return Ok(answer["id"].as_str().unwrap_or_default().to_owned()),
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// What one kind of load came to.
pub(crate) struct Outcome {
    /// Requests answered well per second.
    pub(crate) per_second: f64,
    /// Latencies in microseconds.
    pub(crate) latencies: Histogram<u64>,
    /// Requests answered otherwise.
    pub(crate) errors: u64,
    /// Requests answered well.
    pub(crate) done: u64,
}

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Echo,
    Send,
    /// Sending messages of many different words, for searching later.
    SendWords,
    Page,
    List,
    /// Searching for this.
    Search(&'static str),
}

/// The nth of many different messages: twelve words of about 3,000, the first of them much more frequent than the last;
/// every tenth message is Chinese, of about 600 characters alike.
fn words(n: u64) -> String {
    let mut state = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut below = |bound: u64| {
        // xorshift64 (Marsaglia 2003): any spread will do, and a run repeats.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    if n.is_multiple_of(10) {
        let character = |k: u64| char::from_u32(0x4E00 + k as u32).unwrap_or('中');
        return (0..24).map(|_| character(below(600) * 7)).collect();
    }
    let syllables = ["mo", "ra", "ti", "lu", "se", "ko", "na", "vi", "da", "pe", "zu", "fi"];
    let mut text = String::with_capacity(100);
    for _ in 0..12 {
        let bound = below(3_000) + 1;
        let mut word = below(bound);
        for _ in 0..3 {
            text.push_str(syllables[(word % 12) as usize]);
            word /= 12;
        }
        text.push(' ');
    }
    text.pop();
    text
}

static KEYS: AtomicU64 = AtomicU64::new(0);

/// Runs `clients` connections in a closed loop for `duration`.
pub(crate) async fn load(
    address: &str,
    world: Option<&Arc<World>>,
    work: Work,
    clients: usize,
    duration: Duration,
) -> anyhow::Result<Outcome> {
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for n in 0..clients {
        let (address, world) = (address.to_owned(), world.cloned());
        tasks.spawn(async move { one_client(&address, world.as_deref(), work, n, started + duration).await });
    }
    let mut latencies = Histogram::new(3)?;
    let (mut done, mut errors) = (0, 0);
    while let Some(result) = tasks.join_next().await {
        let (histogram, failed) = result??;
        done += histogram.len();
        errors += failed;
        latencies.add(histogram)?;
    }
    let per_second = done as f64 / started.elapsed().as_secs_f64();
    Ok(Outcome { per_second, latencies, errors, done })
}

async fn one_client(
    address: &str,
    world: Option<&World>,
    work: Work,
    n: usize,
    until: Instant,
) -> anyhow::Result<(Histogram<u64>, u64)> {
    let user = world.map(|world| &world.users[n % world.users.len()]);
    let mut client = Client::connect(address, user.map(|user| user.token.clone())).await?;
    let body = format!(
        r#"{{"content":"{}"}}"#,
        "The quick brown fox jumps over the lazy dog, again and again, all day. "
            .repeat(2)
            .get(..80)
            .unwrap_or_default()
    );
    let (mut latencies, mut errors, mut round) = (Histogram::new(3)?, 0, n);
    while Instant::now() < until {
        let conversation =
            user.map_or("", |user| user.conversations[round % user.conversations.len().max(1)].as_str());
        round += 1;
        let started = Instant::now();
        let (status, _) = match work {
            Work::Echo => client.call(Method::POST, "/echo", &[], body.clone()).await?,
            Work::Send => {
                let key = format!("bench-{}", KEYS.fetch_add(1, Ordering::Relaxed));
                let path = format!("/v1/conversations/{conversation}/messages");
                client.call(Method::POST, &path, &[("idempotency-key", &key)], body.clone()).await?
            }
            Work::SendWords => {
                let n = KEYS.fetch_add(1, Ordering::Relaxed);
                let path = format!("/v1/conversations/{conversation}/messages");
                let body = format!(r#"{{"content":"{}"}}"#, words(n));
                client.call(Method::POST, &path, &[("idempotency-key", &format!("bench-{n}"))], body).await?
            }
            Work::Search(text) => {
                let path = format!(
                    "/v1/messages/search?{}",
                    form_urlencoded::Serializer::new(String::new()).append_pair("q", text).finish()
                );
                client.call(Method::GET, &path, &[], "").await?
            }
            Work::Page => {
                let path = format!("/v1/conversations/{conversation}/messages?limit=50");
                client.call(Method::GET, &path, &[], "").await?
            }
            Work::List => client.call(Method::GET, "/v1/conversations?limit=20", &[], "").await?,
        };
        if status.is_success() {
            latencies.record(started.elapsed().as_micros() as u64)?;
        } else {
            errors += 1;
            if status.as_u16() == 401 {
                bail!("the access tokens ran out: measure for less than their five minutes");
            }
        }
    }
    Ok((latencies, errors))
}

/// How many messages there are in all conversations, as their members read them page by page.
pub(crate) async fn count_messages(address: &str, world: &World) -> anyhow::Result<u64> {
    let mut seen = std::collections::HashSet::new();
    let mut count = 0;
    for user in &world.users {
        let mut client = Client::connect(address, Some(user.token.clone())).await?;
        for conversation in &user.conversations {
            if !seen.insert(conversation.clone()) {
                continue;
            }
            let mut cursor = String::new();
            loop {
                let path = format!("/v1/conversations/{conversation}/messages?limit=200{cursor}");
                let page = client.json(Method::GET, &path, None).await?;
                count += page["items"].as_array().map_or(0, Vec::len) as u64;
                match page["nextCursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
        }
    }
    Ok(count)
}
