//! What wins over what, and what stops a start.

use std::path::Path;

use super::*;

fn sources(file: Option<&Path>, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Sources {
    let owned = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    let flag = |(key, value): &(&str, &str)| Flag {
        flag: format!("--set {key}"),
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    };
    Sources {
        file: file.map(Path::to_owned),
        environment: environment.iter().map(owned).collect(),
        flags: flags.iter().map(flag).collect(),
    }
}

struct Written(tempfile::TempDir);

impl Written {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("parlor.toml"), text).unwrap();
        Self(dir)
    }
    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("parlor.toml")
    }
}

fn refused(file: Option<&str>, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> ConfigError {
    let written = file.map(Written::new);
    let path = written.as_ref().map(Written::path);
    load(&sources(path.as_deref(), environment, flags)).err().expect("it is refused")
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file_and_the_file_over_defaults() {
    let file = Written::new("listen = \"127.0.0.1:1\"\ndata_dir = \"from-file\"\n[auth]\nsession_days = 7\n");
    let environment = [("PARLOR_LISTEN", "127.0.0.1:2"), ("PARLOR_DATA_DIR", "from-variable"), ("HOME", "/")];
    let loaded = load(&sources(Some(&file.path()), &environment, &[("listen", "127.0.0.1:3")])).unwrap();
    let config = &loaded.config;
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.data_dir, Path::new("from-variable"));
    assert_eq!(config.auth.session_days, 7);
    assert_eq!(config.auth.access_token_seconds, 300);
    let origins =
        ["listen", "data_dir", "auth.session_days", "auth.verify_email"].map(|key| loaded.origin(key));
    let file = file.path().display().to_string();
    assert_eq!(origins, ["--set listen", "PARLOR_DATA_DIR", &file, "default"]);
}

#[test]
fn every_key_has_its_variable() {
    let environment = [
        ("PARLOR_LIMITS_ENABLED", "false"),
        ("PARLOR_AUTH_VERIFY_EMAIL", "true"),
        ("PARLOR_AUTH_PASSWORD_AT_ONCE", "3"),
        ("PARLOR_LIMITS_SIGN_IN_PER_ADDRESS_TRIES", "1000"),
        ("PARLOR_TRUSTED_PROXIES", "10.0.0.0/8, ::1/128"),
        ("PARLOR_PUBLIC_URL", "https://chat.example.org/"),
        ("PARLOR_METRICS_LISTEN", "off"),
        ("PARLOR_MAIL_SMTP_URL", ""),
        ("PARLOR_TEST_POSTGRES_URL", "is for tests"),
    ];
    let config = load(&sources(None, &environment, &[])).unwrap().config;
    assert!(!config.limits.enabled && config.auth.verify_email);
    assert_eq!(config.auth.password.at_once.unwrap().get(), 3);
    assert_eq!(config.limits.sign_in_per_address.tries.get(), 1000);
    assert_eq!(config.limits.sign_in_per_address.seconds.get(), 60, "what isn't set stays");
    assert_eq!(config.trusted_proxies.len(), 2);
    assert_eq!(config.public_url(), "https://chat.example.org");
    assert_eq!(config.metrics_listen, MetricsListen::Off);
    assert_eq!(config.mail.smtp_url, None, "an empty variable sets nothing");
}

#[test]
fn an_unknown_key_stops_the_start_with_its_place_and_what_was_meant() {
    let error = refused(Some("[auth]\nverifyemail = true\n"), &[], &[]);
    assert!(error.origin.ends_with("parlor.toml"), "{error}");
    assert_eq!(error.problem, "there is no key auth.verifyemail");
    assert_eq!(error.remedy, "did you mean auth.verify_email?");
    let error = refused(None, &[("PARLOR_CHAT_COLOUR", "blue")], &[]);
    assert!(error.origin == "PARLOR_CHAT_COLOUR" && error.remedy.contains("unset it"), "{error}");
    let error = refused(None, &[], &[("auth.colour", "blue")]);
    assert_eq!(error.origin, "--set auth.colour");
    assert!(error.remedy.starts_with("the keys of auth are "), "{error}");
    let error = refused(None, &[], &[("limit.enabled", "false")]);
    assert!(error.remedy.contains("limits"), "{error}");
}

#[test]
fn a_value_of_the_wrong_type_stops_the_start_with_its_place_and_key() {
    let error = refused(Some("[http]\ndeadline_ms = \"soon\"\n"), &[], &[]);
    assert!(error.origin.ends_with("parlor.toml") && error.problem.contains("http.deadline_ms"), "{error}");
    for (variable, value) in
        [("PARLOR_LISTEN", "8080"), ("PARLOR_LIMITS_ENABLED", "maybe"), ("PARLOR_LOG_FORMAT", "xml")]
    {
        let error = refused(None, &[(variable, value)], &[]);
        assert_eq!(error.origin, variable, "{error}");
    }
    let error = refused(Some("listen = \n"), &[], &[]);
    assert!(error.problem.contains("line 1"), "{error}");
}

#[test]
fn a_value_that_cannot_be_stops_the_start_with_what_would_be_right() {
    for (key, value, remedy) in [
        ("store_url", "mysql://host/db", "postgres://"),
        ("auth.access_token_seconds", "301", "between 1 and 300"),
        ("auth.session_days", "0", "at least 1"),
        ("ledger.retention_hours", "23", "at least 24"),
        ("public_url", "chat.example.org", "https://"),
        ("log.level", "info=debug=x", "a level"),
        ("mail.smtp_url", "mail.example.org", "smtps://"),
    ] {
        let error = refused(None, &[], &[(key, value)]);
        assert!(error.problem.contains(key) && error.remedy.contains(remedy), "{error}");
        assert_eq!(error.origin, format!("--set {key}"));
    }
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let error = load(&sources(Some(Path::new("no/such/file.toml")), &[], &[])).err().unwrap();
    assert!(error.origin == "no/such/file.toml" && error.remedy.contains("--config"), "{error}");
}

#[test]
fn security_35_what_is_shown_hides_passwords() {
    let flags = [
        ("store_url", "postgres://me:canary@host/db"),
        ("mail.smtp_url", "smtps://me:canary@mail.example.org"),
    ];
    let text = show(&load(&sources(None, &[], &flags)).unwrap());
    assert!(!text.contains("canary") && text.contains("postgres://me:hidden@host/db"), "{text}");
    let file = Written::new(&text);
    load(&sources(Some(&file.path()), &[], &[])).expect("what is shown can be read again");
    let error = refused(None, &[], &[("mail.smtp_url", "smtp://me:canary@mail")]);
    assert!(!error.to_string().contains("canary"), "{error}");
}
