//! That `parlor-bench live` runs to its end; what it measures here says nothing.

use std::path::PathBuf;
use std::process::Command;

#[test]
fn a_small_run_of_live_comes_to_its_end() {
    let Some(parlor) = std::env::var_os("PARLOR_BIN").map(PathBuf::from).filter(|path| path.exists()) else {
        return eprintln!("skipped: PARLOR_BIN names no binary");
    };
    let results = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_parlor-bench"))
        .args([
            "live",
            "--people",
            "20",
            "--rooms",
            "20",
            "--rates",
            "50",
            "--seconds",
            "1",
            "--sockets",
            "100",
            "--messages",
            "20",
            "--statuses",
            "150",
            "--parlor",
        ])
        .arg(parlor)
        .arg("--results")
        .arg(results.path())
        // The server takes a variable of ours for a key of its configuration.
        .env_remove("PARLOR_BIN")
        .output()
        .expect("the tool can be started");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    for line in [
        "450 deliveries, each once",
        "100 idle sockets",
        "Resuming after",
        "resuming after 20 messages and 150",
    ] {
        assert!(out.contains(line), "{line} is missing: {out}");
    }
}
