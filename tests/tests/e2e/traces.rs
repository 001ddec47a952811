//! One trace from a request through the log, and whatever carries events between services, to what it causes elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use parlor_tests::{Options, Server, Store, User, eventually};
use prost::Message as _;
use tokio::sync::Mutex;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_and_its_notification_are_one_trace_on_sqlite() {
    one_trace(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_and_its_notification_are_one_trace_on_postgresql() {
    if let Some(store) = Store::postgres() {
        one_trace(store).await;
    }
}

/// What the collector was sent, a body each.
type Sent = Arc<Mutex<Vec<Bytes>>>;

/// A collector of OpenTelemetry's protocol: takes and keeps what it is sent; gives its address.
async fn collector() -> (String, Sent) {
    async fn take(State(sent): State<Sent>, body: Bytes) {
        sent.lock().await.push(body);
    }
    let sent = Sent::default();
    let routes = Router::new().route("/v1/traces", post(take)).with_state(sent.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, sent)
}

/// The spans of a trace, by their ids.
async fn spans(sent: &Sent, trace: &[u8]) -> BTreeMap<Vec<u8>, Span> {
    let sent = sent.lock().await;
    let requests = sent.iter().map(|body| ExportTraceServiceRequest::decode(body.clone()).unwrap());
    let spans = requests
        .flat_map(|request| request.resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans);
    spans.filter(|span| span.trace_id == trace).map(|span| (span.span_id.clone(), span)).collect()
}

async fn one_trace(store: Store) {
    const CANARY: &str = "a canary sings behind the curtain";
    let (endpoint, sent) = collector().await;
    let several = matches!(store, Store::Cluster { .. });
    let options = Options { limits: false, settings: vec![("PARLOR_TRACES_ENDPOINT", endpoint)] };
    let mut server = Server::start_with(store, options).await;
    let (ann, bob) = (User::sign_up(server.api(), "Ann").await, User::sign_up(server.api(), "Bob").await);
    let room = ann.direct(&bob).await;
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    ann.saying(&room, CANARY).header("traceparent", caller).expect(201).await;
    eventually("Bob is told", async || {
        let items = bob.get("/v1/notifications").expect(200).await.items();
        items.iter().any(|item| item.to_string().contains(&room)).then_some(())
    })
    .await;
    // What isn't sent yet is sent at the end.
    server.stop().await;

    let trace = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();
    let spans = spans(&sent, &trace).await;
    let way = |span: &Span| {
        let mut names = vec![span.name.clone()];
        let mut at = span;
        while let Some(parent) = spans.get(&at.parent_span_id) {
            names.push(parent.name.clone());
            at = parent;
        }
        assert_eq!(at.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes(), "{names:?} begins elsewhere");
        names.reverse();
        names
    };
    let ways: BTreeSet<_> = spans.values().map(way).collect();
    let told: Vec<_> =
        ways.iter().filter(|way| way.last().is_some_and(|last| last == "notification.created")).collect();
    assert_eq!(
        told,
        [&[
            "POST /v1/conversations/{id}/messages",
            "chat.send-message",
            "message.sent",
            "react notify-of-chat",
            "notification.create-notifications",
            "notification.created"
        ]],
        "{ways:#?}"
    );
    let published = ways
        .iter()
        .any(|way| way.last().is_some_and(|last| last.starts_with("publish ") && last.ends_with(".chat.v1")));
    assert_eq!(published, several, "{ways:#?}");
    // What people say is nobody's who watches over the servers.
    let all = sent.lock().await;
    assert!(!all.iter().any(|body| body.windows(CANARY.len()).any(|part| part == CANARY.as_bytes())));
}
