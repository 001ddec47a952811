//! Security 35: canary secrets appear in no log line, and nothing secret or personal in the stores where it mustn't be.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::support::{PASSWORD, Parlor, token_in};
use axum::http::StatusCode;
use parlor_auth::AuthSettings;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn files_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn security_35_no_secret_is_in_the_log_lines_or_in_the_stores() {
    let lines = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(lines.clone())
        .with_ansi(false)
        .finish();
    // For the whole process: what the other tests log is searched along.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let parlor = Parlor::start(AuthSettings::default()).await;
    let mut secrets = vec![PASSWORD.to_owned(), "a wrong canary".to_owned(), "four green parrots".to_owned()];
    parlor.register("canary@example.org").await;
    parlor.login("canary@example.org", "a wrong canary").await;
    let tokens = parlor.login("canary@example.org", PASSWORD).await;
    secrets.extend([tokens.text("accessToken"), tokens.text("refreshToken")]);
    let next = parlor.post("/v1/auth/refresh", json!({"refreshToken": tokens.text("refreshToken")})).await;
    secrets.extend([next.text("accessToken"), next.text("refreshToken")]);
    parlor.post("/v1/auth/password-reset", json!({"email": "canary@example.org"})).await;
    let token = token_in(&parlor.mails(1).await[0]);
    let reset = json!({"token": token, "newPassword": "four green parrots"});
    assert_eq!(parlor.post("/v1/auth/password-reset/confirm", reset).await.status, StatusCode::NO_CONTENT);
    secrets.push(token);
    let cx = parlor.auth.executor.clock().context(cqrs_core::Actor::System);
    let name = parlor_auth::display_name::DisplayName::parse("shop").unwrap();
    secrets.push(parlor.auth.create_service_key(&cx, name).await.unwrap().1);
    parlor.store.project(&[]).await.unwrap();

    let lines = lines.0.lock().unwrap().clone();
    assert!(holds(&lines, "session started"), "the log lines were captured");
    let stores = files_below(parlor.store.dir().unwrap());
    assert!(
        stores.iter().any(|(name, bytes)| name.starts_with("log.db") && holds(bytes, "account.registered"))
    );
    for secret in &secrets {
        assert!(!holds(&lines, secret), "{secret} is in the log lines");
        for (name, bytes) in &stores {
            assert!(!holds(bytes, secret), "{secret} is in {name}");
        }
    }
    // Personal, not secret: sealed in the log, plain in the views, never in a log line.
    assert!(!holds(&lines, "canary@example.org"));
    for (name, bytes) in stores.iter().filter(|(name, _)| name.starts_with("log.db")) {
        assert!(!holds(bytes, "canary@example.org") && !holds(bytes, "argon2id"), "{name}");
    }
    assert!(
        stores.iter().any(|(name, bytes)| name.starts_with("views.db") && holds(bytes, "canary@example.org"))
    );
}
