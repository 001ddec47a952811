//! What requests go to at the moment: at first something that says what is still missing, then the services.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use parking_lot::RwLock;
use tower::Service;

/// A router that can be changed while it is in use. Cheap to clone.
#[derive(Clone)]
pub struct Entrance(Arc<RwLock<Router>>);

impl Entrance {
    /// Leads to this router for now.
    pub fn new(router: Router) -> Self {
        Self(Arc::new(RwLock::new(router)))
    }

    /// Leads to this one from now on.
    pub fn open(&self, router: Router) {
        *self.0.write() = router;
    }

    /// What to serve.
    pub fn router(&self) -> Router {
        Router::new().fallback_service(self.clone())
    }
}

impl Service<Request> for Entrance {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let mut router = self.0.read().clone();
        router.call(request)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn requests_go_to_what_is_open_when_they_come() {
        let entrance = Entrance::new(Router::new());
        let served = entrance.router();
        let status = async || {
            let request = Request::get("/hall").body(Body::empty()).unwrap();
            served.clone().oneshot(request).await.unwrap().status()
        };
        assert_eq!(status().await, 404);
        entrance.open(Router::new().route("/hall", get(|| async {})));
        assert_eq!(status().await, 200);
    }
}
