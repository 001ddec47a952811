//! What a batch writes, by column, as `unnest` takes it.

use std::sync::Arc;

use cqrs_core::{LedgerRecord, RecordedEvent};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Param;

/// Events.
#[derive(Default)]
pub(super) struct EventColumns<'a> {
    position: Vec<i64>,
    id: Vec<Uuid>,
    category: Vec<&'a str>,
    stream: Vec<Uuid>,
    version: Vec<i64>,
    name: Vec<&'a str>,
    schema: Vec<i16>,
    at: Vec<i64>,
    actor_kind: Vec<i16>,
    actor: Vec<Option<Uuid>>,
    correlation: Vec<Uuid>,
    causation: Vec<Option<Uuid>>,
    data: Vec<&'a [u8]>,
}

impl<'a> EventColumns<'a> {
    pub(super) fn of(events: &'a [Arc<RecordedEvent>]) -> Self {
        let mut columns = Self::default();
        for event in events {
            let (actor_kind, actor) = event.actor.parts();
            columns.position.push(event.position.0 as i64);
            columns.id.push(event.id);
            columns.category.push(&event.category);
            columns.stream.push(event.stream);
            columns.version.push(event.version as i64);
            columns.name.push(&event.name);
            columns.schema.push(event.schema as i16);
            columns.at.push(event.at.as_millisecond());
            columns.actor_kind.push(actor_kind);
            columns.actor.push(actor);
            columns.correlation.push(event.correlation);
            columns.causation.push(event.causation);
            columns.data.push(&event.data);
        }
        columns
    }

    pub(super) fn params(&self) -> [Param<'_>; 13] {
        [
            (&self.position, Type::INT8_ARRAY),
            (&self.id, Type::UUID_ARRAY),
            (&self.category, Type::TEXT_ARRAY),
            (&self.stream, Type::UUID_ARRAY),
            (&self.version, Type::INT8_ARRAY),
            (&self.name, Type::TEXT_ARRAY),
            (&self.schema, Type::INT2_ARRAY),
            (&self.at, Type::INT8_ARRAY),
            (&self.actor_kind, Type::INT2_ARRAY),
            (&self.actor, Type::UUID_ARRAY),
            (&self.correlation, Type::UUID_ARRAY),
            (&self.causation, Type::UUID_ARRAY),
            (&self.data, Type::BYTEA_ARRAY),
        ]
    }
}

/// Answers to keep.
pub(super) struct LedgerColumns<'a> {
    pub(super) key: Vec<&'a [u8]>,
    content: Vec<&'a [u8]>,
    answer: Vec<&'a [u8]>,
}

impl<'a> LedgerColumns<'a> {
    pub(super) fn of(ledger: &'a [([u8; 32], LedgerRecord)]) -> Self {
        Self {
            key: ledger.iter().map(|(key, _)| key.as_slice()).collect(),
            content: ledger.iter().map(|(_, record)| record.content.as_slice()).collect(),
            answer: ledger.iter().map(|(_, record)| record.answer.as_slice()).collect(),
        }
    }

    pub(super) fn params(&self) -> [Param<'_>; 3] {
        [
            (&self.key, Type::BYTEA_ARRAY),
            (&self.content, Type::BYTEA_ARRAY),
            (&self.answer, Type::BYTEA_ARRAY),
        ]
    }
}
