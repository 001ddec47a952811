//! HTTP that is wrong: methods, types, encodings, lengths, headers.

use reqwest::Method;
use serde_json::json;

use crate::raw;
use crate::stage::{Stage, assert_field, assert_problem, commands};

#[tokio::test]
async fn a_method_that_a_route_does_not_know_is_405_with_those_it_does() {
    let stage = Stage::new().await;
    let before = stage.stored().await;
    let description = stage.ann.api.get("/openapi.json").expect(200).await.json();
    let mut tried = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        let known: Vec<String> =
            item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        let filled = path.replace("{id}", &stage.group).replace("{messageId}", &stage.message);
        let filled = filled.replace("{userId}", &stage.bob.id);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECTED", "get"] {
            // `/v1/users/me` is also a value of `/v1/users/{id}`.
            if known.iter().any(|known| known == method) || path == "/v1/users/me" {
                continue;
            }
            let call = stage.ann.call(method.parse().unwrap(), &filled);
            let reply = call.send().await;
            let what = format!("{method} {path}");
            assert_problem(&reply, 405, "method-not-allowed", &what);
            let allow = reply.header("allow").unwrap_or_else(|| panic!("{what}: no Allow: {reply:?}"));
            for known in &known {
                assert!(allow.split(',').any(|allowed| allowed.trim() == known), "{what}: {allow}");
            }
            tried += 1;
        }
    }
    assert!(tried > 150, "{tried}");
    assert_eq!(stage.stored().await, before);
}

#[tokio::test]
async fn only_plain_json_is_taken_and_only_as_much_as_is_configured() {
    let stage = Stage::new().await;
    let before = stage.stored().await;
    for (method, path, body) in commands(&stage) {
        let bytes = body.to_string();
        let call = || stage.call(method.clone(), path);
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/xml",
            "text/json",
            "*/*",
            "application/json5",
            "",
        ] {
            let reply = call().raw(kind, bytes.clone()).send().await;
            assert_problem(&reply, 415, "unsupported-media-type", &format!("{method} {path}: {kind:?}"));
        }
        for encoding in ["gzip", "br", "deflate", "identity, gzip", "chunked"] {
            let reply = call().json(&body).header("content-encoding", encoding).send().await;
            assert_problem(&reply, 415, "unsupported-media-type", &format!("{method} {path}: {encoding}"));
        }
    }
    // Without a type, and too large with and without its length.
    let path = format!("/v1/conversations/{}/messages", stage.group);
    let untyped =
        stage.ann.call(Method::POST, &path).builder().body(r#"{"content":"c"}"#).send().await.unwrap();
    assert_eq!(untyped.status().as_u16(), 415);
    let large = format!("{{\"content\":\"{}\"}}", "x".repeat(1024 * 1024));
    let reply = stage.ann.call(Method::POST, &path).raw("application/json", large.clone()).send().await;
    assert_problem(&reply, 413, "payload-too-large", "with its length");
    let head = head(&stage, &path, "transfer-encoding: chunked\r\nconnection: close");
    let chunks = format!("{head}{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let reply = raw::send(stage.ann.api.base(), chunks.as_bytes()).await;
    assert!(reply.status.is_none_or(|status| status == 413), "in chunks: {:?}", reply.status);
    assert_eq!(stage.stored().await, before);
}

/// The head of a POST of Ann's in JSON, with these other headers.
fn head(stage: &Stage, path: &str, others: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n{others}\r\n\r\n",
        stage.ann.token
    )
}

#[tokio::test]
async fn lengths_and_framings_that_contradict_each_other_carry_out_nothing() {
    let stage = Stage::new().await;
    let before = stage.stored().await;
    let path = format!("/v1/conversations/{}/messages", stage.group);
    let body = r#"{"content":"smuggled"}"#;
    let base = stage.ann.api.base().to_owned();
    let smuggled = format!("{}{body}", head(&stage, &path, &format!("content-length: {}", body.len())));
    for (name, others, sent) in [
        ("no number", "content-length: many".to_owned(), body.to_owned()),
        ("negative", "content-length: -1".to_owned(), body.to_owned()),
        ("a sign", "content-length: +22".to_owned(), body.to_owned()),
        ("2^64", "content-length: 18446744073709551616".to_owned(), body.to_owned()),
        ("two lengths", format!("content-length: {}\r\ncontent-length: 5", body.len()), body.to_owned()),
        ("a list of lengths", format!("content-length: {}, 5", body.len()), body.to_owned()),
        ("an unknown framing", "transfer-encoding: gzip".to_owned(), body.to_owned()),
        (
            "chunks without sizes",
            "transfer-encoding: chunked".to_owned(),
            format!("zz\r\n{body}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk of 2^64",
            "transfer-encoding: chunked".to_owned(),
            format!("ffffffffffffffff\r\n{body}\r\n0\r\n\r\n"),
        ),
        ("a space before the colon", format!("content-length : {}", body.len()), body.to_owned()),
        ("a folded header", format!("x-long: a\r\n b\r\ncontent-length: {}", body.len()), body.to_owned()),
        (
            "a bare line feed in a header",
            format!("x-a: b\ncontent-length: {}\0", body.len()),
            body.to_owned(),
        ),
        ("an announced gigabyte", "content-length: 1073741824".to_owned(), body.to_owned()),
    ] {
        let bytes = format!("{}{sent}", head(&stage, &path, &format!("{others}\r\nconnection: close")));
        let reply = raw::send(&base, bytes.as_bytes()).await;
        let refused = reply.status.is_none_or(|status| (400..500).contains(&status));
        assert!(refused, "{name}: {reply:?}");
    }
    // Both framings at once: whatever is believed, nothing hides behind it (RFC 9112 §6.3).
    let both = head(&stage, &path, "content-length: 5\r\ntransfer-encoding: chunked");
    let reply = raw::send(&base, format!("{both}0\r\n\r\n{smuggled}").as_bytes()).await;
    assert!(reply.status.is_none_or(|status| (400..500).contains(&status)), "{reply:?}");
    let after = stage.stored().await;
    if after != before {
        // A pipelined request of Ann's own is hers to send, if the first was answered as its own.
        assert_eq!(reply.text.matches("HTTP/1.1 ").count(), 2, "{reply:?}");
    }
}

#[tokio::test]
async fn floods_of_headers_are_refused_before_anything_is_carried_out() {
    let stage = Stage::new().await;
    let before = stage.stored().await;
    let path = format!("/v1/conversations/{}/messages", stage.group);
    let body = r#"{"content":"flooded"}"#;
    let length = format!("content-length: {}\r\nconnection: close", body.len());
    let base = stage.ann.api.base().to_owned();
    let many: Vec<_> = (0..10_000).map(|number| format!("x-{number}: y\r\n")).collect();
    let many = many.concat();
    let same: String = "x-same: y\r\n".repeat(10_000);
    let long = format!("x-long: {}\r\n", "y".repeat(1024 * 1024));
    let name = format!("x-{}: y\r\n", "n".repeat(200_000));
    for (what, flood) in [
        ("10,000 names", &many),
        ("one name 10,000 times", &same),
        ("1 MiB in one", &long),
        ("a long name", &name),
    ] {
        let bytes = format!("{}{body}", head(&stage, &path, &format!("{flood}{length}")));
        let reply = raw::send(&base, bytes.as_bytes()).await;
        assert!(reply.status.is_none_or(|status| [400, 431].contains(&status)), "{what}: {:?}", reply.status);
    }
    for (what, target) in [
        ("a long path", format!("/v1/{}", "x".repeat(300_000))),
        ("a long query", format!("/v1/messages/search?q={}", "x".repeat(300_000))),
    ] {
        let bytes = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let reply = raw::send(&base, bytes.as_bytes()).await;
        let refused = reply.status.is_none_or(|status| [400, 401, 404, 414, 431].contains(&status));
        assert!(refused, "{what}: {:?}", reply.status);
    }
    assert_eq!(stage.stored().await, before);
}

#[tokio::test]
async fn headers_that_the_contract_knows_are_named_where_they_are_wrong() {
    let stage = Stage::new().await;
    let before = stage.stored().await;
    let say = || {
        stage.call(Method::POST, "/v1/conversations/{group}/messages").json(&json!({"content": "stored?"}))
    };
    for key in ["", "two words", "tab\there", &"k".repeat(256)] {
        assert_field(&say().key(key).send().await, "invalid-value", "Idempotency-Key", key);
    }
    let twice = say().key("a").key("b").send().await;
    assert_field(&twice, "invalid-value", "Idempotency-Key", "twice");
    for etag in ["1", "\"", "\"x\"", "W/\"1\"", "\"1\", \"2\"", "\"-1\"", "\"18446744073709551616\""] {
        let rename =
            stage.call(Method::PATCH, "/v1/conversations/{group}").json(&json!({"title": "stored?"}));
        assert_field(&rename.if_match(etag).send().await, "invalid-value", "If-Match", etag);
    }
    for token in ["", "nonsense", ",", "a,b", &"A".repeat(10_000)] {
        assert_problem(&say().after(token).send().await, 422, "invalid-token", token);
        assert_problem(
            &stage.ann.get("/v1/conversations").after(token).send().await,
            422,
            "invalid-token",
            token,
        );
    }
    for token in ["", "x", &"x".repeat(20_000), "eyJhbGciOiJub25lIn0.e30."] {
        let reply = stage.ann.api.get("/v1/conversations").token(token).send().await;
        assert_problem(&reply, 401, "unauthenticated", token);
    }
    for id in ["x", "00000000-0000-0000-0000-00000000000g", "%00", "%ff", "..%2f..%2fetc%2fpasswd", "1"] {
        for path in [format!("/v1/users/{id}"), format!("/v1/conversations/{id}/messages")] {
            assert_problem(&stage.ann.get(&path).send().await, 404, "not-found", &path);
        }
    }
    assert_eq!(stage.stored().await, before);
    // A request id that could break a line or a header is replaced.
    let long = "i".repeat(1_000);
    for id in ["a b", "ü", long.as_str()] {
        let reply = stage.ann.get("/v1/auth/me").header("x-request-id", id).expect(200).await;
        assert!(reply.headers["x-request-id"].as_bytes() != id.as_bytes(), "{id}");
        assert!(reply.header("x-request-id").is_some_and(|id| !id.is_empty() && id.len() <= 128));
    }
}
