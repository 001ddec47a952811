//! What the README promises: people come, find each other, and talk.

use parlor_tests::{Server, Store, User, eventually};
use serde_json::{Value, json};

#[tokio::test]
async fn two_people_find_each_other_and_talk_on_sqlite() {
    two_people_talk(Store::Sqlite).await;
}

#[tokio::test]
async fn two_people_find_each_other_and_talk_on_postgresql() {
    if let Some(store) = Store::postgres() {
        two_people_talk(store).await;
    }
}

async fn two_people_talk(store: Store) {
    let server = Server::start(store).await;
    let ann = User::sign_up(server.api(), "Ann Lovelace").await;
    let bob = User::sign_up(server.api(), "Bob Okafor").await;

    // Bob is seconds old, and yet there for Ann, by his position token.
    let found = ann.get("/v1/users?search=okaf").after(&bob.registered).expect(200).await.items();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["id"], &found[0]["displayName"]), (&json!(bob.id), &json!("Bob Okafor")));
    let body = json!({"kind": "direct", "participants": [bob.id]});
    let begun = ann.post("/v1/conversations", &body).after(&bob.registered).expect(201).await;
    let room = begun.text("id");
    let again = bob.post("/v1/conversations", &json!({"kind": "direct", "participants": [ann.id]}));
    let again = again.after(&ann.registered).expect(200).await;
    assert_eq!(again.text("id"), room, "two have one direct conversation");

    let hello = ann.say(&room, "Hello Bob, are you there?").await;
    let lunch = ann.say(&room, "Lunch at the crêperie?").await;
    let answer = bob.say(&room, "Yes! And yes!").await;
    assert_eq!(hello.json()["conversationId"], room);
    assert_eq!(hello.json()["senderId"], ann.id);
    assert_eq!(hello.json()["type"], "text");

    let seen = bob.messages(&room, Some(&answer.position())).await;
    let contents: Vec<_> =
        seen.iter().map(|message| message["content"].as_str().unwrap_or_default()).collect();
    assert_eq!(contents, ["Yes! And yes!", "Lunch at the crêperie?", "Hello Bob, are you there?"]);
    assert_eq!(seen[1], lunch.json(), "a page shows what the sender was answered");

    // Unread.
    let upto = answer.position();
    assert_eq!(bob.unread(&room, &upto).await, 2);
    assert_eq!(ann.unread(&room, &upto).await, 1);
    let listed = the_one_conversation(&bob, &upto).await;
    assert_eq!(listed["id"], room);
    assert_eq!(listed["unreadCount"], 2);
    assert_eq!(listed["participantCount"], 2);
    assert_eq!(listed["lastMessage"]["id"], answer.json()["id"]);
    assert_eq!(listed["lastMessage"]["content"], "Yes! And yes!");
    assert_eq!(listed["lastMessage"]["senderId"], bob.id);
    assert_eq!(listed["lastMessage"]["createdAt"], answer.json()["createdAt"]);
    let total = bob.get("/v1/unread-count").after(&upto).expect(200).await.json();
    assert_eq!(total["total"], 2);
    assert_eq!(total["conversations"][&room], 2);

    // Bob is told, and once he has read it, no more.
    let told = eventually("Bob is told of both messages", async || {
        let items = bob.get("/v1/notifications?unread=true").expect(200).await.items();
        let of_room = items.iter().filter(|item| item.to_string().contains(&room)).count();
        (of_room == 2).then_some(items)
    });
    assert!(told.await.iter().any(|item| item.to_string().contains("crêperie")));
    let read = bob.put(&format!("/v1/conversations/{room}/read"), &json!({"upTo": lunch.json()["id"]}));
    let read = read.expect(204).await;
    assert_eq!(bob.unread(&room, &read.position()).await, 0);
    eventually("the notifications count as read with their messages", async || {
        let items = bob.get("/v1/notifications?unread=true").expect(200).await.items();
        (!items.iter().any(|item| item.to_string().contains(&room))).then_some(())
    })
    .await;

    // Words change.
    let path = format!("/v1/conversations/{room}/messages/{}", lunch.text("id"));
    let edited = ann.patch(&path, &json!({"content": "Dinner at the crêperie?"})).expect(200).await;
    assert_eq!(edited.json()["content"], "Dinner at the crêperie?");
    assert_eq!(edited.json()["position"], lunch.json()["position"], "an edit keeps the message's place");
    bob.patch(&path, &json!({"content": "I owe Bob money"})).refused(403, "not-the-author").await;
    let found = bob.find("CREPERIE", Some(&edited.position())).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["id"], lunch.json()["id"]);
    assert_eq!(
        bob.find("lunch", Some(&edited.position())).await,
        Vec::<Value>::new(),
        "old words find nothing"
    );

    // Words go.
    let path = format!("/v1/conversations/{room}/messages/{}", answer.text("id"));
    let gone = bob.delete(&path).expect(204).await;
    let seen = ann.messages(&room, Some(&gone.position())).await;
    assert_eq!(seen.len(), 3, "a deleted message keeps its place");
    assert_eq!(seen[0]["id"], answer.json()["id"]);
    assert!(seen[0]["deletedAt"].is_string() && seen[0].get("content").is_none(), "{}", seen[0]);
    assert_eq!(ann.unread(&room, &gone.position()).await, 0, "deleting an unread message lowers the count");
    assert_eq!(ann.find("yes", Some(&gone.position())).await, Vec::<Value>::new());
}

async fn the_one_conversation(user: &User, after: &str) -> Value {
    let mut items = user.get("/v1/conversations").after(after).expect(200).await.items();
    assert_eq!(items.len(), 1, "{items:?}");
    items.remove(0)
}

#[tokio::test]
async fn a_group_has_admins_and_people_come_and_go_on_sqlite() {
    people_come_and_go(Store::Sqlite).await;
}

#[tokio::test]
async fn a_group_has_admins_and_people_come_and_go_on_postgresql() {
    if let Some(store) = Store::postgres() {
        people_come_and_go(store).await;
    }
}

async fn people_come_and_go(store: Store) {
    let server = Server::start(store).await;
    let api = server.api();
    let (ann, bob) = (User::sign_up(api, "Ann").await, User::sign_up(api, "Bob").await);
    let (eve, zoe) = (User::sign_up(api, "Eve").await, User::sign_up(api, "Zoë").await);
    let room = ann.group("Choir", &[&bob, &eve]).await;
    let base = format!("/v1/conversations/{room}");
    let participant = |user: &User| format!("{base}/participants/{}", user.id);

    // Only admins bring people in; whom they make admin does, too.
    let bring = bob.put(&participant(&zoe), &json!({})).after(&zoe.registered);
    bring.refused(403, "not-an-admin").await;
    ann.put(&participant(&bob), &json!({"role": "admin"})).expect(204).await;
    bob.say(&room, "before Zoë").await;
    bob.put(&participant(&zoe), &json!({})).after(&zoe.registered).expect(204).await;
    let after = bob.say(&room, "@Zoë, welcome").await;
    let seen = contents(&zoe, &room, &after.position()).await;
    assert_eq!(seen, ["@Zoë, welcome"], "who joins later sees what is said from then on");
    let people = ann.all(&format!("{base}/participants"), Some(&after.position())).await;
    let mut roles: Vec<_> =
        people.iter().map(|one| (one["displayName"].to_string(), one["role"].to_string())).collect();
    roles.sort();
    let expected = [("Ann", "admin"), ("Bob", "admin"), ("Eve", "member"), ("Zoë", "member")];
    assert_eq!(roles, expected.map(|(name, role)| (json!(name).to_string(), json!(role).to_string())));

    // A mention tells of itself, other words in a group don't.
    eventually("Zoë is told that she was added and mentioned", async || {
        let items = zoe.get("/v1/notifications").expect(200).await.items();
        let of_room = items.iter().filter(|item| item.to_string().contains(&room)).count();
        (of_room == 2).then_some(())
    })
    .await;
    let told = eve.get("/v1/notifications").expect(200).await.items();
    let told = told.iter().filter(|item| item.to_string().contains("welcome")).count();
    assert_eq!(told, 0, "groups start at mentions");

    // Eve is removed, Bob leaves; to both the group is gone.
    eve.delete(&participant(&bob)).refused(403, "not-an-admin").await;
    let removed = bob.delete(&participant(&eve)).expect(204).await;
    let left = bob.delete(&participant(&bob)).expect(204).await;
    for (who, when) in [(&eve, &removed), (&bob, &left)] {
        let when = when.position();
        for path in ["", "/participants", "/messages", "/unread-count"] {
            who.get(&format!("{base}{path}")).after(&when).refused(404, "not-found").await;
        }
        who.saying(&room, "let me in").refused(404, "not-found").await;
        assert_eq!(who.all("/v1/conversations", Some(&when)).await, Vec::<Value>::new());
        assert_eq!(who.find("welcome", Some(&when)).await, Vec::<Value>::new());
        let total = who.get("/v1/unread-count").after(&when).expect(200).await.json();
        assert_eq!(total["total"], 0, "{total}");
    }

    // What was said in an absence stays unseen after a return.
    ann.say(&room, "while Eve was away").await;
    ann.put(&participant(&eve), &json!({})).expect(204).await;
    let back = ann.say(&room, "Eve is back").await;
    let seen = contents(&eve, &room, &back.position()).await;
    assert_eq!(seen, ["Eve is back", "@Zoë, welcome", "before Zoë"]);

    // A new name is known in chat.
    let renamed = zoe.patch("/v1/users/me/profile", &json!({"displayName": "Zoë Baker"})).expect(200).await;
    let path = format!("{base}/participants");
    let people = ann.all(&path, Some(&renamed.position())).await;
    assert!(people.iter().any(|one| one["displayName"] == "Zoë Baker"), "{people:?}");
    assert!(!people.iter().any(|one| one["displayName"] == "Zoë"), "{people:?}");
    let people = ann.get("/v1/users?search=baker").after(&renamed.position()).expect(200).await.items();
    assert_eq!(people.len(), 1);
}

async fn contents(user: &User, room: &str, after: &str) -> Vec<String> {
    let messages = user.messages(room, Some(after)).await;
    messages.iter().map(|message| message["content"].as_str().unwrap_or("(deleted)").to_owned()).collect()
}
