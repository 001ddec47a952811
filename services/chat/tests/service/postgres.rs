//! The same on PostgreSQL, where there is a server to test with.

use cqrs_http::Limit;
use parlor_chat::conversations::get_conversations::GetConversations;
use parlor_chat::conversations::get_participants::{GetParticipants, ParticipantsParams};
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
async fn what_was_said_long_ago_is_found_as_it_is_by_now_on_postgres() {
    let Some(chat) = Chat::start_on_postgres("long_ago").await else { return eprintln!("{SKIPPED}") };
    search::live_through_segments(&chat).await;
}

#[tokio::test]
async fn a_long_log_is_searched_as_a_short_one_on_postgres() {
    let Some(chat) = Chat::start_on_postgres("long_log").await else { return eprintln!("{SKIPPED}") };
    search::stretch_and_search(&chat).await;
}
