//! Where operators' tasks arrive in a running process: it is there before the services are.

use std::sync::{Arc, OnceLock};

use super::{Answer, Operator, Progress, Task, TaskError};
use crate::http::health::Health;

/// Takes operators' tasks, whether the services are there yet or not.
pub struct Desk {
    health: Arc<Health>,
    operator: OnceLock<Arc<Operator>>,
}

impl Desk {
    /// Of a process that has just started.
    pub fn new(health: Arc<Health>) -> Self {
        Self { health, operator: OnceLock::new() }
    }

    /// The services are there.
    pub fn opened(&self, operator: Arc<Operator>) {
        // Only the first one counts, and there is only one.
        let _ = self.operator.set(operator);
    }

    /// Carries out a task; `report` hears how far it has come.
    pub(super) async fn run(
        &self,
        task: Task,
        report: impl FnMut(Progress) + Send,
    ) -> Result<Answer, TaskError> {
        match self.operator.get() {
            Some(operator) => operator.run(task, report).await,
            None if task == Task::Health => Ok(Answer::Health(self.health.check().await)),
            None => {
                let missing = self.health.check().await.missing.join("; ");
                Err(TaskError(format!("the running Parlor isn't ready for this: {missing}")))
            }
        }
    }
}
