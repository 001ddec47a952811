//! Where the binary under test is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

#[derive(Deserialize)]
struct Artifact {
    #[serde(default)]
    target: Option<Target>,
    #[serde(default)]
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// The `parlor` binary: what `PARLOR_TEST_BINARY` or `PARLOR_BIN` names, or else what cargo builds, once, in the profile of these
/// tests.
///
/// Cargo tells a test where binaries are only if they are of the test's own package.
pub fn parlor() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let variable =
            if env::var_os("PARLOR_TEST_BINARY").is_some() { "PARLOR_TEST_BINARY" } else { "PARLOR_BIN" };
        named_or_built(variable, "parlor")
    })
}

/// The `xtask` binary, which starts clusters: what `PARLOR_TEST_XTASK` names, or else what cargo builds.
pub fn xtask() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| named_or_built("PARLOR_TEST_XTASK", "xtask"))
}

fn named_or_built(variable: &str, name: &str) -> PathBuf {
    match env::var_os(variable).filter(|path| !path.is_empty()) {
        Some(path) => path.into(),
        None => build(name),
    }
}

fn build(name: &str) -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // The whole workspace's features, so that nothing is compiled a second time after `cargo test --workspace`.
    command.args(["build", "--workspace", "--bin", name, "--message-format=json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.stderr(Stdio::inherit()).output().expect("cargo can be started");
    assert!(output.status.success(), "cargo could not build {name}");
    let text = String::from_utf8(output.stdout).expect("cargo writes JSON");
    text.lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
        .filter(|artifact| artifact.target.as_ref().is_some_and(|target| target.name == name))
        .find_map(|artifact| artifact.executable)
        .expect("cargo says where it put the binary")
}
