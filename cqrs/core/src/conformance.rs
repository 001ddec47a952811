//! The suite that every [`Log`] must pass.
//!
//! A store's test says how its logs are opened ([`Fixture`]) and names the suite once; each check becomes a test of its
//! own:
//!
//! ```
//! mod in_memory {
//!     use std::sync::Arc;
//!     use cqrs_core::conformance::Fixture;
//!     use cqrs_core::{MemoryLog, StoreError};
//!
//!     struct InMemory(Arc<MemoryLog>);
//!
//!     #[async_trait::async_trait]
//!     impl Fixture for InMemory {
//!         type Log = MemoryLog;
//!         const REOPENS: bool = false;
//!         async fn open(&self) -> Result<Arc<MemoryLog>, StoreError> {
//!             Ok(self.0.clone())
//!         }
//!     }
//!
//!     cqrs_core::log_conformance!(async { Some(InMemory(Arc::new(MemoryLog::new("log")))) });
//! }
//! ```

#![expect(clippy::unwrap_used, reason = "these are tests: where a store fails one, it panics with the line")]

mod changes;
mod claims;
mod leases;
mod ledger;
mod order;
mod reading;
mod reopening;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

pub use changes::*;
pub use claims::*;
pub use leases::*;
pub use ledger::*;
pub use order::*;
pub use reading::*;
pub use reopening::*;

use crate::context::Actor;
use crate::event::{NewEvent, Position, RecordedEvent, StreamId};
use crate::failure::StoreError;
use crate::log::{
    Append, Claim, ClaimChange, Commit, CommitError, Committed, Guard, LedgerEntry, Log, RowWrite,
};
use crate::projection::{Place, PlaceStore};
use crate::testing::noon;
use crate::value::Value;

/// One empty store and how its log is opened. Each check gets one of its own.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The log under test.
    type Log: Log + PlaceStore;
    /// Whether what was written is still there when the log is dropped and opened again.
    const REOPENS: bool = true;
    /// Whether several logs may be open on the store at once, as those of several processes are.
    const SHARED: bool = false;
    /// Whether its leases have one holder at a time; a store that one process has may give everyone each.
    const LEASES: bool = true;

    /// Opens the log. The first time it is empty. Its store has the table [`ROWS`] for state-stored aggregates.
    async fn open(&self) -> Result<Arc<Self::Log>, StoreError>;
}

/// The table that the suite writes rows to: columns `id` (a UUID, the key), `version` (64 bits) and `label` (text).
pub const ROWS: &str = "conformance_rows";

/// Makes each check of the suite a test. The argument is an expression that gives a future of an
/// `Option<impl Fixture>`; where it is `None`, nothing is tested: say why when giving it.
#[macro_export]
macro_rules! log_conformance {
    ($fixture:expr) => {
        $crate::log_conformance!(@tests $fixture;
            positions_are_gapless_and_in_commit_order_under_concurrent_writers,
            time_never_goes_back,
            a_stream_at_another_version_is_a_conflict_and_nothing_is_written,
            a_guard_that_moved_is_a_conflict_and_nothing_is_written,
            who_loses_takes_no_batch_mate_along,
            rows_are_written_at_their_version_only,
            of_many_who_claim_a_value_one_gets_it,
            a_claim_is_released_by_its_owner_only_and_then_free,
            a_claim_lapses_when_its_time_has_come,
            an_owner_takes_its_own_claim_again,
            a_repeat_gets_the_first_answer,
            a_key_with_another_content_is_refused,
            the_same_key_many_times_at_once_has_one_effect_and_one_answer,
            a_refusal_is_not_recorded_under_its_key,
            an_answer_that_panics_fails_its_command_alone,
            events_read_back_as_they_were_written,
            reading_gives_every_event_once_from_any_place,
            verify_names_the_first_stream_that_moved,
            streams_are_counted_by_category,
            an_older_snapshot_does_not_replace_a_newer_one,
            a_place_only_moves_forward,
            a_place_of_another_epoch_is_kept_until_it_is_forgotten,
            of_many_who_ask_for_a_lease_one_gets_it,
            a_lease_that_is_given_back_is_free_at_once,
            a_holder_past_its_time_moves_no_place,
            a_holding_that_is_renewed_in_time_or_that_nobody_took_goes_on,
            everything_is_there_after_reopening,
            two_logs_on_one_store_share_one_order,
            the_same_key_in_two_logs_has_one_effect,
        );
    };
    (@tests $fixture:expr; $($check:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                if let Some(fixture) = $fixture.await {
                    $crate::conformance::$check(&fixture).await;
                }
            }
        )*
    };
}

/// A commit in the making.
struct Ask(Commit);

/// One by an actor of the suite's, at noon.
fn ask() -> Ask {
    Ask(Commit::new(Actor::User(Uuid::from_u128(7)), Uuid::from_u128(8), noon()))
}

impl Ask {
    fn append(mut self, stream: StreamId, expected: u64, events: usize) -> Self {
        let events = (0..events).map(|_| event()).collect();
        self.0.appends.push(Append { stream, expected, events });
        self
    }

    fn guard(mut self, stream: StreamId, expected: u64) -> Self {
        self.0.guards.push(Guard { stream, expected });
        self
    }

    fn take(self, value: u8, owner: u128, until: Option<Timestamp>) -> Self {
        self.claim(value, owner, until, ClaimChange::Take)
    }

    fn release(self, value: u8, owner: u128) -> Self {
        self.claim(value, owner, None, ClaimChange::Release)
    }

    fn claim(mut self, value: u8, owner: u128, until: Option<Timestamp>, change: ClaimChange) -> Self {
        let owner = Uuid::from_u128(owner);
        self.0.claims.push(Claim { set: SET, value: [value; 32], owner, until, change });
        self
    }

    fn row(mut self, id: u128, expected: Option<u64>, label: Option<&str>) -> Self {
        self.0.rows.push(RowWrite {
            table: ROWS,
            key_column: "id",
            key: Value::Uuid(Uuid::from_u128(id)),
            expected,
            columns: label.map(|label| vec![("label", label.into())]),
        });
        self
    }

    /// Under this key; the answer names the commit's position and `answer`.
    fn key(mut self, key: u8, content: u8, answer: impl Into<String>) -> Self {
        let answer = answer.into();
        self.0.ledger = Some(LedgerEntry {
            key: [key; 32],
            content: [content; 32],
            answer: Box::new(move |committed| rendered(committed, &answer)),
        });
        self
    }

    fn now(mut self, now: Timestamp) -> Self {
        self.0.now = now;
        self
    }

    async fn of(self, log: &impl Log) -> Result<Committed, CommitError> {
        log.commit(self.0).await
    }
}

/// The claims' set.
const SET: &str = "name";

fn rendered(committed: &Committed, answer: &str) -> Vec<u8> {
    format!("{answer} at {}", committed.last).into_bytes()
}

fn stream(n: u64) -> StreamId {
    StreamId { category: "thing", id: Uuid::from_u128(n.into()) }
}

fn event() -> NewEvent {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let n = NUMBER.fetch_add(1, Ordering::Relaxed);
    NewEvent {
        id: Uuid::from_u128(u128::from(n)),
        name: "thing.happened".into(),
        schema: 3,
        data: Bytes::from(format!(r#"{{"n":{n},"text":"ß 你好"}}"#)),
    }
}

/// The epoch of the logs in which the suite's consumers have their places.
const EPOCH: Uuid = Uuid::from_u128(6);

/// Moves a place, without a lease.
async fn save(places: &impl PlaceStore, consumer: &str, source: &str, position: u64) {
    let place = Place { position: Position(position), epoch: EPOCH };
    places.save(consumer, source, place, None).await.unwrap();
}

/// The position of a place; 0 if there is none.
async fn position(places: &impl PlaceStore, consumer: &str, source: &str) -> u64 {
    let place = places.load(consumer, source).await.unwrap();
    place.map_or(0, |place| place.position.0)
}

fn after_noon(millis: i64) -> Timestamp {
    noon() + SignedDuration::from_millis(millis)
}

/// Everything in the log, asserted to have no gap.
async fn whole(log: &impl Log) -> Vec<Arc<RecordedEvent>> {
    let mut events: Vec<Arc<RecordedEvent>> = Vec::new();
    loop {
        let place = events.last().map(|last| last.position).unwrap_or_default();
        let more = log.read(place, 300).await.unwrap();
        if more.is_empty() {
            return events;
        }
        for event in more {
            assert_eq!(event.position.0, events.len() as u64 + 1, "positions have no gap");
            events.push(event);
        }
    }
}

fn is_conflict(result: &Result<Committed, CommitError>, on: u64, is_at: u64) -> bool {
    matches!(result, Err(CommitError::Conflict { id, actual, .. }) if *id == stream(on).id && *actual == is_at)
}
