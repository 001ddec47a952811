//! What people say in 28 languages, said through the API and found again.

use std::collections::HashMap;

use futures::{StreamExt as _, TryStreamExt as _};
use parlor_tests::demo::{Language, Sample, languages, samples};
use parlor_tests::{Server, Store, User};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_in_28_languages_is_found_again_on_sqlite() {
    found_again(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_in_28_languages_is_found_again_on_postgresql() {
    if let Some(store) = Store::postgres() {
        found_again(store).await;
    }
}

/// As many conversations of each language are said, and those that hold samples.
const CONVERSATIONS: usize = 12;

/// What two people said in one language.
struct Told {
    asker: User,
    answerer: User,
    room: String,
    /// Ids and contents, oldest first.
    messages: Vec<(String, String)>,
    position: String,
}

async fn found_again(store: Store) {
    let server = Server::start(store).await;
    let (languages, samples) = (languages(), samples());
    assert_eq!(languages.len(), 28);
    let filling = futures::stream::iter(&languages).map(async |language| {
        Ok::<_, std::convert::Infallible>((
            language.language.clone(),
            tell(&server, language, &samples).await,
        ))
    });
    let told: HashMap<String, Told> = filling.buffer_unordered(8).try_collect().await.unwrap();
    let total: usize = told.values().map(|told| told.messages.len()).sum();
    println!("{total} messages in {} languages", told.len());

    let tested: std::collections::BTreeSet<_> = samples.iter().map(|sample| &sample.language).collect();
    assert_eq!(tested.len(), 12);
    for sample in &samples {
        find(&told[&sample.language], sample).await;
    }
    for told in told.values() {
        count_and_read(told).await;
    }
    for sample in &samples {
        delete(&told[&sample.language], sample).await;
    }
    // Nobody finds what is said among others.
    let (hindi, thai) = (&told["hindi"], &told["thai"]);
    assert_eq!(thai.asker.find("डॉक्टर", Some(&hindi.position)).await, Vec::<Value>::new());
}

/// Two people of that language talk.
async fn tell(server: &Server, language: &Language, samples: &[Sample]) -> Told {
    let wanted: Vec<_> = samples
        .iter()
        .filter(|sample| sample.language == language.language)
        .map(|sample| &sample.line)
        .collect();
    let chosen = language.conversations.iter().enumerate().filter(|(index, conversation)| {
        *index < CONVERSATIONS || conversation.iter().any(|line| wanted.contains(&line))
    });
    let code = &language.code;
    let asker = User::sign_up(server.api(), &format!("Asker {code}")).await;
    let answerer = User::sign_up(server.api(), &format!("Answerer {code}")).await;
    let room = asker.direct(&answerer).await;
    let mut messages = Vec::new();
    let mut position = String::new();
    for (_, conversation) in chosen {
        for (turn, line) in conversation.iter().enumerate() {
            let speaker = if turn % 2 == 0 { &asker } else { &answerer };
            let reply = speaker.say(&room, line).await;
            assert_eq!(reply.text("content"), *line, "a message says what was said, to the byte");
            position = reply.position();
            messages.push((reply.text("id"), line.clone()));
        }
    }
    Told { asker, answerer, room, messages, position }
}

/// The query finds the line, newest first, and only in this conversation.
async fn find(told: &Told, sample: &Sample) {
    let found = told.asker.find(&sample.query, Some(&told.position)).await;
    let contents: Vec<_> =
        found.iter().map(|message| message["content"].as_str().unwrap_or_default()).collect();
    assert!(
        contents.contains(&sample.line.as_str()),
        "{}: {contents:?} for {}",
        sample.language,
        sample.query
    );
    let positions: Vec<u64> =
        found.iter().map(|message| message["position"].as_str().unwrap().parse().unwrap()).collect();
    assert!(positions.is_sorted_by(|newer, older| newer > older), "newest first: {positions:?}");
    assert!(found.iter().all(|message| message["conversationId"] == told.room), "{found:?}");
    // No line that holds the very letters is left out, and in this the two agree.
    let holding = told.messages.iter().filter(|(_, line)| line.contains(&sample.query));
    for (id, line) in holding {
        assert!(found.iter().any(|message| message["id"] == **id), "{}: {line} is missing", sample.language);
    }
    let theirs = told.answerer.find(&sample.query, Some(&told.position)).await;
    assert_eq!(theirs, found);
}

/// The one who only answers has what the other said to read, and then nothing.
async fn count_and_read(told: &Told) {
    let page = told.answerer.messages(&told.room, Some(&told.position)).await;
    let said: Vec<_> = page
        .iter()
        .rev()
        .map(|message| (message["id"].as_str().unwrap(), message["content"].as_str().unwrap()))
        .collect();
    let expected: Vec<_> = told.messages.iter().map(|(id, line)| (id.as_str(), line.as_str())).collect();
    assert_eq!(said, expected);
    let of_asker = page.iter().filter(|message| message["senderId"] == told.asker.id).count() as u64;
    assert_eq!(told.answerer.unread(&told.room, &told.position).await, of_asker);
    assert_eq!(told.asker.unread(&told.room, &told.position).await, page.len() as u64 - of_asker);
    let path = format!("/v1/conversations/{}/read", told.room);
    let read = told.answerer.put(&path, &json!({"upTo": page[0]["id"]})).expect(204).await;
    assert_eq!(told.answerer.unread(&told.room, &read.position()).await, 0);
}

/// What is deleted isn't found.
async fn delete(told: &Told, sample: &Sample) {
    let (id, _) = told.messages.iter().find(|(_, line)| *line == sample.line).expect("the sample was said");
    let path = format!("/v1/conversations/{}/messages/{id}", told.room);
    let reply = told.asker.delete(&path).send().await;
    let gone = match reply.status {
        204 => reply,
        403 => told.answerer.delete(&path).expect(204).await,
        _ => panic!("{reply:?}"),
    };
    let found = told.asker.find(&sample.query, Some(&gone.position())).await;
    assert!(!found.iter().any(|message| message["id"] == **id), "{}: {found:?}", sample.language);
}
