//! WebSocket frames that aren't acceptable: each connection is closed with the code that says why, and the server goes on.

use parlor_tests::{Socket, User};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::raw;
use crate::stage::Stage;

const LARGEST: usize = 64 * 1024;

async fn begun(user: &User) -> Socket {
    let mut socket = Socket::of(user, None).await;
    socket.until("caught-up").await;
    socket
}

async fn assert_closed(mut socket: Socket, code: u16, reason: &str) {
    assert_eq!(socket.closed().await, (code, json!({"type": "closed", "code": reason})));
}

/// A frame as bytes, masked by zeros as a client's has to be, or not.
fn frame(opcode: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut bytes = vec![opcode, mask_bit | 127];
    bytes.extend((payload.len() as u64).to_be_bytes());
    if masked {
        bytes.extend([0; 4]);
    }
    bytes.extend(payload);
    bytes
}

const TEXT: u8 = 0x81;

#[tokio::test]
async fn frames_that_are_too_large_or_no_text_close_with_the_code_that_says_so() {
    let stage = Stage::new().await;
    let ann = &stage.ann;
    // As large as may be: understood, and no frame of ours.
    let mut socket = begun(ann).await;
    let ping = "{\"type\":\"ping\"}";
    socket.send(Message::text(format!("{ping}{}", " ".repeat(LARGEST - ping.len())))).await;
    socket.until("pong").await;
    for size in [LARGEST + 1, 1024 * 1024, 20 * 1024 * 1024] {
        let mut socket = begun(ann).await;
        socket.send(Message::text("x".repeat(size))).await;
        assert_closed(socket, 1009, "frame-too-large").await;
    }
    // Announced only: nobody waits for it.
    let mut socket = begun(ann).await;
    socket.send_bytes(&frame(TEXT, true, b"")[..2]).await;
    socket.send_bytes(&(1_u64 << 40).to_be_bytes()).await;
    socket.send_bytes(&[0; 4]).await;
    assert_closed(socket, 1009, "frame-too-large").await;
    for bytes in [&b"\xff\xfe"[..], b"{\"type\":\"\xc3\"}", b"\xed\xa0\x80"] {
        let mut socket = begun(ann).await;
        socket.send_bytes(&frame(TEXT, true, bytes)).await;
        assert_closed(socket, 1007, "malformed-frame").await;
    }
    let mut socket = begun(ann).await;
    socket.send(Message::binary(b"{\"type\":\"ping\"}".to_vec())).await;
    assert_closed(socket, 1003, "malformed-frame").await;
    for (opcode, masked) in [(TEXT, false), (0x83, true), (0xC1, true), (0x80, true), (0x09, true)] {
        let mut socket = begun(ann).await;
        socket.send_bytes(&frame(opcode, masked, b"{\"type\":\"ping\"}")).await;
        assert_closed(socket, 1002, "malformed-frame").await;
    }
}

#[tokio::test]
async fn fragments_make_one_message_of_at_most_the_same_size() {
    let stage = Stage::new().await;
    let part = |opcode, last, text: &str| {
        Message::Frame(Frame::message(text.as_bytes().to_vec(), OpCode::Data(opcode), last))
    };
    let mut socket = begun(&stage.ann).await;
    socket.send(part(Data::Text, false, "{\"type\":")).await;
    // Control frames may stand between.
    socket.send(Message::Ping(b"still here".to_vec().into())).await;
    socket.send(part(Data::Continue, true, "\"ping\"}")).await;
    socket.until("pong").await;
    socket.send(part(Data::Text, false, "")).await;
    for _ in 0..5 {
        socket.send(part(Data::Continue, false, &"x".repeat(LARGEST / 4))).await;
    }
    assert_closed(socket, 1009, "frame-too-large").await;
}

#[tokio::test]
async fn floods_of_frames_and_of_pings_close_and_leave_nothing() {
    let stage = Stage::new().await;
    let before = stage.stored().await;
    for flood in [
        Message::Ping(vec![0; 125].into()),
        Message::Pong(Vec::new().into()),
        Message::text("{\"type\":\"ping\"}"),
        Message::text(json!({"type": "typing", "conversationId": stage.group}).to_string()),
    ] {
        let mut socket = begun(&stage.ann).await;
        for _ in 0..500 {
            socket.send(flood.clone()).await;
        }
        assert_closed(socket, 1008, "too-many-frames").await;
    }
    assert_eq!(stage.stored().await, before);
}

#[tokio::test]
async fn what_is_no_frame_of_ours_closes_and_so_does_who_says_nothing() {
    let stage = Stage::new().await;
    let id = stage.group.as_str();
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    for text in [
        "",
        "null",
        "7",
        "{}",
        "{\"type\":null}",
        "{\"type\":\"sing\"}",
        "{\"type\":\"ping\",\"type\":\"ping\"}",
        "{\"type\":\"ping\"}}",
        "{\"type\":\"ping\",\"loud\":true}",
        "\u{feff}{\"type\":\"ping\"}",
        "{\"type\":\"typing\"}",
        "{\"type\":\"typing\",\"conversationId\":1e400}",
        "{\"type\":\"typing\",\"conversationId\":\"\\ud800\"}",
        &format!("{{\"type\":\"typing\",\"conversationId\":\"{id}\",\"at\":1}}"),
        "{\"type\":\"start\"}",
        &deep,
    ] {
        let mut socket = begun(&stage.ann).await;
        socket.send(Message::text(text)).await;
        let closed = socket.closed().await;
        assert_eq!(closed, (1008, json!({"type": "closed", "code": "malformed-frame"})), "{text}");
    }
    let mut silent = Socket::open(&stage.ann.api, "", &[]).await.unwrap();
    let closed: (u16, Value) = silent.closed().await;
    assert_eq!(closed, (1008, json!({"type": "closed", "code": "too-late"})));
}

#[tokio::test]
async fn a_handshake_that_is_none_is_refused() {
    let stage = Stage::new().await;
    let token = &stage.ann.token;
    let sound = [
        "connection: Upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let ask = async |method: &str, headers: &[&str]| {
        let head = headers.join("\r\n");
        let request = format!(
            "{method} /v1/ws HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n{head}\r\n\r\n"
        );
        raw::send(stage.ann.api.base(), request.as_bytes()).await.status
    };
    assert_eq!(ask("GET", &sound).await, Some(101));
    for missing in 0..sound.len() {
        let mut rest = sound.to_vec();
        rest.remove(missing);
        assert_eq!(ask("GET", &rest).await, Some(426), "without {}", sound[missing]);
    }
    let other = |n: usize, header: &'static str| {
        let mut headers = sound.to_vec();
        headers[n] = header;
        headers
    };
    assert_eq!(ask("GET", &other(2, "sec-websocket-version: 8")).await, Some(426));
    assert_eq!(ask("GET", &other(3, "sec-websocket-key: short")).await, Some(426));
    assert_eq!(ask("POST", &sound).await, Some(405));
}
