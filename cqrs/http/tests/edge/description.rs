//! The OpenAPI description says what all routes share.

use cqrs_http::openapi;
use serde_json::Value;

use crate::bank::routes;

fn description() -> Value {
    let mut api = routes().into_openapi();
    openapi::complete(&mut api);
    serde_json::to_value(&api).unwrap()
}

fn names(parameters: &Value) -> Vec<&str> {
    parameters
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| parameter["$ref"].as_str().or(parameter["name"].as_str()).unwrap())
        .map(|name| name.rsplit('/').next().unwrap())
        .collect()
}

#[test]
fn commands_and_queries_name_their_headers() {
    let api = description();
    let deposit = &api["paths"]["/v1/accounts/{id}/deposits"]["post"];
    assert_eq!(names(&deposit["parameters"]), ["id", "IdempotencyKey", "ParlorMinPosition", "IfMatch"]);
    let open = &api["paths"]["/v1/accounts"]["post"];
    assert_eq!(names(&open["parameters"]), ["IdempotencyKey", "ParlorMinPosition"]);
    let balance = &api["paths"]["/v1/accounts/{id}"]["get"];
    assert_eq!(names(&balance["parameters"]), ["id", "ParlorMinPosition"]);
    let numbers = &api["paths"]["/v1/numbers"]["get"];
    assert_eq!(names(&numbers["parameters"]), ["limit", "cursor", "unread", "ParlorMinPosition"]);
    let limit = serde_json::json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 });
    assert_eq!(numbers["parameters"][0]["schema"]["$ref"], "#/components/schemas/Limit");
    assert_eq!(api["components"]["schemas"]["Limit"], limit);
    let position = &deposit["responses"]["200"]["headers"]["Parlor-Position"]["$ref"];
    assert_eq!(position, "#/components/headers/ParlorPosition");
}

#[test]
fn every_problem_that_a_route_may_answer_with_is_listed() {
    let api = description();
    let statuses = |path: &str, method: &str| -> Vec<String> {
        api["paths"][path][method]["responses"].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(
        statuses("/v1/accounts/{id}/deposits", "post"),
        "200 400 401 403 404 408 409 410 412 413 415 422 429 500 503 507".split(' ').collect::<Vec<_>>()
    );
    assert_eq!(
        statuses("/v1/accounts", "post"),
        "201 400 408 409 410 413 415 422 429 500 503 507".split(' ').collect::<Vec<_>>()
    );
    assert_eq!(
        statuses("/v1/accounts/{id}", "get"),
        "200 400 401 403 404 410 422 429 500 503".split(' ').collect::<Vec<_>>()
    );
    let own = &api["paths"]["/v1/accounts"]["post"]["responses"]["409"];
    assert_eq!(own["description"], "`account-open`");
    assert_eq!(own["content"]["application/problem+json"]["schema"]["$ref"], "#/components/schemas/Problem");
}

/// Every `$ref` in `value` names something in `api`.
fn check(value: &Value, api: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                assert!(api.pointer(&reference[1..]).is_some(), "{reference}");
            }
            members.values().for_each(|member| check(member, api));
        }
        Value::Array(items) => items.iter().for_each(|item| check(item, api)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let api = description();
    check(&api, &api);
    assert_eq!(api["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    let status = &api["components"]["schemas"]["Problem"]["properties"]["status"];
    assert_eq!(status["minimum"], 400);
}
