//! One handler on one source: takes events in where it is this process's to do so, and otherwise watches the place.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::tenure::Tenure;
use super::{EventHandler, Gather, HandlerError, Progress, panic_message};
use crate::event::Position;
use crate::lease::Fence;
use crate::source::{Batch, EventSource};

/// The first wait between two tries of a handler that fails; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest wait between two tries of a handler that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often a place that another process moves is looked at while somebody waits for it.
const WAITED_FOR: Duration = Duration::from_millis(10);
/// How often it is looked at otherwise, as long as there are events ahead of it.
const UNHURRIED: Duration = Duration::from_millis(250);

/// A handler on one of its sources.
pub(super) struct Follower {
    handler: Arc<dyn EventHandler>,
    source: Arc<dyn EventSource>,
    position: watch::Sender<Position>,
    error: Mutex<Option<String>>,
    /// Somebody has begun to wait for the position.
    waited_for: Notify,
}

impl Follower {
    pub(super) fn new(handler: Arc<dyn EventHandler>, source: Arc<dyn EventSource>) -> Self {
        Self {
            handler,
            source,
            position: watch::Sender::new(Position(0)),
            error: Mutex::default(),
            waited_for: Notify::new(),
        }
    }

    pub(super) fn is(&self, handler: &str, source: &str) -> bool {
        self.handler.name() == handler && self.source.name() == source
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            handler: self.handler.name(),
            source: self.source.name(),
            position: *self.position.borrow(),
            head: *self.source.head().borrow(),
            error: self.error.lock().clone(),
        }
    }

    pub(super) fn shown(&self) -> Position {
        *self.position.borrow()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Position> {
        let position = self.position.subscribe();
        self.waited_for.notify_one();
        position
    }

    /// Does its part until `stop` turns true; with a tenure, takes events in only while it lasts.
    pub(super) async fn follow(&self, tenure: Option<&Tenure>, mut stop: watch::Receiver<bool>) {
        let mut pause = FIRST_PAUSE;
        let mut stood_at = Position(0);
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                result = AssertUnwindSafe(self.turn(tenure)).catch_unwind() => {
                    let error = match result {
                        Ok(Ok(())) => continue,
                        Ok(Err(error)) => error,
                        Err(panic) => HandlerError::new(
                            Position(self.position.borrow().0 + 1),
                            format!("panicked: {}", panic_message(&*panic)),
                            false,
                        ),
                    };
                    self.report(&error);
                    // Another standstill than the last one starts with short pauses again.
                    pause = if error.at == stood_at { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
                    stood_at = error.at;
                }
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Says so once per standstill, not once per try.
    fn report(&self, error: &HandlerError) {
        let (handler, source) = (self.handler.name(), self.source.name());
        metrics::counter!("cqrs_handler_errors_total", "handler" => handler, "source" => source).increment(1);
        // It falls behind for as long as it stands, and nobody else would say so.
        self.show_lag(*self.position.borrow());
        let detail = error.to_string();
        let mut known = self.error.lock();
        if known.as_ref() != Some(&detail) {
            tracing::error!(handler, source, at = error.at.0, detail = %error.detail, "an event handler stands still");
            *known = Some(detail);
        }
    }

    /// Takes events in, or watches another process do it, until that changes or somebody else moved the place.
    async fn turn(&self, tenure: Option<&Tenure>) -> Result<(), HandlerError> {
        let Some(tenure) = tenure else {
            return settled(self.take_in(None).await).map(drop);
        };
        let (mut changes, held) = tenure.now();
        let Some(fence) = held else {
            return tokio::select! {
                biased;
                _ = changes.changed() => Ok(()),
                error = self.watch() => Err(error),
            };
        };
        match tenure.while_held(fence, self.take_in(Some(fence))).await {
            None => Ok(()),
            Some(error) => {
                if settled(error)? {
                    // Perhaps by another process that took the lease over while this one was held up.
                    tenure.verify(fence).await;
                }
                Ok(())
            }
        }
    }

    /// Waits for news and takes them in; ends with what is in its way.
    async fn take_in(&self, fence: Option<Fence>) -> HandlerError {
        if !self.handler.reads_a_copy() {
            return self.advance(fence).await;
        }
        let copy = async {
            loop {
                // A copy that can't be read is in the way of queries, not of the events.
                let error = self.watch().await;
                tracing::debug!(handler = self.handler.name(), %error, "the place in the copy can't be read");
                tokio::time::sleep(UNHURRIED).await;
            }
        };
        tokio::select! {
            error = self.advance(fence) => error,
            () = copy => unreachable!("it has no end"),
        }
    }

    async fn advance(&self, fence: Option<Fence>) -> HandlerError {
        match self.try_advance(fence).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn try_advance(&self, fence: Option<Fence>) -> Result<std::convert::Infallible, HandlerError> {
        let source = self.source.name();
        let published = !self.handler.reads_a_copy();
        let show = |place| {
            if published {
                self.show(place);
            }
        };
        let mut place =
            self.handler.place(source).await.map_err(|error| HandlerError::store(Position(0), &error))?;
        show(place);
        let mut head = self.source.head();
        if *head.borrow() <= place {
            // What was in its way is gone, and there may be no event for long that would show it.
            self.error.lock().take();
        }
        let (limit, many) = (self.handler.gathers().events, self.handler.batch_when_behind());
        let mut ahead: Option<Batch> = None;
        loop {
            let batch = if let Some(batch) = ahead.take() {
                batch
            } else {
                while let Err(Elapsed) = self.await_beyond(&mut head, place).await {
                    self.handler.idle(source, place, fence).await?;
                    self.error.lock().take();
                }
                self.gather(&mut head, place).await;
                let read = self.source.read(place, limit).await;
                read.map_err(|error| HandlerError::store(Position(place.0 + 1), &error))?
            };
            if batch.upto <= place {
                tokio::task::yield_now().await;
                continue;
            }
            let handling = async {
                self.handler.handle(source, &batch, fence).await?;
                self.error.lock().take();
                show(batch.upto);
                Ok(())
            };
            // Far behind, it reads what comes next while this is taken in.
            let far_behind = head.borrow().0 >= batch.upto.0 + many as u64;
            let reading = async {
                // What can't be read now is read again when its turn has come.
                Ok(if far_behind { self.source.read(batch.upto, many).await.ok() } else { None })
            };
            ((), ahead) = futures::try_join!(handling, reading)?;
            place = batch.upto;
        }
    }

    /// Waits for events after `place`, for as long as the handler needn't be called.
    async fn await_beyond(
        &self,
        head: &mut watch::Receiver<Position>,
        place: Position,
    ) -> Result<(), Elapsed> {
        let beyond = async {
            // The sender lives as long as the log; a closed channel means the log is going down.
            if head.wait_for(|head| *head > place).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        match self.handler.idles() {
            None => {
                beyond.await;
                Ok(())
            }
            Some(limit) => tokio::time::timeout(limit, beyond).await.map_err(|_| Elapsed),
        }
    }

    /// Lets what comes close together be taken in together, unless somebody waits for it or there is enough.
    async fn gather(&self, head: &mut watch::Receiver<Position>, place: Position) {
        let Gather { time, events } = self.handler.gathers();
        if time.is_zero() || self.position.receiver_count() > 0 {
            return;
        }
        let enough = Position(place.0 + events as u64);
        tokio::select! {
            biased;
            _ = head.wait_for(|head| *head >= enough) => {}
            () = self.waited_for.notified() => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    /// Looks how far what is read here has come; ends with what is in its way.
    async fn watch(&self) -> HandlerError {
        let mut head = self.source.head();
        loop {
            let place = match self.handler.shown(self.source.name()).await {
                Ok(place) => place,
                Err(error) => return HandlerError::store(Position(0), &error),
            };
            if !self.handler.reads_a_copy() {
                self.error.lock().take();
            }
            self.show(place);
            if self.position.receiver_count() > 0 {
                tokio::time::sleep(WAITED_FOR).await;
                continue;
            }
            let ahead = async {
                // As long as nothing is ahead of it, it doesn't move.
                if head.wait_for(|head| *head > place).await.is_err() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(UNHURRIED).await;
            };
            tokio::select! {
                () = ahead => {}
                () = self.waited_for.notified() => {}
            }
        }
    }

    fn show(&self, place: Position) {
        self.position.send_if_modified(|shown| std::mem::replace(shown, place) != place);
        self.show_lag(place);
    }

    fn show_lag(&self, place: Position) {
        let lag = self.source.head().borrow().0.saturating_sub(place.0);
        metrics::gauge!(
            "cqrs_handler_lag_events", "handler" => self.handler.name(), "source" => self.source.name()
        )
        .set(lag as f64);
    }
}

/// It is time to call the handler, though there is nothing to take in.
struct Elapsed;

/// Whether nothing is wrong but the place.
fn settled(error: HandlerError) -> Result<bool, HandlerError> {
    if error.moved { Ok(true) } else { Err(error) }
}
