//! Live delivery: what happens, pushed to whoever is connected and may know of it.
//!
//! - [`feed`]: the view that a connection resumes from.
//! - `hub`: who is connected, and what goes to whom; `follow` shows it what happens.
//! - `connection`: one connection, whatever it travels over: what was missed, `caught-up`, what is new.
//! - [`sse`]: `GET /v1/stream`.
//!
//! A connection is attached to the hub as of a place; what was missed up to there comes from the view, once that has got
//! there, and what happens afterwards comes through the connection's queue. So nothing is missing in between and nothing
//! comes twice.

mod connection;
mod event;
pub mod feed;
mod follow;
mod hub;
mod source;
mod sql;
pub mod sse;

use std::sync::Arc;

use cqrs_core::{EventSource, Failure, Keyring, Log, TokenCodec};
use cqrs_sql::ServiceStore;
use tokio::sync::mpsc;
use uuid::Uuid;

pub use connection::{Frame, StillSignedIn};
pub use event::LiveEvent;
pub use hub::{Close, QueueLimits};
pub use source::{Places, Source};

use feed::Feed;
use hub::Hub;
use source::{Epochs, FeedCursors};

/// Live delivery of one process. Cheap to clone. It is an event handler: the event bus has to run it.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    hub: Arc<Hub>,
    feed: Feed,
    log: Arc<dyn Log>,
    keyring: Keyring,
    sources: Vec<Arc<dyn EventSource>>,
    tokens: TokenCodec,
}

impl Live {
    /// Live delivery from chat's store and `others`, the sources of the other services' public events. `tokens` makes and
    /// reads cursors.
    pub fn new(
        store: &ServiceStore,
        others: &[Arc<dyn EventSource>],
        tokens: TokenCodec,
        limits: QueueLimits,
    ) -> Self {
        let mut sources = others.to_vec();
        sources.push(store.source());
        let mut places = Places::default();
        for source in &sources {
            if let Some(known) = Source::named(source.name()) {
                places.advance(known, source.head().borrow().0);
            }
        }
        Self(Arc::new(Inner {
            hub: Arc::new(Hub::new(places, limits)),
            feed: Feed::new(store.views.clone()),
            log: store.log.clone(),
            keyring: store.executor.keyring().clone(),
            sources,
            tokens,
        }))
    }

    /// Connects somebody: from `cursor` on, or from now on. It ends with a [`Frame::Closed`], or when the receiver is
    /// dropped. 422 for what is no cursor of theirs, 410 for one of an earlier epoch.
    pub fn connect(
        &self,
        user: Uuid,
        cursor: Option<&str>,
        still: impl StillSignedIn,
    ) -> Result<mpsc::Receiver<Frame>, Failure> {
        let cursors = FeedCursors::new(self.0.tokens.clone(), user, Epochs::of(&self.0.sources));
        let from = cursor.map(|cursor| cursors.decode(cursor)).transpose()?;
        Ok(connection::start(self.clone(), user, cursors, from, Box::new(still)))
    }

    /// Closes all connections, for the process stops; they may come back to another, or to this one once it is up again.
    pub fn stop(&self) {
        self.0.hub.stop();
    }
}
