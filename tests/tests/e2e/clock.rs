//! A clock that is wrong: what happened first is what has the smaller position, whatever time it seemed to be.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use parlor_tests::model::Said;
use parlor_tests::{Options, Server, Store, User, cycles, eventually};

/// Where the clock stands, one after the other: a day ahead, an hour back from there, a day behind, right again.
/// In hours off the right time.
const CLOCKS: [i64; 4] = [24, 23, -24, 0];
const MESSAGES: usize = 10;

/// The wall clock of a server's process.
struct Clock(PathBuf);

impl Clock {
    /// Gives the server one of its own, from its next start on.
    fn of(server: &mut Server) -> Self {
        let folder = server.folder().to_owned();
        let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
        fs::write(&source, include_str!("clock.c")).unwrap();
        // The compiler that SQLite is compiled with.
        let cc = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let compiled =
            Command::new(cc).args(["-shared", "-fPIC", "-O2", "-o"]).args([&library, &source]).status();
        assert!(compiled.unwrap().success());
        let clock = Self(folder.join("clock"));
        clock.set(0);
        server.set("LD_PRELOAD", library.to_str().unwrap());
        server.set("TEST_CLOCK", clock.0.to_str().unwrap());
        clock
    }

    /// Sets it so many hours off the right time, whether or not the server runs.
    fn set(&self, hours: i64) {
        // In one write, so that nobody reads half of it; the file stays the one that is mapped.
        let mut file = File::options().create(true).write(true).truncate(false).open(&self.0).unwrap();
        file.write_all(&(hours * 3600).to_ne_bytes()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_changes_no_order_on_sqlite() {
    jumps(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_changes_no_order_on_postgresql() {
    if let Some(store) = Store::postgres() {
        jumps(store).await;
    }
}

async fn jumps(store: Store) {
    if store.skips_cluster("its processes aren't children of the test, which sets their clock") {
        return;
    }
    let mut server = Server::prepare(store, Options::default()).await;
    let clock = Clock::of(&mut server);
    server.start_again().await;
    let (mut ann, mut bob) =
        (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    let mut feed = bob.feed(None).await;
    feed.until("caught-up").await;
    let mut cursor = feed.cursor().unwrap().to_owned();
    let mut said = Vec::new();
    let (mut times, mut days) = (Vec::new(), BTreeSet::new());
    for round in 0..cycles(2) {
        for hours in CLOCKS {
            // Every other round it was set while Parlor didn't run.
            if round % 2 == 1 {
                server.kill().await;
                clock.set(hours);
                server.start_again().await;
            } else {
                clock.set(hours);
            }
            // Tokens of another day have expired, or aren't good yet.
            for user in [&mut ann, &mut bob] {
                user.sign_in().await;
            }
            let mut last = String::new();
            for number in 0..MESSAGES {
                let reply = ann.say(&room, &format!("{number} at {hours} h in round {round}")).await;
                said.push(Said::shown(&reply.json()));
                times.push(reply.text("createdAt"));
                days.insert(reply.header("date").unwrap()[.."Mon, 23 Nov 2026".len()].to_owned());
                last = reply.position();
            }
            let newest = said.last().unwrap().id.clone();
            let mut feed = bob.feed(Some(&cursor)).await;
            let heard = feed.until_one(|event| event.data["id"] == newest.as_str()).await;
            let heard: Vec<_> = heard
                .iter()
                .filter(|event| event.kind == "chat.message-sent")
                .map(|event| Said::shown(&event.data))
                .collect();
            assert_eq!(heard, said[said.len() - MESSAGES..], "heard at {hours} h");
            cursor = feed.cursor().unwrap().to_owned();
            let mut page: Vec<_> = bob.messages(&room, Some(&last)).await.iter().map(Said::shown).collect();
            page.reverse();
            assert_eq!(page, said, "shown at {hours} h");
            assert_eq!(bob.unread(&room, &last).await, said.len() as u64);
            eventually("everybody is told", async || {
                let told = bob.all("/v1/notifications", None).await;
                (told.len() == said.len()).then_some(())
            })
            .await;
        }
    }
    assert!(said.is_sorted_by(|before, after| before.position < after.position), "{said:?}");
    // API.md: times follow positions.
    assert!(times.is_sorted(), "{times:?}");
    assert!(days.len() >= 3, "the clock did jump: {days:?}");
}
