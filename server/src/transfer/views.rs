//! Filling an instance's views from its logs, before anybody waits for them.

use std::sync::Arc;

use cqrs_sql::RebuildProgress;

use super::bar::Bar;
use crate::config::Config;
use crate::instance::{Base, Instance};
use crate::roles::Roles;

/// Makes every view of an instance that isn't running.
pub(super) async fn build(config: &Config) -> anyhow::Result<()> {
    let base = Arc::new(Base::open(config)?);
    let instance = Instance::open(config, &Roles::default(), &base, None).await?;
    let mut todo = Vec::new();
    for service in &instance.services {
        let sources = instance.sources.of(service.name());
        for view in service.store.views.projections() {
            let followed = sources.iter().filter(|source| view.sources().contains(&source.name()));
            let events: u64 = followed.map(|source| source.head().borrow().0).sum();
            todo.push((service, view.name(), events));
        }
    }
    let total = todo.iter().map(|(_, _, events)| events).sum();
    let bar = Bar::of_records("Building views", total);
    let mut before = 0;
    for (service, view, events) in todo {
        bar.about(format!("Building {view}"));
        let sources = instance.sources.of(service.name());
        let report = |progress: RebuildProgress| bar.set(before + progress.done, total);
        let built = service.store.views.rebuild(view, &sources, &instance.ground.keyring, report).await;
        built.map_err(|error| anyhow::anyhow!("the view {view}: {error}"))?;
        before += events;
    }
    Ok(())
}
