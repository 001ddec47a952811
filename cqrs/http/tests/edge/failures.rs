//! Every failure has its code; what is ours stays in the log.

use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::bank::bank;
use crate::client::ask;

#[tokio::test]
async fn every_failure_has_its_status_and_code() {
    let bank = bank();
    for (kind, status, retry_after) in [
        ("version-mismatch", 412, None),
        ("concurrent-update", 409, None),
        ("idempotency-key-reused", 422, None),
        ("command-in-flight", 409, Some("1")),
        ("view-behind", 503, Some("1")),
        ("epoch-changed", 410, None),
        ("invalid-token", 422, None),
        ("deadline-exceeded", 503, Some("1")),
        ("unavailable", 503, Some("1")),
        ("storage-full", 507, None),
        ("internal-error", 500, None),
        ("forbidden", 403, None),
        ("unauthenticated", 401, None),
        ("gone", 410, None),
        ("slow-down", 429, Some("3")),
    ] {
        let reply = ask("GET", &format!("/v1/fail/{kind}")).of(&bank).await;
        reply.is_problem(status, kind);
        assert_eq!(reply.header("retry-after"), retry_after, "{kind}");
    }
    let reply = ask("GET", "/v1/fail/missing-keys").of(&bank).await;
    reply.is_problem(500, "internal-error");
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);
impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn security_33_what_went_wrong_here_is_logged_once_with_the_request_s_id_and_never_sent() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    // For the whole process: with one subscriber of a single thread, tracing asks whichever thread comes to a line first
    // whether anybody wants it, and remembers the answer for all.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let bank = bank();
    for (kind, status) in [("internal-error", 500), ("panic", 500), ("unavailable", 503)] {
        let id = format!("req-33-{kind}");
        let reply = ask("GET", &format!("/v1/fail/{kind}")).header("x-request-id", &id).of(&bank).await;
        assert_eq!(reply.status.as_u16(), status);
        assert!(!String::from_utf8_lossy(&reply.body).contains("SECRET"), "{kind}");
        let log = String::from_utf8(lines.0.lock().clone()).unwrap();
        // Other tests of this process may have failures of their own to tell of.
        let id = format!(r#""request_id":"{id}""#);
        let telling = log.lines().filter(|line| line.contains("SECRET") && line.contains(&id));
        assert_eq!(telling.count(), 1, "{kind}: {log}");
    }
}
