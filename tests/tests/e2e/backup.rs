//! Backups taken beside a running instance, and instances made of them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parlor_tests::model::Said;
use parlor_tests::server::contents;
use parlor_tests::{Server, Store, User, eventually, log};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_restores_to_one_instant_from_sqlite_to_postgresql() {
    if let Some(store) = Store::postgres() {
        one_instant(Store::Sqlite, store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_restores_to_one_instant_from_postgresql_to_sqlite() {
    if let Some(store) = Store::postgres() {
        one_instant(store, Store::Sqlite).await;
    }
}

/// Ann speaks to Bob, in each of several rooms at once, and what was acknowledged is written down in order.
async fn speak(ann: User, room: String, stop: Arc<AtomicBool>) -> Vec<Said> {
    let mut said = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let reply = ann.say(&room, &format!("number {}", said.len())).await;
        said.push(Said::shown(&reply.json()));
    }
    said
}

/// People come all the time: each is known to two services, one after the other.
async fn register(server: &Server, stop: &AtomicBool) -> Vec<User> {
    let mut people = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        people.push(User::sign_up(server.api(), &format!("Guest {}", people.len())).await);
    }
    people
}

async fn one_instant(from: Store, to: Store) {
    const ROOMS: usize = 3;
    let server = Server::start(from).await;
    let bob = User::sign_up(server.api(), "Bob").await;
    let (mut speakers, mut rooms) = (Vec::new(), Vec::new());
    for n in 0..ROOMS {
        let speaker = User::sign_up(server.api(), &format!("Speaker {n}")).await;
        rooms.push(speaker.direct(&bob).await);
        speakers.push(speaker);
    }
    let mut before = Vec::new();
    for (speaker, room) in speakers.iter().zip(&rooms) {
        before.push(Said::shown(&speaker.say(room, "before").await.json()));
    }
    let last = speakers[0].say(&rooms[0], "before, too").await;
    let second = Said::shown(&last.json());
    let cursor = bob.get(&format!("/v1/conversations/{}/messages?limit=1", rooms[0])).after(&last.position());
    let cursor = cursor.expect(200).await.text("nextCursor");

    let stop = Arc::new(AtomicBool::new(false));
    let speaking: Vec<_> = speakers
        .iter()
        .zip(&rooms)
        .map(|(speaker, room)| tokio::spawn(speak(speaker.clone(), room.clone(), stop.clone())))
        .collect();
    let file = server.folder().join("parlor.backup");
    let backing_up = async {
        // Some seconds into the load: it is taken in the middle of it.
        eventually("messages are under way", async || {
            (log::read(&server, "chat").await.len() > 40).then_some(())
        })
        .await;
        let printed = server.run_ok(&["backup", file.to_str().unwrap()]).await;
        stop.store(true, Ordering::SeqCst);
        printed
    };
    let (people, printed) = tokio::join!(register(&server, &stop), backing_up);
    assert!(printed.contains("secret") && printed.contains("0600"), "{printed}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut journals = Vec::new();
    for (n, speaking) in speaking.into_iter().enumerate() {
        let mut journal = vec![before[n].clone()];
        journal.extend((n == 0).then(|| second.clone()));
        journal.extend(speaking.await.unwrap());
        journals.push(journal);
    }

    let mut restored = Server::prepare(to, parlor_tests::Options::default()).await;
    assert!(restored.run_ok(&["backup", "verify", file.to_str().unwrap()]).await.contains("is whole"));
    restored.run_ok(&["restore", file.to_str().unwrap()]).await;
    restored.start_again().await;
    let ends = log::settled(&restored).await;
    assert!(ends.iter().all(|(_, end)| *end > 0), "{ends:?}");
    for service in log::SERVICES {
        log::assert_gapless(service, &log::read(&restored, service).await);
    }
    // The address is another, and access tokens are good where they were issued only: everybody signs in anew.
    let there = async |user: &User| {
        let mut user = User { api: restored.api().clone(), ..user.clone() };
        user.sign_in().await;
        user
    };
    let bob = there(&bob).await;
    is_one_instant(&restored, &bob, &rooms, &journals, &people).await;

    // What clients hold of the old logs is told from the new ones', however alike they are.
    let path = format!("/v1/conversations/{}/messages", rooms[0]);
    bob.get(&path).after(&last.position()).refused(410, "epoch-changed").await;
    bob.get(&format!("{path}?cursor={cursor}")).refused(410, "epoch-changed").await;
    let said = bob.say(&rooms[0], "after the restore").await;
    let seen = there(&speakers[0]).await.messages(&rooms[0], Some(&said.position())).await;
    assert_eq!(seen[0]["id"], said.json()["id"]);
}

/// Every room shows the first so many of what was acknowledged, everything that follows from them has come about and
/// nothing else has.
async fn is_one_instant(
    restored: &Server,
    bob: &User,
    rooms: &[String],
    journals: &[Vec<Said>],
    people: &[User],
) {
    let mut sent = BTreeSet::new();
    for (room, journal) in rooms.iter().zip(journals) {
        let mut page: Vec<_> = bob.messages(room, None).await.iter().map(Said::shown).collect();
        page.reverse();
        assert!(page.len() > 1 && page.len() <= journal.len(), "{} of {}", page.len(), journal.len());
        assert_eq!(page, journal[..page.len()], "a prefix of what was acknowledged");
        let path = format!("/v1/conversations/{room}/unread-count");
        assert_eq!(bob.get(&path).expect(200).await.json()["count"], page.len());
        sent.extend(page.into_iter().map(|said| said.id));
    }
    let told = bob.all("/v1/notifications", None).await;
    let told: Vec<_> = told.iter().filter_map(|item| item["messageId"].as_str().map(str::to_owned)).collect();
    assert_eq!(told.len(), sent.len(), "one for each message");
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), sent, "and none of a message that isn't there");
    let mut known = 0;
    for person in people {
        let person = User { api: restored.api().clone(), ..person.clone() };
        let body = json!({"email": person.email, "password": parlor_tests::user::PASSWORD});
        let reply = person.api.post("/v1/auth/login", &body).send().await;
        if reply.status == 200 {
            known += 1;
            let token = reply.text("accessToken");
            let profile = person.api.get("/v1/users/me/profile").token(&token).after(&reply.position());
            let profile = profile.expect(200).await;
            assert_eq!(profile.json()["displayName"], person.name, "whoever has an account has a profile");
        } else {
            assert_eq!(reply.status, 401, "{reply:?}");
        }
    }
    assert!(known <= people.len());
}

async fn small_backup(folder: &str) -> (Server, PathBuf) {
    let server = Server::start(Store::Sqlite).await;
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    ann.say(&room, "Is this kept?").await;
    let file = server.folder().join(folder);
    server.run_ok(&["backup", file.to_str().unwrap()]).await;
    (server, file)
}

async fn refused(server: &Server, arguments: &[&str]) -> String {
    let output = server.run(arguments).await;
    assert!(!output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_backup_is_refused_and_nothing_is_written() {
    let (_server, file) = small_backup("parlor.backup").await;
    let whole = fs::read(&file).unwrap();
    let empty = Server::prepare(Store::Sqlite, parlor_tests::Options::default()).await;
    let path = file.to_str().unwrap();
    let fails = async |bytes: Vec<u8>| {
        fs::write(&file, bytes).unwrap();
        let text = refused(&empty, &["restore", path]).await;
        assert!(text.contains("parlor.backup is "), "{text}");
        assert!(!empty.data().exists(), "nothing was written");
    };
    // Every part of the file, from what it begins with to the hash that it ends with.
    for tenth in 0..10 {
        let mut damaged = whole.clone();
        damaged[whole.len() * tenth / 10 + 3] ^= 16;
        fails(damaged).await;
    }
    fails(whole[..whole.len() - 1].to_vec()).await;
    fails(whole[..whole.len() / 2].to_vec()).await;
    fails(Vec::new()).await;
    fs::write(&file, &whole).unwrap();
    empty.run_ok(&["restore", path]).await;
    let before = contents(&empty.data());
    let text = refused(&empty, &["restore", path]).await;
    assert!(text.contains("is in use"), "{text}");
    assert_eq!(contents(&empty.data()), before, "an instance is never written over");
    let text = refused(&empty, &["backup", path]).await;
    assert!(text.contains("there is such a file already"), "{text}");
}

fn copy_log(from: &Path, to: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let name = |path: &Path| PathBuf::from(format!("{}{ending}", path.display()));
        match fs::remove_file(name(to)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
        if name(from).exists() {
            fs::copy(name(from), name(to)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_put_back_by_hand_stops_the_start_and_is_told_what_to_do() {
    let (mut server, _) = small_backup("parlor.backup").await;
    server.stop().await;
    let (log_file, old) = (server.data().join("chat/log.db"), server.folder().join("old.db"));
    copy_log(&log_file, &old);
    server.start_again().await;
    let ann = User::sign_up(server.api(), "Eve").await;
    let zoe = User::sign_up(server.api(), "Zoe").await;
    let room = ann.direct(&zoe).await;
    let said = ann.say(&room, "This will be missing.").await;
    log::settled(&server).await;
    server.stop().await;
    let newest = server.folder().join("newest.db");
    copy_log(&log_file, &newest);

    copy_log(&old, &log_file);
    let text = refused(&server, &["serve"]).await;
    assert!(text.contains("the log chat ends at") && text.contains("parlor restore"), "{text}");
    // Views alone would not tell: without them, those who made something of the events do.
    fs::remove_file(server.data().join("chat/views.db")).unwrap();
    fs::remove_file(server.data().join("notification/views.db")).unwrap();
    let text = refused(&server, &["serve"]).await;
    assert!(text.contains("the consumer notify-of-chat has seen it"), "{text}");
    copy_log(&newest, &log_file);
    server.start_again().await;
    // The views were removed, too: they are filled again.
    assert_eq!(zoe.messages(&room, Some(&said.position())).await.len(), 1);
}
