//! Commands on one's own profile, right after registering: auth has answered, the profile is made through an event
//! and may be a moment away. Such a command waits for it instead of being refused.

use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::{Command, CommandHandler, Context, Decide, Executor, Failure, Reply};

use crate::user::NO_PROFILE_YET;

/// How long a profile is waited for. While auth's events don't arrive at all, the answer is 503 with `Retry-After`.
const PATIENCE: Duration = Duration::from_secs(2);

/// Decides a command of somebody about themselves.
pub struct OnceThereIsAProfile {
    executor: Executor,
    patience: Duration,
}

impl OnceThereIsAProfile {
    /// Decides with `executor`.
    pub fn new(executor: &Executor) -> Self {
        Self { executor: executor.clone(), patience: PATIENCE }
    }
}

#[async_trait]
impl<C: Command + Decide> CommandHandler<C> for OnceThereIsAProfile {
    async fn handle(&self, cx: &Context, command: C) -> Result<Reply, Failure> {
        let mut head = self.executor.log().head();
        let give_up = tokio::time::sleep(self.patience);
        tokio::pin!(give_up);
        loop {
            // Marked as seen before deciding: what commits meanwhile wakes the wait below.
            head.borrow_and_update();
            match self.executor.run(cx, &command).await {
                Err(Failure::Refused(refused)) if refused.code == NO_PROFILE_YET => {}
                result => return result,
            }
            tokio::select! {
                () = &mut give_up => {
                    return Err(Failure::Unavailable("the profile of this account is not there yet".to_owned()));
                }
                changed = head.changed() => if changed.is_err() {
                    return Err(Failure::Unavailable("the log is going down".to_owned()));
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use cqrs_core::testing::{TestClock, context, instance_key, keyring};
    use cqrs_core::{Actor, ExecutorOptions, MemoryLog};
    use parlor_contracts::user::Availability;

    use crate::change_user_status::ChangeUserStatus;
    use crate::create_user::examples::of_account;
    use crate::user::examples::ANN;

    fn executor() -> Executor {
        let log = Arc::new(MemoryLog::new("user"));
        let clock = Arc::new(TestClock::default());
        Executor::new(log, keyring(), instance_key(), clock, &ExecutorOptions::default())
    }

    #[tokio::test]
    async fn a_command_that_comes_before_its_profile_waits_for_it() {
        let executor = executor();
        let handler = OnceThereIsAProfile { executor: executor.clone(), patience: Duration::from_mins(1) };
        let busy = ChangeUserStatus { status: Availability::Busy, text: None };
        let cx = context(Actor::User(ANN));
        let (reply, ()) = tokio::join!(handler.handle(&cx, busy), async {
            let created = executor.run(&context(Actor::System), &of_account(ANN, "Ann")).await;
            created.expect("the profile is made");
        });
        assert!(reply.is_ok(), "{reply:?}");
    }

    #[tokio::test]
    async fn a_profile_that_does_not_come_is_unavailable_not_unknown() {
        let handler = OnceThereIsAProfile { executor: executor(), patience: Duration::ZERO };
        let busy = ChangeUserStatus { status: Availability::Busy, text: None };
        let failure = handler.handle(&context(Actor::User(ANN)), busy).await;
        assert!(matches!(failure, Err(Failure::Unavailable(_))), "{failure:?}");
    }
}
