//! Which pages' scripts may connect.

use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderValue};

/// The origins (RFC 6454, section 7) from which a browser may open a WebSocket. Whoever sends no `Origin` is no browser.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// As `https://chat.example.org`: lower case, without a slash at the end, without the scheme's usual port.
    pub allowed: Vec<String>,
    /// Whether a page of the very host that is asked (`Host`) may, too: for an instance that hasn't been told its own
    /// address.
    pub same_host: bool,
}

impl Origins {
    pub(super) fn allow(&self, origin: &HeaderValue, headers: &HeaderMap) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        if self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)) {
            return true;
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        self.same_host && authority.is_some() && authority == host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_origins_are_let_in_and_the_own_host_where_that_counts() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("chat.example.org:8080"));
        let allow = |same_host, origin| {
            let origins = Origins { allowed: vec!["https://app.example.org".to_owned()], same_host };
            origins.allow(&HeaderValue::from_static(origin), &headers)
        };
        assert!(allow(false, "https://app.example.org"));
        assert!(allow(false, "https://APP.example.org"));
        assert!(!allow(false, "http://app.example.org"), "another scheme");
        assert!(!allow(false, "https://app.example.org.evil.example"));
        assert!(!allow(false, "null"));
        assert!(!allow(false, "http://chat.example.org:8080"));
        assert!(allow(true, "http://chat.example.org:8080"));
        assert!(!allow(true, "http://chat.example.org"), "another port");
        assert!(!allow(true, "chat.example.org:8080"), "no origin");
    }
}
