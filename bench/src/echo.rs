//! What the machine can do at all: a handler that answers with what it was sent, and one with a page's worth of text.

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;

/// Serves until killed.
pub(crate) async fn serve(listen: &str) -> anyhow::Result<()> {
    let app = Router::new()
        .route("/echo", post(|body: Bytes| async move { body }))
        .route("/health/ready", get(|| async { "ready" }));
    let listener = tokio::net::TcpListener::bind(listen).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
