use super::*;
use cqrs_core::{EventSource, PublicSource};
use parlor_contracts::chat::ConversationKind::{Direct, Group};

use crate::testing::{ANN, BOB, CY, ROOM, World, direct, group, joined, left};

fn told(kind: &str, title: &str) -> (String, String) {
    (kind.to_owned(), title.to_owned())
}

#[tokio::test]
async fn a_direct_message_is_told_to_the_other_and_not_to_its_sender() {
    let world = World::with_three_in(Direct).await;
    world.chat_says(&direct(1, ANN, "hello\nBob")).await;
    assert_eq!(world.inbox(BOB).await, [told("message", "Ann")]);
    let shown = world.page(BOB, true, 10).await.items.remove(0);
    assert_eq!(shown.body, "hello Bob");
    assert_eq!((shown.actor_id, shown.conversation_id), (Some(ANN), Some(ROOM)));
    assert!(world.inbox(ANN).await.is_empty());
    assert!(world.inbox(CY).await.is_empty());
}

#[tokio::test]
async fn an_event_that_comes_again_tells_nobody_again() {
    let world = World::with_three_in(Direct).await;
    let event = world.chat_says(&direct(1, ANN, "hello")).await;
    world.react(&world.notify_of_chat, "chat.public", &event).await.expect("reacts");
    assert_eq!(world.inbox(BOB).await.len(), 1);
}

#[tokio::test]
async fn what_was_told_in_part_is_told_to_the_rest_when_the_event_comes_again() {
    let world = World::with_three_in(Group).await;
    world.prefer(BOB, r#"{"kinds":{"group":"none"}}"#).await;
    let event = world.chat_says(&group(1, ANN, "@Bob @Cy")).await;
    assert!(world.inbox(BOB).await.is_empty());
    // As if Bob's had been missing: now he wants it, and Cy has it already.
    world.prefer(BOB, "{}").await;
    assert!(world.inbox(BOB).await.is_empty());
    world.react(&world.notify_of_chat, "chat.public", &event).await.expect("reacts");
    assert_eq!(world.inbox(BOB).await.len(), 1);
    assert_eq!(world.inbox(CY).await.len(), 1);
}

#[tokio::test]
async fn in_a_group_only_who_is_named_is_told_unless_they_want_everything() {
    let world = World::with_three_in(Group).await;
    world.chat_says(&group(1, ANN, "hello all")).await;
    assert!(world.inbox(BOB).await.is_empty());
    world.chat_says(&group(2, ANN, "hello @BOB, and @ann")).await;
    assert_eq!(world.inbox(BOB).await, [told("mention", "Ann · Team")]);
    assert!(world.inbox(ANN).await.is_empty());
    world.prefer(CY, &format!(r#"{{"conversations":{{"{ROOM}":"all"}}}}"#)).await;
    world.chat_says(&group(3, ANN, "hello again")).await;
    world.chat_says(&group(4, ANN, &format!("<@{CY}>?"))).await;
    assert_eq!(world.inbox(CY).await, [told("mention", "Ann · Team"), told("message", "Ann · Team")]);
}

#[tokio::test]
async fn who_wants_everything_of_groups_is_told_in_those_joined_before_and_after() {
    let world = World::with_three_in(Group).await;
    world.prefer(BOB, r#"{"kinds":{"group":"all"}}"#).await;
    world.chat_says(&group(1, ANN, "one")).await;
    world.chat_says(&left(BOB)).await;
    world.chat_says(&group(2, ANN, "two")).await;
    world.chat_says(&joined(BOB, BOB, Group)).await;
    world.chat_says(&group(3, ANN, "three")).await;
    // What was told before the departure stays hidden.
    let bodies: Vec<_> = world.page(BOB, false, 10).await.items.into_iter().map(|told| told.body).collect();
    assert_eq!(bodies, ["three"]);
}

#[tokio::test]
async fn who_wants_nothing_is_told_nothing() {
    let world = World::with_three_in(Direct).await;
    world.prefer(BOB, &format!(r#"{{"conversations":{{"{ROOM}":"none"}}}}"#)).await;
    world.chat_says(&direct(1, ANN, "hello @Bob")).await;
    assert!(world.inbox(BOB).await.is_empty());
    world.prefer(BOB, r#"{"muteUntil":"2999-01-01T00:00:00Z"}"#).await;
    world.chat_says(&direct(2, ANN, "hello @Bob")).await;
    assert!(world.inbox(BOB).await.is_empty());
    // Events are told at noon UTC unless the test says otherwise.
    world.prefer(BOB, r#"{"quietHours":{"from":"20:00","to":"22:00","timeZone":"Asia/Tokyo"}}"#).await;
    world.chat_says(&direct(3, ANN, "hello")).await;
    assert!(world.inbox(BOB).await.is_empty());
    world.prefer(BOB, r#"{"quietHours":{"from":"20:00","to":"22:00","timeZone":"Europe/Paris"}}"#).await;
    world.chat_says(&direct(4, ANN, "hello")).await;
    assert_eq!(world.inbox(BOB).await.len(), 1);
}

#[tokio::test]
async fn somebody_outside_is_not_told_even_if_named() {
    let world = World::with_three_in(Group).await;
    world.chat_says(&left(CY)).await;
    world.chat_says(&group(1, ANN, &format!("@Cy <@{CY}>"))).await;
    assert!(world.inbox(CY).await.is_empty());
}

#[tokio::test]
async fn who_joined_after_a_message_or_left_since_is_not_told_of_it() {
    let world = World::with_three_in(Group).await;
    world.chat_says(&left(CY)).await;
    // The reactor lags: the view knows already that Cy is back and Bob is gone.
    let lagging = world.chat.tell(&group(1, ANN, "@Bob @Cy")).await.expect("told");
    world.chat.tell(&joined(CY, ANN, Group)).await.expect("told");
    world.chat.tell(&left(BOB)).await.expect("told");
    world.project().await;
    world.react(&world.notify_of_chat, "chat.public", &lagging).await.expect("reacts");
    assert!(world.inbox(BOB).await.is_empty());
    assert!(world.inbox(CY).await.is_empty());
}

#[tokio::test]
async fn the_reactor_waits_for_the_view() {
    let world = World::with_three_in(Direct).await;
    let early = world.chat.tell(&direct(1, ANN, "hello")).await.expect("told");
    let (result, ()) =
        tokio::join!(world.react(&world.notify_of_chat, "chat.public", &early), world.project());
    result.expect("reacts once the view is there");
    assert_eq!(world.inbox(BOB).await.len(), 1);
}

#[tokio::test]
async fn being_added_to_a_group_is_told_and_beginning_one_is_not() {
    let world = World::with_three_in(Group).await;
    assert!(world.inbox(ANN).await.is_empty());
    world.chat_says(&left(CY)).await;
    world.chat_says(&joined(CY, ANN, Group)).await;
    let shown = world.page(CY, true, 10).await.items.remove(0);
    assert_eq!((shown.kind.as_str(), shown.title.as_str()), ("added-to-group", "Team"));
    assert_eq!(shown.body, "Ann added you");
    world.prefer(CY, r#"{"kinds":{"addedToGroup":"none"}}"#).await;
    world.chat_says(&left(CY)).await;
    world.chat_says(&joined(CY, ANN, Group)).await;
    assert!(world.inbox(CY).await.is_empty());
}

#[tokio::test]
async fn reading_messages_reads_what_was_told_of_them() {
    let world = World::with_three_in(Direct).await;
    let first = world.chat_says(&direct(1, ANN, "one")).await;
    world.chat_says(&direct(2, ANN, "two")).await;
    assert_eq!(world.unread(BOB).await, 2);
    let read = ChatEvent::MessagesRead {
        conversation_id: ROOM,
        user_id: BOB,
        up_to: Uuid::from_u128(1),
        position: first.position.0,
    };
    world.chat_says(&read).await;
    let unread: Vec<_> = world.page(BOB, true, 10).await.items.into_iter().map(|told| told.body).collect();
    assert_eq!(unread, ["two"]);
}

#[tokio::test]
async fn what_comes_from_a_deleted_message_or_a_left_conversation_is_hidden() {
    let world = World::with_three_in(Group).await;
    let first = world.chat_says(&group(1, ANN, "@Bob one")).await;
    world.chat_says(&group(2, ANN, "@Bob two")).await;
    let deleted = ChatEvent::MessageDeleted {
        conversation_id: ROOM,
        message_id: Uuid::from_u128(1),
        sender_id: ANN,
        position: first.position.0,
        deleted_by: ANN,
    };
    world.chat_says(&deleted).await;
    assert_eq!((world.inbox(BOB).await.len(), world.unread(BOB).await), (1, 1));
    world.chat_says(&left(BOB)).await;
    assert_eq!((world.inbox(BOB).await.len(), world.unread(BOB).await), (0, 0));
}

#[tokio::test]
async fn a_rename_is_known_to_mentions_and_in_the_words_that_follow() {
    let world = World::with_three_in(Group).await;
    world.call_them(BOB, "Robert Ö").await;
    world.chat_says(&group(1, BOB, "it's me")).await;
    world.chat_says(&group(2, ANN, "@bob?")).await;
    assert!(world.inbox(BOB).await.is_empty());
    world.chat_says(&group(3, ANN, "@robert o?")).await;
    world.chat_says(&group(4, BOB, "@Ann!")).await;
    assert_eq!(world.inbox(BOB).await, [told("mention", "Ann · Team")]);
    assert_eq!(world.inbox(ANN).await, [told("mention", "Robert Ö · Team")]);
}

#[tokio::test]
async fn what_is_public_says_who_is_told_and_where_it_comes_from() {
    use parlor_contracts::notification::NotificationEvent as Public;
    let world = World::with_three_in(Direct).await;
    world.chat_says(&direct(1, ANN, "hello")).await;
    let keyring = world.store.store.executor.keyring().clone();
    let log = world.store.store.log.clone();
    let source = PublicSource::new("notification.public", log, keyring.clone(), crate::publisher());
    let batch = source.read(cqrs_core::Position(0), 10).await.expect("read");
    let last = batch.events.last().expect("there is one");
    match keyring.decode::<Public>(last).await.expect("decodes") {
        Public::NotificationCreated { user_id, kind, body, message_id, .. } => {
            assert_eq!((user_id, kind.0.as_str(), body.text()), (BOB, "message", "hello"));
            assert_eq!(message_id, Some(Uuid::from_u128(1)));
            assert_eq!(last.stream, BOB);
        }
        other => panic!("{other:?}"),
    }
}
/// Many more members, whom nobody has to react to.
async fn crowd(world: &World, size: u128) -> Vec<Uuid> {
    let users: Vec<Uuid> = (0..size).map(|n| Uuid::from_u128(0x1_0000 + n)).collect();
    for user in &users {
        world.chat.tell(&joined(*user, *user, Group)).await.expect("told");
    }
    users
}

#[tokio::test]
async fn a_message_to_a_crowd_that_names_nobody_writes_nothing() {
    let world = World::with_three_in(Group).await;
    crowd(&world, 1_000).await;
    world.chat_says(&group(1, ANN, "hello, all a@b of you @nobody")).await;
    assert_eq!(world.store.store.executor.log().head().borrow().0, 0);
}

#[tokio::test]
async fn everybody_who_wants_everything_is_told_once_page_after_page() {
    let world = World::with_three_in(Group).await;
    let users = crowd(&world, TOGETHER as u128 + 50).await;
    for user in &users {
        world.prefer(*user, r#"{"kinds":{"group":"all"}}"#).await;
    }
    world.call_them(users[7], "Grace").await;
    world.project().await;
    world.chat_says(&group(1, ANN, "hello @Grace")).await;
    for user in &users {
        let expected = if *user == users[7] { "mention" } else { "message" };
        assert_eq!(world.inbox(*user).await, [told(expected, "Ann · Team")]);
    }
    assert!(world.inbox(BOB).await.is_empty());
}

#[tokio::test]
async fn views_filled_anew_in_another_order_say_the_same() {
    let world = World::with_three_in(Group).await;
    world.prefer(CY, &format!(r#"{{"conversations":{{"{ROOM}":"all"}}}}"#)).await;
    world.chat_says(&group(1, ANN, "@Bob @Cy one")).await;
    world.chat_says(&left(BOB)).await;
    world.chat_says(&group(2, ANN, "two")).await;
    world.chat_says(&joined(BOB, ANN, Group)).await;
    world.call_them(BOB, "Robert").await;
    world.chat_says(&group(3, CY, "@Robert @Bob three")).await;
    let before = (world.inbox(ANN).await, world.inbox(BOB).await, world.inbox(CY).await);
    assert_eq!(before.1, [told("mention", "Cy · Team"), told("added-to-group", "Team")]);
    world.rebuild().await;
    assert_eq!((world.inbox(ANN).await, world.inbox(BOB).await, world.inbox(CY).await), before);
    // And who is where, under which name, wanting what, is known as before.
    world.chat_says(&group(4, ANN, "@Robert @Bob four")).await;
    assert_eq!(world.inbox(BOB).await.len(), 3);
    assert_eq!(world.inbox(CY).await.len(), before.2.len() + 1);
}

#[tokio::test]
async fn a_name_that_somebody_took_a_moment_before_is_waited_for() {
    let world = World::with_three_in(Group).await;
    let event = world.chat.tell(&group(1, ANN, "hello @Robert")).await.expect("told");
    world.project().await;
    // The view has the message, and not yet the name that was taken before it.
    world.call_them(BOB, "Robert").await;
    let reacting = world.react(&world.notify_of_chat, "chat.public", &event);
    let (reacted, ()) = tokio::join!(reacting, world.project());
    reacted.expect("reacts");
    assert_eq!(world.inbox(BOB).await, [told("mention", "Ann · Team")]);
}
