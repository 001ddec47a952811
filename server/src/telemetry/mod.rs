//! Logs, metrics and traces.

mod traces;

use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::field::Field;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use self::traces::Spans;
pub use self::traces::Traces;
use crate::config::{Config, LogConfig, LogFormat};

/// PostgreSQL's notices say that what is made only if it isn't there was there. What is configured wins.
const QUIETER: &str = "tokio_postgres=warn";

/// Sends the process's logs to standard error: for people on a terminal, a JSON object a line otherwise.
pub fn start_logs(config: &LogConfig) {
    start(config, None);
}

/// Sends the process's logs to standard error and, where that is configured, its traces to a collector, for as long as
/// what it gives lives. `services`: those that run in this process.
pub fn start_logs_and_traces(config: &Config, services: &str) -> anyhow::Result<Option<Traces>> {
    let (traces, spans) = traces::start(&config.traces, services)?.unzip();
    start(&config.log, spans);
    Ok(traces)
}

fn start(config: &LogConfig, spans: Option<Spans>) {
    // Checked when the configuration was read.
    let filter =
        EnvFilter::try_new(format!("{QUIETER},{}", config.level)).unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if json {
        lines.json().flatten_event(true).with_span_list(false).boxed()
    } else {
        lines.with_ansi(terminal).fmt_fields(format::debug_fn(write_field).delimited(" ")).boxed()
    };
    let registry = tracing_subscriber::registry();
    // A second call, as tests make, changes nothing.
    let _ = match spans {
        // One filter for all costs less than one for each.
        None => registry.with(lines).with(filter).try_init(),
        Some(spans) => registry
            .with(lines.with_filter(filter))
            .with(spans.with_filter(filter_fn(traces::concerns)))
            .try_init(),
    };
}

use tracing_subscriber::field::MakeExt as _;

/// Writes a field so that nothing that came from outside can end the line, start another, or speak to the terminal.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() != "message" {
        write!(writer, "{}=", field.name())?;
    }
    let mut encoded = Encoding(writer);
    write!(encoded, "{value:?}")
}

/// Control characters (C0, DEL, C1) and Unicode's line and direction marks as their escapes.
struct Encoding<'a, 'b>(&'a mut Writer<'b>);

impl fmt::Write for Encoding<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(speaks_to_terminals) {
            let (before, after) = rest.split_at(at);
            self.0.write_str(before)?;
            let mut after = after.chars();
            for escape in after.next().into_iter().flat_map(char::escape_unicode) {
                self.0.write_char(escape)?;
            }
            rest = after.as_str();
        }
        self.0.write_str(rest)
    }
}

fn speaks_to_terminals(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Upper bounds of the buckets of durations, in seconds: from a cached read to the longest deadline.
const SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Starts collecting metrics; the handle gives them as Prometheus's text. `None` if something collects already.
pub fn start_metrics() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .expect("the list of buckets isn't empty");
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).ok()?;
    describe();
    metrics::gauge!("parlor_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Some(handle)
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!("http_requests_total", Unit::Count, "Requests answered, by route, method and status.");
    describe_histogram!(
        "http_request_seconds",
        Unit::Seconds,
        "How long requests took, by route and method."
    );
    describe_counter!("cqrs_commands_total", Unit::Count, "Commands, by how they ended.");
    describe_histogram!("cqrs_command_seconds", Unit::Seconds, "How long commands took.");
    describe_histogram!("cqrs_query_seconds", Unit::Seconds, "How long queries took.");
    describe_gauge!(
        "cqrs_handler_lag_events",
        Unit::Count,
        "How far each event handler is behind its source."
    );
    describe_counter!(
        "parlor_webhook_deliveries_total",
        Unit::Count,
        "Messages to webhooks, by whether they were taken."
    );
    describe_gauge!("parlor_webhook_lag_events", Unit::Count, "How far each webhook is behind.");
    describe_counter!("parlor_pushes_total", Unit::Count, "Pushed notifications, by what became of them.");
    describe_gauge!("parlor_info", "The version that runs.");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Written {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn security_36_a_value_cannot_forge_a_log_line_or_speak_to_the_terminal() {
        let written = Written::default();
        let fields = format::debug_fn(write_field).delimited(" ");
        let subscriber = tracing_subscriber::fmt()
            .with_writer(written.clone())
            .with_ansi(false)
            .fmt_fields(fields)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let hostile = "a\nINFO forged\r\x1b[31m\u{9b}2J\u{2028}\u{202e}b";
            tracing::info!(shown = %hostile, quoted = hostile, "said {hostile}");
            let _in_span = tracing::info_span!("request", id = %hostile).entered();
            tracing::info!("inside");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text:?}");
        let bare = text.replace('\n', "");
        assert!(!bare.contains(speaks_to_terminals), "{bare:?}");
        assert!(bare.contains("forged"), "the text itself stays: {bare}");
    }
}
