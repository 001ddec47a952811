//! `parlor demo`: fills a running instance with what people say in 28 languages, through the API, as any client would.
//!
//! The data are those of the package `chatterbot-corpus` 1.3.3 of the Python Package Index (BSD), converted once; see `server/demo`.

use anyhow::{Context as _, bail};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};
use parlor_client::{Call, ConversationHistory, NewConversation, NewUser, Parlor};
use serde::Deserialize;
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
    let base = format!("http://{}", config.listen);
    let filled = fill(&base, &key, conversations).await;
    // The key was for this run alone, however it ended.
    admin::ask_running(config, &Task::RevokeServiceKey { id }).await?;
    filled
}

async fn fill(base: &str, key: &str, conversations: usize) -> anyhow::Result<String> {
    let corpus: Corpus = serde_json::from_str(CORPUS).context("the demo data are damaged")?;
    let application = Parlor::builder(base).service_key(key).build()?;
    // Random, for an account that everybody knows of should not have a password that everybody knows.
    let password = format!("demo-{}", Uuid::from_u128(u128::from_be_bytes(random()?)).simple());
    let registered = match application.register(EMAIL, &password, "Demo").answer().await {
        Err(error) if error.code() == Some("email-taken") => bail!(
            "this instance holds the demo data already ({EMAIL} is registered); start on an empty data folder"
        ),
        registered => registered.context("registering the demo's account")?,
    };
    let Some(account) = registered.body else {
        bail!(
            "with auth.verify_email on, nobody can confirm the address of the demo's account: switch it off"
        );
    };
    let demo = Account { id: account.user_id, made: registered.position };

    let total =
        corpus.languages.iter().flat_map(|language| language.conversations.iter().take(conversations));
    let bar = ProgressBar::new(total.map(|lines| lines.len() as u64).sum());
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} messages, {elapsed} {msg}") {
        bar.set_style(style);
    }
    stream::iter(&corpus.languages)
        .map(|language| speak(&application, language, &demo, conversations, &bar))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    bar.finish_and_clear();
    Ok(format!(
        "{} messages in {} languages, a conversation each.\n\nSign in as\n  e-mail    {EMAIL}\n  password  {password}\n\n\
         For instance:\n  curl -s {base}/v1/auth/login -H 'content-type: application/json' \\\n    \
         -d '{{\"email\":\"{EMAIL}\",\"password\":\"{password}\"}}'\n",
        bar.length().unwrap_or(0),
        corpus.languages.len(),
    ))
}

/// Somebody who was made a moment ago.
struct Account {
    id: Uuid,
    /// Where that is to be found: chat waits for it.
    made: Option<String>,
}

/// Two speakers of a language and what they say to each other.
async fn speak(
    application: &Parlor,
    language: &Language,
    demo: &Account,
    conversations: usize,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let title = language.title();
    let (first, one) = speaker(application, language, 1).await?;
    let (second, other) = speaker(application, language, 2).await?;
    let room = NewConversation::group([other.id, demo.id]).title(&title).history(ConversationHistory::All);
    let known = [&one.made, &other.made, &demo.made].into_iter().flatten();
    let creating = known.fold(first.create_conversation(&room), Call::after);
    let room = creating.await.with_context(|| format!("creating the conversation {title}"))?.id;
    bar.set_message(title);
    for lines in language.conversations.iter().take(conversations) {
        for (line, speaker) in lines.iter().zip([&first, &second].into_iter().cycle()) {
            speaker.send(room, line.as_str()).await.with_context(|| format!("saying {line}"))?;
            bar.inc(1);
        }
    }
    Ok(())
}

/// The nth speaker of a language, made and signed in.
async fn speaker(application: &Parlor, language: &Language, n: usize) -> anyhow::Result<(Parlor, Account)> {
    let name = format!("{} speaker {n}", language.title());
    let user = NewUser::new(&name).external_id(format!("demo-{}-{n}", language.code));
    let made = application.create_user(&user).answer().await.with_context(|| format!("creating {name}"))?;
    let signed_in =
        application.issue_tokens(made.body.id, None).await.with_context(|| format!("signing {name} in"))?;
    let account = Account { id: made.body.id, made: made.position };
    Ok((application.as_signed_in(signed_in).await?, account))
}

fn random() -> anyhow::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes)
}
