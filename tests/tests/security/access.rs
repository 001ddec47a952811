//! Items 21 to 25: who may see and do what in conversations.

use parlor_tests::{Cast, Server, Store, User};
use reqwest::Method;
use serde_json::{Value, json};

async fn cast() -> (Server, Cast) {
    let server = Server::start(Store::Sqlite).await;
    let cast = Cast::of(&server).await;
    (server, cast)
}

#[tokio::test]
async fn security_21_who_was_removed_or_added_an_instant_ago_is_judged_by_it_whatever_the_views_know() {
    let (_server, Cast { owner, member, group, .. }) = cast().await;
    let seat = format!("/v1/conversations/{group}/participants/{}", member.id);
    let read = format!("/v1/conversations/{group}/read");
    let first = member.say(&group, "here").await.text("id");
    let theirs = format!("/v1/conversations/{group}/messages/{first}");
    // No position is waited for: the views may be behind by any number of these.
    for round in 0..25 {
        owner.delete(&seat).expect(204).await;
        member.saying(&group, "out").refused(404, "not-found").await;
        member.patch(&theirs, &json!({"content": "out"})).refused(404, "not-found").await;
        member.put(&read, &json!({"upTo": first})).refused(404, "not-found").await;
        member.delete(&theirs).refused(404, "not-found").await;
        member.put(&seat, &json!({"role": "admin"})).refused(404, "not-found").await;
        owner.put(&seat, &json!({})).expect(204).await;
        member.saying(&group, &format!("in {round}")).expect(201).await;
        // Taking back a role counts at once, too.
        owner.put(&seat, &json!({"role": "admin"})).expect(204).await;
        member.patch(&format!("/v1/conversations/{group}"), &json!({"title": "Mine"})).expect(200).await;
        owner.put(&seat, &json!({"role": "member"})).expect(204).await;
        let rename = member.patch(&format!("/v1/conversations/{group}"), &json!({"title": "Still mine"}));
        rename.refused(403, "not-an-admin").await;
    }
    let last = owner.say(&group, "the end").await;
    let said = owner.messages(&group, Some(&last.position())).await;
    assert!(said.iter().all(|message| message["content"] != "out"), "{said:?}");
    assert_eq!(said.len(), 1 + 25 + 1);
}

#[tokio::test]
async fn security_22_a_former_member_sees_nothing_new_anywhere() {
    let (_server, cast) = cast().await;
    let Cast { owner, former, group, .. } = &cast;
    let seat = format!("/v1/conversations/{group}/participants/{}", former.id);
    owner.put(&seat, &json!({})).expect(204).await;
    let old = owner.say(group, "an old wren for @Former").await;
    owner.delete(&seat).expect(204).await;
    let secret = owner.say(group, "a secret wren for @Former").await;
    let edited = format!("/v1/conversations/{group}/messages/{}", old.text("id"));
    let edit = owner.patch(&edited, &json!({"content": "an old wren with a secret"})).expect(200).await;
    owner.patch(&format!("/v1/conversations/{group}"), &json!({"title": "A secret choir"})).expect(200).await;
    // A notification about something sent later: once it is there, those before it would be.
    let room = owner.direct(former).await;
    owner.say(&room, "afterwards").await;
    parlor_tests::eventually("the notifications have come so far", async || {
        let items = former.get("/v1/notifications?limit=200").expect(200).await.items();
        items.iter().any(|item| item.to_string().contains("afterwards")).then_some(())
    })
    .await;

    let after = [secret.position(), edit.position()].join(",");
    for path in [
        "/v1/conversations",
        "/v1/messages/search?q=wren",
        "/v1/messages/search?q=secret",
        "/v1/notifications",
        "/v1/unread-count",
    ] {
        let seen = former.get(path).after(&after).expect(200).await.json();
        assert!(!seen.to_string().contains("secret"), "{path}: {seen}");
        assert!(!seen.to_string().contains(group.as_str()) || path == "/v1/notifications", "{path}: {seen}");
    }
    let member_finds = cast.member.find("secret", Some(&after)).await;
    assert_eq!(member_finds.len(), 2, "who is in it does: {member_finds:?}");
    for path in [
        format!("/v1/conversations/{group}"),
        format!("/v1/conversations/{group}/messages"),
        format!("/v1/conversations/{group}/messages?around={}", old.text("id")),
        format!("/v1/conversations/{group}/participants"),
        format!("/v1/conversations/{group}/unread-count"),
        format!("/v1/messages/search?q=wren&conversationId={group}"),
    ] {
        former.get(&path).after(&after).refused(404, "not-found").await;
    }
}

#[tokio::test]
async fn security_23_an_edit_is_checked_as_the_message_was() {
    let (server, cast) = cast().await;
    let Cast { owner, stranger, member, group, .. } = &cast;
    let message = member.say(group, "as it was").await.text("id");
    let path = format!("/v1/conversations/{group}/messages/{message}");
    let before = parlor_tests::log::settled(&server).await;
    for content in [String::new(), " \n".to_owned(), "x".repeat(4_001), "a\0b".to_owned()] {
        let body = json!({"content": content});
        for call in [member.patch(&path, &body), member.saying(group, &content)] {
            let problem = call.refused(422, "invalid-value").await.json();
            assert_eq!(problem["errors"][0]["pointer"], "/content", "{problem}");
        }
    }
    let words = json!({"content": "in other words"});
    owner.patch(&path, &words).refused(403, "not-the-author").await;
    stranger.patch(&path, &words).refused(404, "not-found").await;
    // Through a conversation that one is in, to a message of another.
    let elsewhere = owner.group("Elsewhere", &[member]).await;
    let detour = format!("/v1/conversations/{elsewhere}/messages/{message}");
    let after_group = parlor_tests::log::settled(&server).await;
    for user in [member, owner] {
        user.patch(&detour, &words).refused(404, "not-found").await;
        user.delete(&detour).refused(404, "not-found").await;
    }
    assert_eq!(parlor_tests::log::settled(&server).await, after_group, "nothing is stored");
    assert_eq!(before[0], after_group[0]);
    member.delete(&path).expect(204).await;
    member.patch(&path, &words).refused(404, "not-found").await;
    // Who isn't in it any more edits and deletes nothing of their own.
    let own = member.say(group, "still mine?").await.text("id");
    let own = format!("/v1/conversations/{group}/messages/{own}");
    owner.delete(&format!("/v1/conversations/{group}/participants/{}", member.id)).expect(204).await;
    member.patch(&own, &words).refused(404, "not-found").await;
    member.delete(&own).refused(404, "not-found").await;
}

#[tokio::test]
async fn security_24_idempotency_keys_are_scoped_to_the_actor_and_tell_nothing_to_who_lost_access() {
    let (_server, cast) = cast().await;
    let Cast { owner, stranger, member, group, .. } = &cast;
    let key = "one-key";
    let first = member.saying(group, "for members only").key(key).expect(201).await;
    // Others who know the key, its route and its body, get nothing of the answer.
    stranger.saying(group, "for members only").key(key).refused(404, "not-found").await;
    let other = owner.saying(group, "for members only").key(key).expect(201).await;
    assert!(!other.replayed());
    assert_ne!(other.text("id"), first.text("id"));
    let unsigned = owner.api.call(Method::POST, &format!("/v1/conversations/{group}/messages"));
    unsigned.json(&json!({"content": "for members only"})).key(key).expect(401).await;
    // The owner of the key, once they lost access: no replay, no second effect, and no word of what it was.
    owner.delete(&format!("/v1/conversations/{group}/participants/{}", member.id)).expect(204).await;
    let replay = member.saying(group, "for members only").key(key).refused(404, "not-found").await;
    assert!(!replay.replayed());
    assert!(!String::from_utf8_lossy(&replay.body).contains("members only"));
    // Nor does a reused key tell them that it was used.
    member.saying(group, "something else").key(key).refused(404, "not-found").await;
    let last = owner.say(group, "the end").await;
    assert_eq!(owner.messages(group, Some(&last.position())).await.len(), 3);
    // Registering is everybody's: there the key is scoped to the route, and the answer holds no secret.
    let body =
        json!({"email": "key@example.org", "password": parlor_tests::user::PASSWORD, "displayName": "K"});
    let one = owner.api.post("/v1/auth/register", &body).key(key).expect(201).await;
    assert_eq!(one.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["userId"]);
    let mut guess = body.clone();
    guess["password"] = "another password altogether".into();
    let guessed = owner.api.post("/v1/auth/register", &guess).key(key).refused(422, "idempotency-key-reused");
    assert!(!String::from_utf8_lossy(&guessed.await.body).contains(&one.text("userId")));
}

#[tokio::test]
async fn security_25_receipts_are_given_by_members_only_and_for_themselves_only() {
    let (_server, cast) = cast().await;
    let Cast { owner, stranger, member, former, admin, group, .. } = &cast;
    let message = owner.say(group, "read me").await;
    let read = format!("/v1/conversations/{group}/read");
    let up_to = json!({"upTo": message.text("id")});
    for user in [stranger, former, admin] {
        user.put(&read, &up_to).refused(404, "not-found").await;
    }
    owner.api.call(Method::PUT, &read).json(&up_to).token(&cast.service_key).refused(404, "not-found").await;
    // For somebody else: there is no such field.
    let for_another = json!({"upTo": message.text("id"), "userId": owner.id});
    let problem = member.put(&read, &for_another).refused(422, "invalid-value").await.json();
    assert_eq!(problem["errors"][0]["pointer"], "/userId");
    assert_eq!(marks(owner, group, &message.position()).await, [Value::Null, Value::Null]);
    let done = member.put(&read, &up_to).expect(204).await;
    let marks = marks(owner, group, &done.position()).await;
    assert_eq!(marks.iter().filter(|mark| !mark.is_null()).count(), 1, "the member's alone: {marks:?}");
    // Up to a message that isn't there, or isn't to be seen by them.
    let elsewhere = owner.group("Elsewhere", &[stranger]).await;
    let other = owner.say(&elsewhere, "unseen").await.text("id");
    for up_to in [other.as_str(), "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000"] {
        let problem = member.put(&read, &json!({"upTo": up_to})).refused(422, "unknown-message").await.json();
        assert_eq!(problem["errors"][0]["pointer"], "/upTo", "{problem}");
    }
}

/// How far each participant has read.
async fn marks(user: &User, group: &str, after: &str) -> Vec<Value> {
    let page = user.get(&format!("/v1/conversations/{group}/participants")).after(after).expect(200).await;
    let items = page.items();
    items.iter().map(|item| item["readPosition"].clone()).collect()
}
