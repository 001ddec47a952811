//! Does an operator's task on the data themselves, where nobody runs.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Answer, Operator, Progress, Task};
use crate::config::Config;
use crate::http::health::Health;
use crate::instance::{Base, Instance};
use crate::roles::Roles;

/// Opens the instance, carries out the task and closes it again.
pub(super) async fn ask(
    config: &Config,
    task: Task,
    report: impl FnMut(Progress) + Send,
) -> anyhow::Result<Answer> {
    let base = Arc::new(Base::open(config)?);
    let instance = Instance::open(config, &Roles::default(), &base, None).await?;
    let (_stop, stopped) = watch::channel(false);
    let health = Arc::new(Health::of(&instance, stopped));
    Ok(Operator::of(&instance, health).run(task, report).await?)
}
