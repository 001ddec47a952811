//! What each key means: the one place, from which the example file and the messages come.

/// One key of the configuration.
pub(super) struct Key {
    /// Its path, as `auth.verify_email`.
    pub(super) path: &'static str,
    /// What it means, a line each.
    pub(super) doc: &'static str,
    /// An example, for a key that isn't set by default.
    pub(super) example: Option<&'static str>,
    /// Whether its value may hold a password.
    pub(super) secret: bool,
}

const fn key(path: &'static str, doc: &'static str) -> Key {
    Key { path, doc, example: None, secret: false }
}

impl Key {
    const fn unset(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }
    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

/// An example of a database's URL.
const POSTGRES: &str = "\"postgres://user:password@host/database\"";

/// Every key, in the order of the example file.
pub(super) const KEYS: &[Key] = &[
    key("listen", "The address and port of the API. Behind a reverse proxy that speaks TLS, leave it on the loopback."),
    key("data_dir", "The folder of stores, secrets and, where no mail server is set, mails. One process uses it at a time."),
    key("secret_file", "The file of the instance's secret, which all processes of an installation share; made if it isn't there. Unless\nset, `keys/instance.secret` in the data folder.")
        .unset("\"/etc/parlor/instance.secret\""),
    key(
        "store_url",
        "Where events and views are kept: `sqlite:` for files in the data folder, or a PostgreSQL database,\n\
         `postgres://user:password@host/database`.",
    )
    .secret(),
    key("migrate_on_start", "Whether a start makes and upgrades the tables in PostgreSQL. If not, `parlor migrate` does, before the start."),
    key("public_url", "The address under which people reach this instance: links in mails lead there, and tokens are\nissued in its name. Unless set, `http://` and `listen`.")
        .unset("\"https://chat.example.org\""),
    key("metrics_listen", "The address and port of `/metrics`, for Prometheus, or \"off\"."),
    key("trusted_proxies", "The proxies, as addresses or networks, whose `X-Forwarded-For` is believed: [\"127.0.0.1/32\"]."),
    key("auth_store.log_url", "The PostgreSQL database of the auth service's log. Unless set, as store_url.").unset(POSTGRES).secret(),
    key("auth_store.views_url", "The PostgreSQL database of its views. Unless set, as store_url.").unset(POSTGRES).secret(),
    key("auth_store.views_replica_url", "A replica of the views' database, from which queries are answered. Unless set, views_url.")
        .unset(POSTGRES)
        .secret(),
    key("user_store.log_url", "The PostgreSQL database of the user service's log. Unless set, as store_url.").unset(POSTGRES).secret(),
    key("user_store.views_url", "The PostgreSQL database of its views. Unless set, as store_url.").unset(POSTGRES).secret(),
    key("user_store.views_replica_url", "A replica of the views' database, from which queries are answered. Unless set, views_url.")
        .unset(POSTGRES)
        .secret(),
    key("chat_store.log_url", "The PostgreSQL database of the chat service's log. Unless set, as store_url.").unset(POSTGRES).secret(),
    key("chat_store.views_url", "The PostgreSQL database of its views. Unless set, as store_url.").unset(POSTGRES).secret(),
    key("chat_store.views_replica_url", "A replica of the views' database, from which queries are answered. Unless set, views_url.")
        .unset(POSTGRES)
        .secret(),
    key("notification_store.log_url", "The PostgreSQL database of the notification service's log. Unless set, as store_url.").unset(POSTGRES).secret(),
    key("notification_store.views_url", "The PostgreSQL database of its views. Unless set, as store_url.").unset(POSTGRES).secret(),
    key("notification_store.views_replica_url", "A replica of the views' database, from which queries are answered. Unless set, views_url.")
        .unset(POSTGRES)
        .secret(),
    key("keys_store.url", "The PostgreSQL database of the keys by which personal fields are sealed. Unless set, as store_url.")
        .unset(POSTGRES)
        .secret(),
    key("postgres.pool_size", "Connections to each database that a process holds at most; each log has one more, and each store of views four."),
    key("postgres.ca_file", "The certificates (PEM) that the servers' must be signed by, where a URL names another machine and doesn't say\nsslmode=disable. Unless set, those that Mozilla trusts.")
        .unset("\"/etc/parlor/postgres-ca.pem\""),
    key("kafka.brokers", "Kafka's brokers, by which services that run in other processes are heard of. Needed by every process that\ndoesn't run all services; where all of them run in one, their public events go to Kafka too.")
        .unset("\"kafka-1:9092,kafka-2:9092\""),
    key("kafka.prefix", "What the names of topics begin with, as in parlor.chat.v1; another one for each installation on the same brokers."),
    key("kafka.partitions", "Partitions of a topic that is made. A topic that is there stays as it is."),
    key("kafka.replication", "Copies of a topic that is made; 3 on three brokers or more."),
    key("kafka.security_protocol", "How the brokers are spoken to: plaintext, ssl, sasl_plaintext or sasl_ssl. TLS always verifies the broker's\ncertificate and name."),
    key("kafka.ca_file", "The certificates (PEM) that the brokers' must be signed by. Unless set, the system's.").unset("\"/etc/parlor/kafka-ca.pem\""),
    key("kafka.sasl_mechanism", "How to sign in: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.").unset("\"SCRAM-SHA-512\""),
    key("kafka.username", "Who signs in.").unset("\"parlor\""),
    key("kafka.password", "With which password.").unset("\"secret\"").secret(),
    key("kafka.password_file", "The file that holds the password, in place of kafka.password.").unset("\"/etc/parlor/kafka.password\""),
    key("http.max_body_bytes", "The largest request body taken."),
    key("http.deadline_ms", "Milliseconds that a command or query may take in all."),
    key("http.min_position_wait_ms", "Milliseconds to wait for a view to hold what `Parlor-Min-Position` asks for."),
    key("live.connections_per_user", "Live connections that one user may have to one process; further ones are refused with 429."),
    key("live.allowed_origins", "Origins of pages, beside this instance's own, that may open a WebSocket: [\"https://app.example.org\"]."),
    key("ledger.retention_hours", "Hours for which a command repeated with its `Idempotency-Key` gets the first answer; at least 24."),
    key("auth.verify_email", "Whether an e-mail address must be shown to be one's own before the first sign-in."),
    key("auth.session_days", "Days after which a session ends, however often it was refreshed."),
    key("auth.access_token_seconds", "Seconds that an access token lives, at most 300."),
    key("auth.signing_key_days", "Days after which a new key signs the access tokens."),
    key("auth.password.memory_kib", "What hashing a password costs (Argon2id). Raised, each password is rehashed when its owner signs in.\nKiB of memory."),
    key("auth.password.passes", "Passes over that memory."),
    key("auth.password.at_once", "Passwords hashed at the same time. Unless set, as many as there are cores.").unset("2"),
    key("auth.password.waiting", "Requests that may wait for their turn; more are answered with 503."),
    key("limits.enabled", "Whether tries are limited. Switch it off for load tests only."),
    key("limits.sign_in_per_address", "Sign-ins from one address."),
    key("limits.sign_in_per_account", "Sign-ins to one account from one address."),
    key("limits.register_per_address", "Registrations from one address."),
    key("limits.reset_per_address", "Password resets asked for from one address."),
    key("limits.reset_per_account", "Password resets asked for one account."),
    key("limits.token_per_address", "Tokens shown (refreshes, links from mails) from one address."),
    key("mail.smtp_url", "The mail server. Unless set, mails are written as files into the folder `mail` of the data folder.")
        .unset("\"smtps://user:password@mail.example.org\"")
        .secret(),
    key("mail.from", "Who the mails are from."),
    key("outbound.enabled", "Whether webhooks' messages and pushed notifications leave. False for a copy of an instance that is only tried out."),
    key("outbound.allow_networks", "Networks that webhooks and pushes may reach though they aren't public, and without TLS: [\"10.20.0.0/16\"]."),
    key("outbound.ca_file", "The certificates (PEM) that receivers' must be signed by. Unless set, those that Mozilla trusts.")
        .unset("\"/etc/parlor/outbound-ca.pem\""),
    key("outbound.timeout_ms", "Milliseconds that a receiver may take to answer."),
    key("webhooks.first_retry_ms", "Milliseconds until a webhook's message that wasn't taken is sent again; each pause is twice the one before."),
    key("webhooks.longest_retry_seconds", "The longest of these pauses, in seconds."),
    key("webhooks.park_after_tries", "How often a message is sent before its webhook is parked."),
    key("webhooks.park_after_hours", "Hours for which it is sent before its webhook is parked."),
    key("push.contact", "Where push services can write to whoever runs this instance, a mailto: or https: address. Unless set, public_url.")
        .unset("\"mailto:admin@example.org\""),
    key("log.level", "What is logged: error, warn, info, debug or trace; or by module, as \"info,cqrs_sql=debug\"."),
    key("log.format", "\"text\" for people, \"json\" for programs, or \"auto\": text on a terminal, JSON otherwise."),
    key("traces.endpoint", "The OpenTelemetry collector that traces are sent to (OTLP over HTTP). Unless set, there are none.")
        .unset("\"http://localhost:4318\""),
    key("traces.sample", "The share of requests that are traced, from 0 to 1; the same ones in every process."),
];
