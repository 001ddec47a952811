//! A disk that is full: what can't be kept is refused, what is there is still shown, and room is all that is needed to go on.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use parlor_tests::model::Said;
use parlor_tests::{Options, Reply, Server, Store, User, cycles, eventually};

/// What PROOF.md puts under each store.
const DISK: &str = "size=32m";

/// A small disk in memory, while the test holds it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one there; says so and gives nothing where that isn't allowed.
    fn at(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(folder).output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(folder.to_owned())),
            Ok(output) => {
                println!("skipped: no disk can be mounted here: {}", String::from_utf8_lossy(&output.stderr));
                None
            }
            Err(error) => {
                println!("skipped: no disk can be mounted here: {error}");
                None
            }
        }
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.filler()).unwrap();
        // Large pieces first; a byte more than a page wouldn't fit in the end.
        for piece in [1 << 20, 4096, 1] {
            let piece = vec![0; piece];
            loop {
                match file.write(&piece) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may still be running.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_it_cannot_keep_and_room_is_all_it_needs_on_sqlite() {
    let mut server = Server::prepare(Store::Sqlite, Options::default()).await;
    let Some(disk) = SmallDisk::at(&server.data()) else { return };
    server.start_again().await;
    fills(&server, &disk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_it_cannot_keep_and_room_is_all_it_needs_on_postgresql() {
    let Some(store) = Store::postgres() else { return };
    if store.skips_cluster("its databases are made by the cluster, on the server's own disk") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // PostgreSQL's own user must be able to come by.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let Some(disk) = SmallDisk::at(&folder.path().join("disk")) else { return };
    let mut server = Server::prepare(store, Options::default()).await;
    let database = parlor_tests::store::connect(&server.database_url("chat").unwrap()).await;
    let name: String = database.query_one("SELECT current_database()::text", &[]).await.unwrap().get(0);
    let kept: String = database.query_one("SHOW data_directory", &[]).await.unwrap().get(0);
    let Ok(owner) = fs::metadata(&kept) else {
        return println!("skipped: PostgreSQL isn't on this machine");
    };
    chown(&disk.0, Some(owner.uid()), Some(owner.gid())).unwrap();
    // Everything but PostgreSQL's own log of writes: without room for that it stops, which is another fault.
    for sql in [
        format!("CREATE TABLESPACE {name} LOCATION '{}'", disk.0.display()),
        format!("ALTER DATABASE {name} SET default_tablespace = {name}"),
    ] {
        database.batch_execute(&sql).await.unwrap();
    }
    server.start_again().await;
    fills(&server, &disk).await;
    let admin = parlor_tests::store::connect(&std::env::var("PARLOR_TEST_POSTGRES_URL").unwrap()).await;
    drop(server);
    admin.batch_execute(&format!("DROP TABLESPACE {name}")).await.unwrap();
}

async fn fills(server: &Server, disk: &SmallDisk) {
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    let mut acknowledged = Vec::new();
    let mut last = ann.say(&room, "there is room").await;
    acknowledged.push(Said::shown(&last.json()));
    // Views stand still meanwhile: they show what they held.
    assert_eq!(bob.messages(&room, Some(&last.position())).await.len(), 1);
    let mut full = 0;
    for round in 0..cycles(3) {
        disk.fill();
        // What has room in files that are there already may still be taken.
        let mut refused = Vec::new();
        let mut number = 0;
        while refused.len() < 10 {
            let (key, content) =
                (format!("{round}-{number}"), format!("{number} of round {round}: {}", "x".repeat(2000)));
            let reply = ann.saying(&room, &content).key(&key).send().await;
            match reply.status {
                201 => acknowledged.push(Said::shown(&reply.json())),
                503 | 507 => {
                    assert!(reply.status == 507 || reply.header("retry-after").is_some(), "{reply:?}");
                    full += usize::from(reply.status == 507);
                    refused.push((key, content));
                }
                _ => panic!("{reply:?}"),
            }
            number += 1;
            assert!(number < 10_000, "the disk is never full");
        }
        let shown = ann.get(&format!("/v1/conversations/{room}/messages?limit=1")).expect(200).await;
        assert_eq!(shown.items().len(), 1, "{shown:?}");
        bob.get("/v1/conversations").expect(200).await;
        disk.empty();
        for (key, content) in refused {
            last = eventually("it goes on", async || {
                let reply = ann.saying(&room, &content).key(&key).send().await;
                went_on(reply)
            })
            .await;
            acknowledged.push(Said::shown(&last.json()));
        }
    }
    assert!(full > 0, "it is said that the disk is full");
    let mut page: Vec<_> =
        bob.messages(&room, Some(&last.position())).await.iter().map(Said::shown).collect();
    page.reverse();
    assert_eq!(page, acknowledged, "what was acknowledged, each once, in this order");
    assert_eq!(bob.unread(&room, &last.position()).await, acknowledged.len() as u64);
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
}

fn went_on(reply: Reply) -> Option<Reply> {
    match reply.status {
        201 => Some(reply),
        503 | 507 => None,
        _ => panic!("{reply:?}"),
    }
}
