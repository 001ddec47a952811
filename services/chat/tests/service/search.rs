//! Searching: what is found is what may be seen, in any script.

use cqrs_http::Limit;
use parlor_chat::add_participant::AddParticipant;
use parlor_chat::delete_message::DeleteMessage;
use parlor_chat::edit_message::EditMessage;
use parlor_chat::remove_participant::RemoveParticipant;
use parlor_chat::search::search_messages::SearchMessages;
use parlor_chat::values::History;
use serde_json::json;
use uuid::Uuid;

use crate::model::Model;
use crate::support::{Chat, code, content};

pub fn searching(q: &str) -> SearchMessages {
    SearchMessages {
        q: q.to_owned(),
        conversation_id: None,
        sender_id: None,
        limit: Limit::new(2).unwrap(),
        cursor: None,
    }
}

/// All that is found, through all pages.
pub async fn all(chat: &Chat, who: Uuid, mut query: SearchMessages) -> Vec<(Uuid, String)> {
    let mut found = Vec::new();
    loop {
        let page = chat.ask(who, query.clone()).await.unwrap();
        assert!(page.items.len() <= query.limit.get());
        found.extend(page.items.into_iter().map(|found| (found.message.id, found.message.content)));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return found;
        }
    }
}

pub async fn contents(chat: &Chat, who: Uuid, q: &str) -> Vec<String> {
    all(chat, who, searching(q)).await.into_iter().map(|(_, content)| content).collect()
}

/// Searching finds what the model says that `who` sees, and no more.
pub async fn compare(chat: &Chat, room: Uuid, who: Uuid, model: &Model) {
    let seen: Vec<_> = model.seen_by(who).into_iter().filter_map(|(id, words)| Some((id, words?))).collect();
    for q in ["by", "edited", "by 1", "2,", "3"] {
        let terms = parlor_text::terms(q);
        let has = |words: &str| parlor_text::contains_all(&parlor_text::fold(words), &terms);
        let expected: Vec<_> = seen.iter().filter(|(_, words)| has(words)).cloned().collect();
        assert_eq!(all(chat, who, searching(q)).await, expected, "{who} looks for {q} everywhere");
        let here = SearchMessages { conversation_id: Some(room), ..searching(q) };
        if model.includes(who) {
            assert_eq!(all(chat, who, here).await, expected, "{who} looks for {q} in the room");
        } else {
            assert_eq!(code(chat.ask(who, here).await), "not-found");
        }
    }
}

#[tokio::test]
async fn words_and_their_parts_are_found_in_any_script_newest_first() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let room = chat.group(ann, &[bob], History::SinceJoining).await.id;
    let said = [
        "你好，今天天气很好",
        "明日は京都に行きます",
        "안녕하세요 여러분",
        "สวัสดีครับ ทุกคน",
        "नमस्ते दुनिया",
        "வணக்கம் உலகம்",
        "سلام دنیا، کتاب",
        "שלום עולם",
        "Привіт, світе!",
        "İstanbul güzel",
        "Räksmörgås på fjället",
        "Straße nach Kyōto",
    ];
    for text in said {
        chat.say(ann, room, text).await;
    }
    chat.project().await;
    for (q, n) in [
        ("你好", 0),
        ("天", 0),
        ("京都", 1),
        ("녕하", 2),
        ("สวัสดี", 3),
        ("नमस्ते", 4),
        ("வணக்கம்", 5),
        ("كتاب", 6),
        ("שלום", 7),
        ("СВІТ", 8),
        ("istanbul", 9),
        ("smorgas", 10),
        ("kyoto STRASSE", 11),
    ] {
        assert_eq!(contents(&chat, bob, q).await, [said[n]], "{q}");
    }
    assert_eq!(contents(&chat, bob, "nach istanbul").await, Vec::<String>::new());
    assert_eq!(contents(&chat, bob, "r").await, [said[11], said[10]]);
    let stranger = chat.user("Cid").await;
    assert_eq!(contents(&chat, stranger, "r").await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_found_names_its_conversation_and_where_the_words_are() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let room = chat.group(ann, &[bob], History::SinceJoining).await.id;
    let other = chat.group(bob, &[ann], History::SinceJoining).await.id;
    let first = chat.say(ann, room, "🙂 one two").await;
    let second = chat.say(bob, other, "Two").await;
    chat.project().await;
    let answer = chat.call(ann, "GET", "/v1/messages/search?q=TWO", None).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["nextCursor"], json!(null));
    let expected = json!([
        {"id": second.id, "conversationId": other, "senderId": bob, "type": "text", "content": "Two",
            "position": second.position, "createdAt": answer.body["items"][0]["createdAt"],
            "highlights": [{"start": 0, "end": 3}]},
        {"id": first.id, "conversationId": room, "senderId": ann, "type": "text", "content": "🙂 one two",
            "position": first.position, "createdAt": answer.body["items"][1]["createdAt"],
            "highlights": [{"start": 7, "end": 10}]},
    ]);
    assert_eq!(answer.body["items"], expected);
    for (path, status) in [
        (format!("?q=two&conversationId={room}"), 200),
        (format!("?q=two&senderId={ann}"), 200),
        (format!("?q=two&conversationId={ann}"), 404),
        ("?q=%20!".to_owned(), 422),
        (String::new(), 422),
        ("?q=two&colour=red".to_owned(), 422),
        ("?q=two&cursor=AAAA".to_owned(), 422),
        ("?q=two&senderId=7".to_owned(), 422),
    ] {
        let answer = chat.call(ann, "GET", &format!("/v1/messages/search{path}"), None).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        if status == 200 {
            assert_eq!(answer.body["items"].as_array().unwrap().len(), 1, "{path}");
            assert_eq!(answer.body["items"][0]["id"], json!(first.id), "{path}");
        }
    }
}

#[tokio::test]
async fn edits_and_deletions_are_known_to_the_index_and_absences_to_nobody() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let room = chat.group(ann, &[bob], History::SinceJoining).await.id;
    let edit = |message, text: &str| EditMessage { conversation: room, message, content: content(text) };
    let apple = chat.say(ann, room, "apple").await.id;
    let doomed = chat.say(ann, room, "apple tree").await.id;
    chat.act(ann, edit(doomed, "pear tree")).await.unwrap();
    chat.act(ann, DeleteMessage { conversation: room, message: doomed }).await.unwrap();
    chat.act(ann, RemoveParticipant { conversation: room, user: bob }).await.unwrap();
    chat.act(ann, edit(apple, "banana")).await.unwrap();
    chat.say(ann, room, "apple and banana").await;
    chat.act(ann, AddParticipant { conversation: room, user: bob, role: None }).await.unwrap();
    chat.act(ann, edit(apple, "cherry")).await.unwrap();
    chat.project().await;
    assert_eq!(contents(&chat, ann, "cherry").await, ["cherry"]);
    assert_eq!(contents(&chat, bob, "cherry").await, ["cherry"]);
    for gone in ["apple", "banana", "pear"] {
        assert_eq!(contents(&chat, bob, gone).await, Vec::<String>::new(), "{gone}");
    }
    assert_eq!(contents(&chat, ann, "apple").await, ["apple and banana"]);
    assert_eq!(contents(&chat, ann, "tree").await, Vec::<String>::new());
}

#[tokio::test]
async fn who_is_in_very_many_conversations_searches_them_all() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let mut expected = Vec::new();
    for n in 0..60 {
        let room = chat.group(ann, &[], History::SinceJoining).await.id;
        if n % 20 == 0 {
            expected.insert(0, chat.say(ann, room, "needle").await.id);
        }
    }
    let hidden = chat.group(bob, &[], History::SinceJoining).await.id;
    chat.say(bob, hidden, "needle").await;
    chat.project().await;
    for q in ["needle", "e"] {
        let found: Vec<_> = all(&chat, ann, searching(q)).await.into_iter().map(|(id, _)| id).collect();
        assert_eq!(found, expected, "{q}");
    }
}
