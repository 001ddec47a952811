//! The certificate that the servers of the tests show: for `localhost`, from an authority of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::owner::Owner;
use crate::exec::output;

/// The authority, which clients have to trust (PEM).
pub(super) fn authority(folder: &Path) -> PathBuf {
    folder.join("ca.crt")
}

/// Makes authority and certificate. The address 127.0.0.1 isn't in it on purpose: whoever connects there must be refused.
pub(super) fn make(folder: &Path, owner: &Owner) -> Result<()> {
    let request = |name: &str, subject: &str| {
        let mut command = Command::new("openssl");
        command
            .current_dir(folder)
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "3650", "-subj", subject])
            .arg("-keyout")
            .arg(format!("{name}.key"))
            .arg("-out")
            .arg(format!("{name}.crt"));
        command
    };
    let missing = "OpenSSL's command line is needed for the certificates of the tests' PostgreSQL";
    output(
        request("ca", "/CN=Authority of Parlor's tests").args(["-addext", "keyUsage=critical,keyCertSign"]),
    )
    .context(missing)?;
    output(
        request("server", "/CN=localhost")
            .args(["-CA", "ca.crt", "-CAkey", "ca.key"])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"]),
    )
    .context(missing)?;
    for name in ["server.key", "server.crt"] {
        // PostgreSQL refuses a key that others can read.
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600))?;
        owner.give(&folder.join(name))?;
    }
    Ok(fs::remove_file(folder.join("ca.key"))?)
}

/// The server's settings, if there is a certificate: clusters of earlier versions have none.
pub(super) fn options(folder: &Path) -> Vec<String> {
    if !authority(folder).exists() {
        return Vec::new();
    }
    vec![
        "-cssl=on".to_owned(),
        format!("-cssl_cert_file={}", folder.join("server.crt").display()),
        format!("-cssl_key_file={}", folder.join("server.key").display()),
    ]
}
