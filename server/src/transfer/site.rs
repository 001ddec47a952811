//! Where an instance lies: its stores and its secrets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use cqrs_sql::Location;
use cqrs_sql::transfer::{Kind, Snapshot};
use url::Url;

use crate::config::{self, Config, KeysStoreConfig, Sources, StoreConfig, StoreUrl};
use crate::data_dir::DataDir;
use crate::instance::{OpenError, Pools};
use crate::roles::ServiceName;

/// The name of the store of persons' keys.
pub(super) const KEYS: &str = "keys";

/// An instance's stores and secrets.
pub(super) struct Site {
    /// With the settings that lead there.
    pub(super) config: Config,
    /// For people, without passwords.
    pub(super) said: String,
    /// The store of persons' keys, then the logs.
    pub(super) stores: Vec<Store>,
    /// The stores of views.
    pub(super) views: Vec<(&'static str, Location)>,
}

/// A store that can't be made anew from others.
pub(super) struct Store {
    pub(super) name: &'static str,
    pub(super) location: Location,
    pub(super) kind: Kind,
}

impl Site {
    /// The place that `url` names: `sqlite:` for the data folder, `sqlite:FOLDER` for another one, `postgres://…`, whose
    /// secrets lie in the data folder, or a configuration file, as it stands, for stores on several servers.
    pub(super) fn at(config: &Config, url: &str) -> anyhow::Result<Self> {
        if Path::new(url).extension().is_some_and(|kind| kind == "toml") {
            let sources = Sources { file: Some(url.into()), ..Sources::default() };
            return Ok(Self::of(config::load(&sources)?.config)?);
        }
        let mut config = config.clone();
        if let Some(folder) = url.strip_prefix("sqlite:") {
            if !folder.is_empty() {
                config.data_dir = PathBuf::from(folder);
                config.secret_file = None;
            }
            "sqlite:".clone_into(&mut config.store_url);
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            url.clone_into(&mut config.store_url);
        } else {
            bail!(
                "{url}: write sqlite: for the data folder, sqlite:FOLDER for another, \
                 postgres://user:password@host/database, or the name of a configuration file (….toml)"
            );
        }
        // All in one place, whatever the settings say of single services.
        config.keys_store = KeysStoreConfig::default();
        let stores = [
            &mut config.auth_store,
            &mut config.user_store,
            &mut config.chat_store,
            &mut config.notification_store,
        ];
        for store in stores {
            *store = StoreConfig::default();
        }
        Ok(Self::of(config)?)
    }

    /// The place that the configuration names.
    pub(super) fn of(config: Config) -> Result<Self, OpenError> {
        Self::with(config, &ServiceName::ALL)
    }

    /// The same of some services only.
    pub(super) fn with(config: Config, services: &[ServiceName]) -> Result<Self, OpenError> {
        let pools = Pools::new(&config);
        let at = |url, schema: &str, file: &str| {
            pools.location(url, schema.to_owned(), || Ok(config.data_dir.join(file)))
        };
        let keys = at(config.keys_url(), KEYS, "keys.db")?;
        let mut stores = vec![Store { name: KEYS, location: keys, kind: Kind::Keys }];
        let mut views = Vec::new();
        for service in services {
            let name = service.name();
            let part = |url, part: &str| at(url, &format!("{name}_{part}"), &format!("{name}/{part}.db"));
            let kind = Kind::Log { name, write_schema: service.write_schema() };
            stores.push(Store { name, location: part(config.log_url(*service), "log")?, kind });
            views.push((name, part(config.views_url(*service), "views")?));
        }
        let urls: BTreeSet<_> = services
            .iter()
            .flat_map(|service| [config.log_url(*service), config.views_url(*service)])
            .chain([config.keys_url()])
            .map(|url| match url {
                StoreUrl::Sqlite => format!("sqlite:{}", config.data_dir.display()),
                StoreUrl::Postgres(url) => without_password(url),
            })
            .collect();
        let said = urls.into_iter().collect::<Vec<_>>().join(", ");
        Ok(Self { config, said, stores, views })
    }

    /// The logs, for what is done with all of them at once.
    pub(super) fn logs(&self) -> Vec<(&str, &Location)> {
        let logs = self.stores.iter().filter(|store| matches!(store.kind, Kind::Log { .. }));
        logs.map(|store| (store.name, &store.location)).collect()
    }

    /// The store of persons' keys.
    pub(super) fn keys(&self) -> (&str, &Location) {
        (KEYS, &self.stores[0].location)
    }

    /// Makes sure that there is an instance.
    pub(super) fn must_be_there(&self) -> anyhow::Result<()> {
        if !self.secret_file().exists() {
            bail!(
                "there is no instance at {}: its secret should be {}; name its data folder with --data-dir",
                self.said,
                self.secret_file().display()
            );
        }
        let files = self.stores.iter().filter_map(|store| match &store.location {
            Location::Sqlite(path) => Some(path),
            Location::Postgres { .. } => None,
        });
        for file in files {
            if !file.exists() {
                bail!("there is no instance at {}: {} is missing", self.said, file.display());
            }
        }
        Ok(())
    }

    /// Takes hold of the data folder if there is one: an instance that runs on it keeps it.
    pub(super) fn lock(&self) -> anyhow::Result<Option<DataDir>> {
        if !self.config.data_dir.exists() {
            return Ok(None);
        }
        Ok(Some(DataDir::open(&self.config.data_dir)?))
    }

    /// Where the instance's secret lies.
    pub(super) fn secret_file(&self) -> PathBuf {
        self.config.secret_file.clone().unwrap_or_else(|| self.config.data_dir.join(SECRET))
    }

    /// Where the keys that sign tokens lie.
    pub(super) fn signing_keys(&self) -> PathBuf {
        self.config.data_dir.join("keys/signing")
    }

    /// Its secrets, each with the name that it has in a backup.
    pub(super) fn secrets(&self) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
        let mut secrets = vec![(SECRET.to_owned(), read(&self.secret_file())?)];
        let folder = self.signing_keys();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries.collect::<Result<Vec<_>, _>>()?,
            // Not this process's: it doesn't run the service that signs.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| folder.display().to_string()),
        };
        let mut keys: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
        keys.retain(|path| path.extension().is_some_and(|extension| extension == "key"));
        keys.sort();
        for path in keys {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            match fs::read(&path) {
                Ok(bytes) => secrets.push((format!("{SIGNING}{name}"), bytes)),
                // Its time was over.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| path.display().to_string()),
            }
        }
        Ok(secrets)
    }

    /// Where a secret with this name in a backup belongs; `None` if it is none of ours.
    fn place_of(&self, name: &str) -> Option<PathBuf> {
        if name == SECRET {
            return Some(self.secret_file());
        }
        let key = name.strip_prefix(SIGNING)?;
        let is_name =
            !key.contains(['/', '\\']) && Path::new(key).extension().is_some_and(|kind| kind == "key");
        is_name.then(|| self.signing_keys().join(key))
    }

    /// Refuses a folder with another instance's secret.
    pub(super) fn must_not_hold_another_secret(&self, secrets: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
        let path = self.secret_file();
        let ours = secrets.iter().find(|(name, _)| name == SECRET).map(|(_, bytes)| bytes);
        match fs::read(&path) {
            Ok(there) if Some(&there) != ours => bail!(
                "{} is another instance's secret; choose another folder with --data-dir",
                path.display()
            ),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| path.display().to_string())
            }
            _ => Ok(()),
        }
    }

    /// Puts secrets where they belong.
    pub(super) fn put_secrets(&self, secrets: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
        for (name, bytes) in secrets {
            let path = self.place_of(name).with_context(|| format!("{name} belongs nowhere"))?;
            crate::data_dir::write_private(&path, bytes)?;
        }
        Ok(())
    }
}

/// The names of secrets in a backup.
const SECRET: &str = "keys/instance.secret";
const SIGNING: &str = "keys/signing/";

/// A database's URL as it may be shown.
fn without_password(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) => {
            if parsed.password().is_some() {
                let _ = parsed.set_password(Some("***"));
            }
            // A query may hold a password, too.
            parsed.set_query(None);
            parsed.to_string()
        }
        Err(_) => "the PostgreSQL database".to_owned(),
    }
}

/// What tells an instance, as it is now, from every other and from itself at another time: its logs, their epochs and ends.
pub(super) fn identity(snapshots: &[Snapshot]) -> String {
    let mut logs: Vec<_> = snapshots
        .iter()
        .filter_map(|store| Some(format!("{}@{}:{}", store.name(), store.position()?.0, store.epoch()?)))
        .collect();
    logs.sort_unstable();
    logs.join(" ")
}
