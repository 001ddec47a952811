//! The binary as an operator meets it: refused starts, commands beside a running instance and without one.

#![expect(clippy::unwrap_used, reason = "the helpers are part of the tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longer than any step takes on a busy machine; reached only by a failure.
const PATIENCE: Duration = Duration::from_mins(1);

fn parlor(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlor"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PARLOR_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(data.parent().unwrap())
        .env("PARLOR_LISTEN", "127.0.0.1:0")
        .env("PARLOR_METRICS_LISTEN", "off")
        .env("PARLOR_DATA_DIR", data)
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn output(data: &Path, arguments: &[&str]) -> Output {
    parlor(data, arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn succeeds(data: &Path, arguments: &[&str]) -> String {
    let output = output(data, arguments);
    assert!(output.status.success(), "parlor {arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn fails(data: &Path, arguments: &[&str]) -> String {
    let output = output(data, arguments);
    assert!(!output.status.success(), "parlor {arguments:?}: {}", said(&output));
    said(&output)
}

/// A running instance, killed when dropped.
struct Running(Child);

impl Running {
    fn start(data: &Path) -> Self {
        let mut running =
            Self(parlor(data, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let since = Instant::now();
        while !output(data, &["health"]).status.success() {
            assert!(running.0.try_wait().unwrap().is_none(), "it ended instead of starting");
            assert!(since.elapsed() < PATIENCE, "it isn't ready");
            std::thread::yield_now();
        }
        running
    }

    fn stop(mut self) {
        let id = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn keys_are_made_listed_and_revoked_beside_a_running_instance_and_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert!(fails(&data, &["service-key", "list"]).contains("there is no data folder"));
    let running = Running::start(&data);
    let mode = |file: &str| fs::metadata(data.join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("admin.sock"), 0o600);
    assert_eq!((mode("keys.db"), mode("keys/instance.secret"), mode("chat/log.db")), (0o600, 0o600, 0o600));
    let key = succeeds(&data, &["service-key", "create", "shop"]);
    let key = key.lines().next().unwrap();
    assert!(key.starts_with("psk_"), "{key}");
    let listed = succeeds(&data, &["service-key", "list"]);
    assert!(listed.contains("shop") && listed.contains("in force") && !listed.contains(key), "{listed}");
    let id = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let nobody = fails(&data, &["user", "promote", "nobody@example.org"]);
    assert!(nobody.contains("nobody@example.org"), "{nobody}");
    running.stop();

    assert!(!data.join("admin.sock").exists(), "the socket goes with its instance");
    assert!(fails(&data, &["health"]).contains("no Parlor runs"));
    assert!(succeeds(&data, &["service-key", "list"]).contains("shop"));
    succeeds(&data, &["service-key", "revoke", &id]);
    assert!(succeeds(&data, &["service-key", "list"]).contains("revoked"));
    assert!(fails(&data, &["user", "promote", "not an address"]).contains("not an address"));
}

#[test]
fn views_are_shown_and_made_anew_beside_a_running_instance_and_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let running = Running::start(&data);
    succeeds(&data, &["service-key", "create", "shop"]);
    for _ in 0..2 {
        let status = succeeds(&data, &["views", "status"]);
        assert!(status.lines().any(|line| line.starts_with("timeline")), "{status}");
        assert!(succeeds(&data, &["views", "rebuild", "access"]).contains("live"));
    }
    running.stop();
    assert!(succeeds(&data, &["views", "rebuild", "access"]).contains("live"));
    let status = succeeds(&data, &["views", "status"]);
    let access = status.lines().find(|line| line.starts_with("access")).unwrap();
    assert!(access.contains("up to date"), "{access}");
    assert!(fails(&data, &["views", "rebuild", "nothing"]).contains("there is no view called nothing"));
    assert!(succeeds(&data, &["views", "rebuild", "profile-of-account"]).contains("begins anew"));
}

#[test]
fn what_is_parked_is_shown_tried_again_and_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    Running::start(&data).stop();
    assert!(succeeds(&data, &["parked", "list"]).contains("Nothing is parked"));
    let log = rusqlite::Connection::open(data.join("notification/log.db")).unwrap();
    log.execute_batch(
        "INSERT INTO parked (consumer, source, part, position, stream, name, reason)
           VALUES ('notify-of-chat', 'chat.public', -1, 7, x'00000000000000000000000000000001', 'message-sent.v1', 'poison');
         INSERT INTO parked (consumer, source, part, position, name, reason)
           VALUES ('', 'parlor.chat.v1', 3, 99, 'weather.v1', 'not ours')",
    )
    .unwrap();
    drop(log);

    let running = Running::start(&data);
    let listed = succeeds(&data, &["parked", "list"]);
    let line = |listed: &str, id: &str| listed.lines().find(|line| line.starts_with(id)).map(str::to_owned);
    let [event, record] = ["notification-1", "notification-2"].map(|id| line(&listed, id).unwrap());
    assert!(event.contains("notify-of-chat") && event.contains("poison"), "{listed}");
    assert!(record.contains("weather.v1") && record.contains("not ours"), "{listed}");

    assert!(fails(&data, &["parked", "retry", "notification-2"]).contains("or is no event"));
    assert!(fails(&data, &["parked", "drop", "chat-1"]).contains("isn't parked"));
    assert!(fails(&data, &["parked", "drop", "seven"]).contains("no id of something parked"));
    succeeds(&data, &["parked", "drop", "notification-2"]);
    succeeds(&data, &["parked", "retry", "notification-1"]);
    // There is no such event in chat's log, and that is what is said of it once it was tried.
    let since = Instant::now();
    let listed = loop {
        let listed = succeeds(&data, &["parked", "list"]);
        if !listed.contains("poison") {
            break listed;
        }
        assert!(since.elapsed() < PATIENCE, "it isn't tried again: {listed}");
    };
    assert!(line(&listed, "notification-1").is_some_and(|line| line.contains("doesn't hold it")), "{listed}");
    assert_eq!(line(&listed, "notification-2"), None);
    succeeds(&data, &["parked", "drop", "notification-1"]);
    assert!(succeeds(&data, &["parked", "list"]).contains("Nothing is parked"));
    running.stop();
}

#[test]
fn a_second_server_on_one_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let running = Running::start(&data);
    assert!(fails(&data, &["serve"]).contains("another Parlor is using the data folder"));
    running.stop();
}

#[test]
fn stores_of_another_instance_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    Running::start(&data).stop();
    let secret = data.join("keys/instance.secret");
    fs::write(&secret, [7; 32]).unwrap();
    assert!(fails(&data, &["serve"]).contains("belong to another instance"));
}

#[test]
fn a_newer_log_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("parlor.format"), "99\n").unwrap();
    assert!(fails(&data, &["serve"]).contains("newer version"));
    let names: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name == "auth" || name == "keys.db"), "{names:?}");
}

#[test]
fn a_wrong_setting_stops_the_start_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let text = fails(&data, &["serve", "--set", "auth.verifyemail=true"]);
    assert!(text.contains("did you mean auth.verify_email?"), "{text}");
    assert!(!data.exists());
    fs::write(dir.path().join("parlor.toml"), "colour = \"blue\"\n").unwrap();
    let text = fails(&data, &["config", "show"]);
    assert!(text.contains("parlor.toml") && text.contains("colour"), "{text}");
}

#[test]
fn help_names_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let help = succeeds(&dir.path().join("data"), &["--help"]);
    for command in ["serve", "user", "service-key", "views", "config", "health", "openapi"] {
        assert!(help.contains(command), "{command}: {help}");
    }
}
