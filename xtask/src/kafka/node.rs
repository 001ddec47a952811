//! One broker that is its own controller (KRaft), in a folder: made once, then started on its ports.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

use super::certificate;
use super::distribution::Distribution;
use crate::exec::output;
use crate::secret::{random_password, write_private};

const USER: &str = "parlor";

/// Any will do: one node is the whole cluster. 16 bytes, as Kafka writes them.
const CLUSTER_ID: &str = "cGFybG9yLXRlc3RzLTAwMA";

/// A broker's ports on 127.0.0.1, the same every time it starts: clients find the brokers at the address they were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// For clients, without encryption or passwords.
    pub plain: u16,
    /// For clients, over TLS and with a password.
    pub secure: u16,
    /// For itself.
    controller: u16,
}

impl Ports {
    fn free() -> Result<Self> {
        // Held together, so that they differ.
        let listeners: Vec<TcpListener> =
            (0..3).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<_, _>>()?;
        let port = |n: usize| anyhow::Ok(listeners[n].local_addr()?.port());
        Ok(Self { plain: port(0)?, secure: port(1)?, controller: port(2)? })
    }
}

/// A broker's folder.
pub struct Node {
    folder: PathBuf,
    distribution: Distribution,
}

impl Node {
    /// The broker of this folder, whether it was made or not.
    pub fn at(folder: PathBuf) -> Result<Self> {
        Ok(Self { folder, distribution: Distribution::find_or_fetch()? })
    }

    /// Makes the broker unless it was made; gives its ports.
    pub fn make(&self) -> Result<Ports> {
        if let Some(ports) = self.ports() {
            return Ok(ports);
        }
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("{} can't be made", self.folder.display()))?;
        let (ports, password) = (Ports::free()?, random_password()?);
        certificate::make(&self.folder, &password)?;
        write_private(&self.password_file(), &password)?;
        write_private(&self.settings_file(), &self.settings(ports, &password))?;
        let credential = format!("SCRAM-SHA-256=[name={USER},password={password}]");
        output(
            self.distribution
                .java("kafka.tools.StorageTool")
                .args(["format", "--cluster-id", CLUSTER_ID, "--add-scram", &credential, "--config"])
                .arg(self.settings_file()),
        )
        .context("Kafka's storage could not be made")?;
        // The last: a folder with it is complete.
        let text = format!("{} {} {}", ports.plain, ports.secure, ports.controller);
        fs::write(self.ports_file(), text)?;
        Ok(ports)
    }

    /// Where it listens, if it was made.
    pub fn ports(&self) -> Option<Ports> {
        let text = fs::read_to_string(self.ports_file()).ok()?;
        let mut numbers = text.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Ports { plain: next()?, secure: next()?, controller: next()? })
    }

    /// How clients reach it over TLS with a password: `user:password@host:port?ca=FILE`.
    pub fn secure_address(&self, ports: Ports) -> Result<String> {
        let password = fs::read_to_string(self.password_file())?;
        let authority = certificate::authority(&self.folder);
        Ok(format!("{USER}:{password}@127.0.0.1:{}?ca={}", ports.secure, authority.display()))
    }

    /// The command that runs it.
    pub fn command(&self) -> Command {
        let mut command = self.distribution.java("kafka.Kafka");
        command.arg(self.settings_file()).current_dir(&self.folder);
        command
    }

    /// The same, ended by the system when this process dies in whatever way, where the system can do that.
    pub fn command_that_dies_with_us(&self) -> Command {
        if !cfg!(target_os = "linux") || output(Command::new("which").arg("setpriv")).is_err() {
            return self.command();
        }
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig=KILL", "--", "java"]);
        command.args(self.distribution.java_arguments("kafka.Kafka")).arg(self.settings_file());
        command.current_dir(&self.folder);
        command
    }

    /// Where what it says goes, unless it runs in the foreground.
    pub fn log(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }

    /// What it said last, for an error message.
    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn settings(&self, ports: Ports, password: &str) -> String {
        let Ports { plain, secure, controller } = ports;
        let folder = self.folder.display();
        let keystore = certificate::keystore(&self.folder);
        format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{secure}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT\n\
             controller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=PLAINTEXT\n\
             log.dirs={folder}/data\n\
             ssl.keystore.type=PKCS12\n\
             ssl.keystore.location={keystore}\n\
             ssl.keystore.password={password}\n\
             listener.name.sasl_ssl.sasl.enabled.mechanisms=SCRAM-SHA-256,PLAIN\n\
             listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             listener.name.sasl_ssl.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{password}\";\n\
             auto.create.topics.enable=false\n\
             group.initial.rebalance.delay.ms=0\n\
             offsets.topic.num.partitions=1\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.num.partitions=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.num.partitions=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             num.network.threads=2\n\
             num.io.threads=4\n\
             log.cleaner.dedupe.buffer.size=4194304\n",
            keystore = keystore.display(),
        )
    }

    fn settings_file(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    fn password_file(&self) -> PathBuf {
        self.folder.join("password")
    }

    fn ports_file(&self) -> PathBuf {
        self.folder.join("ports")
    }
}

/// Whether a broker answers at this port: it is asked which requests it knows (`ApiVersions`, version 0), which brokers
/// answer once they are ready.
pub fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let limit = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), limit)?;
        stream.set_read_timeout(Some(limit))?;
        // Length; then key 18, version 0, number 7, and no client's name.
        stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff])?;
        // Length, the number again, and no error.
        let mut answer = [0; 10];
        stream.read_exact(&mut answer)?;
        Ok(answer[4..] == [0, 0, 0, 7, 0, 0])
    };
    ask().unwrap_or(false)
}

/// Turns this process into a broker; comes back only if that fails.
pub(super) fn become_node(folder: &Path) -> Result<anyhow::Error> {
    let node = Node::at(std::path::absolute(folder)?)?;
    let ports = node.make()?;
    if answers(ports.plain) {
        bail!("a broker of {} runs already, on port {}", folder.display(), ports.plain);
    }
    println!("127.0.0.1:{}", ports.plain);
    Ok(anyhow!(node.command().exec()).context("java could not be started"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_answers_at_a_port_that_is_open_to_nothing_or_to_something_else() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        });
        assert!(!answers(port));
        other.join().unwrap();
        assert!(!answers(port));
    }
}
