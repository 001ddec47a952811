//! What is known of a request before anybody looks at what it asks for.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName};
use cqrs_core::{Actor, Context, SpanId};
use ipnet::IpNet;
use jiff::Timestamp;
use uuid::Uuid;

use crate::options::HttpOptions;

/// The header by which a request's id is taken and returned.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Long enough for any id in use, short enough to log.
const LONGEST_REQUEST_ID: usize = 128;

/// Where a request comes from and under which ids it goes. [`layer`](crate::layer()) puts it into the request's
/// extensions.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    /// The request's id: the client's, if it is sane, or made here.
    pub id: Arc<str>,
    /// The trace's id (`traceparent`), or else the seed.
    pub correlation: Uuid,
    /// The caller's span in that trace.
    pub parent: Option<SpanId>,
    /// A fresh UUID v7.
    pub seed: Uuid,
    /// When it came.
    pub now: Timestamp,
    /// When it came, for measuring.
    pub started: Instant,
    /// The client's address; behind trusted proxies the one that they forward.
    pub client: Option<IpAddr>,
}

impl RequestInfo {
    /// Of a request with these headers and extensions.
    pub fn new(headers: &HeaderMap, extensions: &Extensions, options: &HttpOptions) -> Self {
        let seed = options.clock.fresh_id();
        let id = match headers.get(X_REQUEST_ID).and_then(|id| sane_id(id.as_bytes())) {
            Some(id) => Arc::from(id),
            None => Arc::from(&*seed.as_hyphenated().encode_lower(&mut Uuid::encode_buffer())),
        };
        let parent = headers.get(TRACEPARENT).and_then(|parent| trace_parent(parent.as_bytes()));
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
        Self {
            id,
            correlation: parent.map_or(seed, |(trace, _)| trace),
            parent: parent.map(|(_, span)| span),
            seed,
            now: options.clock.now(),
            started: Instant::now(),
            client: peer.map(|peer| client_address(peer, headers, &options.trusted_proxies)),
        }
    }

    /// Of a request on its way; made on the spot if no [`layer`](crate::layer()) was there.
    pub fn of(parts: &Parts, options: &HttpOptions) -> Self {
        match parts.extensions.get::<Self>() {
            Some(info) => info.clone(),
            None => Self::new(&parts.headers, &parts.extensions, options),
        }
    }

    /// A context for `actor` in this request.
    pub fn context(self, actor: Actor, options: &HttpOptions) -> Context {
        let mut cx = Context::new(actor, self.now, self.seed);
        cx.deadline = Some(self.started + options.deadline);
        cx.request_id = self.id;
        cx.correlation = self.correlation;
        cx.client = self.client;
        cx
    }
}

/// An id that can be logged and sent back as it is.
fn sane_id(id: &[u8]) -> Option<&str> {
    let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~:/+=@".contains(byte);
    if id.is_empty() || id.len() > LONGEST_REQUEST_ID || !id.iter().all(sane) {
        return None;
    }
    std::str::from_utf8(id).ok()
}

/// The trace and the span that a `traceparent` header names (W3C Trace Context, level 1, §3.2).
fn trace_parent(parent: &[u8]) -> Option<(Uuid, SpanId)> {
    let hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    let mut parts = parent.split(|byte| *byte == b'-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lengths = version.len() == 2 && trace.len() == 32 && span.len() == 16 && flags.len() == 2;
    let valid = lengths && [version, trace, span, flags].into_iter().all(hex) && version != b"ff";
    // Version 00 ends here; later ones may say more.
    let ends = version != b"00" || parts.next().is_none();
    if !valid || !ends || zero(trace) || zero(span) {
        return None;
    }
    let span = u64::from_str_radix(std::str::from_utf8(span).ok()?, 16).ok()?;
    Some((Uuid::try_parse_ascii(trace).ok()?, SpanId(span)))
}

/// The client's address: the peer's, or, where the peer is a trusted proxy, the last forwarded one that isn't a
/// trusted proxy itself. What stands before that may have been written by anybody.
fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut client = peer;
    if !is_trusted(client) {
        return client;
    }
    for line in headers.get_all(X_FORWARDED_FOR).iter().rev() {
        let Ok(line) = line.to_str() else { return client };
        for hop in line.rsplit(',') {
            let Some(address) = parse_hop(hop.trim()) else { return client };
            client = address;
            if !is_trusted(client) {
                return client;
            }
        }
    }
    client
}

/// An address as proxies write it: bare, or with a port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.parse::<IpAddr>().ok();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    bare.or_else(with_port).or_else(bracketed).map(|address| address.to_canonical())
}
