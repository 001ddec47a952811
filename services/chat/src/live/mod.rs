//! Live delivery: what happens, pushed to whoever is connected and may know of it.
//!
//! - [`feed`]: the view that a connection resumes from.
//! - `hub`: who is connected, and what goes to whom; `follow` shows it what happens.
//! - `connection`: one connection, whatever it travels over: what was missed, `caught-up`, what is new.
//! - `told`: what events tell, and of what types; `described` has the schemas of frames from it.
//! - [`sse`]: `GET /v1/stream`; [`ws`]: `GET /v1/ws`; `entry` lets both in, by a token or one of [`tickets`].
//! - [`typing`] and `presence`: what passes; `note` is how processes tell each other.
//!
//! A connection is attached to the hub as of a place; what was missed up to there comes from the view, once that has got
//! there, and what happens afterwards comes through the connection's queue. So nothing is missing in between and nothing
//! comes twice.

mod connection;
mod described;
mod entry;
mod event;
pub mod feed;
mod follow;
mod hub;
mod last_seen;
mod note;
mod presence;
mod rates;
mod seats;
mod source;
mod sql;
pub mod sse;
pub mod tickets;
mod told;
pub mod typing;
pub mod ws;

use std::sync::Arc;

use axum::Extension;
use cqrs_core::{Broadcast, Clock, EventSource, Executor, Failure, InProcess, Keyring, Log, TokenCodec};
use cqrs_http::Routes;
use cqrs_sql::ServiceStore;
use utoipa_axum::routes;
use uuid::Uuid;

pub use connection::{Frame, Frames, StillSignedIn};
pub use event::LiveEvent;
pub use hub::{Close, QueueLimits};
pub use presence::{Rhythm, get_presence};
pub use source::{Places, Source};
pub use tickets::RandomBytes;
pub use ws::Origins;

use feed::Feed;
use hub::Hub;
use last_seen::LastSeen;
use presence::Presence;
use rates::Rates;
use seats::Seats;
use source::{Epochs, FeedCursors};
use tickets::Tickets;

/// What live delivery is to be like.
pub struct LiveOptions {
    /// How much may wait for one connection.
    pub limits: QueueLimits,
    /// How many connections one user may have to this process. 20 unless set.
    pub connections_per_user: usize,
    /// From which pages a browser may open a WebSocket.
    pub origins: Origins,
    /// By which the service's processes tell each other what passes. Within the process unless set.
    pub broadcast: Arc<dyn Broadcast>,
    /// How presence beats.
    pub rhythm: Rhythm,
    /// Where tickets come from.
    pub random: RandomBytes,
}

impl LiveOptions {
    /// The usual ones.
    pub fn new(random: RandomBytes) -> Self {
        Self {
            limits: QueueLimits::default(),
            connections_per_user: 20,
            origins: Origins::default(),
            broadcast: Arc::new(InProcess::default()),
            rhythm: Rhythm::default(),
            random,
        }
    }
}

/// Live delivery of one process. Cheap to clone. It is an event handler: the event bus has to run it.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    hub: Arc<Hub>,
    feed: Feed,
    log: Arc<dyn Log>,
    keyring: Keyring,
    executor: Executor,
    clock: Arc<dyn Clock>,
    sources: Vec<Arc<dyn EventSource>>,
    tokens: TokenCodec,
    seats: Seats,
    tickets: Tickets,
    origins: Origins,
    presence: Arc<Presence>,
    last_seen: LastSeen,
    typing_rates: Rates,
    broadcast: Arc<dyn Broadcast>,
}

impl Live {
    /// Live delivery from chat's store and `others`, the sources of the other services' public events. `tokens` makes and
    /// reads cursors. Who is there is kept by a task of its own, as long as this lives.
    pub fn new(
        store: &ServiceStore,
        others: &[Arc<dyn EventSource>],
        tokens: TokenCodec,
        options: LiveOptions,
    ) -> Self {
        let mut sources = others.to_vec();
        sources.push(store.source());
        let mut places = Places::default();
        for source in &sources {
            if let Some(known) = Source::named(source.name()) {
                places.advance(known, source.head().borrow().0);
            }
        }
        let clock = store.executor.clock().clone();
        let presence = Arc::new(Presence::new(clock.fresh_id(), options.rhythm));
        let inner = Arc::new(Inner {
            hub: Arc::new(Hub::new(places, options.limits, presence.clone())),
            feed: Feed::new(store.views.clone()),
            log: store.log.clone(),
            keyring: store.executor.keyring().clone(),
            executor: store.executor.clone(),
            sources,
            tokens,
            seats: Seats::new(options.connections_per_user),
            tickets: Tickets::new(store.log.clone(), clock.clone(), options.random),
            origins: options.origins,
            presence,
            last_seen: LastSeen(store.log.clone()),
            typing_rates: Rates::new(typing::RATE),
            broadcast: options.broadcast,
            clock,
        });
        tokio::spawn(presence::keep(Arc::downgrade(&inner), inner.broadcast.listen()));
        Self(inner)
    }

    /// Connects somebody: from `cursor` on, or from now on. It ends with a [`Frame::Closed`], or when the frames are
    /// dropped. 422 for what is no cursor of theirs, 410 for one of an earlier epoch, 429 for one connection too many.
    pub fn connect(
        &self,
        user: Uuid,
        cursor: Option<&str>,
        still: impl StillSignedIn,
    ) -> Result<Frames, Failure> {
        let cursors = FeedCursors::new(self.0.tokens.clone(), user, Epochs::of(&self.0.sources));
        let from = cursor.map(|cursor| cursors.decode(cursor)).transpose()?;
        let seat = self.0.seats.take(user)?;
        Ok(connection::start(self.clone(), user, cursors, from, Box::new(still), seat))
    }

    /// How many events were handed to connections so far, counted once for each connection.
    pub fn handed(&self) -> u64 {
        self.0.hub.handed()
    }

    /// Closes all connections, for the process stops; they may come back to another, or to this one once it is up again.
    pub fn stop(&self) {
        self.0.hub.stop();
    }
}

/// The routes of live delivery.
pub fn routes(live: Live) -> Routes {
    described().layer(Extension(live))
}

/// The routes without what delivers: for the API's description.
pub fn described() -> Routes {
    Routes::new()
        .routes(routes!(sse::stream))
        .routes(routes!(ws::socket))
        .routes(routes!(tickets::issue_ticket))
        .routes(routes!(typing::tell_typing))
        .routes(routes!(get_presence::get_presence))
}
