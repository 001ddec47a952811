//! Who there is, and what they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use futures::TryStreamExt as _;
use hdrhistogram::Histogram;
use hyper::Method;
use parlor_client::{Credentials, NewConversation, Parlor};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::client::Client;

/// A signed-in user with the conversations they are in.
pub(crate) struct User {
    pub(crate) parlor: Parlor,
    /// Their access token, for connections that are measured.
    pub(crate) token: String,
    credentials: Credentials,
    pub(crate) conversations: Vec<Uuid>,
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
        let base = format!("http://{address}");
        let mut people = Vec::with_capacity(users);
        let mut registered = String::new();
        for n in 0..users {
            let parlor = Parlor::new(&base)?;
            let email = format!("user{n}@example.org");
            let password = format!("a long enough phrase {n}");
            let answer = parlor.register(&email, &password, &format!("User {n}")).answer().await?;
            registered = answer.position.unwrap_or(registered);
            let credentials = Credentials::new(email, password);
            let me = parlor.sign_in(credentials.clone()).await?;
            let user = User { parlor, token: me.access_token, credentials, conversations: Vec::new() };
            people.push((me.user_id, user));
        }
        for n in 0..conversations {
            let members: Vec<usize> = (0..MEMBERS.min(users)).map(|m| (n * 7 + m * 11) % users).collect();
            let others = members[1..].iter().map(|&m| people[m].0);
            let room = NewConversation::group(others).title(format!("Room {n}"));
            // Chat must have heard of everybody, which it has once it heard of the last one.
            let creator = &people[members[0]].1.parlor;
            let created = creator.create_conversation(&room).after(&registered).await?;
            for member in members {
                people[member].1.conversations.push(created.id);
            }
        }
        let users = people.into_iter().map(|(_, user)| user).collect();
        Ok(Self { users })
    }

    /// Signs everybody in anew: access tokens last five minutes.
    pub(crate) async fn sign_in(&mut self) -> anyhow::Result<()> {
        for user in &mut self.users {
            user.token = user.parlor.sign_in(user.credentials.clone()).await?.access_token;
        }
        Ok(())
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
            user.map_or(Uuid::nil(), |user| user.conversations[round % user.conversations.len().max(1)]);
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
pub(crate) async fn count_messages(world: &World) -> anyhow::Result<u64> {
    let mut seen = std::collections::HashSet::new();
    let mut count = 0;
    for user in &world.users {
        for &conversation in &user.conversations {
            if seen.insert(conversation) {
                let mut messages = user.parlor.messages(conversation).limit(200).all();
                while messages.try_next().await?.is_some() {
                    count += 1;
                }
            }
        }
    }
    Ok(count)
}
