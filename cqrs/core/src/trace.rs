//! One trace through everything that a request sets off, across the log and whatever carries its events.
//!
//! Nothing is stored or sent for it: a trace's id is the correlation id that every event has, and the id of the span
//! that an event is follows from the event's own id. Whoever reacts to an event so knows the span to go on from, in
//! whichever process and however long afterwards.
//!
//! Spans say so in three fields, which a subscriber may make OpenTelemetry's spans of: `correlation` (the trace, a UUID),
//! and `span` and `parent` (16 hexadecimal digits each, W3C Trace Context §3.2.2.4), where they aren't what follows from
//! the nesting of spans.

use uuid::Uuid;

use crate::event::RecordedEvent;
use crate::log::Append;
use crate::source::PUBLIC;

/// The id of a span, written as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId(pub u64);

impl std::fmt::Display for SpanId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl SpanId {
    /// The span that an event is: a private one and the public one made of it are the same.
    pub fn of(event: &RecordedEvent) -> Self {
        match event.causation {
            Some(private) if event.category == PUBLIC => Self::of_id(private),
            _ => Self::of_id(event.id),
        }
    }

    /// The half of an id that is drawn at random (RFC 9562, §5.7).
    fn of_id(id: Uuid) -> Self {
        Self(id.as_u64_pair().1)
    }
}

/// Events that a command is about to record, as spans to be.
#[derive(Default)]
pub(crate) struct Recording(Vec<(std::borrow::Cow<'static, str>, Uuid)>);

impl Recording {
    /// Of what is appended; of nothing, where nobody looks at spans.
    pub(crate) fn of(appends: &[Append]) -> Self {
        if !tracing::span_enabled!(tracing::Level::DEBUG, "event") {
            return Self::default();
        }
        let events = appends.iter().flat_map(|append| &append.events);
        Self(events.map(|event| (event.name.clone(), event.id)).collect())
    }

    /// They are recorded: each is a point in time.
    pub(crate) fn done(self) {
        for (name, id) in self.0 {
            let span = SpanId::of_id(id);
            tracing::debug_span!("event", name = &*name, id = %id, span = %span).in_scope(|| ());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Actor;
    use crate::event::Position;
    use crate::testing::noon;

    #[test]
    fn a_public_event_is_the_span_of_the_private_one_that_it_was_made_of() {
        let private = RecordedEvent {
            position: Position(1),
            id: Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_00ab),
            category: "account".into(),
            stream: Uuid::from_u128(2),
            version: 1,
            name: "opened".into(),
            schema: 1,
            at: noon(),
            actor: Actor::System,
            correlation: Uuid::from_u128(3),
            causation: Some(Uuid::from_u128(4)),
            data: bytes::Bytes::new(),
        };
        let public = RecordedEvent {
            id: Uuid::from_u128(5),
            category: PUBLIC.into(),
            causation: Some(private.id),
            ..private.clone()
        };
        assert_eq!(SpanId::of(&private).to_string(), "80000000000000ab");
        assert_eq!(SpanId::of(&public), SpanId::of(&private));
    }
}
