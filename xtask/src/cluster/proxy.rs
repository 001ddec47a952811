//! The reverse proxy: nginx, with the routes that `deploy/nginx` ships, used where they lie.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Signal, geteuid};

use super::layout::{PARLORS, PROXY};
use super::process::{Process, last_lines, listens, private};
use super::state::{Folder, State};
use crate::debian;
use crate::exec::{on_path, pause};
use crate::workspace::root;

/// Starts it unless it runs, and waits until it listens.
pub(super) fn up(folder: &Folder, state: &mut State) -> Result<()> {
    if state.running(PROXY).is_some() {
        return Ok(());
    }
    let nginx = find_or_install()?;
    let file = configure(folder, state)?;
    let mut command = Command::new(nginx);
    command.arg("-p").arg(folder.path()).arg("-c").arg(file).arg("-e").arg(folder.log(PROXY));
    let process = Process::spawn(&mut command, &folder.log(PROXY))?;
    state.processes.insert(PROXY.to_owned(), process);
    folder.save(state)?;
    let address = state.address(PROXY)?;
    while !listens(address) {
        if !process.runs() {
            bail!("nginx ended as soon as it had begun:\n{}", last_lines(&folder.log(PROXY)));
        }
        pause()?;
    }
    Ok(())
}

/// Asks it to end once requests under way are answered. Streams would go on for ever: they are cut.
pub(super) fn ask_to_end(process: Process) {
    process.ask_to_end(Signal::TERM);
}

/// Writes what differs from an installation: no TLS, other folders, the addresses of the processes here.
fn configure(folder: &Folder, state: &mut State) -> Result<PathBuf> {
    let shipped = root().join("deploy/nginx/parlor");
    let upstreams = fs::read_to_string(shipped.join("upstreams.conf"))?;
    let mut addresses = Vec::new();
    for (name, service) in PARLORS {
        addresses.push((service, state.address(name)?.to_string()));
    }
    private(&folder.join("upstreams.conf"))?.write_all(fill(&upstreams, &addresses)?.as_bytes())?;
    let temporary = folder.join("nginx");
    fs::create_dir_all(&temporary)?;

    // As root, nginx would change to a user that may not get to our folders.
    let user = if geteuid().is_root() { "user root;\n" } else { "" };
    let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {}/{kind};\n", temporary.display()))
        .concat();
    let text = format!(
        "# Made by `cargo xtask cluster up`, anew each time.\n\
         {user}daemon off;\nworker_processes 1;\npid {folder}/nginx/pid;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n    access_log off;\n{folders}    include {maps};\n    include {folder}/upstreams.conf;\n\
         \x20   server {{\n        listen {address};\n        include {routes};\n    }}\n}}\n",
        folder = folder.path().display(),
        maps = shipped.join("maps.conf").display(),
        routes = shipped.join("routes.conf").display(),
        address = state.address(PROXY)?,
    );
    let file = folder.join("nginx.conf");
    private(&file)?.write_all(text.as_bytes())?;
    Ok(file)
}

/// The upstreams as they are shipped, with these addresses instead of the examples.
fn fill(upstreams: &str, addresses: &[(&str, String)]) -> Result<String> {
    let mut filled = String::new();
    let mut service = None;
    for line in upstreams.lines() {
        let words = line.trim_start();
        if let Some(name) = words.strip_prefix("upstream parlor_") {
            service = Some(name.trim_end_matches([' ', '{']));
        }
        if let Some(settings) = words.strip_prefix("server ").and_then(|server| server.split_once(' ')) {
            // All of them at the place of the first.
            let service = service.take();
            for (_, address) in addresses.iter().filter(|(of, _)| Some(*of) == service) {
                let _ = writeln!(filled, "    server {address} {}", settings.1);
            }
        } else {
            filled.push_str(line);
            filled.push('\n');
        }
    }
    let missing = addresses.iter().find(|(_, address)| !filled.contains(address.as_str()));
    if let Some((service, _)) = missing {
        bail!("deploy/nginx/parlor/upstreams.conf has no upstream parlor_{service}");
    }
    Ok(filled)
}

fn find_or_install() -> Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    let otherwise = "nginx is needed and was not found (PATH, /usr/sbin).\n\
         Debian, Ubuntu: apt-get install nginx · Fedora: dnf install nginx · macOS: brew install nginx";
    // The package would start a server of its own, on port 80.
    debian::install("nginx", "nginx", &[("RUNLEVEL", "1")], otherwise)?;
    find().context("Debian's nginx was installed and isn't there")
}

/// Distributions keep it where only root looks.
fn find() -> Option<PathBuf> {
    let usual = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"].map(PathBuf::from);
    on_path("nginx").map(|folder| folder.join("nginx")).into_iter().chain(usual).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_upstreams_get_these_addresses_and_keep_their_settings() {
        let shipped = fs::read_to_string(root().join("deploy/nginx/parlor/upstreams.conf")).unwrap();
        let addresses: Vec<_> = PARLORS
            .iter()
            .enumerate()
            .map(|(at, (_, service))| (*service, format!("127.0.0.1:{}", 7000 + at)))
            .collect();
        let filled = fill(&shipped, &addresses).unwrap();
        let servers: Vec<_> =
            filled.lines().map(str::trim).filter(|line| line.starts_with("server ")).collect();
        assert_eq!(servers.len(), PARLORS.len(), "{filled}");
        for server in servers {
            assert!(server.contains("127.0.0.1:70") && server.ends_with("fail_timeout=1s;"), "{server}");
        }
        let chat = filled.split("upstream parlor_chat").nth(1).unwrap().split('}').next().unwrap();
        assert!(chat.contains(":7002") && chat.contains(":7003"), "{chat}");
        assert!(fill("upstream parlor_auth {\n    server x y;\n}\n", &addresses).is_err());
    }
}
