//! Waking at a time. Polling itself waits in whole milliseconds, which is as long as what is measured.

use std::time::Duration;

use mio::{Poll, Registry, Token};

#[cfg(target_os = "linux")]
mod exact {
    use std::os::fd::{AsRawFd as _, OwnedFd};
    use std::time::Duration;

    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    /// A timer of the kernel's.
    pub(super) struct Exact(OwnedFd);

    impl Exact {
        pub(super) fn new(registry: &Registry, token: Token) -> std::io::Result<Self> {
            let timer =
                timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
            Ok(Self(timer))
        }

        pub(super) fn set(&self, after: Duration) -> std::io::Result<()> {
            // Zero would switch it off.
            let after = after.max(Duration::from_nanos(1));
            let value = Timespec {
                tv_sec: after.as_secs().cast_signed(),
                tv_nsec: i64::from(after.subsec_nanos()) as _,
            };
            let once = Timespec { tv_sec: 0, tv_nsec: 0 };
            timerfd_settime(
                &self.0,
                TimerfdTimerFlags::empty(),
                &Itimerspec { it_interval: once, it_value: value },
            )?;
            Ok(())
        }
    }
}

/// Ends a poll at a time.
pub(crate) struct Timer {
    #[cfg(target_os = "linux")]
    exact: exact::Exact,
}

impl Timer {
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "there is nothing to register"))]
    pub(crate) fn new(registry: &Registry, token: Token) -> std::io::Result<Self> {
        Ok(Self {
            #[cfg(target_os = "linux")]
            exact: exact::Exact::new(registry, token)?,
        })
    }

    /// Polls until something happens, though no longer than this.
    pub(crate) fn poll(
        &self,
        poll: &mut Poll,
        events: &mut mio::Events,
        at_most: Duration,
    ) -> std::io::Result<()> {
        #[cfg(target_os = "linux")]
        let timeout = if at_most < Duration::from_millis(50) {
            self.exact.set(at_most)?;
            None
        } else {
            // It is looked at again before the end.
            Some(at_most.saturating_sub(Duration::from_millis(20)))
        };
        #[cfg(not(target_os = "linux"))]
        let timeout = Some(at_most);
        match poll.poll(events, timeout) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            polled => polled,
        }
    }
}
