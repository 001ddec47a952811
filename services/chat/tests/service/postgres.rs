//! The same on PostgreSQL, where there is a server to test with.

use cqrs_core::{Row, RowExt as _};
use cqrs_http::Limit;
use parlor_chat::conversations::get_conversations::GetConversations;
use parlor_chat::conversations::get_participants::{GetParticipants, ParticipantsParams};
use parlor_chat::search::search_messages::SearchMessages;
use parlor_chat::timeline::get_unread_counts::GetUnreadMessagesCounts;
use parlor_chat::values::{History, Kind};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::properties::{live_through, steps};
use crate::search;
use crate::support::Chat;

pub const SKIPPED: &str = "skipped: PARLOR_TEST_POSTGRES_URL names no server (cargo xtask test starts one)";

#[tokio::test]
async fn views_show_what_the_model_says_on_postgres() {
    let Some(chat) = Chat::start_on_postgres("model").await else { return eprintln!("{SKIPPED}") };
    // The same histories each time: chance has its turn on SQLite.
    let mut runner = TestRunner::deterministic();
    for n in 0..12 {
        let history = steps().new_tree(&mut runner).unwrap().current();
        live_through(&chat, n % 2 == 0, history).await;
    }
}

#[tokio::test]
async fn lists_and_participants_read_alike_on_postgres() {
    let Some(chat) = Chat::start_on_postgres("lists").await else { return eprintln!("{SKIPPED}") };
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let direct = chat.create(ann, Kind::Direct, &[bob], History::SinceJoining).await;
    let group = chat.group(ann, &[bob], History::All).await;
    chat.say(ann, direct.id, "hello").await;
    chat.project().await;
    let limit = Limit::new(1).unwrap();
    let first = chat.ask(bob, GetConversations { limit, cursor: None }).await.unwrap().read().unwrap();
    assert_eq!((first.items[0].id, first.items[0].unread_count), (direct.id, 1));
    assert_eq!(first.items[0].last_message.as_ref().unwrap().content, "hello");
    assert_eq!(first.items[0].participants, [ann, bob]);
    let rest = chat.ask(bob, GetConversations { limit, cursor: first.next_cursor }).await.unwrap();
    let rest = rest.read().unwrap();
    assert_eq!((rest.items[0].id, rest.next_cursor), (group.id, None));
    let participants = GetParticipants { conversation: group.id, params: ParticipantsParams::default() };
    let participants = chat.ask(bob, participants).await.unwrap().items;
    let names: Vec<_> = participants.iter().map(|who| who.display_name.as_str()).collect();
    assert_eq!(names, ["Ann", "Bob"]);
    assert_eq!(chat.ask(bob, GetUnreadMessagesCounts).await.unwrap().total, 1);
}

#[tokio::test]
async fn a_search_goes_from_range_to_range_of_a_long_log_and_leaves_nothing_out() {
    let Some(chat) = Chat::start_on_postgres("ranges").await else { return eprintln!("{SKIPPED}") };
    let (ann, bob) = (chat.user("Ann").await, chat.user("Bob").await);
    let rooms = [
        chat.group(ann, &[bob], History::SinceJoining).await.id,
        chat.group(bob, &[ann], History::SinceJoining).await.id,
        chat.group(bob, &[], History::SinceJoining).await.id,
    ];
    chat.say(bob, rooms[0], "the oldest pearl").await;
    for n in 0..60 {
        chat.say(bob, rooms[n % 3], &format!("haystack {n}")).await;
    }
    chat.project().await;
    // As if 8,000 messages of others lay between each two of them.
    for stretched in [
        "UPDATE {p}search_messages SET position = position * 8000 RETURNING position",
        // The tokens of texts are those of the first span until then, as they are.
        "UPDATE {p}search_tokens SET rowid = rowid * 8000, tokens = ARRAY(
             SELECT CASE WHEN t < 268435456 THEN t # ((rowid * 8000 >> 15) * 40503073 & 268435455)::int ELSE t END
             FROM unnest(trim_array(tokens, 2)) t)
           || ARRAY[(536870912 + (rowid * 8000 >> 14))::int, (1073741824 + (rowid * 8000 >> 18))::int] RETURNING rowid",
    ] {
        let row = |row: &dyn Row| row.get::<u64>(0);
        assert_eq!(chat.store.store.views.query("search", stretched, vec![], row).await.unwrap().len(), 61);
    }
    let expected = |seen: &dyn Fn(usize) -> bool| -> Vec<String> {
        (0..60).rev().filter(|n| seen(*n)).map(|n| format!("haystack {n}")).collect()
    };
    assert_eq!(search::contents(&chat, ann, "haystack").await, expected(&|n| n % 3 < 2));
    assert_eq!(search::contents(&chat, bob, "haystack").await, expected(&|_| true));
    assert_eq!(search::contents(&chat, bob, "haystack 7").await, expected(&|n| n.to_string().contains('7')));
    assert_eq!(search::contents(&chat, ann, "h").await.len(), 41, "a letter that the index doesn't know");
    assert_eq!(search::contents(&chat, ann, "pearl").await, ["the oldest pearl"]);
    let of_one = SearchMessages { conversation_id: Some(rooms[1]), ..search::searching("stack") };
    let of_one: Vec<_> =
        search::all(&chat, ann, of_one).await.into_iter().map(|(_, content)| content).collect();
    assert_eq!(of_one, expected(&|n| n % 3 == 1));
}
