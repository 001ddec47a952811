//! Ends live streams when the process is to stop: they would go on for ever, and their clients resume elsewhere or later.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt as _;
use tokio::sync::watch;

pub(super) async fn ends_with_the_process(
    State(mut stop): State<watch::Receiver<bool>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let streams = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if !streams {
        return response;
    }
    response.map(|body| {
        let stopped = async move {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        Body::from_stream(body.into_data_stream().take_until(Box::pin(stopped)))
    })
}
