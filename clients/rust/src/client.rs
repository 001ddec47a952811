//! Parlor's API for one user.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, IF_MATCH};
use reqwest::{Client, Method, RequestBuilder, Response, Url};

use crate::call::Request;
use crate::connection::SILENCE;
use crate::retry::Backoff;
use crate::session::Session;
use crate::{Call, Error, MemoryStore, Problem, Result, SignedIn, TokenStore, Tokens};

/// The longest pause that a server may ask a call for; who is asked for more decides for themselves whether to wait.
const MOST_ASKED: Duration = Duration::from_mins(1);
/// The largest answer: 200 messages of 4,000 characters with all that JSON may need for them stay well below it.
const MOST_ANSWERED: usize = 32 << 20;

/// Parlor's API for one user: sends commands and queries, and keeps the session.
///
/// Cheap to clone; clones share the session. Needs a Tokio runtime.
#[derive(Clone)]
pub struct Parlor {
    server: Arc<Server>,
    who: Arc<Who>,
}

/// What users of one server share.
struct Server {
    http: Client,
    base: Url,
    retries: u32,
    timeout: Duration,
    silence: Duration,
    reads_own_writes: bool,
}

struct Who {
    credentials: Credentials,
    /// What was written last, by service: queries wait until they see it.
    written: Mutex<BTreeMap<&'static str, String>>,
}

enum Credentials {
    Session(Session),
    /// A service's key: as good as an access token, and without end.
    Key(String),
}

/// How a [`Parlor`] is to be.
#[must_use]
pub struct Builder {
    base: String,
    http: Option<Client>,
    store: Arc<dyn TokenStore>,
    key: Option<String>,
    retries: u32,
    timeout: Duration,
    silence: Duration,
    reads_own_writes: bool,
}

impl Builder {
    /// Where tokens are kept; in memory unless said otherwise.
    pub fn store(mut self, store: impl TokenStore) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// Calls are made by an application with this key (`parlor service-key create`) instead of a user who signs in.
    pub fn service_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// How often a request is sent again at most: 4 times, unless said otherwise.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How long one attempt may take: 20 seconds, unless said otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a feed's connection may give no sign of life before it is given up and another one opened: 40 seconds, unless
    /// said otherwise. The server gives one every 15.
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Whether queries wait until they see what this client wrote before; they do, unless said otherwise.
    pub fn reads_own_writes(mut self, waits: bool) -> Self {
        self.reads_own_writes = waits;
        self
    }

    /// Sends requests with this HTTP client: with a proxy, say, or another authority's certificates. It should follow no
    /// redirects, for they may turn a command into a query.
    pub fn http(mut self, http: Client) -> Self {
        self.http = Some(http);
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the server's address isn't one, or no HTTP client can be made here.
    pub fn build(self) -> Result<Parlor> {
        let base = Url::parse(&self.base).map_err(|error| {
            Error::Invalid(format!(
                "{} is no address of a server ({error}): give one such as https://chat.example.org",
                self.base
            ))
        })?;
        let http = match self.http {
            Some(http) => http,
            None => Client::builder().redirect(reqwest::redirect::Policy::none()).http1_only().build()?,
        };
        let Self { retries, timeout, silence, reads_own_writes, .. } = self;
        let credentials = match self.key {
            Some(key) => Credentials::Key(key),
            None => Credentials::Session(Session::new(self.store)),
        };
        let server = Arc::new(Server { http, base, retries, timeout, silence, reads_own_writes });
        Ok(Parlor { server, who: Arc::new(Who::new(credentials)) })
    }
}

impl Who {
    fn new(credentials: Credentials) -> Self {
        Self { credentials, written: Mutex::default() }
    }
}

impl Parlor {
    /// A client of the server at this address, such as `https://chat.example.org`, that keeps its session in memory.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it isn't an address.
    pub fn new(base: &str) -> Result<Self> {
        Self::builder(base).build()
    }

    /// A client of the server at this address that is different from what [`Parlor::new`] makes.
    pub fn builder(base: &str) -> Builder {
        Builder {
            base: base.to_owned(),
            http: None,
            store: Arc::new(MemoryStore::default()),
            key: None,
            retries: 4,
            timeout: Duration::from_secs(20),
            silence: SILENCE,
            reads_own_writes: true,
        }
    }

    /// Another user's client on the same connections, in a session that an application began for them
    /// ([`Parlor::issue_tokens`]). It keeps the session in memory.
    pub async fn as_signed_in(&self, signed_in: SignedIn) -> Result<Self> {
        let session = Session::new(Arc::new(MemoryStore::default()));
        session.keep(Some(signed_in.into())).await?;
        let who = Arc::new(Who::new(Credentials::Session(session)));
        Ok(Self { server: Arc::clone(&self.server), who })
    }

    /// How long a feed's connection may give no sign of life.
    pub(crate) fn silence(&self) -> Duration {
        self.server.silence
    }

    /// The session's tokens, if there is one.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn tokens(&self) -> Result<Option<Tokens>> {
        match self.session() {
            Some(session) => session.tokens().await,
            None => Ok(None),
        }
    }

    /// Any command or query, by its route: for those that have no method of their own here, be it because the server is newer.
    pub fn call<T>(&self, method: Method, path: impl Into<String>) -> Call<T> {
        Call::new(self.clone(), method, path.into())
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.who.credentials {
            Credentials::Session(session) => Some(session),
            Credentials::Key(_) => None,
        }
    }

    /// From now on queries wait until they see at least what a feed has told of.
    pub(crate) fn expect_position(&self, position: String) {
        self.who.written.lock().unwrap_or_else(PoisonError::into_inner).insert("feed", position);
    }

    /// Forgets what was written: it was somebody else's, or of another epoch.
    pub(crate) fn forget_written(&self) {
        self.who.written.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) async fn access_token(&self, refused: Option<&str>) -> Result<String> {
        match &self.who.credentials {
            Credentials::Session(session) => session.access_token(self, refused).await,
            Credentials::Key(_) if refused.is_some() => Err(Error::SignedOut),
            Credentials::Key(key) => Ok(key.clone()),
        }
    }

    /// A request to a path of the server's, not sent yet.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<RequestBuilder> {
        let base = self.server.base.as_str().trim_end_matches('/');
        let mut url = Url::parse(&format!("{base}{path}"))
            .map_err(|error| Error::Invalid(format!("{path} is no path of a route: {error}")))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(self.server.http.request(method, url))
    }

    /// Sends a request until there is an answer, or no hope of one.
    pub(crate) async fn carry_out(&self, request: &Request) -> Result<(HeaderMap, Bytes)> {
        let retries = request.retries.unwrap_or(self.server.retries);
        let mut refused: Option<String> = None;
        let mut attempt = 0;
        loop {
            let mut token = None;
            let error = match self.attempt(request, refused.as_deref(), &mut token).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if error.status() == Some(401) && refused.is_none() && self.session().is_some() && token.is_some()
            {
                // The session may have a newer one; if it doesn't, signing in is all that helps.
                refused = token;
                continue;
            }
            if error.code() == Some("epoch-changed") {
                self.forget_written();
            }
            let asked = error.retry_after().unwrap_or_default();
            if !error.is_passing() || attempt >= retries || asked > MOST_ASKED {
                return Err(error);
            }
            tokio::time::sleep(asked.max(Backoff::CALL.pause(attempt))).await;
            attempt += 1;
        }
    }

    /// Sends a request once; says with what token.
    async fn attempt(
        &self,
        request: &Request,
        refused: Option<&str>,
        token: &mut Option<String>,
    ) -> Result<(HeaderMap, Bytes)> {
        if !request.open {
            *token = Some(self.access_token(refused).await?);
        }
        let sent = self.request(request.method.clone(), &request.path, &request.query)?;
        let mut sent = sent.timeout(self.server.timeout).headers(self.headers(request, token.as_deref())?);
        if let Some(body) = &request.body {
            sent = sent.body(body.clone());
        }
        let response = sent.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = whole(response).await?;
        if !status.is_success() {
            return Err(Error::Refused(Box::new(Problem::of(status, &headers, &body))));
        }
        if request.is_command()
            && !request.open
            && let Some(position) = headers.get("parlor-position").and_then(|token| token.to_str().ok())
        {
            let mut written = self.who.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.insert(service(&request.path), position.to_owned());
        }
        Ok((headers, body))
    }

    fn headers(&self, request: &Request, token: Option<&str>) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            let mut value = header("the token", &format!("Bearer {token}"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if request.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(key) = &request.idempotency_key {
            headers.insert("idempotency-key", header("the idempotency key", key)?);
        }
        if let Some(etag) = &request.if_match {
            headers.insert(IF_MATCH, header("the version", etag)?);
        }
        let mut positions = request.after.clone();
        if !request.is_command() && self.server.reads_own_writes {
            let written = self.who.written.lock().unwrap_or_else(PoisonError::into_inner);
            positions.extend(written.values().cloned());
        }
        if !positions.is_empty() {
            headers.insert("parlor-min-position", header("a position", &positions.join(","))?);
        }
        Ok(headers)
    }
}

impl std::fmt::Debug for Parlor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parlor").field("base", &self.server.base.as_str()).finish_non_exhaustive()
    }
}

/// Which service a route belongs to: a later position of one stands for its earlier ones.
fn service(path: &str) -> &'static str {
    match path.split('/').nth(2) {
        Some("auth") => "auth",
        Some("users") => "users",
        Some("notifications") => "notifications",
        _ => "chat",
    }
}

fn header(what: &str, value: &str) -> Result<HeaderValue> {
    HeaderValue::try_from(value)
        .map_err(|_| Error::Invalid(format!("{what} has characters that no header can have")))
}

/// The whole body, unless it is larger than any answer can be.
pub(crate) async fn whole(mut response: Response) -> Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MOST_ANSWERED {
            return Err(Error::Unreadable(format!("it has more than {MOST_ANSWERED} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
