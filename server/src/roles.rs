//! What a process does of the whole: which services it runs, and what it answers.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use clap::ValueEnum;
use cqrs_core::Projection;

use crate::config::{Config, StoreUrl};

/// A service of Parlor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum ServiceName {
    /// Accounts, sessions and tokens.
    Auth,
    /// Profiles, status and contacts.
    User,
    /// Conversations, messages and live delivery.
    Chat,
    /// Who is told of what.
    Notification,
}

impl ServiceName {
    /// All of them, in the order of their routes.
    pub const ALL: [Self; 4] = [Self::Auth, Self::User, Self::Chat, Self::Notification];

    /// Its name, which is its log's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => parlor_auth::NAME,
            Self::User => parlor_user::NAME,
            Self::Chat => parlor_chat::NAME,
            Self::Notification => parlor_notification::NAME,
        }
    }

    /// The name of the source of its public events.
    pub fn public(self) -> &'static str {
        self.public_source()[0]
    }

    /// The same, as the one source that is followed.
    pub fn public_source(self) -> &'static [&'static str; 1] {
        match self {
            Self::Auth => &["auth.public"],
            Self::User => &["user.public"],
            Self::Chat => &["chat.public"],
            Self::Notification => &["notification.public"],
        }
    }

    /// What keeps its views.
    pub fn projections(self) -> Vec<Arc<dyn Projection>> {
        match self {
            Self::Auth => parlor_auth::projections(),
            Self::User => parlor_user::projections(),
            Self::Chat => parlor_chat::projections(),
            Self::Notification => parlor_notification::projections(),
        }
    }

    /// The tables of its state-stored aggregates (for SQLite, for PostgreSQL), if it has any.
    pub fn write_schema(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Auth => None,
            Self::User => parlor_user::WRITE_SCHEMA,
            Self::Chat => parlor_chat::WRITE_SCHEMA,
            Self::Notification => parlor_notification::WRITE_SCHEMA,
        }
    }

    /// The services whose public events its reactors turn into events of its own.
    pub fn reacts_to(self) -> &'static [Self] {
        match self {
            Self::Auth => &[Self::User],
            Self::User => &[Self::Auth],
            Self::Chat => &[],
            Self::Notification => &[Self::Auth, Self::Chat],
        }
    }

    /// The services whose events come, by way of reactors, to be events of its own, however many lie between.
    pub fn turns(self) -> &'static [Self] {
        match self {
            Self::Auth => &[Self::User],
            Self::User => &[Self::Auth],
            Self::Chat => &[],
            Self::Notification => &[Self::Auth, Self::User, Self::Chat],
        }
    }

    /// The services whose public events it follows: its views, its reactors and live delivery.
    pub fn follows(self) -> &'static [Self] {
        match self {
            Self::Auth => &[Self::User],
            Self::User => &[Self::Auth],
            Self::Chat => &[Self::User, Self::Notification],
            Self::Notification => &[Self::Auth, Self::User, Self::Chat],
        }
    }

    /// The service whose log, or whose source of public events, is called so.
    pub fn of_source(source: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == source || service.public() == source)
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The one kind of requests that a process answers, where it doesn't answer both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// Those that change nothing, and live delivery. Such a process keeps no views either.
    Queries,
    /// Those that change something.
    Commands,
}

/// What one process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// The services that it runs.
    pub services: BTreeSet<ServiceName>,
    /// What it answers, if not everything.
    pub only: Option<Only>,
}

impl Default for Roles {
    fn default() -> Self {
        Self { services: ServiceName::ALL.into(), only: None }
    }
}

/// Why the process can't run as it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a process of {services} alone needs {key}: {remedy}")]
pub struct RolesError {
    services: String,
    key: String,
    remedy: &'static str,
}

impl Roles {
    /// These services; all of them if none is named.
    pub fn of(named: &[ServiceName], only: Option<Only>) -> Self {
        if named.is_empty() {
            Self { only, ..Self::default() }
        } else {
            Self { services: named.iter().copied().collect(), only }
        }
    }

    /// Whether all services run here.
    pub fn are_all(&self) -> bool {
        self.services.len() == ServiceName::ALL.len()
    }

    /// Whether the process keeps views, reacts to events and relays them; those that answer queries only leave that to
    /// others.
    pub fn handle_events(&self) -> bool {
        self.only != Some(Only::Queries)
    }

    /// What a process that doesn't run all services must be told, for the others are elsewhere.
    pub fn check(&self, config: &Config) -> Result<(), RolesError> {
        if self.are_all() && self.only.is_none() {
            return Ok(());
        }
        let need =
            |key: &str, remedy| Err(RolesError { services: self.to_string(), key: key.to_owned(), remedy });
        let embedded = |url| url == StoreUrl::Sqlite;
        for service in &self.services {
            for (key, url) in
                [("log_url", config.log_url(*service)), ("views_url", config.views_url(*service))]
            {
                if embedded(url) {
                    return need(
                        &format!("{service}_store.{key} or store_url"),
                        "set it to a PostgreSQL database, `postgres://user:password@host/database`; embedded stores \
                         belong to one process that runs everything",
                    );
                }
            }
        }
        if embedded(config.keys_url()) {
            return need(
                "keys_store.url or store_url",
                "set it to the PostgreSQL database that all processes share",
            );
        }
        if config.kafka.brokers.is_none() && !self.are_all() {
            return need(
                "kafka.brokers",
                "set it to the brokers by which it hears of the other services, as \"kafka-1:9092,kafka-2:9092\" \
                 (PARLOR_KAFKA_BROKERS)",
            );
        }
        if config.public_url.is_none() {
            return need(
                "public_url",
                "set it to the address under which people reach the installation; tokens are issued in its name, so \
                 that all processes must agree (PARLOR_PUBLIC_URL)",
            );
        }
        Ok(())
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.services.iter().map(|service| service.name()).collect();
        f.write_str(&names.join(", "))?;
        match self.only {
            Some(Only::Queries) => f.write_str(" (queries)"),
            Some(Only::Commands) => f.write_str(" (commands)"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distributed() -> Config {
        let mut config = Config { store_url: "postgres://host/db".to_owned(), ..Config::default() };
        config.kafka.brokers = Some("kafka:9092".to_owned());
        config.public_url = Some("https://chat.example.org".to_owned());
        config
    }

    fn refused(config: &Config) -> String {
        Roles::of(&[ServiceName::Chat], None).check(config).expect_err("it is refused").to_string()
    }

    #[test]
    fn no_name_means_all_services_which_need_nothing_else() {
        let all = Roles::of(&[], None);
        assert!(all.are_all());
        assert_eq!(all.check(&Config::default()), Ok(()));
    }

    #[test]
    fn a_subset_says_which_key_it_needs_and_what_to_set_it_to() {
        assert_eq!(Roles::of(&[ServiceName::Chat], None).check(&distributed()), Ok(()));
        let mut config = distributed();
        config.kafka.brokers = None;
        assert!(
            refused(&config).contains("a process of chat alone needs kafka.brokers"),
            "{}",
            refused(&config)
        );
        let config = Config { public_url: None, ..distributed() };
        assert!(refused(&config).contains("PARLOR_PUBLIC_URL"), "{}", refused(&config));
        let mut config = Config { store_url: "sqlite:".to_owned(), ..distributed() };
        assert!(refused(&config).contains("chat_store.log_url"), "{}", refused(&config));
        let url = || Some("postgres://chat/db".to_owned());
        (config.chat_store.log_url, config.chat_store.views_url) = (url(), url());
        assert!(refused(&config).contains("keys_store.url"), "{}", refused(&config));
        config.keys_store.url = url();
        assert_eq!(Roles::of(&[ServiceName::Chat], None).check(&config), Ok(()));
    }

    #[test]
    fn what_a_service_turns_follows_from_what_each_reacts_to() {
        for service in ServiceName::ALL {
            let mut turned = BTreeSet::new();
            let mut next = vec![service];
            while let Some(one) = next.pop() {
                next.extend(one.reacts_to().iter().filter(|from| **from != service && turned.insert(**from)));
            }
            assert_eq!(turned, service.turns().iter().copied().collect(), "{service}");
        }
    }

    #[test]
    fn a_source_names_its_service() {
        assert_eq!(ServiceName::of_source("user"), Some(ServiceName::User));
        assert_eq!(ServiceName::of_source("auth.public"), Some(ServiceName::Auth));
        assert_eq!(ServiceName::of_source("payments.public"), None);
    }
}
