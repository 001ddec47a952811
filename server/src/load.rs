//! `parlor load`: which instance the load tool is pointed at, and with which key.

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use parlor_load::{Arguments, load};

use crate::admin::{self, Answer, Task};
use crate::config::Config;

/// Loads the instance that the arguments name, or the one that runs on the configured data folder; what came of it, in words.
pub async fn run(config: &Config, arguments: &Arguments) -> anyhow::Result<String> {
    // Names its people: two loads of one instance must not be taken for each other.
    let run = format!("{:x}", std::process::id()) + &format!("{:08x}", u32::from_be_bytes(random()?));
    match (&arguments.target, &arguments.key_file) {
        (Some(url), None) if arguments.address(url)? != here(config.listen) => bail!(
            "{url} is not the instance of these settings ({}): make a key there with `parlor service-key create load` and name its \
             file by --key-file",
            config.listen
        ),
        (target, Some(file)) => {
            let url = target.clone().unwrap_or_else(|| format!("http://{}", here(config.listen)));
            load(arguments, arguments.address(&url)?, &read_key(file)?, &run).await
        }
        (_, None) => {
            let Answer::Key { id, key } =
                admin::ask_running(config, &Task::CreateServiceKey { name: "load".into() }).await?
            else {
                bail!("the running instance made no key: is it of another version?");
            };
            let loaded = load(arguments, here(config.listen), &key, &run).await;
            // The key was for this run alone, however it ended.
            admin::ask_running(config, &Task::RevokeServiceKey { id }).await?;
            loaded
        }
    }
}

/// Where a process on this machine reaches what listens there.
fn here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn read_key(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("no key on standard input")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("no key in {}", file.display()))?;
    }
    let key = text.split_whitespace().find(|word| word.starts_with("psk_"));
    ensure!(key.is_some(), "{} holds no service key: they begin with psk_", file.display());
    Ok(key.unwrap_or_default().to_owned())
}

fn random() -> anyhow::Result<[u8; 4]> {
    let mut bytes = [0; 4];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_listens_everywhere_is_reached_on_this_machine() {
        for (listen, reached) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            let parsed: SocketAddr = listen.parse().unwrap();
            assert_eq!(here(parsed).to_string(), reached);
        }
    }

    #[test]
    fn a_file_without_a_key_says_what_is_missing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "Key: psk_abc\n").unwrap();
        assert_eq!(read_key(file.path()).unwrap(), "psk_abc");
        std::fs::write(file.path(), "abc").unwrap();
        assert!(read_key(file.path()).unwrap_err().to_string().contains("psk_"));
    }
}
