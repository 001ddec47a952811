//! What isn't acceptable gets its code and names its field, and nothing is stored.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use cqrs_http::HttpOptions;

use crate::bank::{bank, bank_with, options};
use crate::client::ask;

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed_and_one_that_is_and_does_not_fit_is_invalid() {
    let bank = bank();
    let account = bank.open_account().await;
    let path = format!("/v1/accounts/{account}/deposits");
    let deep = |depth: usize| format!(r#"{{"cents":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let malformed: Vec<(&str, Vec<u8>)> = vec![
        ("cut short", b"{\"cents\":".to_vec()),
        ("not JSON", b"cents=5".to_vec()),
        ("byte order mark", b"\xef\xbb\xbf{\"cents\":5}".to_vec()),
        ("trailing bytes", b"{\"cents\":5} x".to_vec()),
        ("two documents", b"{\"cents\":5}{\"cents\":5}".to_vec()),
        ("lone leading surrogate", br#"{"cents":5,"notes":[{"text":"\ud800"}]}"#.to_vec()),
        ("lone trailing surrogate", br#"{"cents":5,"notes":[{"text":"\udc00"}]}"#.to_vec()),
        ("lone surrogate in a key", br#"{"\ud800":5}"#.to_vec()),
        ("lone surrogate in an unknown field", br#"{"unknown":"\ud800"}"#.to_vec()),
        ("invalid UTF-8", b"{\"cents\":5,\"notes\":[{\"text\":\"\xff\"}]}".to_vec()),
        ("overlong UTF-8", b"{\"cents\":5,\"notes\":[{\"text\":\"\xc0\x80\"}]}".to_vec()),
        ("raw control character", b"{\"cents\":5,\"notes\":[{\"text\":\"\x00\"}]}".to_vec()),
        ("1e400", br#"{"cents":1e400}"#.to_vec()),
        ("1e400 behind an unknown field", br#"{"unknown":1,"cents":1e400}"#.to_vec()),
        ("1,000 deep", deep(1_000).into_bytes()),
        ("NaN", br#"{"cents":NaN}"#.to_vec()),
        ("single quotes", b"{'cents':5}".to_vec()),
        ("a comment", b"{\"cents\":5/**/}".to_vec()),
        ("a trailing comma", br#"{"cents":5,}"#.to_vec()),
        ("nothing", b"".to_vec()),
        ("spaces", b"   ".to_vec()),
    ];
    for (name, body) in malformed {
        let reply = ask("POST", &path).json(&body).of(&bank).await;
        assert_eq!(reply.status, 400, "{name}: {reply:?}");
        reply.is_problem(400, "malformed-json");
    }
    let invalid = [
        ("wrong type", r#"{"cents":"5"}"#, "/cents"),
        ("fraction", r#"{"cents":1.5}"#, "/cents"),
        ("negative", r#"{"cents":-1}"#, "/cents"),
        ("2^64", r#"{"cents":18446744073709551616}"#, "/cents"),
        ("2^32", r#"{"cents":4294967296}"#, "/cents"),
        ("null", r#"{"cents":null}"#, "/cents"),
        ("an unknown word of several", r#"{"cents":5,"way":"magic"}"#, "/way"),
        ("a number for one of several words", r#"{"cents":5,"way":7}"#, "/way"),
        ("a truth for one of several words", r#"{"cents":5,"way":true}"#, "/way"),
        ("an array for one of several words", r#"{"cents":5,"way":["cash"]}"#, "/way"),
        ("missing", r#"{"notes":[]}"#, "/cents"),
        ("missing deep down", r#"{"cents":5,"notes":[{"text":"a"},{}]}"#, "/notes/1/text"),
        ("wrong type deep down", r#"{"cents":5,"notes":[{"text":5}]}"#, "/notes/0/text"),
        ("unknown", r#"{"cents":5,"amount":5}"#, "/amount"),
        ("unknown deep down", r#"{"cents":5,"notes":[{"text":"a","bold":true}]}"#, "/notes/0/bold"),
        ("unknown with characters to escape", r#"{"a/b~c":5}"#, "/a~1b~0c"),
        ("twice", r#"{"cents":5,"cents":6}"#, "/cents"),
        ("twice, once escaped", r#"{"cents":5,"\u0063ents":6}"#, "/cents"),
        ("twice in a map", r#"{"cents":5,"labels":{"a":1,"b":2,"a":3}}"#, "/labels/a"),
        (
            "twice among many",
            r#"{"cents":5,"labels":{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"j":2}}"#,
            "/labels/j",
        ),
        ("an array for an object", r#"{"cents":5,"notes":[["a"]]}"#, "/notes/0"),
        ("wrong type in a map", r#"{"cents":5,"labels":{"a":"x"}}"#, "/labels/a"),
        ("100 deep", &deep(100), "/cents"),
        ("an array", r"[5,[],{}]", ""),
        ("a string", r#""cents""#, ""),
        ("null alone", "null", ""),
    ];
    for (name, body, pointer) in invalid {
        let reply = ask("POST", &path).json(body).of(&bank).await;
        assert_eq!(reply.status, 422, "{name}: {reply:?}");
        let document = reply.is_problem(422, "invalid-value");
        assert_eq!(document["errors"][0]["pointer"], pointer, "{name}: {document}");
        let detail = document["errors"][0]["detail"].as_str().unwrap();
        assert!(!detail.is_empty() && !detail.contains(" at line "), "{name}: {detail}");
    }
    assert_eq!(bank.events(), 1, "only the account was opened");
}

#[tokio::test]
async fn a_refusal_of_the_domain_names_its_field() {
    let bank = bank();
    let account = bank.open_account().await;
    let reply =
        ask("POST", &format!("/v1/accounts/{account}/deposits")).json(r#"{"cents":0}"#).of(&bank).await;
    let document = reply.is_problem(422, "nothing-to-deposit");
    assert_eq!(document["errors"][0]["pointer"], "/cents");
    assert_eq!(document["title"], "Nothing to deposit");
}

#[tokio::test]
async fn what_is_echoed_of_a_bad_value_is_short() {
    let bank = bank();
    let account = bank.open_account().await;
    let body = format!(r#"{{"cents":"{}"}}"#, "ü".repeat(1_500));
    let reply = ask("POST", &format!("/v1/accounts/{account}/deposits")).json(body).of(&bank).await;
    reply.is_problem(422, "invalid-value");
    assert!(reply.body.len() < 1_200, "{}", reply.body.len());
}

#[tokio::test]
async fn only_unencoded_json_is_taken() {
    let bank = bank();
    let account = bank.open_account().await;
    let path = format!("/v1/accounts/{account}/deposits");
    let body = r#"{"cents":5}"#;
    let refused = [
        ask("POST", &path).bytes(body),
        ask("POST", &path).bytes(body).header("content-type", "text/plain"),
        ask("POST", &path).bytes(body).header("content-type", "application/x-www-form-urlencoded"),
        ask("POST", &path).bytes(body).header("content-type", "application/jsonp"),
        ask("POST", &path).json(body).header("content-encoding", "gzip"),
        ask("POST", &path).json(body).header("content-encoding", "identity, br"),
    ];
    for request in refused {
        request.of(&bank).await.is_problem(415, "unsupported-media-type");
    }
    assert_eq!(bank.events(), 1);
    for accepted in ["application/json; charset=utf-8", "Application/JSON"] {
        let reply = ask("POST", &path).bytes(body).header("content-type", accepted).of(&bank).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_or_not_it_says_its_length() {
    let bank = bank();
    let account = bank.open_account().await;
    let path = format!("/v1/accounts/{account}/deposits");
    let body = |length: usize| format!(r#"{{"cents":5{}}}"#, " ".repeat(length - r#"{"cents":5}"#.len()));
    let exact = ask("POST", &path).json(body(4096)).of(&bank).await;
    assert_eq!(exact.status, 200, "{exact:?}");
    let over = ask("POST", &path).json(body(4097)).of(&bank).await;
    assert_eq!(over.is_problem(413, "payload-too-large")["maxBytes"], 4096);
    let announced = ask("POST", &path).json("{}").header("content-length", "99999999").of(&bank).await;
    announced.is_problem(413, "payload-too-large");
    let elsewhere = ask("POST", "/v1/echo").bytes(body(4097)).of(&bank).await;
    elsewhere.is_problem(413, "payload-too-large");
}

#[tokio::test]
async fn a_command_without_a_body_takes_an_empty_one_or_an_empty_object() {
    let bank = bank();
    for (request, status) in [
        (ask("DELETE", "/").bytes(""), 204),
        (ask("DELETE", "/").json(""), 204),
        (ask("DELETE", "/").json("{}"), 204),
        (ask("DELETE", "/").json(r#"{"force":true}"#), 422),
    ] {
        let account = bank.open_account().await;
        let reply = request.at(&format!("/v1/accounts/{account}")).of(&bank).await;
        assert_eq!(reply.status.as_u16(), status, "{reply:?}");
    }
}

#[tokio::test]
async fn parameters_are_named_where_they_are_wrong() {
    let bank = bank();
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=201", "limit"),
        ("limit=9223372036854775808", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=", "cursor"),
        ("unread=perhaps", "unread"),
        ("page=2", "page"),
    ] {
        let reply = ask("GET", &format!("/v1/numbers?{query}")).of(&bank).await;
        let document = reply.is_problem(422, "invalid-value");
        assert_eq!(document["errors"][0]["pointer"], parameter, "{query}: {document}");
    }
}

#[tokio::test]
async fn what_can_not_be_an_id_names_nothing() {
    let bank = bank();
    for id in ["x", "00000000-0000-0000-0000-00000000000g", "%ff", "1"] {
        ask("GET", &format!("/v1/accounts/{id}")).of(&bank).await.is_problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_or_breaks_off_is_said_to() {
    let bank = bank_with(&HttpOptions { deadline: Duration::from_millis(5), ..options() });
    let path = format!("/v1/accounts/{}/deposits", uuid::Uuid::nil());
    let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    ask("POST", &path).json("").send(&bank, never).await.is_problem(408, "request-timeout");
    let broken = Body::from_stream(futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset"))]));
    ask("POST", &path).json("").send(&bank, broken).await.is_problem(400, "bad-request");
}
