//! Parlor understands the settings that are shipped.

use std::collections::BTreeSet;
use std::process::Command;

use parlor_tests::binary::parlor;

use crate::{shipped, text_of};

fn show(variables: &[(String, String)]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(parlor());
    command.args(["config", "show"]).current_dir(folder.path()).env_clear().envs(variables.iter().cloned());
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn the_shared_file_and_a_process_s_variables_are_taken() {
    let mut variables = vec![("PARLOR_CONFIG".to_owned(), shipped("parlor.toml").display().to_string())];
    let own = text_of("systemd/chat-1.env");
    let own = own.lines().filter(|line| !line.starts_with('#') && !line.starts_with("ROLES="));
    variables.extend(own.filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())));
    let shown = show(&variables).unwrap_or_else(|error| panic!("{error}"));
    for wanted in ["kafka-1.example.org:9093", "db-chat.example.org", "127.0.0.1:8083"] {
        assert!(shown.contains(wanted), "{wanted} is missing:\n{shown}");
    }
}

#[test]
fn the_variables_of_the_compose_file_are_keys_that_exist() {
    let compose = text_of("docker/compose.yaml");
    let names: BTreeSet<_> = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("PARLOR_")?.split_once(": "))
        .map(|(name, value)| (format!("PARLOR_{name}"), value.replace("${PARLOR_DB_PASSWORD}", "word")))
        .map(|(name, value)| (name, value.replace("${PARLOR_DB_PASSWORD:?choose one}", "word")))
        .collect();
    assert!(names.len() > 10, "{names:?}");
    let variables: Vec<_> = names.into_iter().collect();
    show(&variables).unwrap_or_else(|error| panic!("{error}"));
}
