//! A session that ends takes its open connections along, at whichever chat process they are.

use std::time::Duration;

use parlor_tests::{Feed, Socket, User};
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use crate::stage::cluster;

/// How long a connection may outlive its session (PROOF.md, security 17).
const BOUND: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_17_signing_out_and_disabling_close_streams_and_sockets_at_every_chat_process_within_5_s() {
    let Some(cluster) = cluster().await else { return };
    let api = cluster.api();
    let mut ann = User::sign_up(&api, "Ann").await;
    let mut admin = User::sign_up(&api, "Administrator").await;
    let promoted = cluster.command("auth", &["user", "promote", &admin.email]).output().unwrap();
    assert!(promoted.status.success(), "{promoted:?}");
    admin.sign_in().await;
    for ending in ["signing out", "disabling"] {
        let mut open: Vec<(Feed, Socket)> = Vec::new();
        for process in ["chat-1", "chat-2"] {
            let there = User { api: cluster.api_of(process), ..ann.clone() };
            let mut stream = there.feed(None).await;
            stream.until("caught-up").await;
            let mut socket = Socket::of(&there, None).await;
            socket.until("caught-up").await;
            open.push((stream, socket));
        }
        // By way of the proxy, as anybody would.
        let ended = match ending {
            "signing out" => ann.post("/v1/auth/logout", &json!({})),
            _ => admin.call(Method::POST, &format!("/v1/users/{}/disable", ann.id)),
        };
        ended.expect(204).await;
        let closing = async {
            for (stream, socket) in &mut open {
                let signed_out = json!({"type": "closed", "code": "signed-out"});
                assert_eq!(socket.closed().await, (1008, signed_out), "{ending}");
                let last = stream.until("closed").await.pop().unwrap();
                assert_eq!(last.rest["code"], "signed-out", "{ending}");
            }
        };
        timeout(BOUND, closing).await.unwrap_or_else(|_| panic!("{ending} doesn't close them in time"));
        if ending == "signing out" {
            ann.sign_in().await;
        }
    }
}
