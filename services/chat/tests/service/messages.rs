//! Conversations from beginning to end, over the buses.

use cqrs_core::{Outcome, Personal};
use cqrs_http::Limit;
use parlor_chat::add_participant::AddParticipant;
use parlor_chat::conversations::get_conversation::GetConversation;
use parlor_chat::conversations::get_conversations::GetConversations;
use parlor_chat::conversations::get_participants::{GetParticipants, ParticipantsParams};
use parlor_chat::create_conversation::{CreateConversation, CreateConversationBody};
use parlor_chat::delete_message::DeleteMessage;
use parlor_chat::edit_message::EditMessage;
use parlor_chat::mark_messages_read::MarkMessagesAsRead;
use parlor_chat::message::MessageAnswer;
use parlor_chat::remove_participant::RemoveParticipant;
use parlor_chat::timeline::get_conversation_messages::{
    GetConversationMessages, MessageItem, MessagesParams,
};
use parlor_chat::timeline::get_unread_counts::{GetUnreadMessagesCount, GetUnreadMessagesCounts};
use parlor_chat::values::{History, Kind};
use parlor_contracts::user::UserEvent;
use uuid::Uuid;

use crate::support::{Chat, code, content, saying};

/// What `who` reads on the first page; `-` stands for a deleted message.
async fn read(chat: &Chat, who: Uuid, conversation: Uuid) -> Vec<String> {
    page(chat, who, conversation, MessagesParams::default()).await.0
}

async fn page(
    chat: &Chat,
    who: Uuid,
    conversation: Uuid,
    params: MessagesParams,
) -> (Vec<String>, Option<String>) {
    let page = chat.ask(who, GetConversationMessages { conversation, params }).await.unwrap();
    let page = page.read().unwrap();
    let texts = page.items.into_iter().map(|item| match item {
        MessageItem::Said(message) => message.content,
        MessageItem::Deleted(_) => "-".to_owned(),
    });
    (texts.collect(), page.next_cursor)
}

async fn unread(chat: &Chat, who: Uuid, conversation: Uuid) -> u64 {
    chat.ask(who, GetUnreadMessagesCount { conversation }).await.unwrap().count
}

#[tokio::test]
async fn two_talk_and_each_sees_it_all() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let room = chat.create(ann, Kind::Direct, &[bob], History::SinceJoining).await;
    let hello = chat.say(ann, room.id, "hello").await;
    let answer = chat.say(bob, room.id, "hi!").await;
    assert!(hello.position.parse::<u64>().unwrap() < answer.position.parse::<u64>().unwrap());
    chat.project().await;
    for who in [ann, bob] {
        assert_eq!(read(&chat, who, room.id).await, ["hi!", "hello"]);
        assert_eq!(unread(&chat, who, room.id).await, 1);
        let page = chat.ask(who, GetConversations::default()).await.unwrap().read().unwrap();
        let [listed] = &page.items[..] else { panic!("{page:?}") };
        let last = listed.last_message.as_ref().unwrap();
        assert_eq!((last.id, last.content.as_str(), last.sender_id), (answer.id, "hi!", bob));
        assert_eq!((listed.unread_count, listed.updated_at), (1, answer.created_at));
        assert_eq!(listed.participants, [ann, bob]);
    }
}

#[tokio::test]
async fn a_second_direct_conversation_is_the_first_as_it_is_now() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let body = |other| CreateConversationBody {
        kind: Kind::Direct,
        participants: vec![other],
        title: None,
        history: History::SinceJoining,
    };
    let first = chat.act(ann, CreateConversation(body(bob))).await.unwrap();
    assert_eq!((first.outcome, first.version), (Outcome::Created, Some(1)));
    let first: parlor_chat::conversations::ConversationAnswer = first.parse().unwrap();
    // Before any view shows it, it is answered as it began.
    let second = chat.act(bob, CreateConversation(body(ann))).await.unwrap();
    assert_eq!(second.outcome, Outcome::Done);
    let second: parlor_chat::conversations::ConversationAnswer = second.parse().unwrap();
    assert_eq!((second.id, second.created_at), (first.id, first.created_at));
    chat.say(ann, first.id, "hello").await;
    chat.project().await;
    let third = chat.act(bob, CreateConversation(body(ann))).await.unwrap();
    let third: parlor_chat::conversations::ConversationAnswer = third.parse().unwrap();
    assert_eq!((third.created_by, third.unread_count), (ann, 1));
    assert_eq!(third.last_message.unwrap().content, "hello");
}

#[tokio::test]
async fn a_message_sent_again_under_its_id_is_the_same() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let room = chat.group(ann, &[bob], History::SinceJoining).await;
    let mut once = saying(room.id, "once");
    once.body.id = Some(Uuid::from_u128(77));
    let first = chat.act(ann, once.clone()).await.unwrap();
    chat.say(bob, room.id, "meanwhile").await;
    let again = chat.act(ann, once.clone()).await.unwrap();
    assert_eq!((first.outcome, again.outcome), (Outcome::Created, Outcome::Done));
    assert_eq!(first.body, again.body);
    let mut other = once.clone();
    other.body.content = content("twice");
    assert_eq!(code(chat.act(ann, other).await), "message-id-taken");
    assert_eq!(code(chat.act(bob, once).await), "message-id-taken");
    chat.project().await;
    assert_eq!(read(&chat, bob, room.id).await, ["meanwhile", "once"]);
}

#[tokio::test]
async fn what_was_sent_or_edited_in_an_absence_stays_unseen() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let room = chat.group(ann, &[bob], History::SinceJoining).await.id;
    let early = chat.say(ann, room, "early").await;
    let edit = |message: &MessageAnswer, text: &str| EditMessage {
        conversation: room,
        message: message.id,
        content: content(text),
    };
    chat.act(ann, edit(&early, "early, edited")).await.unwrap();
    chat.act(ann, edit(&early, "early, edited twice")).await.unwrap();
    chat.act(ann, RemoveParticipant { conversation: room, user: bob }).await.unwrap();
    chat.act(ann, edit(&early, "early, edited in the absence")).await.unwrap();
    let absent = chat.say(ann, room, "in the absence").await;
    chat.project().await;
    let messages = GetConversationMessages { conversation: room, params: MessagesParams::default() };
    assert_eq!(code(chat.ask(bob, messages).await), "not-found");
    assert_eq!(code(chat.ask(bob, GetConversation { conversation: room }).await.map(|_| ())), "not-found");
    assert_eq!(code(chat.ask(bob, GetUnreadMessagesCount { conversation: room }).await), "not-found");
    let participants = GetParticipants { conversation: room, params: ParticipantsParams::default() };
    assert_eq!(code(chat.ask(bob, participants).await), "not-found");
    assert_eq!(chat.ask(bob, GetConversations::default()).await.unwrap().read().unwrap().items, []);
    assert_eq!(chat.ask(bob, GetUnreadMessagesCounts).await.unwrap().total, 0);

    chat.act(ann, AddParticipant { conversation: room, user: bob, role: None }).await.unwrap();
    chat.say(ann, room, "late").await;
    chat.project().await;
    assert_eq!(read(&chat, bob, room).await, ["late", "early, edited twice"]);
    assert_eq!(unread(&chat, bob, room).await, 1);
    // The absence hides the message from commands, too.
    let mark = MarkMessagesAsRead { conversation: room, up_to: absent.id };
    assert_eq!(code(chat.act(bob, mark).await), "unknown-message");
    let around = MessagesParams { around: Some(absent.id), ..MessagesParams::default() };
    assert_eq!(
        code(chat.ask(bob, GetConversationMessages { conversation: room, params: around }).await),
        "not-found"
    );

    chat.act(ann, edit(&early, "early, edited again")).await.unwrap();
    chat.project().await;
    assert_eq!(read(&chat, bob, room).await, ["late", "early, edited again"]);
    chat.act(ann, DeleteMessage { conversation: room, message: early.id }).await.unwrap();
    chat.project().await;
    assert_eq!(read(&chat, bob, room).await, ["late", "-"]);
}

#[tokio::test]
async fn newcomers_see_all_where_the_history_is_open_and_nothing_of_it_is_unread() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let room = chat.group(ann, &[], History::All).await.id;
    chat.say(ann, room, "one").await;
    chat.say(ann, room, "two").await;
    chat.act(ann, AddParticipant { conversation: room, user: bob, role: None }).await.unwrap();
    chat.say(ann, room, "three").await;
    chat.project().await;
    assert_eq!(read(&chat, bob, room).await, ["three", "two", "one"]);
    assert_eq!(unread(&chat, bob, room).await, 1);
}

#[tokio::test]
async fn deleting_an_unread_message_lowers_the_count_and_uncovers_the_one_before() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let room = chat.group(ann, &[bob], History::SinceJoining).await.id;
    let first = chat.say(ann, room, "first").await;
    let second = chat.say(ann, room, "second").await;
    chat.say(bob, room, "own").await;
    let third = chat.say(ann, room, "third").await;
    chat.act(ann, DeleteMessage { conversation: room, message: third.id }).await.unwrap();
    chat.project().await;
    assert_eq!(unread(&chat, bob, room).await, 2);
    let seen = chat.ask(bob, GetConversation { conversation: room }).await.unwrap().answer;
    assert_eq!(seen.last_message.unwrap().content, "own");
    chat.act(bob, MarkMessagesAsRead { conversation: room, up_to: second.id }).await.unwrap();
    chat.act(bob, MarkMessagesAsRead { conversation: room, up_to: first.id }).await.unwrap();
    chat.project().await;
    assert_eq!(unread(&chat, bob, room).await, 0);
    let participants = GetParticipants { conversation: room, params: ParticipantsParams::default() };
    let participants = chat.ask(ann, participants).await.unwrap().items;
    assert_eq!(participants[1].read_position, Some(second.position));
    assert_eq!(participants[0].read_position, None);
}

#[tokio::test]
async fn pages_go_by_cursor_by_offset_and_around_a_message() {
    let chat = Chat::start().await;
    let ann = chat.user("Ann").await;
    let room = chat.group(ann, &[], History::SinceJoining).await.id;
    let mut sent = Vec::new();
    for n in 1..=7 {
        sent.push(chat.say(ann, room, &n.to_string()).await.id);
    }
    chat.project().await;
    let limit = Limit::new(3).unwrap();
    let with = |params: MessagesParams| page(&chat, ann, room, MessagesParams { limit, ..params });
    let (texts, cursor) = with(MessagesParams::default()).await;
    assert_eq!(texts, ["7", "6", "5"]);
    let (texts, cursor) = with(MessagesParams { cursor, ..MessagesParams::default() }).await;
    assert_eq!(texts, ["4", "3", "2"]);
    let (texts, cursor) = with(MessagesParams { cursor, ..MessagesParams::default() }).await;
    assert_eq!((texts, cursor), (vec!["1".to_owned()], None));
    let (texts, _) = with(MessagesParams { offset: Some(5), ..MessagesParams::default() }).await;
    assert_eq!(texts, ["2", "1"]);
    let (texts, _) = with(MessagesParams { before: Some(sent[2]), ..MessagesParams::default() }).await;
    assert_eq!(texts, ["2", "1"]);
    let (texts, cursor) = with(MessagesParams { after: Some(sent[1]), ..MessagesParams::default() }).await;
    assert_eq!(texts, ["5", "4", "3"]);
    let (texts, cursor) = with(MessagesParams { cursor, ..MessagesParams::default() }).await;
    assert_eq!((texts, cursor), (vec!["7".to_owned(), "6".to_owned()], None));
    let (texts, _) = with(MessagesParams { around: Some(sent[3]), ..MessagesParams::default() }).await;
    assert_eq!(texts, ["5", "4", "3"]);
    let both = MessagesParams { offset: Some(1), before: Some(sent[0]), ..MessagesParams::default() };
    assert_eq!(
        code(chat.ask(ann, GetConversationMessages { conversation: room, params: both }).await),
        "invalid-value"
    );
}

#[tokio::test]
async fn the_list_goes_by_activity_and_by_cursor() {
    let chat = Chat::start().await;
    let ann = chat.user("Ann").await;
    let mut rooms = Vec::new();
    for _ in 0..5 {
        rooms.push(chat.group(ann, &[], History::SinceJoining).await.id);
    }
    chat.say(ann, rooms[1], "up").await;
    chat.project().await;
    let limit = Limit::new(3).unwrap();
    let page = chat.ask(ann, GetConversations { limit, cursor: None }).await.unwrap().read().unwrap();
    let ids: Vec<_> = page.items.iter().map(|item| item.id).collect();
    assert_eq!(ids, [rooms[1], rooms[4], rooms[3]]);
    let rest = chat.ask(ann, GetConversations { limit, cursor: page.next_cursor }).await.unwrap();
    let rest = rest.read().unwrap();
    let ids: Vec<_> = rest.items.iter().map(|item| item.id).collect();
    assert_eq!((ids, rest.next_cursor), (vec![rooms[2], rooms[0]], None));
}

#[tokio::test]
async fn a_renamed_user_is_renamed_and_a_disabled_one_is_not_added() {
    let chat = Chat::start().await;
    let (ann, bob, cid) = (chat.user("Ann").await, chat.user("Bob").await, chat.user("Cid").await);
    let room = chat.group(ann, &[bob], History::SinceJoining).await.id;
    let display_name = Personal::new(bob, "Robert".to_owned());
    let renamed = UserEvent::UserProfileUpdated { user_id: bob, display_name, bio: None, avatar_url: None };
    chat.announce(&renamed).await;
    chat.announce(&UserEvent::UserDisabled { user_id: cid }).await;
    chat.project().await;
    let participants = GetParticipants { conversation: room, params: ParticipantsParams::default() };
    let names: Vec<_> =
        chat.ask(ann, participants).await.unwrap().items.into_iter().map(|who| who.display_name).collect();
    assert_eq!(names, ["Ann", "Robert"]);
    let add = |user| AddParticipant { conversation: room, user, role: None };
    assert_eq!(code(chat.act(ann, add(cid)).await), "unknown-participant");
    assert_eq!(code(chat.act(ann, add(Uuid::from_u128(404))).await), "unknown-participant");
    let body = CreateConversationBody {
        kind: Kind::Group,
        participants: vec![bob, cid],
        title: None,
        history: History::SinceJoining,
    };
    assert_eq!(code(chat.act(ann, CreateConversation(body)).await), "unknown-participant");
    chat.announce(&UserEvent::UserEnabled { user_id: cid }).await;
    chat.project().await;
    chat.act(ann, add(cid)).await.unwrap();
}

#[tokio::test]
async fn somebody_who_has_just_registered_is_waited_for_and_refused_if_they_do_not_come() {
    let chat = Chat::start().await;
    let ann = chat.user("Ann").await;
    let room = chat.group(ann, &[], History::SinceJoining).await.id;
    let with = |who| {
        CreateConversation(CreateConversationBody {
            kind: Kind::Direct,
            participants: vec![who],
            title: None,
            history: History::SinceJoining,
        })
    };
    let add = |user| AddParticipant { conversation: room, user, role: None };
    let newcomer = || cqrs_core::Clock::fresh_id(&cqrs_core::SystemClock);
    // Both ask for somebody whom chat hasn't heard of when they begin.
    let (bob, cid) = (newcomer(), newcomer());
    let arriving = async {
        for user_id in [bob, cid] {
            let display_name = Personal::new(user_id, "Newcomer".to_owned());
            let event = UserEvent::UserCreated { user_id, display_name, avatar_url: None, external_id: None };
            chat.announce(&event).await;
        }
        chat.project().await;
    };
    let (begun, added, ()) =
        tokio::join!(biased; chat.act(ann, with(bob)), chat.act(ann, add(cid)), arriving);
    assert!(begun.is_ok() && added.is_ok(), "{begun:?} {added:?}");

    let (begun, added) = tokio::join!(chat.act(ann, with(newcomer())), chat.act(ann, add(newcomer())));
    assert_eq!([code(begun), code(added)], ["unknown-participant"; 2]);
}

#[tokio::test]
async fn a_list_names_the_first_twenty_by_when_they_joined() {
    let chat = Chat::start().await;
    let ann = chat.user("Ann").await;
    let mut others = Vec::new();
    for n in 0..24 {
        others.push(chat.user(&format!("user {n}")).await);
    }
    let room = chat.group(ann, &others, History::SinceJoining).await;
    chat.project().await;
    let seen = chat.ask(ann, GetConversation { conversation: room.id }).await.unwrap().answer;
    assert_eq!((seen.participant_count, seen.participants.len()), (25, 20));
    assert_eq!(seen.participants[0], ann);
    assert_eq!(seen.participants, room.participants);
    let limit = Limit::new(20).unwrap();
    let ask =
        |cursor| GetParticipants { conversation: room.id, params: ParticipantsParams { limit, cursor } };
    let first = chat.ask(ann, ask(None)).await.unwrap();
    let rest = chat.ask(ann, ask(first.next_cursor)).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next_cursor), (20, 5, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_after_a_removal_that_it_races() {
    let chat = std::sync::Arc::new(Chat::start().await);
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let room = chat.group(ann, &[bob], History::SinceJoining).await.id;
    let sends: Vec<_> = (0..200)
        .map(|n| {
            let chat = chat.clone();
            tokio::spawn(async move { chat.act(bob, saying(room, &n.to_string())).await })
        })
        .collect();
    chat.say(ann, room, "let them begin").await;
    let removal = chat.act(ann, RemoveParticipant { conversation: room, user: bob }).await.unwrap().position;
    let mut sent = 0;
    for send in sends {
        match send.await.unwrap() {
            Ok(reply) => {
                assert!(reply.position < removal, "{} was sent after {removal}", reply.position);
                sent += 1;
            }
            refused => assert_eq!(code(refused), "not-found"),
        }
    }
    chat.project().await;
    let limit = Limit::MAX;
    let (texts, _) = page(&chat, ann, room, MessagesParams { limit, ..MessagesParams::default() }).await;
    assert_eq!(texts.len(), (sent + 1).min(200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_begin_a_direct_conversation_at_once_meet_in_one() {
    let chat = Chat::start().await;
    for _ in 0..10 {
        let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
        let begin = |me, other| {
            let body = CreateConversationBody {
                kind: Kind::Direct,
                participants: vec![other],
                title: None,
                history: History::SinceJoining,
            };
            chat.act(me, CreateConversation(body))
        };
        let (one, other) = tokio::join!(begin(ann, bob), begin(bob, ann));
        let (one, other) = (one.unwrap(), other.unwrap());
        let created = [&one, &other].iter().filter(|reply| reply.outcome == Outcome::Created).count();
        let id = |reply: &cqrs_core::Reply| {
            reply.parse::<parlor_chat::conversations::ConversationAnswer>().unwrap().id
        };
        assert_eq!((created, id(&one)), (1, id(&other)));
        chat.project().await;
        let room = chat.ask(ann, GetConversation { conversation: id(&one) }).await.unwrap().answer;
        assert_eq!((room.participants.len(), room.participant_count), (2, 2));
    }
}
