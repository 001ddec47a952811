//! `parlor serve`: from start to a graceful stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{self, Desk, Operator};
use crate::config::{Config, MetricsListen};
use crate::http::entrance::Entrance;
use crate::http::health::Health;
use crate::http::{listener, metrics};
use crate::instance::{Base, Instance, Kafka, OpenError};
use crate::roles::Roles;
use crate::telemetry;

/// How long requests under way may take to end after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(8);

/// How long whatever else listens (metrics, operators) may take.
const GRACE: Duration = Duration::from_secs(1);

/// How long until a database that didn't answer is asked again, and until it is said again that it doesn't.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Serves until SIGTERM or SIGINT.
pub async fn serve(config: &Config, roles: &Roles) -> anyhow::Result<()> {
    // From here on a stop is noticed, whatever is still to be opened.
    let mut asked = Signals::new()?;
    roles.check(config)?;
    let collected = telemetry::start_metrics();
    let base = Arc::new(Base::open(config)?);
    let (stop, stopped) = watch::channel(false);
    let health = Arc::new(Health::new(stopped.clone()));
    let options = config.http_options();
    let entrance = Entrance::new(crate::http::starting(health.clone(), &options));
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
    let desk = Arc::new(Desk::new(health.clone()));
    let (data, stopping, serves) = (config.data_dir.clone(), stopped.clone(), desk.clone());
    background.spawn(async move { admin::serve(socket, serves, &data, stopping).await });
    let serving = tokio::spawn(listener::serve(api, entrance.router(), stopped.clone()));

    let kafka = Kafka::of(config, roles)?;
    let opened = tokio::select! {
        () = asked.wait() => None,
        opened = open(config, roles, &base, kafka.as_ref(), &health) => Some(opened?),
    };
    let running = opened.map(|instance| {
        health.opened(&instance);
        let operator = Arc::new(Operator::of(&instance, health.clone()));
        desk.opened(operator.clone());
        entrance.open(crate::http::router(&instance, health.clone(), operator, &options));
        instance.start(&stopped)
    });
    if running.is_some() {
        let (version, data) = (env!("CARGO_PKG_VERSION"), config.data_dir.display());
        tracing::info!(%address, version, %data, services = %roles, "Parlor listens");
        asked.wait().await;
    }
    tracing::info!("stopping");
    stop.send_replace(true);
    // Streams would go on for ever; who is connected comes back elsewhere, or later.
    if let Some(live) = running.as_ref().and_then(|running| running.live.as_ref()) {
        live.stop();
    }
    if tokio::time::timeout(DRAIN, serving).await.is_err() {
        tracing::warn!("some requests were still under way after {} s and are cut off", DRAIN.as_secs());
    }
    if tokio::time::timeout(GRACE, async { while background.join_next().await.is_some() {} }).await.is_err() {
        background.shutdown().await;
    }
    if let Some(running) = running {
        running.finish().await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// Opens the process's stores, trying again as long as all that is wrong is that a database doesn't answer.
async fn open(
    config: &Config,
    roles: &Roles,
    base: &Arc<Base>,
    kafka: Option<&Kafka>,
    health: &Health,
) -> Result<Instance, OpenError> {
    loop {
        let error = match Instance::open(config, roles, base, kafka).await {
            Ok(instance) => return Ok(instance),
            Err(error) => error,
        };
        // A file that can't be opened now can't be opened later, either.
        let Some(missing) = error.unreachable().filter(|_| config.uses_postgres(roles)) else {
            return Err(error);
        };
        for what in &missing {
            tracing::warn!("not ready: {what}; it is asked again every {} s", TRY_AGAIN.as_secs());
        }
        health.waits_for(missing);
        tokio::time::sleep(TRY_AGAIN).await;
    }
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
