//! What a cluster consists of.

/// The services, and what has a database of its own beside them.
pub(super) const SERVICES: [&str; 4] = ["auth", "user", "chat", "notification"];

/// The store of personal keys, the only one that all services read.
pub(super) const KEYS: &str = "keys";

/// The broker's name.
pub(super) const KAFKA: &str = "kafka";

/// The reverse proxy's name.
pub(super) const PROXY: &str = "proxy";

/// Parlor's processes, with the service that each is.
pub(super) const PARLORS: [(&str, &str); 5] = [
    ("auth", "auth"),
    ("user", "user"),
    ("chat-1", "chat"),
    ("chat-2", "chat"),
    ("notification", "notification"),
];

/// Those that have a database: the services, and the keys.
pub(super) fn databases() -> impl Iterator<Item = &'static str> {
    [KEYS].into_iter().chain(SERVICES)
}

/// The name of the PostgreSQL server of this database.
pub(super) fn server_of(database: &str) -> String {
    format!("postgres-{database}")
}
