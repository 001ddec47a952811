//! Items 20, 26, 27 and 28 over all routes, whoever asks.

use std::collections::BTreeSet;

use parlor_tests::{Role, Server, Store};
use serde_json::Value;

use crate::routes::{self, Rule, Scene, Seen};
use crate::schema::undocumented;

/// The description itself and its pages.
const UNDESCRIBED: [&str; 2] = ["GET /openapi.json", "GET /docs"];

#[tokio::test]
async fn security_20_every_route_answers_every_role_as_its_rule_says() {
    let server = Server::start(Store::Sqlite).await;
    let (described, description) = routes::described(server.api()).await;
    let described: BTreeSet<_> = described.into_iter().collect();
    let listed: BTreeSet<_> = routes::all().iter().map(|route| route.operation.to_owned()).collect();
    let unlisted: Vec<_> = described.difference(&listed).collect();
    assert!(unlisted.is_empty(), "routes without a rule in routes.rs: {unlisted:?}");
    let gone: Vec<_> =
        listed.difference(&described).filter(|route| !UNDESCRIBED.contains(&route.as_str())).collect();
    assert!(gone.is_empty(), "rules for routes that the description doesn't have: {gone:?}");
    for route in routes::all().iter().filter(|route| !UNDESCRIBED.contains(&route.operation)) {
        let (method, path) = route.method_and_path();
        let operation = &description["paths"][path][method.as_str().to_lowercase()];
        let says_so = operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty());
        assert_eq!(says_so, route.rule != Rule::Open, "{}: what the description says", route.operation);
    }

    let seen = routes::ask_all(&server).await;
    assert_eq!(seen.len(), described.union(&listed).count() * Role::ALL.len());
    let wrong: Vec<_> = seen.iter().filter(|seen| seen.reply.status != seen.expected).map(told).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for Seen { reply, operation, .. } in seen.iter().filter(|seen| seen.reply.status >= 400) {
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{operation}: {reply:?}");
        if reply.status == 401 {
            let challenge = reply.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Bearer"), "{operation}: {reply:?}");
        }
    }
}

fn told(seen: &Seen) -> String {
    let Seen { operation, role, expected, reply, rule } = seen;
    let body = String::from_utf8_lossy(&reply.body);
    format!("{operation} as {role:?} ({rule:?}): expected {expected}, got {} {body}", reply.status)
}

#[tokio::test]
async fn security_26_what_is_forbidden_and_what_is_absent_look_alike() {
    let server = Server::start(Store::Sqlite).await;
    let scene = Scene::around(parlor_tests::Cast::of(&server).await).await;
    let hidden = |rule| matches!(rule, Rule::Members | Rule::GroupAdmins | Rule::Owner);
    let mut compared = 0;
    for route in routes::all().into_iter().filter(|route| hidden(route.rule)) {
        let mut nowhere = scene.clone();
        for id in [
            &mut nowhere.cast.group,
            &mut nowhere.message,
            &mut nowhere.notification,
            &mut nowhere.session,
            &mut nowhere.browser,
        ] {
            "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000".clone_into(id);
        }
        for role in [Role::Stranger, Role::FormerMember, Role::Admin, Role::Service] {
            let body = (route.body)(&scene);
            let token = scene.cast.token(role);
            let forbidden = routes::answer(scene.request(&route, token, body.as_ref())).await;
            let absent = routes::answer(nowhere.request(&route, token, body.as_ref())).await;
            let what = format!("{} as {role:?}", route.operation);
            assert_eq!((forbidden.status, absent.status), (404, 404), "{what}: {forbidden:?} {absent:?}");
            assert_eq!(without_request_id(&forbidden.json()), without_request_id(&absent.json()), "{what}");
            let names = |reply: &parlor_tests::Reply| -> BTreeSet<String> {
                reply.headers.keys().map(ToString::to_string).collect()
            };
            assert_eq!(names(&forbidden), names(&absent), "{what}: headers tell");
            compared += 1;
        }
    }
    assert!(compared >= 40, "{compared}");
}

fn without_request_id(problem: &Value) -> Value {
    let mut problem = problem.clone();
    problem.as_object_mut().expect("a problem").remove("requestId");
    problem
}

#[tokio::test]
async fn security_27_unknown_fields_and_parameters_are_refused_on_every_route() {
    let server = Server::start(Store::Sqlite).await;
    let scene = Scene::around(parlor_tests::Cast::of(&server).await).await;
    let before = parlor_tests::log::settled(&server).await;
    let mut refused = 0;
    let fixed = [
        "GET /.well-known/jwks.json",
        "GET /openapi.json",
        "GET /docs",
        "GET /health/live",
        "GET /health/ready",
    ];
    for route in routes::all() {
        let (method, _) = route.method_and_path();
        let token = scene.permitted(route.rule);
        if method == reqwest::Method::GET {
            // What is the same for all has no parameters to begin with.
            if fixed.contains(&route.operation) {
                continue;
            }
            let query: &'static str = match route.query {
                "" => "?colour=blue",
                "?search=owner" => "?search=owner&colour=blue",
                "?q=something" => "?q=something&colour=blue",
                "?users=00000000-0000-0000-0000-000000000000" => "?users=&colour=blue",
                other => panic!("{other}"),
            };
            let route = routes::Route { query, ..route };
            let reply = routes::answer(scene.request(&route, token, None)).await;
            assert_named(&reply, "colour", route.operation);
        } else {
            let mut body = (route.body)(&scene).unwrap_or_else(|| serde_json::json!({}));
            body["colour"] = "blue".into();
            let reply = routes::answer(scene.request(&route, token, Some(&body))).await;
            assert_named(&reply, "/colour", route.operation);
        }
        refused += 1;
    }
    assert!(refused >= 45, "{refused}");
    assert_eq!(parlor_tests::log::settled(&server).await, before, "nothing is stored");
}

#[track_caller]
fn assert_named(reply: &parlor_tests::Reply, pointer: &str, operation: &str) {
    assert_eq!(reply.status, 422, "{operation}: {reply:?}");
    let problem = reply.json();
    assert_eq!(problem["code"], "invalid-value", "{operation}: {problem}");
    assert_eq!(problem["errors"][0]["pointer"], pointer, "{operation}: {problem}");
}

#[tokio::test]
async fn security_27_answers_hold_what_the_description_lists_and_no_more() {
    let server = Server::start(Store::Sqlite).await;
    let (_, description) = routes::described(server.api()).await;
    let mut compared = 0;
    for seen in routes::ask_all(&server).await {
        let (method, path) = seen.operation.split_once(' ').expect("a method and a path");
        let json = seen.reply.header("content-type") == Some("application/json");
        if !json || seen.reply.status >= 300 || path == "/openapi.json" {
            continue;
        }
        let operation = &description["paths"][path][method.to_lowercase()];
        let answer = &operation["responses"][seen.reply.status.to_string()];
        let schema = &answer["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{}: {} has no schema", seen.operation, seen.reply.status);
        let more = undocumented(&description, schema, &seen.reply.json());
        assert_eq!(more, Vec::<String>::new(), "{} as {:?}: {:?}", seen.operation, seen.role, seen.reply);
        compared += 1;
    }
    assert!(compared >= 60, "{compared}");
}

#[tokio::test]
async fn security_28_nothing_that_is_anybody_s_may_be_kept_by_caches() {
    let server = Server::start(Store::Sqlite).await;
    // The same for everybody, signed in or not.
    let public = ["GET /.well-known/jwks.json", "GET /openapi.json", "GET /docs"];
    let mut private = 0;
    for seen in routes::ask_all(&server).await {
        if public.contains(&seen.operation) && seen.reply.status < 300 {
            continue;
        }
        let cached = seen.reply.header("cache-control").unwrap_or_default();
        assert!(cached.contains("no-store"), "{} as {:?}: {:?}", seen.operation, seen.role, seen.reply);
        assert_eq!(seen.reply.header("x-content-type-options"), Some("nosniff"), "{}", seen.operation);
        private += 1;
    }
    assert!(private > 200, "{private}");
}
