//! An installation of a process per service, with a database and topics of its own.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::NoTls;
use uuid::Uuid;

/// Longer than any step takes on a busy machine; reached only by a failure.
pub const PATIENCE: Duration = Duration::from_mins(2);

pub struct Installation {
    dir: tempfile::TempDir,
    postgres: String,
    kafka: String,
    pub id: String,
    processes: BTreeMap<&'static str, Process>,
    client: reqwest::Client,
}

struct Process {
    arguments: Vec<&'static str>,
    port: u16,
    child: Option<Child>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub position: Option<String>,
    pub body: Value,
}

fn named(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        eprintln!("skipped: {variable} names no server (cargo xtask test starts one)");
    }
    value
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until `condition` gives something.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Installation {
    /// Nothing runs yet; `None` where the tests have no PostgreSQL or no Kafka.
    pub async fn new() -> Option<Self> {
        let (postgres, kafka) = (named("PARLOR_TEST_POSTGRES_URL")?, named("PARLOR_TEST_KAFKA")?);
        // Databases and topics of one run are told from those of others.
        #[expect(clippy::disallowed_methods, reason = "a test's name for what it makes, no id of Parlor's")]
        let id = format!("processes_{}", &Uuid::now_v7().simple().to_string()[12..]);
        let installation = Self {
            dir: tempfile::Builder::new().prefix("parlor-processes-").tempdir().unwrap(),
            postgres,
            kafka,
            id,
            processes: BTreeMap::new(),
            client: reqwest::Client::new(),
        };
        installation.sql(&format!("CREATE DATABASE {}", installation.id)).await;
        Some(installation)
    }

    /// One process for each service.
    pub async fn of_four() -> Option<Self> {
        let mut all = Self::new().await?;
        for service in ["auth", "user", "chat", "notification"] {
            all.start(service, &[service]);
        }
        for service in ["auth", "user", "chat", "notification"] {
            all.ready(service).await;
        }
        Some(all)
    }

    async fn sql(&self, statement: &str) {
        self.try_sql(statement).await.unwrap();
    }

    async fn try_sql(&self, statement: &str) -> Result<(), tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.postgres, NoTls).await.unwrap();
        let running = tokio::spawn(connection);
        let done = client.batch_execute(statement).await;
        drop(client);
        running.await.unwrap().unwrap();
        done
    }

    /// Copies the database of processes that were killed; it is there until [`Installation::put_back`].
    pub async fn copy(&self) {
        let copied = format!("CREATE DATABASE {0}_older TEMPLATE {0}", self.id);
        // PostgreSQL notices by and by that nobody is connected any more.
        until("the database is copied", async || self.try_sql(&copied).await.ok()).await;
    }

    /// Puts the copy in the database's place.
    pub async fn put_back(&self) {
        self.sql(&format!("DROP DATABASE {} WITH (FORCE)", self.id)).await;
        self.sql(&format!("ALTER DATABASE {0}_older RENAME TO {0}", self.id)).await;
    }

    /// What carries connections on to the real one.
    pub async fn forward(port: u16, to: String) -> JoinHandle<()> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let to = to.clone();
                tokio::spawn(async move {
                    let mut far = tokio::net::TcpStream::connect(to).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        })
    }

    /// Where Kafka listens.
    pub fn kafka(&self) -> &str {
        &self.kafka
    }

    /// The topic of a service's public events.
    pub fn topic(&self, service: &str) -> String {
        format!("{}.{service}.v1", self.id)
    }

    /// What a process has written to its log.
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.data(name).with_extension("log")).unwrap_or_default()
    }

    /// Whether a process has ended by itself, and well.
    pub fn ended(&mut self, name: &str) -> Option<bool> {
        let child = self.processes.get_mut(name).and_then(|process| process.child.as_mut()).unwrap();
        child.try_wait().unwrap().map(|status| status.success())
    }

    /// The database's URL, at another address if one is given.
    pub fn store_url(&self, port: Option<u16>) -> String {
        let mut url = url::Url::parse(&self.postgres).unwrap();
        url.set_path(&self.id);
        if let Some(port) = port {
            url.set_port(Some(port)).unwrap();
        }
        url.to_string()
    }

    /// Where PostgreSQL listens.
    pub fn postgres_address(&self) -> String {
        let url = url::Url::parse(&self.postgres).unwrap();
        format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432))
    }

    /// Starts a process, again if it was started before.
    pub fn start(&mut self, name: &'static str, arguments: &[&'static str]) {
        self.start_with(name, arguments, &[]);
    }

    pub fn start_with(&mut self, name: &'static str, arguments: &[&'static str], set: &[(&str, String)]) {
        let port = self.processes.get(name).map_or_else(free_port, |process| process.port);
        let data = self.data(name);
        let log = fs::File::options().create(true).append(true).open(data.with_extension("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlor"));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("PARLOR_") {
                command.env_remove(variable);
            }
        }
        command
            .arg("serve")
            .args(arguments)
            .current_dir(self.dir.path())
            .env("PARLOR_LISTEN", format!("127.0.0.1:{port}"))
            .env("PARLOR_METRICS_LISTEN", "off")
            .env("PARLOR_DATA_DIR", &data)
            .env("PARLOR_SECRET_FILE", self.dir.path().join("instance.secret"))
            .env("PARLOR_PUBLIC_URL", "http://parlor.test")
            .env("PARLOR_STORE_URL", self.store_url(None))
            .env("PARLOR_POSTGRES_POOL_SIZE", "6")
            .env("PARLOR_KAFKA_BROKERS", &self.kafka)
            .env("PARLOR_KAFKA_PREFIX", &self.id)
            .env("PARLOR_KAFKA_PARTITIONS", "3")
            .env("PARLOR_LIMITS_ENABLED", "false")
            // What is slow on a busy machine is no failure.
            .env("PARLOR_HTTP_MIN_POSITION_WAIT_MS", "20000")
            .env("PARLOR_HTTP_DEADLINE_MS", "25000")
            .envs(set.iter().map(|(key, value)| (*key, value.as_str())))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = Some(command.spawn().unwrap());
        self.processes.insert(name, Process { arguments: arguments.to_vec(), port, child });
    }

    /// Starts a process that was killed as it was started before.
    pub fn start_again(&mut self, name: &'static str) {
        let arguments = self.processes[name].arguments.clone();
        self.start(name, &arguments);
    }

    pub fn kill(&mut self, name: &str) {
        let mut child = self.processes.get_mut(name).and_then(|process| process.child.take()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs an operator's command against a process's data folder; what it said, and whether it went well.
    pub fn operate(&self, name: &str, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_parlor"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env("PARLOR_DATA_DIR", self.data(name))
            .env("PARLOR_METRICS_LISTEN", "off")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (output.status.success(), said.concat())
    }

    pub async fn ready(&self, name: &str) {
        until(&format!("{name} is ready"), async || {
            let answer = self.try_call(name, "GET", "/health/ready", None, &[], None).await?;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    pub async fn try_call(
        &self,
        name: &str,
        method: &str,
        path: &str,
        token: Option<&str>,
        wanted: &[&str],
        body: Option<Value>,
    ) -> Option<Answer> {
        let url = format!("http://127.0.0.1:{}{path}", self.processes[name].port);
        let mut request = self.client.request(method.parse().unwrap(), url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !wanted.is_empty() {
            request = request.header("parlor-min-position", wanted.join(","));
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.ok()?;
        let position = response.headers().get("parlor-position");
        let position = position.map(|token| token.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = response.bytes().await.ok()?;
        Some(Answer { status, position, body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    pub async fn call(
        &self,
        name: &str,
        method: &str,
        path: &str,
        token: Option<&str>,
        wanted: &[&str],
        body: Option<Value>,
    ) -> Answer {
        let answer = self.try_call(name, method, path, token, wanted, body).await;
        answer.unwrap_or_else(|| panic!("{method} {path}: {name} doesn't answer"))
    }

    fn logs(&self) -> String {
        let tail = |name: &&str| {
            let log = self.log(name);
            let lines: Vec<_> = log.lines().collect();
            format!("--- {name}\n{}\n", lines[lines.len().saturating_sub(25)..].join("\n"))
        };
        self.processes.keys().map(tail).collect()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        for process in self.processes.values_mut() {
            if let Some(child) = &mut process.child {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        let (url, id) = (self.postgres.clone(), self.id.clone());
        // The test's own runtime is going down.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                if let Ok((client, connection)) = tokio_postgres::connect(&url, NoTls).await {
                    tokio::spawn(connection);
                    let _ = client.batch_execute(&format!("DROP DATABASE IF EXISTS {id} WITH (FORCE)")).await;
                    let _ = client.batch_execute(&format!("DROP DATABASE IF EXISTS {id}_older")).await;
                }
            });
        });
        let _ = dropping.join();
    }
}
