//! An HTTP server that takes what is sent to it and answers as it is told, for tests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Response};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// What was sent.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What it was answered; 0 while it isn't.
    pub(crate) status: u16,
}

impl Taken {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// An answer: a status, with headers.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>);

struct Shared {
    taken: watch::Sender<Vec<Taken>>,
    answers: Mutex<VecDeque<Answer>>,
    gate: Semaphore,
}

pub(crate) struct Receiver {
    port: u16,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    /// One that answers 200, with every answer that [`Receiver::answer`] adds before.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            taken: watch::Sender::default(),
            answers: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        });
        let router = Router::new().fallback(take).with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Self { port, shared, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The next requests that have no answer yet get these.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.answers.lock().extend(answers);
    }

    /// The same, of statuses alone.
    pub(crate) fn statuses(&self, statuses: impl IntoIterator<Item = u16>) {
        self.answer(statuses.into_iter().map(|status| (status, Vec::new())));
    }

    /// Answers nobody any more, until [`Receiver::release`].
    pub(crate) fn hold(&self) {
        self.shared.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn release(&self) {
        self.shared.gate.add_permits(Semaphore::MAX_PERMITS - self.shared.gate.available_permits());
    }

    /// Everything that was sent so far, once `enough` says so.
    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&[Taken]) -> bool) -> Vec<Taken> {
        let mut taken = self.shared.taken.subscribe();
        let found =
            tokio::time::timeout(Duration::from_secs(20), taken.wait_for(|taken| enough(taken))).await;
        let Ok(found) = found else { panic!("{what}: {:#?}", self.shared.taken.borrow()) };
        found.expect("it serves").clone()
    }

    pub(crate) fn so_far(&self) -> Vec<Taken> {
        self.shared.taken.borrow().clone()
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<String> {
    let mut number = 0;
    shared.taken.send_modify(|taken| {
        number = taken.len();
        taken.push(Taken { path: uri.path().to_owned(), headers, body, status: 0 });
    });
    shared.gate.acquire().await.expect("it is open").forget();
    shared.gate.add_permits(1);
    let (status, headers) = shared.answers.lock().pop_front().unwrap_or((200, Vec::new()));
    shared.taken.send_modify(|taken| taken[number].status = status);
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body("taken".repeat(10_000)).expect("a response")
}
