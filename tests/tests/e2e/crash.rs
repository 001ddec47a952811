//! kill -9, again and again, under load: nothing acknowledged is lost, nothing is doubled, and every view is what a naive
//! fold of the clients' journals says.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parlor_tests::log::{SERVICES, assert_gapless};
use parlor_tests::model::{Room, Said};
use parlor_tests::{Call, Dice, Reply, Server, Store, User, cycles, eventually};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_by_kills_on_sqlite() {
    kills_under_load(Store::Sqlite, cycles(40), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_by_kills_on_postgresql() {
    if let Some(store) = Store::postgres() {
        kills_under_load(store, cycles(10), cycles(10)).await;
    }
}

const WORKERS: usize = 8;
const GROUPS: usize = 3;
/// PROOF.md: ready at most 5 s after a kill.
const READY: Duration = Duration::from_secs(5);
/// Access tokens live for 300 s at most.
const SIGN_IN_AFTER: Duration = Duration::from_mins(2);

/// What somebody wants done.
#[derive(Debug, Clone)]
enum Deed {
    Send { room: usize, content: String },
    Edit { room: usize, message: String, content: String },
    Delete { room: usize, message: String },
    Read { room: usize, message: String },
}

/// A line of the journal: what was asked under which key, and, once there was one, the answer.
#[derive(Debug)]
struct Entry {
    key: String,
    deed: Deed,
    answer: Option<Reply>,
}

/// A conversation that everybody here or two of them are in.
struct Place {
    id: String,
    members: Vec<usize>,
}

struct World {
    places: Vec<Place>,
    /// Ids of acknowledged messages by place, and who sent them.
    said: Mutex<Vec<Vec<(String, usize)>>>,
    acknowledged: AtomicUsize,
    stop: AtomicBool,
}

async fn kills_under_load(store: Store, kills: usize, cuts: usize) {
    let mut dice = Dice::new("kills under load");
    let mut server = Server::start(store).await;
    let api = server.api().clone();
    let mut users = Vec::new();
    for number in 0..WORKERS {
        users.push(User::sign_up(&api, &format!("Worker {number}")).await);
    }
    let places = places(&users).await;
    let said = Mutex::new(vec![Vec::new(); places.len()]);
    let world = World { places, said, acknowledged: AtomicUsize::new(0), stop: AtomicBool::new(false) };

    let working = futures::future::join_all(users.into_iter().enumerate().map(|(number, user)| {
        let dice = dice.part(number as u64);
        work(&world, number, user, dice)
    }));
    let breaking = async {
        let mut slowest = Duration::ZERO;
        for cycle in 0..kills + cuts {
            let goal = world.acknowledged.load(Ordering::SeqCst) + 10 + dice.below(80);
            let enough = async || (world.acknowledged.load(Ordering::SeqCst) >= goal).then_some(());
            eventually("work goes on", enough).await;
            if cycle >= kills {
                assert!(server.end_database_connections().await > 0, "there were connections to end");
                continue;
            }
            server.kill().await;
            if dice.percent(20) {
                // The next one dies while it starts, wherever it may be.
                server.spawn().await;
                tokio::time::sleep(Duration::from_millis(dice.below(300) as u64)).await;
                server.kill().await;
            }
            slowest = slowest.max(server.start_again().await);
        }
        let goal = world.acknowledged.load(Ordering::SeqCst) + 50;
        eventually("work goes on", async || {
            (world.acknowledged.load(Ordering::SeqCst) >= goal).then_some(())
        })
        .await;
        world.stop.store(true, Ordering::SeqCst);
        slowest
    };
    let (mut workers, slowest) = tokio::join!(working, breaking);
    let total: usize = workers.iter().map(|(_, journal)| journal.len()).sum();
    println!("{kills} kills, {cuts} cuts, {total} commands, ready after {slowest:?} at the slowest");

    let last = repeat_some(&world, &mut workers, &mut dice).await;
    let rooms = fold(&world, &workers);
    for (place, room) in world.places.iter().zip(&rooms) {
        for member in &place.members {
            compare(&workers[*member].0, place, room, &last).await;
        }
    }
    found_once(&workers, &last).await;

    server.stop().await;
    let mut recorded = HashMap::new();
    for service in SERVICES {
        let events = parlor_tests::log::read(&server, service).await;
        assert_gapless(service, &events);
        for event in events {
            *recorded.entry(event.name).or_insert(0) += 1;
        }
    }
    let deeds = |wanted: fn(&Deed) -> bool| {
        workers.iter().flat_map(|(_, journal)| journal).filter(|entry| wanted(&entry.deed)).count()
    };
    assert_eq!(recorded["message.sent"], deeds(|deed| matches!(deed, Deed::Send { .. })));
    assert_eq!(recorded["message.edited"], deeds(|deed| matches!(deed, Deed::Edit { .. })));
    assert_eq!(recorded["message.deleted"], deeds(|deed| matches!(deed, Deed::Delete { .. })));
    // In the end: a busy machine that is late hides nothing of what is worse.
    assert!(slowest <= READY, "ready after {slowest:?}");
}

async fn places(users: &[User]) -> Vec<Place> {
    let mut places = Vec::new();
    for number in 0..GROUPS {
        let others: Vec<_> = users[1..].iter().collect();
        let id = users[0].group(&format!("Group {number}"), &others).await;
        places.push(Place { id, members: (0..users.len()).collect() });
    }
    for (first, second) in [(0, 1), (2, 3), (0, 4)] {
        let id = users[first].direct(&users[second]).await;
        places.push(Place { id, members: vec![first, second] });
    }
    places
}

/// One user's commands, one after the other, each repeated under its key until it is answered.
async fn work(world: &World, number: usize, mut user: User, mut dice: Dice) -> (User, Vec<Entry>) {
    let mut journal: Vec<Entry> = Vec::new();
    // Own messages that still stand.
    let mut own: Vec<(usize, String)> = Vec::new();
    let mut signed_in = Instant::now();
    while !world.stop.load(Ordering::SeqCst) {
        if signed_in.elapsed() > SIGN_IN_AFTER {
            sign_in_again(&mut user).await;
            signed_in = Instant::now();
        }
        let deed = choose(world, number, &mut own, &mut dice, journal.len());
        let key = format!("{number}-{}", journal.len());
        journal.push(Entry { key, deed, answer: None });
        let entry = journal.last_mut().expect("it was just written");
        let answer = until_answered(world, &user, entry).await;
        if let Deed::Send { room, .. } = &entry.deed {
            let id = answer.text("id");
            own.push((*room, id.clone()));
            world.said.lock().unwrap()[*room].push((id, number));
        }
        entry.answer = Some(answer);
        world.acknowledged.fetch_add(1, Ordering::SeqCst);
    }
    (user, journal)
}

async fn sign_in_again(user: &mut User) {
    let body = json!({"email": user.email, "password": parlor_tests::user::PASSWORD});
    let reply = eventually("signed in again", async || {
        let reply = user.api.post("/v1/auth/login", &body).attempt().await.ok()?;
        (reply.status == 200).then_some(reply)
    });
    let reply = reply.await;
    user.take(&reply);
}

fn choose(world: &World, me: usize, own: &mut Vec<(usize, String)>, dice: &mut Dice, count: usize) -> Deed {
    let throw = dice.below(100);
    if throw < 12 && !own.is_empty() {
        let (room, message) = dice.pick(own).clone();
        return Deed::Edit { room, message, content: format!("edit{me}n{count}") };
    }
    if throw < 20 && !own.is_empty() {
        let (room, message) = own.swap_remove(dice.below(own.len()));
        return Deed::Delete { room, message };
    }
    let mine: Vec<_> = (0..world.places.len()).filter(|at| world.places[*at].members.contains(&me)).collect();
    let room = *dice.pick(&mine);
    if throw < 35 {
        let said = world.said.lock().unwrap();
        if !said[room].is_empty() {
            return Deed::Read { room, message: dice.pick(&said[room]).0.clone() };
        }
    }
    Deed::Send { room, content: format!("say{me}n{count}") }
}

fn call(world: &World, user: &User, entry: &Entry) -> Call {
    let base = |room: &usize| format!("/v1/conversations/{}", world.places[*room].id);
    let call = match &entry.deed {
        Deed::Send { room, content } => user.saying(&world.places[*room].id, content),
        Deed::Edit { room, message, content } => {
            user.patch(&format!("{}/messages/{message}", base(room)), &json!({"content": content}))
        }
        Deed::Delete { room, message } => user.delete(&format!("{}/messages/{message}", base(room))),
        Deed::Read { room, message } => user.put(&format!("{}/read", base(room)), &json!({"upTo": message})),
    };
    call.key(&entry.key)
}

async fn until_answered(world: &World, user: &User, entry: &Entry) -> Reply {
    eventually("a command is answered", async || {
        let reply = call(world, user, entry).attempt().await.ok()?;
        match reply.status {
            200..=299 => Some(reply),
            // What became of it is unknown, or it can't be done now: the same key settles it.
            503 => {
                assert!(reply.header("retry-after").is_some(), "{reply:?}");
                None
            }
            _ => panic!("{entry:?}: {reply:?}"),
        }
    })
    .await
}

/// Some of what was acknowledged, asked again: the same answer, to the byte. Gives a position that covers everything.
async fn repeat_some(world: &World, workers: &mut [(User, Vec<Entry>)], dice: &mut Dice) -> String {
    let mut positions = Vec::new();
    for (user, journal) in workers {
        sign_in_again(user).await;
        for _ in 0..10 {
            let entry = dice.pick(journal);
            let first = entry.answer.as_ref().expect("everything was settled");
            // What has become of a message since is another matter.
            if !matches!(entry.deed, Deed::Send { .. } | Deed::Read { .. }) {
                continue;
            }
            let again = call(world, user, entry).expect(first.status).await;
            assert!(again.replayed(), "{again:?}");
            assert_eq!(again.body, first.body);
        }
        let last = journal.last().expect("everybody did something").answer.as_ref().expect("settled");
        positions.push(last.position());
    }
    positions.join(",")
}

/// What the clients know, as rooms.
fn fold(world: &World, workers: &[(User, Vec<Entry>)]) -> Vec<Room> {
    let mut rooms = vec![Room::default(); world.places.len()];
    let entries =
        || workers.iter().flat_map(|(user, journal)| journal.iter().map(move |entry| (user, entry)));
    for (_, entry) in entries() {
        if let Deed::Send { room, content } = &entry.deed {
            let said = Said::shown(&entry.answer.as_ref().expect("settled").json());
            assert_eq!(said.content.as_ref(), Some(content));
            rooms[*room].say(said);
        }
    }
    // Each message is changed by its author alone, whose journal is in order; marks only advance.
    for (user, entry) in entries() {
        match &entry.deed {
            Deed::Send { .. } => {}
            Deed::Edit { room, message, content } => rooms[*room].edit(message, content),
            Deed::Delete { room, message } => rooms[*room].delete(message),
            Deed::Read { room, message } => rooms[*room].read(&user.id, message),
        }
    }
    rooms
}

/// One member's view of a room against the model's.
async fn compare(user: &User, place: &Place, room: &Room, last: &str) {
    let page: Vec<_> = user.messages(&place.id, Some(last)).await.iter().map(Said::shown).collect();
    let expected = room.page();
    assert_eq!(page.len(), expected.len(), "messages of {}", place.id);
    assert_eq!(page, expected);
    assert_eq!(
        user.unread(&place.id, last).await,
        room.unread(&user.id),
        "unread of {} for {}",
        place.id,
        user.name
    );
    let shown = user.get(&format!("/v1/conversations/{}", place.id)).after(last).expect(200).await.json();
    assert_eq!(shown["unreadCount"], room.unread(&user.id));
    let newest = expected.iter().find(|said| said.content.is_some());
    let content = newest.and_then(|said| said.content.clone()).map_or(Value::Null, Value::from);
    assert_eq!(shown["lastMessage"]["content"], content, "{shown}");
}

/// Words that stand are found, once each; words that were changed or deleted aren't.
async fn found_once(workers: &[(User, Vec<Entry>)], last: &str) {
    for (user, journal) in workers {
        let mut standing = BTreeMap::new();
        let mut gone = Vec::new();
        for entry in journal {
            let id = entry.answer.as_ref().filter(|_| matches!(entry.deed, Deed::Send { .. }));
            match &entry.deed {
                Deed::Send { content, .. } => {
                    standing.insert(id.expect("settled").text("id"), content.clone());
                }
                Deed::Edit { message, content, .. } => {
                    gone.extend(standing.insert(message.clone(), content.clone()));
                }
                Deed::Delete { message, .. } => gone.extend(standing.remove(message)),
                Deed::Read { .. } => {}
            }
        }
        for (id, content) in standing.iter().rev().take(5) {
            let found = user.find(content, Some(last)).await;
            // "say1n1" is also in "say1n12".
            let exactly: Vec<_> = found.iter().filter(|message| message["content"] == **content).collect();
            assert_eq!(exactly.len(), 1, "{content}: {found:?}");
            assert_eq!(exactly[0]["id"], **id);
        }
        for content in gone.iter().rev().take(5) {
            let found = user.find(content, Some(last)).await;
            assert!(!found.iter().any(|message| message["content"] == **content), "{content}: {found:?}");
        }
    }
}
