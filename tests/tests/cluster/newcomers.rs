//! Somebody registers, and at once a conversation with them begins: three services, and no token is ever too new.

use parlor_tests::{User, cycles};
use serde_json::json;

use crate::stage::cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_registers_can_be_talked_to_at_once_every_time() {
    let Some(cluster) = cluster().await else { return };
    let api = cluster.api();
    let ann = User::sign_up(&api, "Ann").await;
    let mut slowest = std::time::Duration::ZERO;
    let times = cycles(100);
    for number in 0..times {
        let name = format!("Newcomer {number}");
        let email = format!("newcomer.{number}@example.org");
        let body = json!({"email": email, "password": parlor_tests::user::PASSWORD, "displayName": name});
        let registered = api.post("/v1/auth/register", &body).expect(201).await;
        let began = std::time::Instant::now();
        let body = json!({"kind": "direct", "participants": [registered.text("userId")]});
        let made = ann.post("/v1/conversations", &body).after(&registered.position()).expect(201).await;
        slowest = slowest.max(began.elapsed());
        if number % 10 == 0 {
            let path = format!("/v1/conversations/{}/participants", made.text("id"));
            let people = ann.get(&path).after(&made.position()).expect(200).await.items();
            assert!(people.iter().any(|one| one["displayName"] == *name), "{people:?}");
        }
    }
    println!("{times} newcomers, known in chat after {slowest:?} at the slowest");
}
