//! The broker's certificate: signed by itself, for 127.0.0.1.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::exec::output;

/// The broker's key with its certificate, as Java keeps them.
pub(super) fn keystore(folder: &Path) -> PathBuf {
    folder.join("broker.p12")
}

/// The certificate, which clients have to trust.
pub(super) fn authority(folder: &Path) -> PathBuf {
    folder.join("ca.pem")
}

/// Makes both.
pub(super) fn make(folder: &Path, password: &str) -> Result<()> {
    let _ = fs::remove_file(keystore(folder));
    let keytool = |action: &str| {
        let mut command = Command::new("keytool");
        command.arg(action).args(["-alias", "broker", "-storetype", "PKCS12"]);
        command.arg("-keystore").arg(keystore(folder)).args(["-storepass", password]);
        command
    };
    output(
        keytool("-genkeypair")
            .args(["-keyalg", "EC", "-groupname", "secp256r1", "-dname", "CN=Kafka for Parlor's tests"])
            .args(["-ext", "san=ip:127.0.0.1,dns:localhost", "-ext", "bc:c", "-validity", "3650"]),
    )?;
    output(keytool("-exportcert").arg("-rfc").arg("-file").arg(authority(folder)))?;
    Ok(())
}
