//! Tells clients how they stand with a limit: the limits note it on the way, and the edge writes it into the response.

use std::cell::Cell;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::Standing;

tokio::task_local! {
    /// The tightest limit that the request met. A command runs in its request's task, so it arrives here.
    static STANDING: Cell<Option<Standing>>;
}

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Notes how the request stands; outside of [`tell`] nobody asks.
pub(crate) fn note(standing: Standing) {
    let _ = STANDING.try_with(|noted| noted.set(Some(standing)));
}

/// Middleware: adds `RateLimit` and `RateLimit-Policy` to whatever met a limit.
pub async fn tell(request: Request, next: Next) -> Response {
    STANDING
        .scope(Cell::new(None), async {
            let mut response = next.run(request).await;
            let Some(standing) = STANDING.with(Cell::take) else { return response };
            // A wait for failed sign-ins has no figures of its own, and those of the rate don't explain it.
            if response.status() == StatusCode::TOO_MANY_REQUESTS && standing.remaining > 0 {
                return response;
            }
            let fields = [(RATE_LIMIT, standing.limit_field()), (RATE_LIMIT_POLICY, standing.policy_field())];
            for (name, value) in fields {
                if let Ok(value) = HeaderValue::try_from(value) {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        })
        .await
}
