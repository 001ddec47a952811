//! Searching: what is found is what may be seen, in any script.

use cqrs_core::{
    Actor, Append, Clock as _, Commit, Log as _, NewEvent, Row, RowExt as _, StreamId, SystemClock,
};
use cqrs_http::Limit;
use parlor_chat::add_participant::AddParticipant;
use parlor_chat::delete_message::DeleteMessage;
use parlor_chat::edit_message::EditMessage;
use parlor_chat::remove_participant::RemoveParticipant;
use parlor_chat::search::search_messages::SearchMessages;
use parlor_chat::values::History;
use rusqlite::Connection;
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

/// So many events that concern no view.
async fn pass(chat: &Chat, events: u64) {
    let log = &chat.store.store.log;
    let mut left = events;
    while left > 0 {
        let many = left.min(2_000);
        let id = SystemClock.fresh_id();
        let mut commit = Commit::new(Actor::System, id, SystemClock.now());
        let event = || {
            let id = SystemClock.fresh_id();
            NewEvent { id, name: "passed".into(), schema: 1, data: "{}".into() }
        };
        let events = (0..many).map(|_| event()).collect();
        commit.appends.push(Append { stream: StreamId { category: "time", id }, expected: 0, events });
        log.commit(commit).await.unwrap();
        left -= many;
    }
}

/// How many rows a query of the view's tables gives.
async fn rows(chat: &Chat, sql: &'static str) -> Vec<u64> {
    let row = |row: &dyn Row| row.get::<u64>(0);
    chat.store.store.views.query("search", sql, vec![], row).await.unwrap()
}

const BLOCKS: &str = "SELECT key FROM {p}search_blocks WHERE length(data) > 0";
const EMPTY: &str = "SELECT key FROM {p}search_blocks WHERE length(data) = 0";
const MERGED: &str = "SELECT merged FROM {p}search_progress";
const CLOSED: &str = "SELECT closed FROM {p}search_progress";
const EDITS: &str = "SELECT event FROM {p}search_edits";

/// Messages, edits and deletions, some while they are loose, others when they are in segments.
pub async fn live_through_segments(chat: &Chat) {
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let room = chat.group(ann, &[bob], History::All).await.id;
    let mut said = Vec::new();
    for segment in 0..3 {
        for n in 0..4 {
            said.push(chat.say(ann, room, &format!("haystack {segment}{n}")).await.id);
        }
        chat.project().await;
        // A search now is one by a process that has some of a segment in memory when it is made.
        assert_eq!(contents(chat, bob, "haystack").await.len(), said.len());
        pass(chat, 8_192).await;
    }
    chat.project().await;
    assert_eq!(rows(chat, CLOSED).await, [2 * 8_192], "after the last segment nothing was said");
    let edit = |message, text: &str| EditMessage { conversation: room, message, content: content(text) };
    chat.act(ann, edit(said[1], "needle 01")).await.unwrap();
    chat.act(ann, edit(said[9], "needle 21")).await.unwrap();
    for message in [said[2], said[10]] {
        chat.act(ann, DeleteMessage { conversation: room, message }).await.unwrap();
    }
    chat.project().await;
    let compare = async |when: &str| {
        let hay = ["23", "20", "13", "12", "11", "10", "03", "00"].map(|n| format!("haystack {n}"));
        assert_eq!(contents(chat, bob, "haystack").await, hay, "{when}");
        assert_eq!(contents(chat, bob, "needle").await, ["needle 21", "needle 01"], "{when}");
        assert_eq!(
            contents(chat, bob, "haystack 0").await,
            [&hay[1], &hay[5], &hay[6], &hay[7]].map(Clone::clone),
            "{when}"
        );
    };
    compare("what was said of older segments is loose").await;
    pass(chat, 8_192).await;
    chat.say(ann, room, "the end").await;
    chat.project().await;
    pass(chat, 1).await;
    chat.project().await;
    assert_eq!((rows(chat, CLOSED).await, rows(chat, EDITS).await), (vec![4 * 8_192], vec![]));
    compare("all is in segments").await;
    chat.rebuild("search").await;
    compare("it was filled anew").await;
    said.push(chat.say(ann, room, "haystack").await.id);
    chat.project().await;
    assert_eq!(contents(chat, bob, "haystack").await.len(), 9);
    chat.act(ann, edit(said[0], "another")).await.unwrap();
    // A large segment, of which each step makes some parts.
    pass(chat, 1 << 17).await;
    chat.say(ann, room, "the end of many").await;
    chat.project().await;
    while rows(chat, CLOSED).await[0] < 1 << 17 {
        pass(chat, 1).await;
        chat.project().await;
    }
    let all = "SELECT id FROM {p}search_messages ORDER BY position";
    let all = chat.store.store.views.query("search", all, vec![], |row| row.get(0)).await.unwrap();
    assert!(all.len() > 8 && rows(chat, MERGED).await == [0]);
    for message in all {
        chat.act(ann, DeleteMessage { conversation: room, message }).await.unwrap();
        chat.project().await;
    }
    assert!((1..128).contains(&rows(chat, MERGED).await[0]), "all were deleted while it was made");
    // Parts are due as more is said.
    pass(chat, 1 << 14).await;
    chat.say(ann, room, "loose").await;
    for _ in 0..16 {
        chat.project().await;
        pass(chat, 1).await;
    }
    chat.project().await;
    assert_eq!(rows(chat, MERGED).await, [128]);
    assert_eq!(
        (rows(chat, BLOCKS).await, rows(chat, EDITS).await),
        (vec![], vec![]),
        "nothing tells what was said"
    );
}

#[tokio::test]
async fn what_was_said_long_ago_is_found_as_it_is_by_now() {
    live_through_segments(&Chat::start().await).await;
}

/// Sixty messages, and between each two of them, so to speak, 8,000 of others: in small segments, in large ones, and in both.
pub async fn stretch_and_search(chat: &Chat) {
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let rooms = [
        chat.group(ann, &[bob], History::SinceJoining).await.id,
        chat.group(bob, &[ann], History::SinceJoining).await.id,
        chat.group(bob, &[], History::SinceJoining).await.id,
    ];
    let oldest = chat.say(bob, rooms[0], "the oldest pearl").await;
    for n in 0..60 {
        chat.say(bob, rooms[n % 3], &format!("haystack {n}")).await;
    }
    chat.project().await;
    // Negative first, lest one gets a key that another still has. The oldest stays where it is.
    let stretched = [
        format!(
            "UPDATE {{p}}search_messages SET position = -position * 8000 WHERE position > {}",
            oldest.position
        ),
        "UPDATE {p}search_messages SET position = -position WHERE position < 0".to_owned(),
    ];
    match chat.store.dir() {
        Some(dir) => {
            let store = Connection::open(dir.join("views.db")).unwrap();
            for sql in stretched {
                assert_eq!(store.execute(&sql.replace("{p}", "g1_"), []), Ok(60));
            }
        }
        None => {
            for sql in stretched {
                assert_eq!(rows(chat, format!("{sql} RETURNING 1").leak()).await.len(), 60);
            }
        }
    }
    let expected = |seen: &dyn Fn(usize) -> bool| -> Vec<String> {
        (0..60).rev().filter(|n| seen(*n)).map(|n| format!("haystack {n}")).collect()
    };
    let mut merged = Vec::new();
    loop {
        let progress = rows(chat, "SELECT closed + merged FROM {p}search_progress").await;
        assert_eq!(contents(chat, ann, "haystack").await, expected(&|n| n % 3 < 2), "{progress:?}");
        assert_eq!(contents(chat, bob, "haystack 7").await, expected(&|n| n.to_string().contains('7')));
        assert_eq!(contents(chat, ann, "h").await.len(), 41, "a letter that the index doesn't know");
        assert_eq!(contents(chat, ann, "pearl").await, ["the oldest pearl"]);
        let of_one = SearchMessages { conversation_id: Some(rooms[1]), ..searching("stack") };
        let of_one: Vec<_> = all(chat, ann, of_one).await.into_iter().map(|(_, content)| content).collect();
        assert_eq!(of_one, expected(&|n| n % 3 == 1));
        if merged.last() == Some(&progress) {
            break;
        }
        merged.push(progress);
        // Each step makes one segment, or parts of one, until there is nothing left to do.
        for _ in 0..9 {
            pass(chat, 1).await;
            chat.project().await;
        }
    }
    // The groups of large segments come after those of small ones.
    let large = rows(chat, "SELECT key FROM {p}search_blocks WHERE key >= 4611686018427387904").await;
    assert!(large.len() > 100 && merged.len() > 5, "{} {}", large.len(), merged.len());
    assert_eq!(rows(chat, EMPTY).await, [0; 0]);
    chat.act(bob, DeleteMessage { conversation: rooms[0], message: oldest.id }).await.unwrap();
    chat.project().await;
    let empty = rows(chat, EMPTY).await;
    assert!(
        empty.len() > 5 && empty.iter().all(|key| large.contains(key)),
        "what only that one had: {empty:?}"
    );
}

#[tokio::test]
async fn a_long_log_is_searched_as_a_short_one() {
    stretch_and_search(&Chat::start().await).await;
}

#[tokio::test]
async fn what_is_said_all_the_time_is_found_page_by_page() {
    let chat = Chat::start().await;
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let room = chat.group(ann, &[], History::SinceJoining).await.id;
    let hidden = chat.group(bob, &[], History::SinceJoining).await.id;
    let mut expected = Vec::new();
    // First all of it is loose, and there is more than a page needs; then the older half is in a segment.
    for half in 0..2 {
        for n in 0..150 {
            expected.insert(0, chat.say(ann, room, &format!("hay {half} {n}")).await.id);
            chat.say(bob, hidden, "hay").await;
        }
        chat.project().await;
        let found: Vec<_> = all(&chat, ann, searching("hay")).await.into_iter().map(|(id, _)| id).collect();
        assert_eq!(found, expected, "{half}");
        // By a process that has read it all.
        let found: Vec<_> = all(&chat, ann, searching("hay")).await.into_iter().map(|(id, _)| id).collect();
        assert_eq!(found, expected, "{half}");
        pass(&chat, 8_192).await;
    }
}
