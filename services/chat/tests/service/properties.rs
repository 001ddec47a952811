//! Random histories: what the views show is what the model says.

use std::sync::OnceLock;

use cqrs_core::Log as _;
use cqrs_http::Limit;
use parlor_chat::add_participant::AddParticipant;
use parlor_chat::conversations::get_conversation::GetConversation;
use parlor_chat::conversations::get_conversations::GetConversations;
use parlor_chat::delete_message::DeleteMessage;
use parlor_chat::edit_message::EditMessage;
use parlor_chat::mark_messages_read::MarkMessagesAsRead;
use parlor_chat::remove_participant::RemoveParticipant;
use parlor_chat::timeline::get_conversation_messages::{
    GetConversationMessages, MessageItem, MessagesParams,
};
use parlor_chat::timeline::get_unread_counts::GetUnreadMessagesCount;
use parlor_chat::values::History;
use proptest::prelude::*;
use uuid::Uuid;

use crate::model::Model;
use crate::support::{Chat, content, saying};

/// Something somebody tries; whom and what they mean is taken modulo how many there are.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    Send(usize),
    Edit(usize, usize),
    Delete(usize, usize),
    Read(usize, usize),
    Add(usize),
    Remove(usize),
    Project,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..4_usize;
    prop_oneof![
        6 => who.clone().prop_map(Step::Send),
        2 => (who.clone(), any::<usize>()).prop_map(|(who, what)| Step::Edit(who, what)),
        2 => (who.clone(), any::<usize>()).prop_map(|(who, what)| Step::Delete(who, what)),
        3 => (who.clone(), any::<usize>()).prop_map(|(who, what)| Step::Read(who, what)),
        2 => who.clone().prop_map(Step::Add),
        2 => (1..4_usize).prop_map(Step::Remove),
        1 => Just(Step::Project),
    ]
}

/// A history.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..40)
}

async fn take(chat: &Chat, room: Uuid, people: &[Uuid], sent: &mut Vec<Uuid>, step: Step) {
    let nth = |n: usize| sent.get(n % sent.len().max(1)).copied().unwrap_or_default();
    // Refusals are part of it: who is out tries and fails.
    let _ = match step {
        Step::Send(who) => {
            let reply = chat.act(people[who], saying(room, &format!("by {who}, {}", sent.len()))).await;
            if let Ok(reply) = &reply {
                let message: parlor_chat::message::MessageAnswer = reply.parse().unwrap();
                sent.push(message.id);
            }
            reply
        }
        Step::Edit(who, what) => {
            let content = content(&format!("edited by {who}, {what}"));
            chat.act(people[who], EditMessage { conversation: room, message: nth(what), content }).await
        }
        Step::Delete(who, what) => {
            chat.act(people[who], DeleteMessage { conversation: room, message: nth(what) }).await
        }
        Step::Read(who, what) => {
            chat.act(people[who], MarkMessagesAsRead { conversation: room, up_to: nth(what) }).await
        }
        Step::Add(who) => {
            chat.act(people[0], AddParticipant { conversation: room, user: people[who], role: None }).await
        }
        Step::Remove(who) => {
            chat.act(people[0], RemoveParticipant { conversation: room, user: people[who] }).await
        }
        Step::Project => {
            chat.project().await;
            // What is read now may be remembered, and must be forgotten with what changes it.
            for who in people {
                let _ = newest_page(chat, *who, room).await;
                chat.ask(*who, GetConversations::default()).await.unwrap();
            }
            return;
        }
    };
}

/// The newest three that somebody sees.
async fn newest_page(chat: &Chat, who: Uuid, room: Uuid) -> Option<String> {
    let params = MessagesParams { limit: Limit::new(3).unwrap(), ..MessagesParams::default() };
    let page = chat.ask(who, GetConversationMessages { conversation: room, params }).await.ok()?;
    Some(page.json().to_owned())
}

/// All that somebody sees, through pages of three.
async fn pages(chat: &Chat, who: Uuid, room: Uuid) -> Option<Vec<(Uuid, Option<String>)>> {
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let params = MessagesParams { limit: Limit::new(3).unwrap(), cursor, ..MessagesParams::default() };
        let page = chat.ask(who, GetConversationMessages { conversation: room, params }).await.ok()?;
        let page = page.read().unwrap();
        seen.extend(page.items.into_iter().map(|item| match item {
            MessageItem::Said(message) => (message.id, Some(message.content)),
            MessageItem::Deleted(message) => (message.id, None),
        }));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Some(seen);
        }
    }
}

/// A conversation that was lived through.
pub struct Lived {
    room: Uuid,
    people: Vec<Uuid>,
    model: Model,
}

/// Everybody sees what the model says, on every page.
pub async fn compare(chat: &Chat, Lived { room, people, model }: &Lived) {
    let room = *room;
    chat.project().await;
    for who in people {
        let count = chat.ask(*who, GetUnreadMessagesCount { conversation: room }).await.ok();
        let one = chat.ask(*who, GetConversation { conversation: room }).await.ok();
        let pages = pages(chat, *who, room).await;
        crate::search::compare(chat, room, *who, model).await;
        let listed = chat.ask(*who, GetConversations::default()).await.unwrap().read().unwrap().items;
        assert_eq!(listed, one.as_ref().map(|one| one.answer.clone()).into_iter().collect::<Vec<_>>());
        assert_eq!(newest_page(chat, *who, room).await, newest_page(chat, *who, room).await);
        if !model.includes(*who) {
            assert!(count.is_none() && one.is_none() && pages.is_none(), "{who} is out");
            continue;
        }
        let expected = model.seen_by(*who);
        assert_eq!(pages.unwrap(), expected, "what {who} sees");
        assert_eq!(count.unwrap().count, model.unread_by(*who), "unread by {who}");
        let one = one.unwrap().answer;
        assert_eq!(one.unread_count, model.unread_by(*who));
        let last = expected.into_iter().find_map(|(id, words)| words.map(|words| (id, words)));
        assert_eq!(one.last_message.map(|message| (message.id, message.content)), last, "last for {who}");
    }
}

fn on_one_store(run: impl AsyncFnOnce(&'static Chat)) {
    static RUNTIME: OnceLock<(tokio::runtime::Runtime, Chat)> = OnceLock::new();
    let (runtime, chat) = RUNTIME.get_or_init(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let chat = runtime.block_on(Chat::start());
        (runtime, chat)
    });
    runtime.block_on(run(chat));
}

/// Lets four people go through the steps in a conversation of their own, and compares views and model at the end.
pub async fn live_through(chat: &Chat, open: bool, steps: Vec<Step>) -> Lived {
    let mut people = Vec::new();
    for name in ["Ann", "Bob", "Cid", "Dee"] {
        people.push(chat.user(name).await);
    }
    let before = *chat.store.store.log.head().borrow();
    let history = if open { History::All } else { History::SinceJoining };
    let room = chat.group(people[0], &people[1..2], history).await.id;
    let mut sent = Vec::new();
    for step in steps {
        take(chat, room, &people, &mut sent, step).await;
    }
    let model = Model::of(chat, room, before).await;
    assert_eq!(model.ids(), sent, "in the order of sending");
    let lived = Lived { room, people, model };
    compare(chat, &lived).await;
    lived
}

proptest! {
    #[test]
    fn views_show_what_the_model_says(open in any::<bool>(), steps in steps()) {
        on_one_store(async |chat| {
            live_through(chat, open, steps).await;
        });
    }
}
