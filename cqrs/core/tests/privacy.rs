//! What is stored of personal fields, and what is left when a person is erased; events of older versions.

mod common;

use std::sync::Arc;

use common::{BankRefusal, Spy, cx, executor_with};
use cqrs_core::testing::{MemoryKeyStore, noon};
use cqrs_core::{
    Actor, Aggregate, Context, Decide, Decision, Event, ExecutorOptions, Keyring, Log as _, Personal, Plain,
    Position, Reads, RecordedEvent, State, undeclared_text,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const ANNA: Uuid = Uuid::from_u128(0xa);
const BERT: Uuid = Uuid::from_u128(0xb);

/// An event as it is today: it was `{text, by, place}` in version 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
enum NoteEvent {
    #[serde(rename = "note.written")]
    Written { text: Personal<String>, by: Personal<String>, colour: Plain<String> },
}
impl Event for NoteEvent {
    fn version(_: &str) -> u16 {
        2
    }
    fn upcast(_: &str, version: u16, mut data: serde_json::Value) -> Result<serde_json::Value, String> {
        if version != 1 {
            return Err(format!("version {version} never was"));
        }
        let fields = data.as_object_mut().ok_or("not an object")?;
        fields.remove("place");
        fields.insert("colour".to_owned(), "yellow".into());
        Ok(data)
    }
}

/// The event as version 1 of the software wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
enum OldNoteEvent {
    #[serde(rename = "note.written")]
    Written { text: Personal<String>, place: Personal<String>, by: Personal<String> },
}
impl Event for OldNoteEvent {}

#[derive(Debug, Clone, Default)]
struct Note {
    text: Option<String>,
}
impl Aggregate for Note {
    const CATEGORY: &'static str = "note";
    type Event = NoteEvent;
    fn apply(&mut self, event: &NoteEvent) {
        let NoteEvent::Written { text, .. } = event;
        self.text = text.get().cloned();
    }
}

struct Write;
impl Decide for Write {
    type Answer = ();
    type Refusal = BankRefusal;
    fn reads(&self, _: &Context) -> Reads {
        Reads::of::<Note>(Uuid::nil())
    }
    fn decide(&self, _: &Context, _: &State<'_>) -> Result<Decision<()>, BankRefusal> {
        let event = NoteEvent::Written {
            text: Personal::new(ANNA, "canary-text".to_owned()),
            by: Personal::new(BERT, "canary-name".to_owned()),
            colour: Plain("blue".to_owned()),
        };
        Ok(Decision::done().record::<Note>(Uuid::nil(), event))
    }
}

#[tokio::test]
async fn personal_fields_are_stored_sealed_and_read_back_until_the_persons_key_is_destroyed() {
    let (spy, store) = (Spy::new(), Arc::new(MemoryKeyStore::default()));
    let executor = executor_with(spy.clone(), Keyring::new(store.clone()), &ExecutorOptions::default());
    executor.run(&cx(&executor), &Write).await.unwrap();
    let stored = spy.log.read(Position(0), 10).await.unwrap().remove(0);
    let bytes = std::str::from_utf8(&stored.data).unwrap();
    assert!(!bytes.contains("canary"), "{bytes}");
    assert!(bytes.contains("blue") && bytes.contains(&ANNA.to_string()), "{bytes}");

    let read = async |store: &Arc<MemoryKeyStore>| {
        // As after a restart: no key is at hand.
        let NoteEvent::Written { text, by, colour } =
            Keyring::new(store.clone()).decode(&stored).await.unwrap();
        (text.get().cloned(), by.get().cloned(), colour.0)
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(read(&store).await, (text("canary-text"), text("canary-name"), "blue".to_owned()));
    store.destroy(ANNA);
    assert_eq!(read(&store).await, (None, text("canary-name"), "blue".to_owned()));

    // Nothing more is recorded about who was erased, and deciding on them goes on.
    let fresh = || executor_with(spy.clone(), Keyring::new(store.clone()), &ExecutorOptions::default());
    fresh().run(&cx(&executor), &Write).await.unwrap();
    assert_eq!(fresh().state::<Note>(Uuid::nil()).await.unwrap().1.text, None);
    store.destroy(BERT);
    assert_eq!(read(&store).await, (None, None, "blue".to_owned()));
}

fn recorded(id: Uuid, schema: u16, data: bytes::Bytes) -> RecordedEvent {
    RecordedEvent {
        position: Position(1),
        id,
        category: "note".into(),
        stream: Uuid::nil(),
        version: 1,
        name: "note.written".into(),
        schema,
        at: noon(),
        actor: Actor::System,
        correlation: Uuid::nil(),
        causation: None,
        data,
    }
}

#[tokio::test]
async fn an_event_of_an_older_version_is_upcast_and_its_remaining_sealed_fields_open() {
    let keyring = cqrs_core::testing::keyring();
    let old = OldNoteEvent::Written {
        text: Personal::new(ANNA, "text".to_owned()),
        place: Personal::new(ANNA, "place".to_owned()),
        by: Personal::new(ANNA, "name".to_owned()),
    };
    let id = Uuid::from_u128(77);
    let new = keyring.encode(id, &old).await.unwrap();
    assert_eq!(new.schema, 1);
    let NoteEvent::Written { text, by, colour } =
        keyring.decode(&recorded(id, 1, new.data.clone())).await.unwrap();
    assert_eq!((text.text(), by.text(), &*colour.0), ("text", "name", "yellow"));

    let newer = keyring.decode::<NoteEvent>(&recorded(id, 3, new.data.clone())).await.unwrap_err();
    assert!(newer.to_string().contains("newer than version 2"), "{newer}");
    let elsewhere = keyring.decode::<NoteEvent>(&recorded(Uuid::from_u128(78), 1, new.data)).await;
    assert!(elsewhere.is_err(), "a sealed field opens in its own event only");
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Address {
    street: String,
}

/// Text of a type of its own, which is fine within a personal field.
#[derive(Serialize, Deserialize, JsonSchema)]
struct DisplayName(String);

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Role {
    Admin,
    Member,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
enum Careless {
    #[serde(rename = "a.b")]
    AB { name: String, aliases: Vec<String>, note: Option<String>, home: Address },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
enum Careful {
    #[serde(rename = "a.b")]
    AB {
        id: Uuid,
        role: Role,
        count: u32,
        name: Personal<DisplayName>,
        aliases: Vec<Personal<String>>,
        home: Personal<Address>,
        note: Option<Plain<String>>,
    },
}

#[test]
fn text_that_declares_neither_personal_nor_plain_is_found() {
    assert_eq!(undeclared_text::<Careful>(), Vec::<String>::new());
    assert_eq!(undeclared_text::<NoteEvent>(), Vec::<String>::new());
    let found = undeclared_text::<Careless>();
    for field in ["name", "aliases", "note", "home"] {
        let named = found.iter().filter(|path| path.contains(&format!("/{field}"))).count();
        assert_eq!(named, 1, "{field} in {found:?}");
    }
    assert_eq!(found.len(), 4, "{found:?}");
}
