//! systemd takes the units as they are.

use std::fs;
use std::process::Command;

use parlor_tests::binary::parlor;

use crate::text_of;

const UNITS: [&str; 3] = ["parlor.service", "parlor@.service", "parlor.target"];

#[test]
fn systemd_finds_nothing_to_complain_of() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        println!("skipped: there is no systemd-analyze here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let binary = parlor().to_str().unwrap();
    for unit in UNITS {
        // It looks whether the program is there.
        let text = text_of(&format!("systemd/{unit}")).replace("/usr/bin/parlor", binary);
        fs::write(folder.path().join(unit), text).unwrap();
    }
    for unit in ["parlor.service", "parlor@chat-1.service", "parlor.target"] {
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(folder.path().join(unit))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<_> = said.lines().filter(|line| line.contains("parlor")).collect();
        assert!(output.status.success() && said.is_empty(), "{unit}: {said:#?}");
    }
}

#[test]
fn both_services_are_equally_confined() {
    let confined = |unit: &str| {
        let text = text_of(&format!("systemd/{unit}"));
        text.split_once("NoNewPrivileges").unwrap().1.split("[Install]").next().unwrap().to_owned()
    };
    let [one, many] = ["parlor.service", "parlor@.service"].map(confined);
    assert_eq!(one, many);
    for wanted in ["ProtectSystem=strict", "CapabilityBoundingSet=\n", "MemoryDenyWriteExecute=yes"] {
        assert!(one.contains(wanted), "{wanted}");
    }
}
