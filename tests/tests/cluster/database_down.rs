//! A service's PostgreSQL dies: that service answers 503, the others as ever, and it is back soon after its database.

use std::time::Duration;

use parlor_tests::{Call, Cluster, User};
use rustix::process::Signal;
use serde_json::json;

use crate::stage::whole_cluster;

/// PROOF.md: ready at most this long after the database is back.
const READY: Duration = Duration::from_secs(10);

const SERVICES: [&str; 4] = ["auth", "user", "chat", "notification"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_service_s_postgresql_down_only_that_service_answers_503() {
    let Some(mut cluster) = whole_cluster().await else { return };
    let api = cluster.api();
    let (ann, bob) = (User::sign_up(&api, "Ann").await, User::sign_up(&api, "Bob").await);
    let room = ann.direct(&bob).await;
    for (n, service) in SERVICES.into_iter().enumerate() {
        for (_, call) in calls(&ann, &room, 20 + n) {
            let reply = call.send().await;
            assert!(reply.status < 300, "{reply:?}");
        }
        one_down(&mut cluster, service, calls(&ann, &room, 30 + n)).await;
    }
}

async fn one_down(cluster: &mut Cluster, down: &str, calls: Vec<(&'static str, Call)>) {
    let database = format!("postgres-{down}");
    // PostgreSQL's immediate shutdown: nothing is written any more.
    cluster.signal(&database, Signal::QUIT);
    cluster.wait_for_end(&database).await;
    for (service, call) in calls {
        let reply = call.send().await;
        if service == down {
            assert_eq!(reply.status, 503, "with the PostgreSQL of {down} down: {reply:?}");
            assert!(reply.header("retry-after").is_some(), "{reply:?}");
        } else {
            assert!(reply.status < 300, "with the PostgreSQL of {down} down, {service}: {reply:?}");
        }
    }
    cluster.up(&[&database]).await;
    let names = if down == "chat" { vec!["chat-1", "chat-2"] } else { vec![down] };
    for name in names {
        let process = cluster.api_of(name);
        let ready = async || (process.get("/health/ready").send().await.status == 200).then_some(());
        let ready = parlor_tests::wait::within(READY, ready).await;
        ready.unwrap_or_else(|| {
            panic!("{name} isn't ready {READY:?} after its database:\n{}", cluster.log(name))
        });
    }
}

/// A query and a command of each service that must go to its store. A page of messages that was read before may be answered
/// from memory; one of another length, given by `limit`, isn't.
fn calls(ann: &User, room: &str, limit: usize) -> Vec<(&'static str, Call)> {
    let login = json!({"email": ann.email, "password": parlor_tests::user::PASSWORD});
    vec![
        ("auth", ann.get("/v1/auth/me")),
        ("auth", ann.api.post("/v1/auth/login", &login)),
        ("user", ann.get("/v1/users/me/contacts")),
        ("user", ann.put("/v1/users/me/status", &json!({"status": "away"}))),
        ("user", ann.put("/v1/users/me/status", &json!({"status": "online"}))),
        ("chat", ann.get(&format!("/v1/conversations/{room}/messages?limit={limit}"))),
        ("chat", ann.saying(room, "still here")),
        ("notification", ann.get("/v1/notifications")),
        ("notification", ann.post("/v1/notifications/read-all", &json!({}))),
    ]
}
