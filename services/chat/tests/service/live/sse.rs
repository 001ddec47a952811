//! `GET /v1/stream`.

use http_body_util::BodyExt as _;
use parlor_chat::values::History;
use serde_json::Value;
use tower::ServiceExt as _;

use super::World;

#[tokio::test]
async fn server_sent_events_carry_the_cursor_as_their_id_and_resume_by_it() {
    let world = World::start().await;
    let (ann, bob) = (world.user("Ann").await, world.user("Bob").await);
    let (router, _) = parlor_chat::live::routes(world.live.clone()).split_for_parts();
    let router = cqrs_http::layer(router.with_state(world.chat.edge.clone()), world.chat.edge.options());
    let get = async |who: &str, uri: &str, last: Option<&str>| {
        let mut request = axum::http::Request::get(uri).header("authorization", format!("Bearer {who}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        router.clone().oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap()
    };
    let bobs = bob.to_string();
    let next = async |body: &mut axum::body::Body| {
        let text = loop {
            let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
            let text = String::from_utf8(frame.to_vec()).unwrap();
            // A busy machine may take longer than a heartbeat, which is a comment.
            if !text.starts_with(':') {
                break text;
            }
        };
        let line = |name: &str| {
            let found = text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
            found.unwrap_or_else(|| panic!("no {name} in {text:?}"))
        };
        let data: Value = serde_json::from_str(&line("data:")).unwrap();
        assert_eq!(data["cursor"], Value::from(line("id:")));
        data
    };
    let response = get(&bobs, "/v1/stream", None).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let mut body = response.into_body();
    let first = next(&mut body).await;
    assert_eq!(first["type"], "caught-up");
    let room = world.chat.group(ann, &[bob], History::SinceJoining).await.id;
    let created = next(&mut body).await;
    assert_eq!(
        (&created["type"], &created["data"]["conversationId"]),
        (&"chat.conversation-created".into(), &room.to_string().into())
    );
    drop(body);
    let said = world.chat.say(ann, room, "hello").await;
    let cursor = created["cursor"].as_str().unwrap();
    for (uri, last) in
        [("/v1/stream".to_owned(), Some(cursor)), (format!("/v1/stream?cursor={cursor}"), None)]
    {
        let mut body = get(&bobs, &uri, last).await.into_body();
        let mut kinds = Vec::new();
        let mut message = Value::Null;
        while kinds.last() != Some(&Value::from("caught-up")) || message.is_null() {
            let event = next(&mut body).await;
            if event["type"] == "chat.message-sent" {
                message = event["data"].clone();
            }
            kinds.push(event["type"].clone());
        }
        assert_eq!(message, serde_json::to_value(&said).unwrap());
        assert_eq!(kinds.iter().filter(|kind| *kind == "chat.participant-added").count(), 2);
    }
    assert_eq!(get("nobody", "/v1/stream", None).await.status(), 401);
    assert_eq!(get(&bobs, "/v1/stream?cursor=AAAA", None).await.status(), 422);
    assert_eq!(get(&bobs, "/v1/stream?colour=red", None).await.status(), 422);
    assert_eq!(get(&ann.to_string(), &format!("/v1/stream?cursor={cursor}"), None).await.status(), 422);
}
