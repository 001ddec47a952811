//! `parlor serve`: from start to a graceful stop.

use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::instance::Instance;

/// How long requests under way may take to end after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(8);

/// Serves until SIGTERM or SIGINT.
pub async fn serve(config: &Config) -> anyhow::Result<()> {
    let instance = Instance::open(config).await?;
    let options = config.http_options();
    let router = cqrs_http::layer(instance.router(&options), &options);
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| anyhow::anyhow!("can't listen on {} (listen): {error}", config.listen))?;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let running = instance.start(&stopped);
    tracing::info!(%address, data = %config.data_dir.display(), "Parlor listens");

    let mut drain = stopped.clone();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        let _ = drain.wait_for(|stop| *stop).await;
    });
    let serving = tokio::spawn(serving.into_future());
    asked_to_stop().await?;
    tracing::info!("stopping");
    stop.send_replace(true);
    if tokio::time::timeout(DRAIN, serving).await.is_err() {
        tracing::warn!("some requests were still under way after {} s", DRAIN.as_secs());
    }
    running.finish().await;
    tracing::info!("stopped");
    Ok(())
}

async fn asked_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
