//! Views are functions of the log: filled anew, they show the same.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::properties::{compare, live_through, steps};
use crate::support::Chat;

#[tokio::test]
async fn rebuilt_views_show_the_same() {
    let chat = Chat::start().await;
    let mut runner = TestRunner::deterministic();
    let mut lived = Vec::new();
    for n in 0..6 {
        let history = steps().new_tree(&mut runner).unwrap().current();
        lived.push(live_through(&chat, n % 2 == 0, history).await);
    }
    for projection in parlor_chat::projections() {
        chat.rebuild(projection.name()).await;
        for conversation in &lived {
            compare(&chat, conversation).await;
        }
    }
}
