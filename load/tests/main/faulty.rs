//! Servers that answer fast and wrong: the load must fail.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use parking_lot::Mutex;
use parlor_load::Arguments;
use serde_json::{Value, json};
use uuid::Uuid;

/// What the server does with the 20th message.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    Loses,
    Doubles,
    Alters,
    /// Answers that something went wrong, and has stored it.
    Breaks,
}

struct Server {
    fault: Fault,
    rooms: Mutex<HashMap<Uuid, Vec<Value>>>,
    sent: Mutex<u64>,
}

/// An id that nothing else has.
fn fresh_id() -> Uuid {
    static IDS: AtomicU64 = AtomicU64::new(1);
    Uuid::from_u128(IDS.fetch_add(1, Ordering::Relaxed).into())
}

/// The part of Parlor's API that the tool uses, with nothing behind it.
async fn start(fault: Fault) -> SocketAddr {
    let server = Arc::new(Server { fault, rooms: Mutex::default(), sent: Mutex::default() });
    let app = Router::new()
        .route("/v1/users", post(|| async { (StatusCode::CREATED, Json(json!({"id": fresh_id()}))) }))
        .route("/v1/auth/tokens", post(sign_in))
        .route("/v1/conversations", post(create).get(list))
        .route("/v1/conversations/{id}/messages", post(send).get(page))
        .route("/v1/messages/search", get(list))
        .with_state(server);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn sign_in(Json(asked): Json<Value>) -> Response {
    let signed_in = json!({
        "accessToken": "a", "refreshToken": "r", "tokenType": "Bearer", "expiresIn": 300,
        "userId": asked["userId"], "sessionId": fresh_id(),
    });
    (StatusCode::CREATED, Json(signed_in)).into_response()
}

const AT: &str = "2026-01-01T00:00:00Z";

async fn create(State(server): State<Arc<Server>>) -> Response {
    let id = fresh_id();
    server.rooms.lock().insert(id, Vec::new());
    let made = json!({
        "id": id, "kind": "group", "title": null, "history": "all", "createdBy": id, "participants": [],
        "participantCount": 1, "lastMessage": null, "unreadCount": 0, "updatedAt": AT, "createdAt": AT,
    });
    (StatusCode::CREATED, Json(made)).into_response()
}

async fn list() -> Json<Value> {
    Json(json!({"items": [1], "nextCursor": null}))
}

async fn send(
    State(server): State<Arc<Server>>,
    Path(room): Path<Uuid>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Response {
    assert!(headers.contains_key("idempotency-key") && headers["authorization"] == "Bearer a");
    let mut sent = server.sent.lock();
    *sent += 1;
    let message = json!({
        "id": fresh_id(), "conversationId": room, "senderId": room, "type": "text", "content": asked["content"],
        "replyTo": null, "position": sent.to_string(), "createdAt": AT, "editedAt": null,
    });
    let mut rooms = server.rooms.lock();
    let messages = rooms.get_mut(&room).unwrap();
    let fault = if *sent == 20 { server.fault } else { Fault::None };
    messages.push(message.clone());
    match fault {
        Fault::None => {}
        Fault::Loses => drop(messages.pop()),
        Fault::Doubles => messages.push(message.clone()),
        Fault::Alters => messages.last_mut().unwrap()["content"] = json!("something else"),
        Fault::Breaks => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
    (StatusCode::CREATED, Json(message)).into_response()
}

async fn page(State(server): State<Arc<Server>>, Path(room): Path<Uuid>) -> Json<Value> {
    let items: Vec<Value> = server.rooms.lock()[&room].iter().rev().cloned().collect();
    Json(json!({"items": items, "nextCursor": null}))
}

#[derive(Parser)]
struct Tool {
    #[command(flatten)]
    arguments: Arguments,
}

/// What the tool says of such a server.
async fn load(fault: Fault, fill: &str, more: &[&str]) -> Result<String, String> {
    let address = start(fault).await;
    let small = ["load", "--people", "5", "--rooms", "4", "--members", "3", "--fill", fill, "--seconds", "1"];
    let tool = Tool::parse_from([&small[..], &["--rate", "200", "--mix", "send=1,read=1"], more].concat());
    let loaded = parlor_load::load(&tool.arguments, address, "psk_test", "test").await;
    loaded.map_err(|error| format!("{error:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_keeps_what_it_acknowledged_is_verified_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (json, plot) = (folder.path().join("load.json"), folder.path().join("load.svg"));
    let files = ["--json", json.to_str().unwrap(), "--plot", plot.to_str().unwrap()];
    let said = load(Fault::None, "5", &files).await.unwrap();
    assert!(said.contains("Verified: 120 messages were acknowledged"), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(
        (&report["kinds"]["send"]["done"], &report["kinds"]["read"]["done"]),
        (&json!(100), &json!(100))
    );
    assert_eq!(
        report["verified"],
        json!({"holds": true, "acknowledged": 120, "readBack": 120, "unansweredButStored": 0, "wrong": []})
    );
    assert!(std::fs::read_to_string(plot).unwrap().starts_with("<svg"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_doubled_or_altered_fails_the_load() {
    let (doubles, alters) = tokio::join!(load(Fault::Doubles, "5", &[]), load(Fault::Alters, "5", &[]));
    let (doubles, alters) = (doubles.unwrap_err(), alters.unwrap_err());
    assert!(doubles.contains("isn't what is there") && doubles.contains("twice"), "{doubles}");
    assert!(alters.contains("doesn't say what was sent"), "{alters}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_lost_fails_the_load_once_nobody_waits_for_it_any_more() {
    let lost = load(Fault::Loses, "5", &["--wait", "1"]).await.unwrap_err();
    assert!(lost.contains("was acknowledged and isn't in conversation"), "{lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_stored_without_an_answer_is_no_lie() {
    let said = load(Fault::Breaks, "0", &[]).await.unwrap();
    assert!(said.contains("send: 500 (1 times)") && said.contains("Verified: 99 messages"), "{said}");
}

#[test]
fn another_machine_is_left_alone_unless_that_is_allowed() {
    let address = |url: &str, more: &[&str]| {
        Tool::parse_from([&["load"], more].concat()).arguments.address(url).map_err(|error| error.to_string())
    };
    assert!(address("http://192.0.2.1:8080", &[]).unwrap_err().contains("--allow-remote"));
    assert_eq!(address("http://192.0.2.1:8080/", &["--allow-remote"]).unwrap().to_string(), "192.0.2.1:8080");
    assert_eq!(address("http://127.0.0.1", &[]).unwrap().port(), 80);
    assert!(address("https://127.0.0.1", &[]).unwrap_err().contains("plain HTTP"));
    assert!(address("http://127.0.0.1:80/v1", &[]).unwrap_err().contains("no address"));
}
