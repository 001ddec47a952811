//! A batch as one statement, committed with it: for a log that nobody else has written to since this process last did.
//!
//! The head is known then. That each stream is where its command expects it is taken for granted, planned with, and made the
//! condition of the statement, which takes the head's lock only where the head is still the known one. Every commit of events
//! moves the head, so that what the statement sees is what there is. Where anything is otherwise it writes nothing, and the
//! batch is taken the careful way, which finds out what.

use std::collections::HashMap;

use cqrs_core::{Position, StoreError, StreamId};
use futures::future::join3;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::rows::{EventColumns, LedgerColumns};
use super::{Connection, Param};
use crate::batch::{Facts, Plan, Waiting};

/// Where the log stood after this process's last commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) head: Position,
    /// The log's time, in milliseconds.
    pub(super) at: i64,
}

/// How trying it at once ended.
pub(super) enum Ended {
    /// All of it is committed.
    Committed(Plan),
    /// None of it is.
    NotAtOnce,
    /// There was no answer, or none that says.
    Unknown(StoreError),
}

/// Commits batches at once.
pub(super) struct AtOnce {
    sql: String,
    known: Option<Known>,
    /// How many batches are taken the careful way, since others commit as well.
    pause: u32,
    /// How many it will be the next time that others did.
    next_pause: u32,
}

/// Beside others that commit, one batch in so many is tried at once.
const LONGEST_PAUSE: u32 = 64;

impl AtOnce {
    /// For the log in this schema, its name quoted.
    pub(super) fn in_schema(s: &str) -> Self {
        // Streams and keys are looked up one by one: a plan that was made while the tables were empty may stay for long, and
        // must not read them whole.
        let sql = format!(
            "WITH moved AS (
               UPDATE {s}.head SET position = $2, at = $3 WHERE position = $1 AND at <= $3
                 AND NOT EXISTS (
                   SELECT FROM unnest($4::uuid[], $5::text[], $6::bigint[]) AS x (stream, category, version)
                   WHERE x.version <> coalesce((SELECT e.version FROM {s}.events e
                     WHERE e.stream = x.stream AND e.category = x.category ORDER BY e.version DESC LIMIT 1), 0))
                 AND NOT EXISTS (SELECT FROM unnest($20::bytea[]) AS k (key)
                   WHERE (SELECT true FROM {s}.ledger l WHERE l.key = k.key))
               RETURNING 1
             ), recorded AS (
               INSERT INTO {s}.events (position, id, category, stream, version, name, schema, at, actor_kind,
                 actor, correlation, causation, data)
               SELECT * FROM unnest($7::bigint[], $8::uuid[], $9::text[], $10::uuid[], $11::bigint[], $12::text[],
                 $13::smallint[], $14::bigint[], $15::smallint[], $16::uuid[], $17::uuid[], $18::uuid[],
                 $19::bytea[])
               WHERE EXISTS (SELECT FROM moved)
             ), kept AS (
               INSERT INTO {s}.ledger (key, content, answer, at)
               SELECT k, c, a, $3 FROM unnest($20::bytea[], $21::bytea[], $22::bytea[]) AS r(k, c, a)
               WHERE EXISTS (SELECT FROM moved)
             )
             SELECT count(*) FROM moved"
        );
        Self { sql, known: None, pause: 0, next_pause: 1 }
    }

    /// Tries it. The batch is as it was, whatever comes of it.
    pub(super) async fn commit(&mut self, connection: &Connection, batch: &mut [Waiting]) -> Ended {
        let Some(known) = self.known else { return Ended::NotAtOnce };
        if self.pause > 0 {
            self.pause -= 1;
            return Ended::NotAtOnce;
        }
        let Some(mut facts) = Facts::taken_for_granted(batch) else { return Ended::NotAtOnce };
        let expected: Vec<_> = facts.versions.iter().map(|(stream, version)| (*stream, *version)).collect();
        let plan = Plan::make(batch, &mut facts, known.head, known.at);
        // One that is to be refused is refused for what there is, not for what others of the batch expected. And only what
        // moves the head can rely on nobody else's having moved it.
        if plan.events.is_empty() || plan.results.iter().any(Result::is_err) {
            return Ended::NotAtOnce;
        }
        match self.send(connection, known, &plan, &unproven(expected, &facts.versions)).await {
            Ok(true) => {
                self.next_pause = (self.next_pause / 2).max(1);
                self.known = Some(Known { head: plan.head, at: plan.at });
                Ended::Committed(plan)
            }
            Ok(false) => Ended::NotAtOnce,
            Err(error @ StoreError::Unavailable(_)) => Ended::Unknown(error),
            // The server's no, as to a stream that was to be new and isn't.
            Err(error) => {
                tracing::debug!(%error, "a batch is taken the careful way");
                Ended::NotAtOnce
            }
        }
    }

    /// Whether everything was as expected, and is committed.
    async fn send(
        &self,
        connection: &Connection,
        known: Known,
        plan: &Plan,
        expected: &[(StreamId, u64)],
    ) -> Result<bool, StoreError> {
        let (before, after) = (known.head.0 as i64, plan.head.0 as i64);
        let streams: Vec<Uuid> = expected.iter().map(|(stream, _)| stream.id).collect();
        let categories: Vec<&str> = expected.iter().map(|(stream, _)| stream.category).collect();
        let versions: Vec<i64> = expected.iter().map(|(_, version)| *version as i64).collect();
        let (events, ledger) = (EventColumns::of(&plan.events), LedgerColumns::of(&plan.ledger));
        let mut params: Vec<Param<'_>> = vec![
            (&before, Type::INT8),
            (&after, Type::INT8),
            (&plan.at, Type::INT8),
            (&streams, Type::UUID_ARRAY),
            (&categories, Type::TEXT_ARRAY),
            (&versions, Type::INT8_ARRAY),
        ];
        params.extend(events.params());
        params.extend(ledger.params());
        let asked = connection.query_one(&self.sql, &params);
        let row = if connection.is_limited() {
            asked.await?
        } else {
            // A session of others' as well has no limits of its own: they come with a transaction.
            let (begun, row, ended) = join3(connection.begin(""), asked, connection.commit()).await;
            begun?;
            let row = row?;
            ended?;
            row
        };
        Ok(row.get::<_, i64>(0) == 1)
    }

    /// What the careful way found and left behind.
    pub(super) fn learn(&mut self, found: Position, left: Known) {
        if self.known.is_some_and(|known| known.head != found) {
            self.pause = self.next_pause;
            self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
        }
        self.known = Some(left);
    }

    /// Nothing is known any more.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }
}

/// What must be asked: that a stream is new proves its first event, whose version can't be there twice.
fn unproven(mut expected: Vec<(StreamId, u64)>, after: &HashMap<StreamId, u64>) -> Vec<(StreamId, u64)> {
    expected.retain(|(stream, version)| *version > 0 || after.get(stream).is_none_or(|after| *after == 0));
    expected
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cqrs_core::{Actor, Append, Commit, Guard, LedgerEntry, Log as _, NewEvent};
    use jiff::Timestamp;
    use tokio::sync::oneshot;

    use super::*;
    use crate::SqlLog;
    use crate::log::{Location, LogOptions};
    use crate::postgres::log::quoted;
    use crate::testing::TestSchema;

    fn stream(n: u128) -> StreamId {
        StreamId { category: "thing", id: Uuid::from_u128(n) }
    }

    /// An event for a stream that relies on another.
    fn command(n: u128, expected: u64, relies_on: (u128, u64), key: u8) -> Commit {
        let event = NewEvent {
            id: Uuid::new_v5(&Uuid::from_u128(n), &[key]),
            name: "happened".into(),
            schema: 1,
            data: b"{}".as_slice().into(),
        };
        let mut commit = Commit::new(Actor::System, Uuid::nil(), Timestamp::UNIX_EPOCH);
        commit.appends.push(Append { stream: stream(n), expected, events: vec![event] });
        commit.guards.push(Guard { stream: stream(relies_on.0), expected: relies_on.1 });
        commit.ledger =
            Some(LedgerEntry { key: [key; 32], content: [0; 32], answer: Box::new(|_| b"done".to_vec()) });
        commit
    }

    fn batch(commits: impl IntoIterator<Item = Commit>) -> Vec<Waiting> {
        commits.into_iter().map(|commit| Waiting { commit, reply: oneshot::channel().0 }).collect()
    }

    /// A log with an event in each of the streams 1 and 2, under the keys 1 and 2.
    async fn log_of_two(pooled: bool) -> Option<(TestSchema, Arc<SqlLog>, Connection, AtOnce)> {
        let schema = if pooled { TestSchema::pooled(2) } else { TestSchema::new(2) }.expect("a schema")?;
        let Location::Postgres { pool, schema: name } = &schema.location else { return None };
        let log = SqlLog::open("log", &schema.location, Uuid::nil(), None, LogOptions::default())
            .await
            .expect("it opens");
        for n in [1, 2] {
            log.commit(command(n, 0, (9, 0), n as u8)).await.expect("it is the first");
        }
        let connection = pool.get().await.expect("a connection");
        let mut at_once = AtOnce::in_schema(&quoted(name));
        at_once.learn(Position(2), Known { head: Position(2), at: 0 });
        Some((schema, log, connection, at_once))
    }

    async fn what_is_as_expected_is_committed_at_once(pooled: bool) {
        let Some((_schema, log, connection, mut at_once)) = log_of_two(pooled).await else { return };
        // The second relies on what the first does; the third begins a stream.
        let mut all = batch([command(1, 1, (2, 1), 3), command(2, 1, (1, 2), 4), command(3, 0, (4, 0), 5)]);
        let Ended::Committed(plan) = at_once.commit(&connection, &mut all).await else {
            panic!("not at once")
        };
        assert_eq!((plan.head, plan.results.len()), (Position(5), 3));
        let Ended::Committed(plan) =
            at_once.commit(&connection, &mut batch([command(3, 1, (1, 2), 6)])).await
        else {
            panic!("its own commit is what it knows")
        };
        assert_eq!(plan.head, Position(6));
        assert_eq!(log.newest().await.expect("it is read"), Position(6));
        let stored = log.read_stream(stream(3), 0).await.expect("it is read");
        assert_eq!(stored.iter().map(|event| event.position.0).collect::<Vec<_>>(), [5, 6]);
        for key in 1..=6 {
            assert!(log.ledger([key; 32]).await.expect("it is read").is_some(), "key {key}");
        }
    }

    #[tokio::test]
    async fn what_is_as_expected_is_committed_at_once_directly() {
        what_is_as_expected_is_committed_at_once(false).await;
    }

    #[tokio::test]
    async fn what_is_as_expected_is_committed_at_once_behind_a_pooler() {
        what_is_as_expected_is_committed_at_once(true).await;
    }

    #[tokio::test]
    async fn where_anything_is_otherwise_nothing_is_written() {
        let Some((_schema, log, connection, mut at_once)) = log_of_two(false).await else { return };
        let fine = || command(7, 0, (1, 1), 20);
        for (what, other) in [
            ("a version that is older", command(1, 0, (9, 0), 21)),
            ("a version to come", command(1, 2, (9, 0), 22)),
            ("a stream relied on that moved", command(8, 0, (1, 0), 23)),
            ("a stream relied on that never was", command(8, 0, (9, 1), 24)),
            ("a key that is answered", command(8, 0, (1, 1), 2)),
            ("what another of the batch has", command(7, 0, (1, 1), 25)),
        ] {
            let ended = at_once.commit(&connection, &mut batch([fine(), other])).await;
            assert!(matches!(ended, Ended::NotAtOnce), "{what}");
            assert_eq!(log.newest().await.expect("it is read"), Position(2), "{what}");
            assert!(log.read(Position(2), 10).await.expect("it is read").is_empty(), "{what}");
            assert!(log.ledger([20; 32]).await.expect("it is read").is_none(), "{what}");
        }
        // Another process is faster.
        log.commit(command(5, 0, (9, 0), 30)).await.expect("it is the first");
        let ended = at_once.commit(&connection, &mut batch([fine()])).await;
        assert!(matches!(ended, Ended::NotAtOnce));
        assert!(log.read_stream(stream(7), 0).await.expect("it is read").is_empty());
        // Told so, it leaves a batch to the careful way before it tries again.
        at_once.learn(Position(3), Known { head: Position(3), at: 0 });
        assert!(matches!(at_once.commit(&connection, &mut batch([fine()])).await, Ended::NotAtOnce));
        assert!(matches!(at_once.commit(&connection, &mut batch([fine()])).await, Ended::Committed(_)));
    }

    #[tokio::test]
    async fn time_does_not_go_back_behind_what_another_process_kept() {
        let Some((_schema, log, connection, mut at_once)) = log_of_two(false).await else { return };
        let mut later =
            Commit::new(Actor::System, Uuid::nil(), Timestamp::from_millisecond(5).expect("in range"));
        later.ledger =
            Some(LedgerEntry { key: [9; 32], content: [0; 32], answer: Box::new(|_| b"done".to_vec()) });
        log.commit(later).await.expect("a new key");
        let ended = at_once.commit(&connection, &mut batch([command(3, 0, (1, 1), 10)])).await;
        assert!(matches!(ended, Ended::NotAtOnce));
    }
}
