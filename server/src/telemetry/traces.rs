//! Traces, sent to a collector by OpenTelemetry's protocol (OTLP over HTTP).
//!
//! Spans get their ids from what the kernel says of them (`cqrs_core`'s module `trace`): a trace is a correlation, an
//! event is a span whose id follows from its own. `tracing-opentelemetry` leaves ids to the SDK, so that whoever reacts
//! to an event in another process couldn't know where to go on; hence a layer of our own between `tracing` and the
//! SDK's exporter (ADR 22).

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor as _};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::config::TracesConfig;

/// Where OTLP over HTTP takes traces, by its specification.
const PATH: &str = "v1/traces";
/// How long the last spans may take to go out when the process ends.
const FLUSH: Duration = Duration::from_secs(2);

/// Sends spans on their way, as long as it lives.
#[derive(Debug)]
pub struct Traces(Arc<BatchSpanProcessor>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Traces as configured, and the layer that makes them, if they are; `services` are those that run in this process.
pub(super) fn start(config: &TracesConfig, services: &str) -> anyhow::Result<Option<(Traces, Spans)>> {
    let Some(endpoint) = &config.endpoint else { return Ok(None) };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/{PATH}", endpoint.trim_end_matches('/')))
        .build()
        .context("traces.endpoint can't be used")?;
    let mut processor = BatchSpanProcessor::builder(exporter).build();
    let named = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", uuid::Uuid::from_u128(rand::random()).to_string()),
        KeyValue::new("parlor.services", services.to_owned()),
    ];
    processor.set_resource(&Resource::builder().with_service_name("parlor").with_attributes(named).build());
    let processor = Arc::new(processor);
    let scope = InstrumentationScope::builder("parlor").build();
    let spans = Spans { processor: processor.clone(), share: Share::of(config.sample), scope };
    Ok(Some((Traces(processor), spans)))
}

/// The share of traces that are kept: the same ones in every process, for the trace's id decides.
#[derive(Debug, Clone, Copy)]
struct Share(u64);

impl Share {
    /// Of which `share` between 0 and 1 is kept.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a range"
    )]
    fn of(share: f64) -> Self {
        Self((share.clamp(0.0, 1.0) * u64::MAX as f64) as u64)
    }

    /// The lower half of an id is drawn at random, but for two bits of a UUID's, which a shift drops.
    fn holds(self, trace: TraceId) -> bool {
        let bytes = trace.to_bytes();
        let half = u64::from_be_bytes([
            bytes[8], bytes[9], bytes[10], bytes[11], bytes[12], bytes[13], bytes[14], bytes[15],
        ]);
        self.0 == u64::MAX || half << 2 < self.0
    }
}

/// Makes a span of OpenTelemetry's of each span that belongs to a trace.
#[derive(Debug)]
pub(super) struct Spans {
    processor: Arc<BatchSpanProcessor>,
    share: Share,
    scope: InstrumentationScope,
}

/// Whether something is to be seen in traces: the kernel's and Parlor's own spans, and what fails in them.
pub(super) fn concerns(metadata: &Metadata<'_>) -> bool {
    let ours = ["cqrs_", "parlor"].iter().any(|prefix| metadata.target().starts_with(prefix));
    ours && *metadata.level() <= Level::DEBUG && (metadata.is_span() || *metadata.level() == Level::ERROR)
}

/// A span that hasn't ended.
#[derive(Debug)]
struct Open {
    trace: TraceId,
    span: SpanId,
    parent: SpanId,
    parent_is_remote: bool,
    started: SystemTime,
    attributes: Vec<KeyValue>,
    status: Status,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let within = span
            .parent()
            .and_then(|parent| parent.extensions().get::<Open>().map(|open| (open.trace, open.span)));
        let trace = fields.trace.or(within.map(|(trace, _)| trace));
        let Some(trace) = trace.filter(|trace| self.share.holds(*trace)) else { return };
        let within = within.filter(|(of, _)| *of == trace).map(|(_, span)| span);
        let parent = fields.parent.or(within).unwrap_or(SpanId::INVALID);
        span.extensions_mut().insert(Open {
            trace,
            span: fields
                .span
                .unwrap_or_else(|| SpanId::from_bytes(rand::random::<u64>().max(1).to_be_bytes())),
            parent,
            parent_is_remote: fields.parent.is_some(),
            started: now(),
            attributes: fields.others,
            status: Status::Unset,
        });
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        let Some(open) = extensions.get_mut::<Open>() else { return };
        let mut fields = Fields::default();
        record.record(&mut fields);
        if let Some(parent) = fields.parent {
            (open.parent, open.parent_is_remote) = (parent, true);
        }
        open.attributes.append(&mut fields.others);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            // The log says what went wrong; here it might tell somebody else of it.
            open.status = Status::error(event.metadata().target());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        let (name, span_kind) = title(span.name(), &open.attributes);
        self.processor.on_end(SpanData {
            span_context: SpanContext::new(
                open.trace,
                open.span,
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: open.parent,
            parent_span_is_remote: open.parent_is_remote,
            span_kind,
            name: name.into(),
            start_time: open.started,
            end_time: now(),
            attributes: open.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: open.status,
            instrumentation_scope: self.scope.clone(),
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "when something was done is what a trace tells; nothing depends on it"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

/// What people see a span called, and what it is: `POST /v1/conversations`, `SendMessage`, `react notify_of_chat`.
fn title(name: &'static str, attributes: &[KeyValue]) -> (String, SpanKind) {
    let of = |key: &str| {
        let found = attributes.iter().find(|attribute| attribute.key.as_str() == key);
        found.map_or(String::new(), |attribute| attribute.value.to_string())
    };
    match name {
        "request" => (format!("{} {}", of(METHOD), of(ROUTE)), SpanKind::Server),
        "command" | "query" | "event" => (of("name"), SpanKind::Internal),
        "publish" => (format!("publish {}", of("topic")), SpanKind::Producer),
        "react" => (format!("react {}", of("handler")), SpanKind::Consumer),
        _ => (name.to_owned(), SpanKind::Internal),
    }
}

// OpenTelemetry's names (semantic conventions for HTTP, stable since 1.23).
const METHOD: &str = "http.request.method";
const ROUTE: &str = "http.route";
const STATUS: &str = "http.response.status_code";

/// A span's fields: those that place it in its trace, and the others.
#[derive(Default)]
struct Fields {
    trace: Option<TraceId>,
    span: Option<SpanId>,
    parent: Option<SpanId>,
    others: Vec<KeyValue>,
}

impl Fields {
    fn take(&mut self, field: &Field, value: Value) {
        let key = match field.name() {
            "method" => METHOD,
            "route" => ROUTE,
            "status" => STATUS,
            name => name,
        };
        self.others.push(KeyValue::new(key, value));
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, i64::try_from(value).unwrap_or(i64::MAX).into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned().into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "correlation" => {
                self.trace = uuid::Uuid::parse_str(&text).ok().map(|id| TraceId::from_bytes(*id.as_bytes()));
            }
            "span" => self.span = SpanId::from_hex(&text).ok(),
            "parent" => self.parent = SpanId::from_hex(&text).ok(),
            _ => self.take(field, text.into()),
        }
    }
}
