//! What operators and developers ask of a server.

use parlor_tests::{Server, Store, User, eventually};

use super::assert_all_asked;

#[tokio::test]
async fn a_server_describes_itself_on_sqlite() {
    contract(Store::Sqlite).await;
}

#[tokio::test]
async fn a_server_describes_itself_on_postgresql() {
    if let Some(store) = Store::postgres() {
        contract(store).await;
    }
}

async fn contract(store: Store) {
    let server = Server::start(store).await;
    let api = server.api();
    api.get("/health/live").expect(200).await;
    api.get("/health/ready").expect(200).await;
    let description = api.get("/openapi.json").expect(200).await.json();
    assert!(
        description["openapi"].as_str().is_some_and(|version| version.starts_with("3.")),
        "{description}"
    );
    let operations: usize =
        description["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
    assert!(operations >= 50, "{operations} operations are described");
    let docs = api.get("/docs").send().await;
    let docs = if docs.status == 200 { docs } else { api.get("/docs/").expect(200).await };
    let page = String::from_utf8(docs.body.to_vec()).unwrap();
    for outside in ["src=\"http", "href=\"http", "src=\"//", "href=\"//"] {
        assert!(!page.contains(outside), "the page works with no network: {page}");
    }
    // A problem's type leads to its explanation.
    let problem = api.get("/v1/auth/me").expect(401).await.json();
    let explained = problem["type"].as_str().unwrap().to_owned();
    let path = explained.split('#').next().unwrap();
    api.get(path.strip_prefix(api.base()).unwrap_or(path)).expect(200).await;

    // Metrics have a listener of their own.
    let ann = User::sign_up(api, "Ann").await;
    ann.get("/v1/auth/me").expect(200).await;
    assert_ne!(api.get("/metrics").send().await.status, 200, "not where everybody comes");
    let metrics = parlor_tests::Api::new(&format!("http://{}", server.metrics_address()));
    let text = eventually("metrics", async || {
        let reply = metrics.get("/metrics").attempt().await.ok()?;
        (reply.status == 200).then(|| String::from_utf8(reply.body.to_vec()).unwrap())
    });
    let text = text.await;
    assert!(text.lines().any(|line| line.starts_with("# TYPE ")), "{text}");
    assert!(!text.contains(&ann.email) && !text.contains(&ann.token), "nothing about anybody");
    assert_all_asked(api, &["/health"]).await;
}
