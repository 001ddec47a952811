//! Histories made by chance: what each hears of them is what the log says.

use std::sync::Arc;

use cqrs_core::{Aggregate as _, Log as _, Position};
use parlor_chat::add_participant::AddParticipant;
use parlor_chat::conversation::{Conversation, ConversationEvent};
use parlor_chat::delete_message::DeleteMessage;
use parlor_chat::edit_message::EditMessage;
use parlor_chat::mark_messages_read::MarkMessagesAsRead;
use parlor_chat::membership::{Membership, MembershipEvent};
use parlor_chat::message::{Message, MessageEvent};
use parlor_chat::read_mark::ReadMark;
use parlor_chat::remove_participant::RemoveParticipant;
use parlor_chat::values::History;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use uuid::Uuid;

use super::{World, options};
use crate::postgres::SKIPPED;
use crate::support::{Chat, content, saying};

/// What identifies an event: its type, its time, and what it is about.
pub(super) type Key = (String, String, String);

fn key(kind: &str, at: jiff::Timestamp, about: Uuid) -> Key {
    (kind.to_owned(), format!("{at:.3}"), about.to_string())
}

pub(super) fn heard_key(event: &Value) -> Key {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let about = ["id", "userId", "conversationId"].into_iter().find_map(|name| event["data"].get(name));
    (text(&event["type"]), text(&event["at"]), text(about.unwrap()))
}

/// One stay, by the positions of its first and last event, and since when messages are visible.
struct Stay {
    who: Uuid,
    first: u64,
    last: u64,
    since: u64,
}

/// What each hears of one conversation, folded from the log as plainly as can be.
async fn expected(chat: &Chat, room: Uuid, start: Position) -> impl Fn(Uuid) -> Vec<Key> {
    let keyring = chat.store.store.executor.keyring();
    let mut stays: Vec<Stay> = Vec::new();
    let mut events: Vec<(u64, Option<u64>, Key)> = Vec::new();
    let mut opening = None;
    for recorded in chat.store.store.log.read(start, 100_000).await.unwrap() {
        let (position, at) = (recorded.position.0, recorded.at);
        let in_room = |of: Uuid| of == room;
        match &*recorded.category {
            Conversation::CATEGORY if recorded.stream == room => {
                let kind = match keyring.decode(&recorded).await.unwrap() {
                    ConversationEvent::Created { .. } => {
                        opening = Some((position, recorded.correlation));
                        "chat.conversation-created"
                    }
                    ConversationEvent::Renamed { .. } => "chat.conversation-renamed",
                };
                events.push((position, None, key(kind, at, room)));
                continue;
            }
            Membership::CATEGORY => match keyring.decode(&recorded).await.unwrap() {
                MembershipEvent::Added { conversation, user, history, .. } if in_room(conversation) => {
                    let again = stays.iter().any(|stay| stay.who == user);
                    let since = if history == History::All && !again { 0 } else { position };
                    let begun = opening.filter(|(_, correlation)| *correlation == recorded.correlation);
                    let first = begun.map_or(position, |(created, _)| created);
                    stays.push(Stay { who: user, first, last: u64::MAX, since });
                    events.push((position, None, key("chat.participant-added", at, user)));
                    continue;
                }
                MembershipEvent::Removed { conversation, user } if in_room(conversation) => {
                    let stay = stays.iter_mut().rfind(|stay| stay.who == user).unwrap();
                    stay.last = position;
                    events.push((position, None, key("chat.participant-removed", at, user)));
                }
                MembershipEvent::RoleChanged { conversation, user, .. } if in_room(conversation) => {
                    events.push((position, None, key("chat.participant-role-changed", at, user)));
                }
                _ => {}
            },
            ReadMark::CATEGORY => {
                let parlor_chat::read_mark::ReadMarkEvent::Read { conversation, user, .. } =
                    keyring.decode(&recorded).await.unwrap();
                if in_room(conversation) {
                    events.push((position, None, key("chat.messages-read", at, user)));
                }
            }
            Message::CATEGORY => {
                let id = recorded.stream;
                match keyring.decode(&recorded).await.unwrap() {
                    MessageEvent::Sent { conversation, .. } if in_room(conversation) => {
                        events.push((position, None, key("chat.message-sent", at, id)));
                    }
                    MessageEvent::Edited { conversation, position: of, .. } if in_room(conversation) => {
                        events.push((position, Some(of), key("chat.message-edited", at, id)));
                    }
                    MessageEvent::Deleted { conversation, position: of, .. } if in_room(conversation) => {
                        events.push((position, Some(of), key("chat.message-deleted", at, id)));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        opening = None;
    }
    move |who| {
        let mine: Vec<_> = stays.iter().filter(|stay| stay.who == who).collect();
        let hears = |position: u64| mine.iter().any(|stay| (stay.first..=stay.last).contains(&position));
        let sees = |message: u64| mine.iter().any(|stay| stay.since < message && message < stay.last);
        let theirs = events.iter().filter(|(position, about, _)| hears(*position) && about.is_none_or(sees));
        theirs.map(|(.., key)| key.clone()).collect()
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Send(usize),
    Edit(usize, usize),
    Delete(usize, usize),
    Read(usize, usize),
    Add(usize),
    Remove(usize),
    Connect(usize),
    Disconnect(usize, usize),
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..4_usize;
    let step = prop_oneof![
        6 => who.clone().prop_map(Step::Send),
        2 => (who.clone(), any::<usize>()).prop_map(|(who, what)| Step::Edit(who, what)),
        2 => (who.clone(), any::<usize>()).prop_map(|(who, what)| Step::Delete(who, what)),
        2 => (who.clone(), any::<usize>()).prop_map(|(who, what)| Step::Read(who, what)),
        2 => who.clone().prop_map(Step::Add),
        2 => (1..4_usize).prop_map(Step::Remove),
        3 => who.clone().prop_map(Step::Connect),
        3 => (who.clone(), 0..40_usize).prop_map(|(who, read)| Step::Disconnect(who, read)),
        1 => Just(Step::Settle),
    ];
    prop::collection::vec(step, 1..60)
}

/// Four people live through the steps, now connected and now not, while views and live delivery follow at their own pace.
async fn live_through(world: &World, open: bool, steps: Vec<Step>) {
    let chat = &world.chat;
    let mut people = Vec::new();
    for name in ["Ann", "Bob", "Cid", "Dee"] {
        people.push(world.user(name).await);
    }
    let mut readers: Vec<_> = people.iter().map(|who| world.reader(*who)).collect();
    for reader in &mut readers {
        reader.catch_up().await;
    }
    let start = *chat.store.store.log.head().borrow();
    let history = if open { History::All } else { History::SinceJoining };
    let room = chat.group(people[0], &people[1..3], history).await.id;
    let mut sent: Vec<Uuid> = Vec::new();
    for step in steps {
        let nth = |n: usize| sent.get(n % sent.len().max(1)).copied().unwrap_or_default();
        // Refusals are part of it.
        match step {
            Step::Send(who) => {
                if let Ok(reply) = chat.act(people[who], saying(room, &format!("by {who}"))).await {
                    sent.push(reply.parse::<parlor_chat::message::MessageAnswer>().unwrap().id);
                }
            }
            Step::Edit(who, what) => {
                let edit = EditMessage { conversation: room, message: nth(what), content: content("new") };
                let _ = chat.act(people[who], edit).await;
            }
            Step::Delete(who, what) => {
                let delete = DeleteMessage { conversation: room, message: nth(what) };
                let _ = chat.act(people[who], delete).await;
            }
            Step::Read(who, what) => {
                let read = MarkMessagesAsRead { conversation: room, up_to: nth(what) };
                let _ = chat.act(people[who], read).await;
            }
            Step::Add(who) => {
                let add = AddParticipant { conversation: room, user: people[who], role: None };
                let _ = chat.act(people[0], add).await;
            }
            Step::Remove(who) => {
                let remove = RemoveParticipant { conversation: room, user: people[who] };
                let _ = chat.act(people[0], remove).await;
            }
            Step::Connect(who) => readers[who].connect(),
            Step::Disconnect(who, read) => {
                readers[who].look(read);
                readers[who].frames = None;
            }
            Step::Settle => world.settle().await,
        }
    }
    world.settle().await;
    let expected = expected(chat, room, start).await;
    for reader in &mut readers {
        reader.catch_up().await;
        let heard: Vec<_> = reader.heard.iter().map(heard_key).collect();
        assert_eq!(heard, expected(reader.user), "what {} hears", reader.user);
    }
}

fn on_one_world<F: Future<Output = ()>>(run: impl FnOnce(&'static World) -> F) {
    static WORLD: std::sync::OnceLock<(tokio::runtime::Runtime, World)> = std::sync::OnceLock::new();
    let (runtime, world) = WORLD.get_or_init(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let world = runtime.block_on(World::start());
        (runtime, world)
    });
    runtime.block_on(run(world));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn over_any_number_of_connections_each_hears_all_they_may_once_and_in_order(
        open in any::<bool>(), steps in steps()
    ) {
        on_one_world(|world| live_through(world, open, steps));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_postgres() {
    let Some(chat) = Chat::start_on_postgres("live").await else { return eprintln!("{SKIPPED}") };
    let world = World::on(chat, options());
    // The same histories each time: chance has its turn on SQLite.
    let mut runner = TestRunner::deterministic();
    for n in 0..12 {
        let history = steps().new_tree(&mut runner).unwrap().current();
        live_through(&world, n % 2 == 0, history).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_many_write_at_once_readers_who_come_and_go_miss_nothing() {
    let world = Arc::new(World::start().await);
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let mut reader = world.reader(bob);
    reader.catch_up().await;
    let start = *world.chat.store.store.log.head().borrow();
    let room = world.chat.group(ann, &[bob], History::SinceJoining).await.id;
    let writers: Vec<_> = (0..4)
        .map(|n| {
            let world = world.clone();
            tokio::spawn(async move {
                for i in 0..100 {
                    let who = if n % 2 == 0 { ann } else { bob };
                    world.chat.say(who, room, &format!("{n} {i}")).await;
                }
            })
        })
        .collect();
    for round in 0..40 {
        reader.connect();
        reader.hear(reader.heard.len() + round % 7).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    world.settle().await;
    reader.catch_up().await;
    let heard: Vec<_> = reader.heard.iter().map(heard_key).collect();
    assert_eq!(heard, expected(&world.chat, room, start).await(bob));
    assert_eq!(heard.len(), 403, "the beginning, two joinings, and all that was said");
}
