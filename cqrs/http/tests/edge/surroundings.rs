//! What goes around every route.

use crate::bank::bank;
use crate::client::ask;

#[tokio::test]
async fn unknown_routes_and_methods_get_problem_documents() {
    let bank = bank();
    for path in ["/", "/v1/unknown", "/v1/accounts/"] {
        ask("GET", path).of(&bank).await.is_problem(404, "not-found");
    }
    let reply = ask("PUT", "/v1/accounts").of(&bank).await;
    reply.is_problem(405, "method-not-allowed");
    assert_eq!(reply.header("allow"), Some("POST"));
    ask("BREW", "/v1/accounts").of(&bank).await.is_problem(405, "method-not-allowed");
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_another_is_made_anew() {
    let bank = bank();
    let reply = ask("GET", "/v1/whoami").header("x-request-id", "abc-123_x.y:z").of(&bank).await;
    assert_eq!(reply.header("x-request-id"), Some("abc-123_x.y:z"));
    assert_eq!(reply.json()["requestId"], "abc-123_x.y:z");
    for bad in ["", "a b", "a\"b", "<script>", &"x".repeat(129)] {
        let reply = ask("GET", "/v1/whoami").header("x-request-id", bad).of(&bank).await;
        let made = reply.header("x-request-id").unwrap();
        assert_eq!(made.parse::<uuid::Uuid>().unwrap().get_version_num(), 7, "{bad}");
        assert_eq!(reply.json()["requestId"], made);
    }
}

#[tokio::test]
async fn traceparent_gives_the_correlation_where_it_is_valid() {
    let bank = bank();
    let correlation = async |parent: &str| {
        let reply = ask("GET", "/v1/whoami").header("traceparent", parent).of(&bank).await;
        let (id, correlation) = (reply.json()["requestId"].clone(), reply.json()["correlation"].clone());
        (correlation != id).then(|| correlation.as_str().unwrap().to_owned())
    };
    let trace = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736";
    let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(correlation(valid).await.as_deref(), Some(trace));
    assert_eq!(correlation(&format!("01{}-more", &valid[2..])).await.as_deref(), Some(trace));
    for invalid in [
        "",
        "00",
        &valid[..54],
        &format!("{valid}-more"),
        &format!("ff{}", &valid[2..]),
        &valid.to_uppercase(),
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    ] {
        assert_eq!(correlation(invalid).await, None, "{invalid}");
    }
}

#[tokio::test]
async fn security_28_nothing_is_cached_unless_the_route_says_so_and_types_are_not_guessed() {
    let bank = bank();
    for path in ["/v1/whoami", "/v1/unknown", "/v1/fail/forbidden", "/v1/fail/panic"] {
        let reply = ask("GET", path).of(&bank).await;
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    assert_eq!(ask("GET", "/v1/cached").of(&bank).await.header("cache-control"), Some("max-age=60"));
}

#[test]
fn requests_are_counted_and_timed_by_route_template_never_by_path() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let bank = bank();
            ask("GET", "/v1/accounts/00000000-0000-0000-0000-000000000001").of(&bank).await;
            ask("GET", "/v1/accounts/00000000-0000-0000-0000-000000000002").of(&bank).await;
            ask("BREW", "/secret/path").of(&bank).await;
        });
    });
    let text = handle.render();
    let template = r#"http_requests_total{route="/v1/accounts/{id}",method="GET",status="404"} 2"#;
    assert!(text.contains(template), "{text}");
    assert!(
        text.contains(r#"http_requests_total{route="unmatched",method="OTHER",status="404"} 1"#),
        "{text}"
    );
    assert!(text.contains("http_request_seconds"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}
