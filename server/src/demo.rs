//! `parlor demo`: fills a running instance with what people say in 28 languages, through the API, as any client would.
//!
//! The data are those of the package `chatterbot-corpus` 1.3.3 of the Python Package Index (BSD), converted once; see `server/demo`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::admin::{self, Answer, Task};
use crate::config::Config;

const CORPUS: &str = include_str!("../demo/corpus.json");
const EMAIL: &str = "demo@example.org";
/// Languages filled in at the same time.
const AT_ONCE: usize = 4;

#[derive(Deserialize)]
struct Corpus {
    languages: Vec<Language>,
}

#[derive(Deserialize)]
struct Language {
    #[serde(rename = "language")]
    name: String,
    code: String,
    conversations: Vec<Vec<String>>,
}

impl Language {
    /// Its name as a title: `mandarin` becomes `Mandarin`.
    fn title(&self) -> String {
        let mut letters = self.name.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }
}

/// Fills the instance that runs on the configured data folder with up to `conversations` of each language, and says
/// how to sign in.
pub async fn run(config: &Config, conversations: usize) -> anyhow::Result<String> {
    let Answer::Key { id, key } =
        admin::ask_running(config, &Task::CreateServiceKey { name: "demo".into() }).await?
    else {
        bail!("the running instance made no key: is it of another version?");
    };
    let filled = fill(&Api::new(config, &key)?, conversations).await;
    // The key was for this run alone, however it ended.
    admin::ask_running(config, &Task::RevokeServiceKey { id }).await?;
    filled
}

async fn fill(api: &Api, conversations: usize) -> anyhow::Result<String> {
    let corpus: Corpus = serde_json::from_str(CORPUS).context("the demo data are damaged")?;
    // Random, for an account that everybody knows of should not have a password that everybody knows.
    let password = format!("demo-{}", Uuid::from_u128(u128::from_be_bytes(random()?)).simple());
    let account = json!({"email": EMAIL, "password": password, "displayName": "Demo"});
    let (status, registered) = api.send(Method::POST, "/v1/auth/register", None, None, Some(account)).await?;
    if status == StatusCode::CONFLICT {
        bail!(
            "this instance holds the demo data already ({EMAIL} is registered); start on an empty data folder"
        );
    }
    let demo = text(&registered, "userId").context("registering the demo's account")?;
    api.remember(&registered);

    let total =
        corpus.languages.iter().flat_map(|language| language.conversations.iter().take(conversations));
    let bar = ProgressBar::new(total.map(|lines| lines.len() as u64).sum());
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} messages, {elapsed} {msg}") {
        bar.set_style(style);
    }
    stream::iter(&corpus.languages)
        .map(|language| speak(api, language, &demo, conversations, &bar))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    bar.finish_and_clear();
    Ok(format!(
        "{} messages in {} languages, a conversation each.\n\nSign in as\n  e-mail    {EMAIL}\n  password  {password}\n\n\
         For instance:\n  curl -s {}/v1/auth/login -H 'content-type: application/json' \\\n    \
         -d '{{\"email\":\"{EMAIL}\",\"password\":\"{password}\"}}'\n",
        bar.length().unwrap_or(0),
        corpus.languages.len(),
        api.base
    ))
}

/// Two speakers of a language and what they say to each other.
async fn speak(
    api: &Api,
    language: &Language,
    demo: &str,
    conversations: usize,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let title = language.title();
    let mut speakers = Vec::new();
    for n in 1..=2 {
        let name = format!("{title} speaker {n}");
        let user = json!({"displayName": name, "externalId": format!("demo-{}-{n}", language.code)});
        let created = api.must(Method::POST, "/v1/users", None, None, Some(user)).await?;
        let id = text(&created, "id").context("creating a user")?;
        let signed_in =
            api.must(Method::POST, "/v1/auth/tokens", None, None, Some(json!({"userId": id}))).await?;
        speakers.push((id, text(&signed_in, "accessToken").context("signing a user in")?));
    }
    let (first, second) = (&speakers[0], &speakers[1]);
    let room = json!({"kind": "group", "title": title, "history": "all", "participants": [second.0, demo]});
    let room = api.must(Method::POST, "/v1/conversations", Some(&first.1), None, Some(room)).await?;
    let path =
        format!("/v1/conversations/{}/messages", text(&room, "id").context("creating a conversation")?);
    bar.set_message(title);
    for (c, lines) in language.conversations.iter().take(conversations).enumerate() {
        for (l, line) in lines.iter().enumerate() {
            let key = format!("demo-{}-{c}-{l}", language.code);
            let (_, token) = &speakers[l % 2];
            api.must(Method::POST, &path, Some(token), Some(&key), Some(json!({"content": line}))).await?;
            bar.inc(1);
        }
    }
    Ok(())
}

fn random() -> anyhow::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes)
}

fn text(answer: &Value, field: &str) -> Option<String> {
    answer[field].as_str().map(str::to_owned)
}

/// The instance's API.
struct Api {
    client: Client,
    base: String,
    key: String,
    /// Where the accounts made so far are to be found: chat waits for it.
    seen: std::sync::Mutex<Vec<String>>,
}

/// Where an answer's position token is put into its JSON, for [`Api::remember`].
const POSITION: &str = "parlor-position";

impl Api {
    fn new(config: &Config, key: &str) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(Duration::from_secs(30)).build()?;
        let base = format!("http://{}", config.listen);
        Ok(Self { client, base, key: key.to_owned(), seen: std::sync::Mutex::default() })
    }

    /// Later commands wait until what was answered here is known everywhere.
    fn remember(&self, answer: &Value) {
        if let (Some(token), Ok(mut seen)) = (text(answer, POSITION), self.seen.lock()) {
            seen.push(token);
        }
    }

    /// A request by the user whose token it is, or else by the demo itself.
    async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        idempotency_key: Option<&str>,
        body: Option<Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.base));
        request = request.bearer_auth(token.unwrap_or(&self.key));
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let seen = self.seen.lock().map(|seen| seen.join(",")).unwrap_or_default();
        if path == "/v1/conversations" && !seen.is_empty() {
            request = request.header("parlor-min-position", seen);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.with_context(|| format!("{method} {path}"))?;
        let status = response.status();
        let position =
            response.headers().get(POSITION).and_then(|token| token.to_str().ok()).map(str::to_owned);
        let bytes = response.bytes().await?;
        let mut answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if let (Some(position), Some(object)) = (position, answer.as_object_mut()) {
            object.insert(POSITION.to_owned(), position.into());
        }
        Ok((status, answer))
    }

    /// A request that must be answered well.
    async fn must(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        idempotency_key: Option<&str>,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let (status, answer) = self.send(method.clone(), path, token, idempotency_key, body).await?;
        if !status.is_success() {
            bail!("{method} {path}: {status} {}", answer["detail"].as_str().unwrap_or_default());
        }
        if path == "/v1/users" {
            self.remember(&answer);
        }
        Ok(answer)
    }
}
