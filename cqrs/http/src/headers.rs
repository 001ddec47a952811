//! The headers of Parlor's own that commands and queries take.

use std::sync::Arc;

use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use cqrs_core::{Failure, IdempotencyKey, PositionVector, TokenCodec};

/// A key under which a repeated command is the same command.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is that of an earlier command with the same key.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// What the client has seen or written and wants the view to hold.
pub(crate) const MIN_POSITION: HeaderName = HeaderName::from_static("parlor-min-position");
/// What was written, or what the view holds.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("parlor-position");
/// "true", as a header's value.
pub(crate) const TRUE: HeaderValue = HeaderValue::from_static("true");

const LONGEST_KEY: usize = 255;

/// The idempotency key, bound to route and content; `None` if there is none.
pub(crate) fn idempotency(parts: &Parts, body: &Bytes) -> Result<Option<Arc<IdempotencyKey>>, Failure> {
    let Some(value) = only(&parts.headers, &IDEMPOTENCY_KEY, "Idempotency-Key")? else { return Ok(None) };
    let bytes = value.as_bytes();
    let visible = bytes.iter().all(u8::is_ascii_graphic);
    let key = std::str::from_utf8(bytes)
        .ok()
        .filter(|_| visible && (1..=LONGEST_KEY).contains(&bytes.len()))
        .ok_or_else(|| Failure::invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters"))?;
    let content = match parts.uri.query() {
        None => body.clone(),
        // A query string never contains a zero byte, so that the two can't run into each other.
        Some(query) => [query.as_bytes(), b"\0", body].concat().into(),
    };
    Ok(Some(Arc::new(IdempotencyKey {
        key: key.to_owned(),
        route: format!("{} {}", parts.method, parts.uri.path()),
        content,
    })))
}

/// The version that the client expects: `If-Match: "7"`. `*` asks for none in particular.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let Some(value) = only(headers, &IF_MATCH, "If-Match")? else { return Ok(None) };
    if value == "*" {
        return Ok(None);
    }
    value
        .to_str()
        .ok()
        .and_then(|value| value.strip_prefix('"')?.strip_suffix('"'))
        .filter(|version| version.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|version| version.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            Failure::invalid("If-Match", "must be one strong ETag as this API gave it, like \"7\"")
        })
}

/// The positions to wait for; several tokens may be joined by commas or stand in several headers.
pub(crate) fn wanted(
    headers: &HeaderMap,
    tokens: &TokenCodec,
) -> Result<Option<Arc<PositionVector>>, Failure> {
    let mut all: Option<PositionVector> = None;
    for value in headers.get_all(MIN_POSITION) {
        let positions = tokens.decode_positions(value.to_str().map_err(|_| Failure::BadToken)?)?;
        match &mut all {
            Some(all) => all.merge(&positions),
            None => all = Some(positions),
        }
    }
    Ok(all.map(Arc::new))
}

/// The header's value, where several would contradict each other.
fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    said: &str,
) -> Result<Option<&'a HeaderValue>, Failure> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Failure::invalid(said, "must be given once"));
    }
    Ok(first)
}
