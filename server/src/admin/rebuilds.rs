//! The rebuilds of views that this process has begun, whoever asked for them: how far each is, and what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::Progress;
use crate::roles::ServiceName;

/// What is known of a view's last rebuild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuild {
    /// The service that keeps the view.
    pub service: ServiceName,
    /// The view's name.
    pub view: String,
    /// How far it has come.
    pub progress: Progress,
    /// When it began.
    pub began: Timestamp,
    /// How it stands.
    pub state: RebuildState,
}

/// How a rebuild stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RebuildState {
    /// It goes on.
    Running,
    /// The rebuilt view is live.
    Done(Timestamp),
    /// It ended before that, and why. It can be asked for again, and goes on where it was.
    Failed(Timestamp, String),
}

/// The last rebuild of each view since the process began; there are as many as views. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Rebuilds(Arc<Mutex<BTreeMap<String, Rebuild>>>);

impl Rebuilds {
    /// Begins one, unless one of this view is going on.
    pub fn begin(&self, service: ServiceName, view: &str, now: Timestamp) -> Option<Begun> {
        let mut known = self.0.lock();
        if known.get(view).is_some_and(|last| last.state == RebuildState::Running) {
            return None;
        }
        let rebuild = Rebuild {
            service,
            view: view.to_owned(),
            progress: Progress { done: 0, total: 0 },
            began: now,
            state: RebuildState::Running,
        };
        known.insert(view.to_owned(), rebuild);
        Some(Begun { rebuilds: self.clone(), view: view.to_owned(), began: now })
    }

    /// The last one of a view.
    pub fn of(&self, view: &str) -> Option<Rebuild> {
        self.0.lock().get(view).cloned()
    }

    fn change(&self, view: &str, change: impl FnOnce(&mut Rebuild)) {
        if let Some(rebuild) = self.0.lock().get_mut(view) {
            change(rebuild);
        }
    }
}

/// A rebuild that is going on. One that is dropped before it ended was given up by whoever asked for it.
#[derive(Debug)]
pub struct Begun {
    rebuilds: Rebuilds,
    view: String,
    began: Timestamp,
}

impl Begun {
    /// The view.
    pub fn view(&self) -> &str {
        &self.view
    }

    /// It has come this far.
    pub fn report(&self, progress: Progress) {
        self.rebuilds.change(&self.view, |rebuild| rebuild.progress = progress);
    }

    /// It ended; `error` says why if the view didn't come of it.
    pub fn ended(&self, error: Option<String>, now: Timestamp) {
        self.rebuilds.change(&self.view, |rebuild| {
            rebuild.state = match error {
                None => RebuildState::Done(now),
                Some(why) => RebuildState::Failed(now, why),
            };
        });
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let given_up = || "it was given up before it was done".to_owned();
        let began = self.began;
        self.rebuilds.change(&self.view, |rebuild| {
            if rebuild.state == RebuildState::Running {
                rebuild.state = RebuildState::Failed(began, given_up());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rebuild_of_a_view_at_a_time_and_one_that_was_given_up_may_be_begun_again() {
        let (rebuilds, now) = (Rebuilds::default(), Timestamp::UNIX_EPOCH);
        let begin = |view| rebuilds.begin(ServiceName::Chat, view, now);
        let first = begin("timeline").expect("nothing is going on");
        assert!(begin("timeline").is_none());
        assert!(begin("search").is_some(), "another view is another matter");
        first.report(Progress { done: 3, total: 9 });
        assert_eq!(rebuilds.of("timeline").unwrap().progress, Progress { done: 3, total: 9 });
        drop(first);
        assert!(matches!(rebuilds.of("timeline").unwrap().state, RebuildState::Failed(..)));
        begin("timeline").expect("it was given up").ended(None, now);
        assert_eq!(rebuilds.of("timeline").unwrap().state, RebuildState::Done(now));
    }
}
