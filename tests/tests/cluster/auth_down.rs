//! The auth service's process dies: tokens that it gave keep working, and sessions that ended before stay ended, even for
//! a process that starts meanwhile.

use parlor_tests::{User, eventually};
use serde_json::json;

use crate::stage::cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_auth_down_tokens_keep_working_and_ended_sessions_stay_refused() {
    let Some(mut cluster) = cluster().await else { return };
    let api = cluster.api();
    let (ann, bob) = (User::sign_up(&api, "Ann").await, User::sign_up(&api, "Bob").await);
    let room = ann.direct(&bob).await;
    ann.say(&room, "before").await;
    bob.get("/v1/conversations").expect(200).await;
    bob.post("/v1/auth/logout", &json!({})).expect(204).await;
    for process in ["chat-1", "chat-2", "user", "notification"] {
        let path = match process {
            "user" => "/v1/users/me/contacts",
            "notification" => "/v1/notifications",
            _ => "/v1/conversations",
        };
        let past_the_proxy = cluster.api_of(process);
        eventually(&format!("{process} has heard of the ended session"), async || {
            let reply = past_the_proxy.get(path).token(&bob.token).send().await;
            (reply.status == 401).then_some(())
        })
        .await;
    }

    cluster.kill("auth").await;
    let login =
        api.post("/v1/auth/login", &json!({"email": ann.email, "password": parlor_tests::user::PASSWORD}));
    login.refused(503, "unavailable").await;
    // One that starts without auth knows keys and ended sessions from what it kept.
    for process in ["chat-1", "chat-2"] {
        cluster.kill(process).await;
        cluster.up(&[process]).await;
        let past_the_proxy = cluster.api_of(process);
        past_the_proxy.get("/v1/conversations").token(&ann.token).expect(200).await;
        past_the_proxy.get("/v1/conversations").token(&bob.token).expect(401).await;
    }
    ann.say(&room, "meanwhile").await;
    ann.get("/v1/users/me/profile").expect(200).await;
    ann.get("/v1/notifications").expect(200).await;
    bob.get("/v1/conversations").expect(401).await;

    cluster.up(&["auth"]).await;
    let mut ann = ann;
    ann.sign_in().await;
    ann.say(&room, "after").await;
}
