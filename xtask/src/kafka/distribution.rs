//! Apache Kafka's programs: fetched once from Maven Central, kept in the user's cache.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::debian;
use crate::exec::{output, run};
use crate::workspace::target_dir;

/// The release that Parlor is tested with.
pub const VERSION: &str = "4.1.1";

/// What Maven resolves: the broker with what it needs at run time, and something that prints its log.
const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>org.example.parlor</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>KAFKA_VERSION</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"#;

/// The oldest Java that Kafka's broker runs on.
const OLDEST_JAVA: u32 = 17;

/// Kafka's archives, and the Java that runs them.
#[derive(Debug, Clone)]
pub struct Distribution {
    archives: PathBuf,
}

impl Distribution {
    /// The archives, fetched if they aren't here yet.
    pub fn find_or_fetch() -> Result<Self> {
        require_java()?;
        let archives = cache().join(format!("kafka-{VERSION}"));
        if !archives.is_dir() {
            fetch(&archives)?;
        }
        Ok(Self { archives })
    }

    /// Runs one of Kafka's classes.
    pub fn java(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        command.args(self.java_arguments(class));
        command
    }

    /// The arguments for `java` that run one of Kafka's classes.
    pub fn java_arguments(&self, class: &str) -> Vec<String> {
        vec![
            "-Xms128m".to_owned(),
            "-Xmx512m".to_owned(),
            "-XX:+UseSerialGC".to_owned(),
            "-XX:TieredStopAtLevel=1".to_owned(),
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".to_owned(),
            "-Dorg.slf4j.simpleLogger.showDateTime=true".to_owned(),
            "-cp".to_owned(),
            format!("{}/*", self.archives.display()),
            class.to_owned(),
        ]
    }
}

fn fetch(archives: &Path) -> Result<()> {
    require("mvn", "maven", "maven")?;
    let cache = archives.parent().context("the cache is a folder")?;
    fs::create_dir_all(cache).with_context(|| format!("{} can't be made", cache.display()))?;
    // Into place at once, so that what was interrupted is not taken for whole.
    let folder = tempfile::Builder::new().prefix(".kafka-").tempdir_in(cache)?;
    fs::write(folder.path().join("pom.xml"), POM.replace("KAFKA_VERSION", VERSION))?;
    eprintln!("Apache Kafka {VERSION} is fetched from Maven Central into {}", archives.display());
    run(Command::new("mvn")
        .current_dir(folder.path())
        .args(["--quiet", "--batch-mode", "dependency:copy-dependencies"])
        .args(["-DincludeScope=runtime", "-DoutputDirectory=archives"])
        .stdout(std::io::stderr()))
    .context(
        "Maven could not fetch Apache Kafka; is Maven Central (or a mirror in ~/.m2/settings.xml) in reach?",
    )?;
    match fs::rename(folder.path().join("archives"), archives) {
        // Somebody else was faster.
        Err(_) if archives.is_dir() => Ok(()),
        moved => moved.context("Kafka's archives could not be put into the cache"),
    }
}

fn require_java() -> Result<()> {
    require("java", "default-jre-headless", "a Java runtime")?;
    require("keytool", "default-jre-headless", "a Java runtime")?;
    let said = Command::new("java").arg("-version").output().context("java could not be started")?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    match release(&said) {
        Some(release) if release >= OLDEST_JAVA => Ok(()),
        Some(release) => bail!("Kafka needs Java {OLDEST_JAVA} or newer; `java` is {release}"),
        None => bail!("`java -version` says nothing that looks like a version:\n{said}"),
    }
}

/// `17` of `openjdk version "17.0.15" 2025-04-15`, and `8` of `java version "1.8.0_402"`.
fn release(said: &str) -> Option<u32> {
    let version = said.split('"').nth(1)?;
    let mut numbers = version.split(['.', '_', '-', '+']).map(str::parse::<u32>);
    match numbers.next()?.ok()? {
        1 => numbers.next()?.ok(),
        release => Some(release),
    }
}

/// Makes sure of a program, with Debian's package if we may.
fn require(program: &str, package: &str, what: &str) -> Result<()> {
    let there = || output(Command::new("which").arg(program)).is_ok();
    if there() {
        return Ok(());
    }
    let otherwise = format!(
        "{what} is needed to run Kafka and was not found (`{program}`).\n\
         Debian, Ubuntu: apt-get install {package} · Fedora: dnf install java-21-openjdk-headless maven · \
         macOS: brew install openjdk maven\n\
         Or name a running broker in {}.",
        super::BROKER_VARIABLE
    );
    debian::install(what, package, &[], &otherwise)?;
    if there() { Ok(()) } else { bail!("Debian's {package} brought no `{program}`") }
}

fn cache() -> PathBuf {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    base.map_or_else(|| target_dir().join("cache"), |base| base.join("parlor"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_release_is_read_from_old_and_new_ways_of_saying_it() {
        assert_eq!(release("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"), Some(17));
        assert_eq!(release("openjdk version \"21\" 2023-09-19"), Some(21));
        assert_eq!(release("java version \"1.8.0_402\""), Some(8));
        assert_eq!(release("no such thing"), None);
    }
}
