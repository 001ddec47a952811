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

/// Every key, in the order of the example file.
pub(super) const KEYS: &[Key] = &[
    key("listen", "The address and port of the API. Behind a reverse proxy that speaks TLS, leave it on the loopback."),
    key("data_dir", "The folder of stores, secrets and, where no mail server is set, mails."),
    key(
        "store_url",
        "Where events and views are kept: `sqlite:` for files in the data folder, or a PostgreSQL database,\n\
         `postgres://user:password@host/database`.",
    )
    .secret(),
    key("public_url", "The address under which people reach this instance: links in mails lead there, and tokens are\nissued in its name. Unless set, `http://` and `listen`.")
        .unset("\"https://chat.example.org\""),
    key("metrics_listen", "The address and port of `/metrics`, for Prometheus, or \"off\"."),
    key("trusted_proxies", "The proxies, as addresses or networks, whose `X-Forwarded-For` is believed: [\"127.0.0.1/32\"]."),
    key("http.max_body_bytes", "The largest request body taken."),
    key("http.deadline_ms", "Milliseconds that a command or query may take in all."),
    key("http.min_position_wait_ms", "Milliseconds to wait for a view to hold what `Parlor-Min-Position` asks for."),
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
    key("log.level", "What is logged: error, warn, info, debug or trace; or by module, as \"info,cqrs_sql=debug\"."),
    key("log.format", "\"text\" for people, \"json\" for programs, or \"auto\": text on a terminal, JSON otherwise."),
];
