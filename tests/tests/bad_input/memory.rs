//! What is refused takes no memory with it.

use futures::StreamExt as _;
use reqwest::Method;

use crate::raw;
use crate::stage::Stage;

/// How much more the server may hold after a flood than before.
const GROWTH: u64 = 20 * 1024 * 1024;
const FLOOD: usize = 150;
const AT_ONCE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_leave_the_server_as_small_as_it_was() {
    let stage = Stage::new().await;
    let path = format!("/v1/conversations/{}/messages", stage.group);
    let whole = format!("{{\"content\":\"{}\"}}", "x".repeat(1024 * 1024 - 64));
    let brackets = "[".repeat(1024 * 1024);
    let array = format!("{{\"content\":[{}1]}}", "1,".repeat(500_000));
    let keys: Vec<_> = (0..60_000).map(|number| format!("\"k{number:06}\":1,")).collect();
    let keys = keys.concat();
    let keys = format!("{{{keys}\"content\":\"c\"}}");
    let over = "x".repeat(2 * 1024 * 1024);
    let bodies = [whole, brackets, array, keys, over];
    let headers: Vec<_> = (0..10_000).map(|number| format!("x-{number}: y\r\n")).collect();
    let headers = headers.concat();
    let headers = format!("GET /v1/conversations HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");

    let flood = async |requests: usize| {
        let sending = futures::stream::iter(0..requests).map(async |number| {
            let call = stage
                .call(Method::POST, &path)
                .raw("application/json", bodies[number % bodies.len()].clone());
            // A server that refuses a large body early may close the connection while it is being sent.
            if let Ok(reply) = call.attempt().await {
                assert!([400, 413, 422].contains(&reply.status), "{}: {reply:?}", number % bodies.len());
            }
            if number % 3 == 0 {
                raw::send(stage.ann.api.base(), headers.as_bytes()).await;
            }
        });
        sending.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    };
    // The first ones fill what is kept for all that follow.
    flood(FLOOD / 5).await;
    let before = stage.server.resident_bytes();
    flood(FLOOD).await;
    let after = stage.server.resident_bytes();
    println!("resident: {} KiB before, {} KiB after", before / 1024, after / 1024);
    assert!(after <= before + GROWTH, "{before} bytes before, {after} after");
}
