//! JSON that isn't any, and JSON that doesn't fit, on every command that takes a body.

use serde_json::{Value, json};

use crate::stage::{Stage, assert_field, assert_problem, commands};

/// Not a JSON document. `sound` is the command's own body, `{…}`.
fn malformed(sound: &str) -> Vec<(&'static str, Vec<u8>)> {
    let inner = &sound[1..];
    let with = |member: &str| format!("{{{member},{inner}").into_bytes();
    let nested = |depth: usize| with(&format!("\"deep\":{}1{}", "[".repeat(depth), "]".repeat(depth)));
    let objects = "{\"a\":".repeat(1_000);
    let mut invalid_utf8 = b"{\"x\":\"".to_vec();
    invalid_utf8.extend([0xff, 0xfe]);
    invalid_utf8.extend_from_slice(format!("\",{inner}").as_bytes());
    vec![
        ("nothing but a space", b" ".to_vec()),
        ("cut short", sound.as_bytes()[..sound.len() - 1].to_vec()),
        ("a byte order mark", format!("\u{feff}{sound}").into_bytes()),
        ("trailing bytes", format!("{sound}x").into_bytes()),
        ("two documents", format!("{sound}{sound}").into_bytes()),
        ("a trailing NUL", format!("{sound}\0").into_bytes()),
        ("a raw NUL in a text", with("\"x\":\"\0\"")),
        ("a lone leading surrogate", with(r#""x":"\ud800""#)),
        ("a lone trailing surrogate", with(r#""x":"\udc00y""#)),
        ("surrogates the wrong way round", with(r#""x":"\udc00\ud800""#)),
        ("1e400", with("\"x\":1e400")),
        ("-1e400", with("\"x\":-1e400")),
        ("NaN", with("\"x\":NaN")),
        ("a number with a leading zero", with("\"x\":01")),
        ("1,000 arrays deep", nested(1_000)),
        ("1,000 objects deep", format!("{objects}1{}", "}".repeat(1_000)).into_bytes()),
        ("100,000 brackets", vec![b'['; 100_000]),
        ("invalid UTF-8", invalid_utf8),
        ("a comment", format!("{sound}/* */").into_bytes()),
        ("UTF-16", sound.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ]
}

#[tokio::test]
async fn what_is_not_json_is_malformed_on_every_route_and_stores_nothing() {
    let stage = Stage::new().await;
    let before = stage.stored().await;
    for (method, path, body) in commands(&stage) {
        for (name, bytes) in malformed(&body.to_string()) {
            let what = format!("{method} {path}: {name}");
            let reply = stage.call(method.clone(), path).raw("application/json", bytes).send().await;
            assert_problem(&reply, 400, "malformed-json", &what);
        }
    }
    assert_eq!(stage.stored().await, before);
}

#[tokio::test]
async fn json_that_does_not_fit_names_the_field_on_every_route_and_stores_nothing() {
    let stage = Stage::new().await;
    let before = stage.stored().await;
    for (method, path, body) in commands(&stage) {
        let send = |bytes: String| stage.call(method.clone(), path).raw("application/json", bytes).send();
        let (sound, members) = (body.to_string(), body.as_object().unwrap().clone());
        for (name, document) in
            [("an array", "[]"), ("a string", "\"x\""), ("null", "null"), ("a number", "7")]
        {
            let reply = send(document.to_owned()).await;
            assert_field(&reply, "invalid-value", "", &format!("{method} {path}: {name}"));
        }
        let unknown = send(format!("{},\"colour\":\"blue\"}}", &sound[..sound.len() - 1])).await;
        assert_field(&unknown, "invalid-value", "/colour", &format!("{method} {path}: unknown"));
        for (field, value) in &members {
            let pointer = format!("/{field}");
            let twice = send(format!("{{\"{field}\":{value},{}", &sound[1..])).await;
            assert_field(&twice, "invalid-value", &pointer, &format!("{method} {path}: {field} twice"));
            for (name, wrong) in wrong_types(field, value) {
                let mut changed = body.clone();
                changed[field] = wrong;
                let what = format!("{method} {path}: {field} as {name}");
                let reply = send(changed.to_string()).await;
                assert_eq!(reply.status, 422, "{what}: {reply:?}");
                let problem = assert_problem(&reply, 422, "invalid-value", &what);
                let named = problem["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned();
                assert!(named.starts_with(&pointer), "{what}: {problem}");
            }
        }
    }
    assert_eq!(stage.stored().await, before);
}

/// Values of other types than this one's, or that no text may hold. A secret may be any text: it is right or wrong.
fn wrong_types(field: &str, value: &Value) -> Vec<(&'static str, Value)> {
    // 2^64 fits no integer of Rust's; as a number it is a float to serde_json.
    let huge = serde_json::from_str("18446744073709551616").unwrap();
    let many = Value::Array(vec![json!([]); 10_000]);
    let mut wrong = vec![("a number", json!(7)), ("2^64", huge), ("a huge array", many)];
    if !value.is_object() {
        wrong.push(("an object", json!({"a": 1})));
    }
    if value.is_string() {
        wrong.push(("a truth", json!(true)));
        let secret = ["password", "Password", "token", "Token"].iter().any(|word| field.contains(word));
        wrong.extend((!secret).then(|| ("NUL", json!("\0"))));
    }
    wrong
}

#[tokio::test]
async fn huge_arrays_and_maps_are_refused_where_they_are() {
    let stage = Stage::new().await;
    let before = stage.stored().await;
    let ids: Vec<Value> =
        (0..20_000).map(|number| format!("0190aaaa-bbbb-7ccc-8ddd-{number:012x}").into()).collect();
    let body = json!({"kind": "group", "title": "T", "participants": ids});
    let reply = stage.call(reqwest::Method::POST, "/v1/conversations").json(&body).send().await;
    assert_field(&reply, "invalid-value", "/participants", "20,000 participants");
    let levels: serde_json::Map<String, Value> =
        (0..15_000).map(|number| (format!("0190aaaa-bbbb-7ccc-8ddd-{number:012x}"), "all".into())).collect();
    let body = json!({"conversations": levels});
    let path = "/v1/notifications/preferences";
    let reply = stage.call(reqwest::Method::PUT, path).json(&body).send().await;
    assert_field(&reply, "invalid-value", "/conversations", "15,000 levels");
    assert_eq!(stage.stored().await, before);
}
