//! `parlor serve`: from start to a graceful stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{self, Operator};
use crate::config::{Config, MetricsListen};
use crate::http::health::Health;
use crate::http::{listener, metrics};
use crate::instance::Instance;
use crate::telemetry;

/// How long requests under way may take to end after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(8);

/// How long whatever else listens (metrics, operators) may take.
const GRACE: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT.
pub async fn serve(config: &Config) -> anyhow::Result<()> {
    // From here on a stop is noticed, whatever is still to be opened.
    let mut asked = Signals::new()?;
    let collected = telemetry::start_metrics();
    let instance = Instance::open(config).await?;
    let (stop, stopped) = watch::channel(false);
    let health = Arc::new(Health::of(&instance, stopped.clone()));
    let operator = Operator::of(&instance, health.clone());
    let router = crate::http::router(&instance, health, &config.http_options());
    let api = listener::bind(config.listen, "listen").await?;
    let address = api.local_addr()?;

    let mut background = JoinSet::new();
    if let (MetricsListen::At(at), Some(handle)) = (config.metrics_listen, collected) {
        let listener = listener::bind(at, "metrics_listen").await?;
        background.spawn(metrics::upkeep(handle.clone(), stopped.clone()));
        background.spawn(listener::serve(listener, metrics::router(handle), stopped.clone()));
    }
    let socket = admin::listen(&config.data_dir)
        .map_err(|error| anyhow::anyhow!("{}: {error}", config.data_dir.join(admin::SOCKET).display()))?;
    let (data, stopping) = (config.data_dir.clone(), stopped.clone());
    background.spawn(async move { admin::serve(socket, operator, &data, stopping).await });
    let running = instance.start(&stopped);
    let serving = tokio::spawn(listener::serve(api, router, stopped.clone()));
    let (version, data) = (env!("CARGO_PKG_VERSION"), config.data_dir.display());
    tracing::info!(%address, version, %data, "Parlor listens");

    asked.wait().await;
    tracing::info!("stopping");
    stop.send_replace(true);
    // Streams would go on for ever; who is connected comes back elsewhere, or later.
    running.live.stop();
    if tokio::time::timeout(DRAIN, serving).await.is_err() {
        tracing::warn!("some requests were still under way after {} s and are cut off", DRAIN.as_secs());
    }
    if tokio::time::timeout(GRACE, async { while background.join_next().await.is_some() {} }).await.is_err() {
        background.shutdown().await;
    }
    running.finish().await;
    tracing::info!("stopped");
    Ok(())
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
